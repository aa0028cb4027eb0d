//! A directory with everything that sbx reads or writes for one test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::command::Sbx;
use super::{fixture, leaks, tree};

/// The tests of one process take turns: what runs below this process then belongs to the test whose turn it
/// is, and the leak check cannot blame the wrong one.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct World {
    dir: PathBuf,
    before: leaks::Before,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// In memory where that is to be had. For what starts sbx hundreds of times, and asks nothing of the file
    /// system: sbx syncs what it stores, which on a disk waits for all that others write there.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let usable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
        if usable { Self::below(memory) } else { Self::new() }
    }

    fn below(parent: &Path) -> Self {
        assert!(
            !rustix::process::geteuid().is_root(),
            "these tests run sbx as an unprivileged user. Run them with: make test"
        );
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Orphans come back to this process, so that nothing escapes the leak check.
        nix::sys::prctl::set_child_subreaper(true).expect("become a subreaper");
        let dir = tempfile::Builder::new()
            .prefix("sbx-test-")
            .tempdir_in(parent)
            .expect("a temporary directory")
            .keep();
        for sub in ["home", "data", "config", "cache", "run", "tmp", "work"] {
            std::fs::create_dir(dir.join(sub)).expect("a directory of the world");
        }
        // The XDG base directory specification asks for 0700.
        chmod(&dir.join("run"), 0o700);
        // Files of the test may be read by subordinate ids.
        chmod(&dir, 0o755);
        World { dir, before: leaks::Before::now(), _turn: turn }
    }

    /// `sbx` with these arguments.
    pub(crate) fn sbx<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Sbx<'_> {
        Sbx::new(self, args)
    }

    /// `sbx run --host -- ARGS`.
    pub(crate) fn host<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Sbx<'_> {
        self.sbx(["run", "--host", "--"]).args(args)
    }

    /// `sbx run --host -- sh -c SCRIPT`.
    pub(crate) fn host_sh(&self, script: &str) -> Sbx<'_> {
        self.host(["sh", "-c", script])
    }

    /// A shell's script that has the path of sbx as `$0` and these arguments for it as `"$@"`.
    pub(crate) fn through_sh(&self, script: &str, args: &[&str]) -> Sbx<'_> {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).arg(binary());
        Sbx::through(self, command).args(args)
    }

    /// `sbx run FLAGS… IMAGE sh -c SCRIPT`, in the busybox image.
    pub(crate) fn image_sh(&self, flags: &[&str], script: &str) -> Sbx<'_> {
        let image = self.image();
        self.sbx(["run", "--rm"]).args(flags).args([image, "sh", "-c", script])
    }

    /// The busybox image, imported on the first call.
    pub(crate) fn image(&self) -> &'static str {
        const NAME: &str = "busybox";
        let tar = self.dir.join("busybox.tar");
        if !tar.exists() {
            std::fs::write(&tar, fixture::busybox_tar()).expect("write the image");
            self.sbx([OsStr::new("import"), tar.as_os_str(), OsStr::new(NAME)]).ok();
        }
        NAME
    }

    /// Loads an image of these layers, lowest first.
    pub(crate) fn load_layers(&self, name: &str, layers: &[&[u8]], config: &Value) {
        self.load_image(name, layers, config, &json!({}));
    }

    /// With something else in its configuration beside `config`: another platform.
    pub(crate) fn load_image(&self, name: &str, layers: &[&[u8]], config: &Value, about: &Value) {
        let dir = self.fresh("layout");
        let blobs = dir.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        let put = |bytes: &[u8], kind: &str| {
            let hex = tree::hex(&Sha256::digest(bytes));
            std::fs::write(blobs.join(&hex), bytes).unwrap();
            let media_type = format!("application/vnd.oci.image.{kind}");
            json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
        };
        let layers: Vec<Value> = layers.iter().map(|l| put(l, "layer.v1.tar")).collect();
        let ids: Vec<&Value> = layers.iter().map(|l| &l["digest"]).collect();
        let mut config = json!({"architecture": fixture::HOST_ARCHITECTURE, "os": "linux",
                                "config": config});
        for (key, value) in about.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config["rootfs"] = json!({"type": "layers", "diff_ids": ids});
        let config = put(config.to_string().as_bytes(), "config.v1+json");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut manifest = put(manifest.to_string().as_bytes(), "manifest.v1+json");
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        self.sbx(["load", "-i", dir.to_str().unwrap()]).ok();
    }

    /// Writes the user's `config.toml`.
    pub(crate) fn config(&self, text: &str) {
        let dir = self.dir.join("config/sbx");
        std::fs::create_dir_all(&dir).expect("make the configuration's directory");
        std::fs::write(dir.join("config.toml"), text).expect("write config.toml");
    }

    /// A new root directory made from busybox, which the caller owns.
    pub(crate) fn rootfs(&self) -> PathBuf {
        let root = self.fresh("rootfs");
        fixture::busybox_root(&root);
        root
    }

    /// A path in the test's working directory that does not exist yet.
    pub(crate) fn fresh(&self, stem: &str) -> PathBuf {
        (0..)
            .map(|n| self.dir.join("work").join(format!("{stem}{n}")))
            .find(|path| std::fs::symlink_metadata(path).is_err())
            .expect("a free name")
    }

    /// A new directory.
    pub(crate) fn folder(&self) -> PathBuf {
        let path = self.fresh("folder");
        std::fs::create_dir(&path).expect("make a folder");
        path
    }

    /// A new file with this content.
    pub(crate) fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.fresh("file");
        std::fs::write(&path, content).expect("write a file");
        path
    }

    /// One of the world's own directories: home, data, config, cache, run, tmp, work.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.dir
    }

    /// What a crash may leave for the next start to sweep: that start works, and then nothing is left.
    pub(crate) fn recovers(&self) {
        self.host(["true"]).ok();
        // The store is swept by a start that uses it.
        if self.dir.join("busybox.tar").exists() {
            self.image_sh(&[], "true").ok();
        }
        self.check_leaks();
    }

    pub(crate) fn check_leaks(&self) {
        let found = leaks::find(self, &self.before);
        assert!(found.is_empty(), "left behind:\n  {}", found.join("\n  "));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let found = leaks::find(self, &self.before);
        // The next test starts clean, whatever this one left.
        leaks::kill_descendants();
        tree::remove(&self.dir);
        if !found.is_empty() && !std::thread::panicking() {
            panic!("left behind:\n  {}", found.join("\n  "));
        }
    }
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        std::env::var_os("SBX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_sbx").into(), Into::into)
    })
}
