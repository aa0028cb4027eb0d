//! Bad input: exit code 125, a message that names the thing and the fix, and nothing left behind.

mod common;

use common::World;

#[track_caller]
fn refused(world: &World, args: &[&str], words: &[&str]) {
    let finished = world.sbx(args).run().expect_code(125);
    assert!(finished.stdout.is_empty(), "{args:?} wrote to standard output: {finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{args:?}: {word:?} is not in {}", finished.stderr);
    }
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    world.check_leaks();
}

#[test]
fn a_command_line_that_means_nothing() {
    let world = World::new();
    refused(&world, &["run", "--no-such-flag", "--host", "--", "true"], &["--no-such-flag"]);
    refused(&world, &["run", "--hots", "--", "true"], &["--hots", "--host"]);
    refused(&world, &["runn"], &["runn", "'run'"]);
    refused(&world, &["run"], &["--host"]);
    refused(&world, &["run", "--host", "--rootfs", "/", "--", "true"], &["--host", "--rootfs"]);
    refused(&world, &["run", "--userns", "sideways", "--host", "--", "true"], &["sideways"]);
    refused(&world, &["run", "--cap-add", "CAP_NONSENSE", "--host", "--", "true"], &["NONSENSE"]);
    refused(&world, &["run", "--timeout", "soon", "--host", "--", "true"], &["soon"]);
    refused(&world, &["run", "-e", "=x", "--host", "--", "true"], &["=x"]);
    refused(&world, &["run", "--umask", "9", "--host", "--", "true"], &["9"]);
    refused(&world, &["run", "--hostname", "a b", "--host", "--", "true"], &["a b"]);
    refused(&world, &["run", "--uidmap", "0:x", "--host", "--", "true"], &["0:x"]);
}

/// What users know from elsewhere and sbx does not do yet is refused by name, never ignored.
#[test]
fn a_flag_of_a_later_version() {
    let world = World::new();
    for flag in ["--memory=1g", "-d", "--name=x", "--cpus=1", "--privileged"] {
        let name = flag.split('=').next().unwrap();
        refused(&world, &["run", flag, "--host", "--", "true"], &[name, "not available yet"]);
    }
    refused(&world, &["run", "--network", "pasta", "--host", "--", "true"], &["pasta"]);
}

/// Row S17: a copy that runs with more than its caller's rights refuses to.
#[test]
fn a_setgid_copy_refuses_to_run() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    let groups = nix::unistd::getgroups().expect("the groups of the user");
    let own = nix::unistd::getegid();
    let Some(other) = groups.into_iter().find(|g| *g != own) else {
        common::skip!("the user has no supplementary group");
    };
    let copy = world.path("work").join("sbx-setgid");
    std::fs::copy(common::world::binary(), &copy).unwrap();
    nix::unistd::chown(&copy, None, Some(other)).unwrap();
    common::world::chmod(&copy, 0o2755);
    assert_eq!(copy.metadata().unwrap().mode() & 0o7777, 0o2755);
    let run = common::Sbx::through(&world, std::process::Command::new(&copy))
        .args(["run", "--host", "--", "true"])
        .run()
        .expect_code(125);
    assert!(run.stderr.contains("setgid"), "{run:?}");
}

#[test]
fn a_root_that_is_not_there() {
    let world = World::new();
    refused(&world, &["run", "--rootfs", "/no/such/root", "--", "true"], &["/no/such/root"]);
    refused(&world, &["run", "--rootfs", "/etc/passwd", "--", "true"], &["/etc/passwd"]);
    refused(
        &world,
        &["run", "localhost/no-such-image", "true"],
        &["localhost/no-such-image", "Fix:"],
    );
    refused(&world, &["run", "Not A Reference", "true"], &["Not A Reference"]);
}

#[test]
fn a_profile_that_is_malformed() {
    let world = World::new();
    let file = world.file("version = 1\n\n[seccomp]\ndefautl = \"allow\"\n");
    let path = file.to_str().unwrap();
    let run = ["run", "--profile", path, "--host", "--", "true"];
    refused(&world, &run, &[path, "4", "defautl", "default"]);
    let file = world.file("version = 1\n[seccomp\n");
    let path = file.to_str().unwrap();
    refused(&world, &["run", "--profile", path, "--host", "--", "true"], &[path, "2"]);
    refused(&world, &["run", "--profile", "no-such", "--host", "--", "true"], &["no-such"]);
}

#[test]
fn a_configuration_that_is_malformed() {
    let world = World::new();
    std::fs::create_dir_all(world.path("config/sbx")).unwrap();
    let file = world.path("config/sbx/config.toml");
    std::fs::write(&file, "[run]\nuserns = 5\n").unwrap();
    let path = file.to_str().unwrap();
    refused(&world, &["run", "--host", "--", "true"], &[path, "2", "userns"]);
}

#[test]
fn an_archive_that_is_damaged() {
    let world = World::new();
    let whole = common::fixture::busybox_tar();
    let file = world.file(&whole[..whole.len() / 2]);
    let path = file.to_str().unwrap();
    refused(&world, &["import", path, "half"], &[path]);
    refused(&world, &["run", "--rm", "half", "true"], &["half"]);
    let file = world.file("this is not an archive, and long enough to be one\n".repeat(40));
    let path = file.to_str().unwrap();
    refused(&world, &["import", path, "junk"], &[path]);
    refused(&world, &["load", "-i", path], &[path]);
    refused(&world, &["import", "/no/such.tar", "x"], &["/no/such.tar"]);
    let layers = world.path("data/sbx/layers");
    assert!(std::fs::read_dir(layers).map_or(0, Iterator::count) == 0, "a partial layer is left");
}

#[test]
fn an_archive_with_a_wrong_digest() {
    common::need!("skopeo");
    let world = World::new();
    // An OCI layout of our own image, with one byte of its layer changed.
    world.image();
    let store = world.path("data/sbx/images");
    let layout = world.fresh("layout");
    let from = format!("oci:{}", store.display());
    let to = format!("oci:{}:x", layout.display());
    let copied = std::process::Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", &from, &to])
        .env("TMPDIR", world.path("work"))
        .status()
        .expect("run skopeo");
    assert!(copied.success());
    let blobs = layout.join("blobs/sha256");
    let largest = std::fs::read_dir(&blobs)
        .unwrap()
        .map(|e| e.unwrap().path())
        .max_by_key(|p| p.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    let name = largest.file_name().unwrap().to_str().unwrap();
    refused(&world, &["load", "-i", layout.to_str().unwrap()], &[&name[..12]]);
}

#[test]
fn names_cannot_drive_the_terminal() {
    let world = World::new();
    let said = world.sbx(["run", "--rootfs", "/no/\x1b]0;owned\x07", "--", "true"]).fails(125);
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said:?}");
}

#[test]
fn no_home_and_no_runtime_directory() {
    let world = World::new();
    assert_eq!(world.host_sh("echo ok").without_env("XDG_RUNTIME_DIR").ok(), "ok");
    assert_eq!(world.host_sh("echo ok").env("XDG_RUNTIME_DIR", "/no/such/dir").ok(), "ok");
}

#[test]
fn a_store_that_others_can_write_to_is_refused() {
    let world = World::new();
    let data = world.path("data/sbx");
    std::fs::create_dir(&data).unwrap();
    common::world::chmod(&data, 0o777);
    let file = world.file(common::fixture::busybox_tar());
    let path = file.to_str().unwrap();
    refused(&world, &["import", path, "x"], &[data.to_str().unwrap(), "chmod 700"]);
}

#[test]
fn a_directory_in_the_place_of_a_file_that_is_supplied() {
    let world = World::new();
    let root = world.rootfs();
    std::fs::create_dir(root.join("etc/hosts")).unwrap();
    let root = root.to_str().unwrap();
    let run = ["run", "--rootfs", root, "--", "true"];
    refused(&world, &run, &["/etc/hosts", "a directory in its place", "Fix:"]);
}

#[test]
fn a_working_directory_that_is_not_there() {
    let world = World::new();
    for dir in ["/sys/no-such", "/proc/no-such", "/sys/fs/cgroup/no-such"] {
        let run = ["run", "--host", "-w", dir, "--", "true"];
        refused(&world, &run, &[dir, "no such file or directory. Fix: --workdir /"]);
    }
    let run = ["run", "--host", "-w", "/usr/no-such", "--", "true"];
    refused(&world, &run, &["/usr/no-such", "the host's directory", "Fix:"]);
}

/// Wherever the descriptors run out: in sbx, for newuidmap, in the sandbox.
#[test]
fn too_few_descriptors_are_mended_by_the_limit() {
    let world = World::new();
    let root = world.rootfs();
    for limit in 4..200 {
        let mut command = std::process::Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        command.args(["-c", &script, "sh"]).arg(common::world::binary());
        let run = ["run", "--rootfs", root.to_str().unwrap(), "--", "true"];
        let finished = common::Sbx::through(&world, command).args(run).run();
        if finished.code() == Some(0) {
            assert!(limit > 14, "it started with {limit}");
            return;
        }
        let said = finished.expect_code(125).stderr;
        assert!(said.contains("too many open files. Fix:"), "{limit}: {said}");
        assert!(said.contains("ulimit -n 1024"), "{limit}: {said}");
    }
    panic!("it never started");
}
