//! The environment and the working directory of the command.

mod common;

use common::World;

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Row S19.
#[test]
fn nothing_of_the_callers_environment_gets_in() {
    let world = World::new();
    let printed = world
        .host(["env"])
        .env("SECRET", "x")
        .env("SSH_AUTH_SOCK", "/run/agent")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus")
        .env("LD_PRELOAD_LOOKALIKE", "y")
        .ok();
    let names: Vec<&str> = lines(&printed).iter().filter_map(|l| l.split('=').next()).collect();
    for name in &names {
        assert!(
            ["HOME", "HOSTNAME", "LANG", "PATH", "PWD", "TERM", "USER", "container"].contains(name),
            "{name} came from somewhere"
        );
    }
    assert!(printed.contains("TERM=xterm"), "{printed}");
    assert!(printed.contains("LANG=C.UTF-8"), "{printed}");
}

#[test]
fn variables_come_from_flags_files_and_the_host_in_that_order() {
    let world = World::new();
    let file = world.file("# a comment\n\nA=file\nB=file\nFROM_HOST\nEMPTY=\nSPACED=a b \n");
    let printed = world
        .sbx(["run", "--host", "--env-file"])
        .arg(&file)
        .args(["-e", "A=flag", "-e", "KEPT", "-e", "MISSING", "--", "env"])
        .env("KEPT", "kept")
        .env("FROM_HOST", "host")
        .ok();
    let all = lines(&printed);
    for line in ["A=flag", "B=file", "KEPT=kept", "FROM_HOST=host", "EMPTY=", "SPACED=a b "] {
        assert!(all.contains(&line), "{line:?} is missing in {all:?}");
    }
    assert!(!printed.contains("MISSING"), "{printed}");
}

#[test]
fn env_host_passes_everything() {
    let world = World::new();
    let run = ["run", "--host", "--env-host", "-e", "TWO=2", "--", "env"];
    let printed = world.sbx(run).env("SECRET", "x").env("TWO", "1").ok();
    assert!(printed.contains("SECRET=x"), "{printed}");
    assert!(printed.contains("TWO=2"), "{printed}");
}

#[test]
fn a_bad_environment_file_is_named_with_its_line() {
    let world = World::new();
    let file = world.file("GOOD=1\n=no name\n");
    let said = world.sbx(["run", "--host", "--env-file"]).arg(&file).args(["--", "env"]).fails(125);
    assert!(said.contains(file.to_str().unwrap()) && said.contains('2'), "{said}");
    let said = world.sbx(["run", "--host", "--env-file", "/no/file", "--", "env"]).fails(125);
    assert!(said.contains("/no/file"), "{said}");
}

#[test]
fn the_working_directory_is_inside() {
    let world = World::new();
    assert_eq!(world.host_sh("pwd").ok(), "/");
    let run = ["run", "--host", "-w", "/usr/bin", "--", "pwd"];
    assert_eq!(world.sbx(run).ok(), "/usr/bin");
    // Made where the root can be written to.
    assert_eq!(world.image_sh(&["-w", "/new/dir"], "pwd").ok(), "/new/dir");
    let said = world.image_sh(&["-w", "relative"], "pwd").fails(125);
    assert!(said.contains("relative"), "{said}");
}

/// Row S3: CVE-2024-21626.
#[test]
fn no_descriptor_leads_out() {
    let world = World::new();
    let root = world.rootfs();
    let root = root.to_str().unwrap();
    world.sbx(["run", "--host", "-w", "/usr", "--", "pwd"]).ok();
    world.sbx(["run", "--rootfs", root, "-w", "/usr", "--", "pwd"]).ok();
    for n in 0..50 {
        let dir = format!("/proc/self/fd/{n}");
        let host = world.sbx(["run", "--host", "-w", &dir, "--", "pwd"]).run();
        assert!(matches!(host.code(), Some(125..=127)), "{dir}: {host:?}");
        let plain = world.sbx(["run", "--rootfs", root, "-w", &dir, "--", "pwd"]).run();
        assert!(matches!(plain.code(), Some(125..=127)), "{dir}: {plain:?}");
    }
}

/// Row S3: a descriptor that the caller left open.
#[test]
fn inherited_descriptors_are_closed() {
    let world = World::new();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 9</etc/passwd 15</etc"]).arg(common::world::binary());
    // 0, 1, 2 and the one that ls itself opens.
    let run = ["run", "--host", "--", "sh", "-c", "ls /proc/self/fd"];
    assert_eq!(common::Sbx::through(&world, command).args(run).ok(), "0\n1\n2\n3");
}

#[test]
fn descriptors_asked_for_are_kept() {
    let world = World::new();
    let file = world.file("through a descriptor\n");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "f=$1; shift; exec \"$@\" 3<\"$f\"", "sh"]).arg(&file);
    command.arg(common::world::binary());
    let run = ["run", "--preserve-fds", "1", "--host", "--", "sh", "-c", "cat <&3"];
    assert_eq!(common::Sbx::through(&world, command).args(run).ok(), "through a descriptor");
}

#[test]
fn descriptors_that_are_not_open_cannot_be_kept() {
    let world = World::new();
    for count in ["1", "4294967292", "4294967293", "4294967295"] {
        // Whoever started the tests may have left one open.
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&-"]).arg(common::world::binary());
        let run = ["run", "--preserve-fds", count, "--host", "--", "true"];
        let said = common::Sbx::through(&world, command).args(run).fails(125);
        assert!(said.contains("descriptor 3 is not open. Fix: --preserve-fds 0"), "{said}");
    }
}

#[test]
fn limits_and_umask_are_as_asked() {
    let world = World::new();
    let flags = ["--ulimit", "nofile=100:200", "--umask", "077"];
    let script = "ulimit -n; ulimit -Hn; umask";
    assert_eq!(world.image_sh(&flags, script).ok(), "100\n200\n0077");
    assert_eq!(world.host_sh("umask").ok(), "0022");
    let said = world.image_sh(&["--ulimit", "nofiles=1"], "true").fails(125);
    assert!(said.contains("nofiles"), "{said}");
}
