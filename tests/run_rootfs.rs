//! What to run in: the host's root, a directory, an image; and what sbx puts into it.

mod common;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{World, tree};

fn in_root(world: &World, root: &Path, flags: &[&str], script: &str) -> common::Finished {
    world.sbx(["run", "--rootfs"]).arg(root).args(flags).args(["--", "sh", "-c", script]).run()
}

/// A root with /etc/NAME as a symbolic link.
fn root_with_link(name: &str, text: &str, world: &World) -> PathBuf {
    let root = world.rootfs();
    symlink(text, root.join("etc").join(name)).unwrap();
    root
}

#[test]
fn the_host_root_is_read_only_with_private_places() {
    let world = World::new();
    let script =
        "for d in / /etc /usr /var /opt; do touch $d/sbx-was-here 2>/dev/null && echo $d; done
                  for d in /home /root /run; do ls -A $d | grep -v '^$'; done
                  touch /tmp/x && ls -A /tmp";
    assert_eq!(world.host_sh(script).ok(), "x");
    assert!(!Path::new("/tmp/x").exists());
}

/// The old root must be detached, neither below the new one nor above it.
#[test]
fn the_hosts_root_is_out_of_reach() {
    let world = World::new();
    let script =
        "awk '$5 == \"/\"' /proc/self/mountinfo | wc -l; stat -c %d:%i / /.. | uniq | wc -l";
    assert_eq!(world.host_sh(script).ok(), "1\n1");
    assert_eq!(world.image_sh(&[], script).ok(), "1\n1");
    let root = world.rootfs();
    assert_eq!(in_root(&world, &root, &[], script).expect_code(0).text(), "1\n1");
}

#[test]
fn the_callers_directory_is_there_only_when_asked_for() {
    let world = World::new();
    let folder = world.path("home").join("project");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "mine\n").unwrap();
    let run = ["run", "--host", "--project", "--", "sh", "-c", "cat file; pwd; echo new >made"];
    let printed = world.sbx(run).cwd(&folder).ok();
    assert_eq!(printed, format!("mine\n{}", folder.display()));
    assert_eq!(std::fs::read_to_string(folder.join("made")).unwrap(), "new\n");
    let mount = format!("{}:/src", folder.display());
    let run = ["run", "--host", "-v", &mount, "-w", "/src", "--", "cat", "file"];
    assert_eq!(world.sbx(run).ok(), "mine");
}

#[test]
fn a_directory_as_root_keeps_what_was_written() {
    let world = World::new();
    let root = world.rootfs();
    in_root(&world, &root, &[], "echo kept >/etc/new").expect_code(0);
    assert_eq!(std::fs::read_to_string(root.join("etc/new")).unwrap(), "kept\n");
}

#[test]
fn an_overlay_over_a_directory_is_thrown_away() {
    let world = World::new();
    let root = world.rootfs();
    let before = tree::fingerprint(&root);
    let over = format!("{}:O", root.display());
    let script = "echo x >/etc/new; rm /etc/data; mv /etc/group /etc/moved; ls /etc";
    let run = ["run", "--rootfs", &over, "--", "sh", "-c", script];
    let printed = world.sbx(run).ok();
    assert!(printed.contains("new") && !printed.contains("data"), "{printed}");
    tree::assert_same(&root, &before, "");
}

/// Making the target of a mount would leave it in the caller's directory: either it is mounted without, or refused.
#[test]
fn no_mount_stub_is_left_in_a_directory() {
    let world = World::new();
    let folder = world.folder();
    let file = world.file("x");
    let directory = format!("{}:/new/place", folder.display());
    let single = format!("{}:/new/file", file.display());
    let mounts = [&["-v", &directory][..], &["-v", &single], &["--tmpfs", "/other/place"]];
    let root = world.rootfs();
    let before = tree::fingerprint(&root);
    for flags in mounts {
        for (script, code) in [("true", 0), ("kill -9 $$", 137)] {
            let finished = in_root(&world, &root, flags, script);
            if finished.code() != Some(code) {
                let said = finished.expect_code(125).stderr;
                assert!(said.contains("Fix:"), "{flags:?}: {said}");
            }
            tree::assert_same(&root, &before, &format!("by {flags:?}"));
        }
        // A start that fails after the root was set up.
        in_root(&world, &root, &[flags, &["--user", "no-such"]].concat(), "true").expect_code(125);
        tree::assert_same(&root, &before, &format!("by {flags:?} and a failure"));
        let over = format!("{}:O", root.display());
        world.sbx(["run", "--rootfs", &over]).args(flags).args(["--", "true"]).ok();
        tree::assert_same(&root, &before, &format!("below an overlay by {flags:?}"));
    }
    for dir in ["dev", "proc", "sys"] {
        std::fs::remove_dir(root.join(dir)).unwrap();
        let before = tree::fingerprint(&root);
        let finished = in_root(&world, &root, &[], "true");
        assert!(matches!(finished.code(), Some(0 | 125)), "{dir}: {finished:?}");
        tree::assert_same(&root, &before, &format!("without {dir}"));
    }
}

#[test]
fn a_read_only_root_refuses_writes() {
    let world = World::new();
    let script = "for d in / /etc /usr /bin; do touch $d/x 2>/dev/null && echo $d; done; \
                  touch /tmp/x /dev/shm/x && echo scratch";
    let flags = ["--read-only", "--tmpfs", "/tmp"];
    assert_eq!(world.image_sh(&flags, script).ok(), "scratch");
    let root = world.rootfs();
    let before = tree::fingerprint(&root);
    assert_eq!(in_root(&world, &root, &flags, script).expect_code(0).text(), "scratch");
    tree::assert_same(&root, &before, "");
}

#[test]
fn two_containers_of_an_image_do_not_see_each_others_files() {
    let world = World::new();
    world.image_sh(&[], "echo x >/etc/mine").ok();
    assert_eq!(world.image_sh(&[], "ls /etc/mine 2>/dev/null; echo none").ok(), "none");
}

#[test]
fn the_backends_of_the_overlay_agree() {
    common::need!("fuse-overlayfs");
    let world = World::new();
    let script = "rm /etc/data; mkdir /etc/data; ln /etc/passwd /etc/hard; chown 5:6 /etc/group; \
                  chmod 4711 /bin/busybox; ls -ln /etc /bin/busybox | awk '{ print $1, $3, $4, $NF }'";
    let native = world.image_sh(&["--storage", "native"], script).ok();
    let fuse = world.image_sh(&["--storage", "fuse-overlayfs"], script).ok();
    assert_eq!(native, fuse);
}

#[test]
fn names_and_resolver_are_supplied_without_touching_the_root() {
    let world = World::new();
    let root = world.rootfs();
    for name in ["hosts", "hostname", "resolv.conf"] {
        std::fs::write(root.join("etc").join(name), "of the root\n").unwrap();
    }
    let before = tree::fingerprint(&root);
    let flags = ["--hostname", "box", "--add-host", "peer:10.1.2.3"];
    let script = "hostname; cat /etc/hostname; cat /etc/hosts /etc/resolv.conf";
    // An image need not have the files: its overlay takes them.
    for printed in [
        in_root(&world, &root, &flags, script).expect_code(0).text(),
        world.image_sh(&flags, script).ok(),
    ] {
        assert!(printed.starts_with("box\nbox\n"), "{printed}");
        for word in ["127.0.0.1", "localhost", "10.1.2.3", "peer"] {
            assert!(printed.contains(word), "{word} is missing in {printed}");
        }
        assert!(!printed.contains("of the root"), "{printed}");
    }
    tree::assert_same(&root, &before, "");
}

/// As with systemd-resolved: /etc/resolv.conf leads to below /run, where no image has anything.
#[test]
fn a_link_that_leads_nowhere_gets_what_is_supplied() {
    let world = World::new();
    let canary = world.folder();
    let up = format!("../../../../../../../../..{}/hosts", canary.display());
    for text in ["../run/systemd/resolve/file", "/run/deep/file", "new", "link2", &up] {
        let root = root_with_link("hosts", text, &world);
        symlink("link1", root.join("etc/link2")).unwrap();
        symlink("/var/run/../run/last", root.join("etc/link1")).unwrap();
        let before = tree::fingerprint(&root);
        let over = format!("{}:O", root.display());
        let run = ["run", "--rootfs", &over, "--add-host", "peer:10.1.2.3", "--"];
        let printed = world.sbx(run).args(["cat", "/etc/hosts"]).ok();
        assert!(printed.contains("10.1.2.3"), "{text}: {printed}");
        tree::assert_same(&root, &before, text);
        assert!(std::fs::read_dir(&canary).unwrap().next().is_none(), "{text}");
    }
    // An image's own layers are stacked in the same way; the other two files are, too.
    for name in ["hostname", "resolv.conf"] {
        let root = root_with_link(name, "../run/x/y", &world);
        let over = format!("{}:O", root.display());
        let run = ["run", "--rootfs", &over, "--", "test", "-f"];
        world.sbx(run).arg(Path::new("/etc").join(name)).ok();
    }
}

#[test]
fn links_that_go_round_in_circles_are_refused_by_name() {
    let world = World::new();
    for text in ["hosts", "nowhere/../hosts", "link9"] {
        let root = root_with_link("hosts", text, &world);
        symlink("new", root.join("etc/link0")).unwrap();
        for n in 0..9 {
            symlink(format!("link{n}"), root.join(format!("etc/link{}", n + 1))).unwrap();
        }
        let over = format!("{}:O", root.display());
        let said = world.sbx(["run", "--rootfs", &over, "--", "true"]).fails(125);
        for word in ["/etc/hosts", "symbolic link", "Fix:"] {
            assert!(said.contains(word), "{text}: {word} is not in {said}");
        }
    }
}

/// Nothing is made in a directory of the caller's; in a file system of the sandbox's own it is.
#[test]
fn in_a_directory_a_link_is_followed_to_what_the_sandbox_owns() {
    let world = World::new();
    let root = root_with_link("hosts", "/run/deep/hosts", &world);
    let before = tree::fingerprint(&root);
    let script = "cat /etc/hosts 2>/dev/null; echo end";
    assert_eq!(in_root(&world, &root, &[], script).expect_code(0).text(), "end");
    let printed = in_root(&world, &root, &["--tmpfs", "/run"], script).expect_code(0).text();
    assert!(printed.contains("localhost"), "{printed}");
    let said = in_root(&world, &root, &["--add-host", "peer:10.1.2.3"], "true").expect_code(125);
    assert!(said.stderr.contains("/etc/hosts") && said.stderr.contains("Fix:"), "{said:?}");
    tree::assert_same(&root, &before, "");
}

/// The host's /etc and /run as on a system with systemd-resolved, in a mount namespace.
#[test]
fn the_hosts_resolver_is_there_with_the_hosts_network() {
    let world = World::new();
    let etc = world.folder();
    symlink("../run/systemd/resolve/stub-resolv.conf", etc.join("resolv.conf")).unwrap();
    let prepare = format!(
        "mount --bind {} /etc && mount -t tmpfs none /run && mkdir -p /run/systemd/resolve && \
         echo nameserver 192.0.2.7 >/run/systemd/resolve/stub-resolv.conf && exec \"$@\"",
        etc.display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]);
    command.args(["sh", "-c", &prepare, "sh"]).arg(common::world::binary());
    let run = ["run", "--host", "--network", "host", "--", "cat", "/etc/resolv.conf"];
    let printed = common::Sbx::through(&world, command).args(run).ok();
    assert_eq!(printed, "nameserver 192.0.2.7");
}

#[test]
fn the_device_directory_is_minimal() {
    let world = World::new();
    let expected =
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero";
    assert_eq!(world.host_sh("ls /dev | grep -v -e core -e console").ok(), expected);
    assert_eq!(world.image_sh(&[], "ls /dev | grep -v -e core -e console").ok(), expected);
    let script = "stat -c %t:%T /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; \
                  echo x >/dev/null; head -c 3 /dev/zero | wc -c; readlink /dev/ptmx; \
                  awk '$2 == \"/dev/mqueue\" || $2 == \"/dev/pts\" { print $3 }' /proc/mounts | sort";
    let expected = "1:3\n1:5\n1:7\n1:8\n1:9\n5:0\n3\npts/ptmx\ndevpts\nmqueue";
    assert_eq!(world.image_sh(&[], script).ok(), expected);
}

/// Row S8, and S6 with a link for /dev/null: a hostile root makes sbx write nowhere else.
#[test]
fn links_in_the_root_lead_nowhere_outside() {
    let world = World::new();
    let canary = world.folder();
    std::fs::write(canary.join("x"), "canary\n").unwrap();
    std::fs::create_dir(canary.join("sub")).unwrap();
    let before = tree::fingerprint(&canary);
    let up = format!("../../../../../../../../..{}", canary.display());
    for place in [
        "dev",
        "proc",
        "sys",
        "etc",
        "run",
        "tmp",
        "etc/hosts",
        "etc/hostname",
        "etc/resolv.conf",
        "work",
        "dev/null",
        "dev/pts",
        "dev/shm",
        "var/run",
    ] {
        for target in [canary.to_str().unwrap(), &up, "/etc/passwd/..", "loop"] {
            let root = world.rootfs();
            let at = root.join(place);
            match std::fs::symlink_metadata(&at) {
                Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&at).unwrap(),
                Ok(_) => std::fs::remove_file(&at).unwrap(),
                Err(_) => {}
            }
            symlink(target, &at).unwrap();
            let script = "echo x >/dev/null; stat -c %t:%T /dev/null";
            let workdir = if place == "work" { "/work" } else { "/" };
            let finished = in_root(&world, &root, &["-w", workdir], script);
            // Contained or refused by name: never followed.
            match finished.code() {
                Some(0) => assert_eq!(finished.text(), "1:3", "{place} -> {target}"),
                _ => {
                    let finished = finished.expect_code(125);
                    assert!(finished.stderr.contains(place), "{place} -> {target}: {finished:?}");
                }
            }
            tree::assert_same(&canary, &before, &format!("{place} -> {target}"));
            tree::remove(&root);
        }
    }
}

/// Row S4: procfs that is not procfs.
#[test]
fn a_root_with_proc_as_a_link_is_refused_by_name() {
    let world = World::new();
    let root = world.rootfs();
    std::fs::remove_dir(root.join("proc")).unwrap();
    symlink("/tmp", root.join("proc")).unwrap();
    let said = in_root(&world, &root, &[], "true").expect_code(125).stderr;
    assert!(said.contains("/proc"), "{said}");
}

#[test]
fn a_benign_link_in_the_root_works() {
    let world = World::new();
    // The fixture has /var/run -> /run.
    let mount = format!("{}:/var/run/shared", world.folder().display());
    assert_eq!(world.image_sh(&["-v", &mount], "touch /run/shared/x && echo ok").ok(), "ok");
}

#[test]
fn the_storage_asked_for_is_used_or_it_is_an_error() {
    let world = World::new();
    let said = world.image_sh(&["--storage", "nonsense"], "true").fails(125);
    assert!(said.contains("nonsense"), "{said}");
    let empty = world.folder();
    // newuidmap and newgidmap are there, fuse-overlayfs is not.
    for helper in ["newuidmap", "newgidmap"] {
        symlink(common::which(helper).unwrap(), empty.join(helper)).unwrap();
    }
    let said =
        world.image_sh(&["--storage", "fuse-overlayfs"], "true").env("PATH", &empty).fails(125);
    assert!(said.contains("fuse-overlayfs") && said.contains("Fix:"), "{said}");
}
