//! podman with a storage of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What it keeps while it runs is elsewhere: it wants a short path.
pub(crate) struct Podman {
    home: PathBuf,
    run: tempfile::TempDir,
}

impl Podman {
    /// `home` gets the images and everything else that stays.
    pub(crate) fn new(home: &Path) -> Self {
        let run = tempfile::Builder::new().prefix("sbx-p").tempdir_in("/tmp").expect("a folder");
        Podman { home: home.to_owned(), run }
    }

    /// What it prints; it must succeed.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let run = self.run.path();
        let output = Command::new("podman")
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--root"])
            .arg(self.home.join("podman").join(run.file_name().expect("a name")))
            .arg("--runroot")
            .arg(run)
            .args(args)
            .current_dir(&self.home)
            .env("HOME", &self.home)
            .env("XDG_RUNTIME_DIR", run)
            .env("TMPDIR", run)
            .output()
            .expect("run podman");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "podman {args:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs a container without a network. crun starts none where v1 and v2 of cgroups are mounted
    /// together, whether it is to use them or not: podman's own mount namespace then shows v2 alone.
    #[track_caller]
    pub(crate) fn container(&self, image: &str, command: &[&str]) -> String {
        let cover = "! [ -d /sys/fs/cgroup/unified ] || \
                     mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup";
        self.run(&["unshare", "sh", "-c", cover]);
        let flags = ["--rm", "--network", "none", "--cgroups=disabled", "--pull", "never"];
        self.run(&[&["run"], &flags[..], &[image], command].concat())
    }
}

impl Drop for Podman {
    /// It leaves a process that keeps its user namespace.
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.run.path().join("libpod/tmp/pause.pid"));
        let pid = pid.ok().and_then(|pid| pid.trim().parse().ok());
        let pid = pid.expect("the process id that podman wrote down");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL)
            .expect("end podman's process");
    }
}
