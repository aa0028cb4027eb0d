//! In the boot with AppArmor: sbx gives the program a label, and the label confines it.

use crate::common::World;

const LABEL: [&str; 2] = ["--security-opt", "apparmor=sbx-default"];
const READ_LABEL: &str = "cat /proc/self/attr/current";

#[test]
fn apparmor_is_on() {
    vm!();
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap();
    assert_eq!(enabled, "Y\n");
}

#[test]
fn a_sandbox_is_unconfined_where_nothing_is_asked_for() {
    vm!();
    let world = World::new();
    assert_eq!(world.image_sh(&[], READ_LABEL).ok(), "unconfined");
    let unconfined = ["--security-opt", "apparmor=unconfined"];
    assert_eq!(world.image_sh(&unconfined, READ_LABEL).ok(), "unconfined");
}

#[test]
fn the_program_has_the_label_however_it_starts() {
    vm!();
    let world = World::new();
    for more in [
        &[][..],
        &["--init"],
        &["--user", "1000"],
        &["--security-opt", "no-new-privileges=false"],
        &["--profile", "strict"],
        &["--cap-drop", "ALL"],
        &["--storage", "fuse-overlayfs"],
    ] {
        let flags: Vec<&str> = LABEL.iter().chain(more).copied().collect();
        // Children keep it: busybox is executed once more.
        let label = world.image_sh(&flags, "sh -c 'cat /proc/self/attr/current'").ok();
        assert_eq!(label, "sbx-default (enforce)", "{more:?}");
    }
    let host = ["run", "--host", LABEL[0], LABEL[1], "--", "sh", "-c", READ_LABEL];
    assert_eq!(world.sbx(host).ok(), "sbx-default (enforce)");
}

#[test]
fn a_label_that_is_not_loaded_is_named() {
    vm!();
    let world = World::new();
    let unknown = ["--security-opt", "apparmor=sbx-none-such"];
    let said = world.image_sh(&unknown, "true").fails(125);
    assert!(said.contains("no such AppArmor profile is loaded"), "{said}");
    assert!(said.contains("sudo apparmor_parser -r /etc/apparmor.d/sbx-none-such"), "{said}");
}

#[test]
fn a_profile_names_the_label() {
    vm!();
    let world = World::new();
    let text = "version = 1\n[apparmor]\nlabel = \"sbx-default\"\n";
    let file = world.file(text);
    let flags = ["--profile", file.to_str().unwrap()];
    assert_eq!(world.image_sh(&flags, READ_LABEL).ok(), "sbx-default (enforce)");
    let image = world.image();
    let explain = ["run", "--explain", flags[0], flags[1], image, "true"];
    let said = world.sbx(explain).ok();
    assert!(said.contains("AppArmor label") && said.contains("sbx-default"), "{said}");
}

#[test]
fn a_file_that_the_label_denies_is_denied() {
    vm!();
    let world = World::new();
    let script = "cat /etc/passwd >/dev/null && cat /etc/data";
    assert_eq!(world.image_sh(&[], script).ok(), "not a program");
    let label = ["--security-opt", "apparmor=sbx-vm"];
    let said = world.image_sh(&label, script).fails(1);
    assert!(said.contains("/etc/data") && said.contains("Permission denied"), "{said}");
}

/// With everything open that stands before it, AppArmor is the one to deny.
#[test]
fn the_default_label_denies_mounts_and_kernel_files() {
    vm!();
    let world = World::new();
    let open = ["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"];
    let open: Vec<&str> = open.into_iter().chain(["--security-opt", "unmask=ALL"]).collect();
    let confined: Vec<&str> = open.iter().copied().chain(LABEL).collect();
    let mount = "mount -t tmpfs none /home";
    world.image_sh(&open, mount).ok();
    let said = world.image_sh(&confined, mount).run();
    assert!(said.code() != Some(0) && said.stderr.contains("denied"), "{said:?}");

    // Open to everybody but for the label.
    let read = "cat /proc/timer_list >/dev/null || head -c 1 /proc/kallsyms";
    world.image_sh(&open, read).ok();
    let said = world.image_sh(&confined, read).run();
    assert!(said.code() != Some(0) && said.stderr.contains("Permission denied"), "{said:?}");
}

#[test]
fn ordinary_work_goes_on_under_the_default_label() {
    vm!();
    let world = World::new();
    let script = "set -e
        echo a >/etc/new && mv /etc/new /etc/newer && ln -s newer /etc/link && cat /etc/link
        sleep 1000 & kill $! && ! wait $!
        mkfifo /tmp/f && { echo through >/tmp/f & cat /tmp/f; }
        cat /proc/1/status >/dev/null && echo $$ >/dev/null && ls -l /proc/self/fd >/dev/null
        su ana -c 'id -un'
        echo 4096 >/dev/shm/x && test -w /dev/null";
    assert_eq!(world.image_sh(&LABEL, script).ok(), "a\nthrough\nana");
    // What the terminal, the init and a signal from outside are to it.
    let mut running =
        world.image_sh(&LABEL, "trap 'exit 7' TERM; echo up; while :; do sleep 1; done").spawn();
    running.until("up").signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().expect_code(7);
}
