//! `-v`, `--mount`, `--tmpfs`: what is asked for is there, with its options, and nothing else is.

mod common;

use std::path::Path;

use common::{World, tree};

/// `sbx run --rm FLAGS… busybox sh -c SCRIPT` with `{}` in the flags standing for a directory's path.
fn flags(template: &[&str], path: &Path) -> Vec<String> {
    template.iter().map(|f| f.replace("{}", path.to_str().unwrap())).collect()
}

fn strs(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

#[test]
fn a_bind_shares_a_directory() {
    let world = World::new();
    for template in [
        &["-v", "{}:/mnt"][..],
        &["-v", "{}:/mnt:rw"],
        &["--mount", "type=bind,source={},target=/mnt"],
        &["--mount", "type=bind,src={},dst=/mnt"],
        &["--mount", "type=bind,src={},destination=/mnt"],
    ] {
        let folder = world.folder();
        std::fs::write(folder.join("in"), "hello\n").unwrap();
        let flags = flags(template, &folder);
        let script = "cat /mnt/in; echo back >/mnt/out";
        assert_eq!(world.image_sh(&strs(&flags), script).ok(), "hello", "{template:?}");
        assert_eq!(std::fs::read_to_string(folder.join("out")).unwrap(), "back\n");
    }
}

#[test]
fn a_read_only_bind_cannot_be_written_to() {
    let world = World::new();
    let folder = world.folder();
    std::fs::write(folder.join("in"), "hello\n").unwrap();
    let before = tree::fingerprint(&folder);
    for template in [
        &["-v", "{}:/mnt:ro"][..],
        &["--mount", "type=bind,src={},dst=/mnt,ro"],
        &["--mount", "type=bind,src={},dst=/mnt,readonly"],
        &["--mount", "type=bind,src={},dst=/mnt,ro=true"],
    ] {
        let flags = flags(template, &folder);
        let script = "cat /mnt/in; echo x >/mnt/in; touch /mnt/new; rm -f /mnt/in; \
                      mount -o remount,bind,rw /mnt; touch /mnt/new; true";
        assert_eq!(world.image_sh(&strs(&flags), script).ok(), "hello", "{template:?}");
        tree::assert_same(&folder, &before, &format!("{template:?}"));
    }
}

#[test]
fn a_read_only_bind_covers_the_mounts_below_it() {
    let world = World::new();
    // /dev has mounts below it on every Linux; none of them may become writable by being bound.
    let script = "for m in $(awk '$2 ~ \"^/mnt\" { print $4 }' /proc/mounts); do \
                  case ,$m, in *,ro,*) ;; *) echo writable ;; esac; done; \
                  grep -c ' /mnt' /proc/mounts";
    let printed = world.image_sh(&["-v", "/dev:/mnt:ro"], script).ok();
    assert!(!printed.contains("writable"), "{printed}");
    assert!(printed.parse::<u32>().is_ok_and(|n| n >= 1), "{printed}");
}

#[test]
fn an_overlay_bind_takes_writes_and_drops_them() {
    let world = World::new();
    let folder = world.folder();
    std::fs::write(folder.join("in"), "hello\n").unwrap();
    let before = tree::fingerprint(&folder);
    let flags = flags(&["-v", "{}:/mnt:O"], &folder);
    let script = "echo changed >/mnt/in; touch /mnt/new; cat /mnt/in; ls /mnt";
    assert_eq!(world.image_sh(&strs(&flags), script).ok(), "changed\nin\nnew");
    tree::assert_same(&folder, &before, "");
}

#[test]
fn a_single_file_can_be_bound() {
    let world = World::new();
    let file = world.file("content\n");
    let flags = flags(&["-v", "{}:/etc/bound:ro"], &file);
    assert_eq!(world.image_sh(&strs(&flags), "cat /etc/bound").ok(), "content");
    let mount = format!("{}:/etc/passwd", file.display());
    assert_eq!(world.image_sh(&["-v", &mount], "cat /etc/passwd").ok(), "content");
}

#[test]
fn a_mount_wins_over_a_file_that_is_supplied() {
    let world = World::new();
    let file = world.file("mine\n");
    let folder = world.folder();
    for name in ["hosts", "hostname", "resolv.conf"] {
        std::fs::write(folder.join(name), "mine\n").unwrap();
        let mount = format!("{}:/etc/{name}", file.display());
        let script = format!("cat /etc/{name}");
        assert_eq!(world.image_sh(&["-v", &mount], &script).ok(), "mine", "{name}");
    }
    let before = tree::fingerprint(&folder);
    let mount = format!("{}:/etc", folder.display());
    let script = "cd /etc && cat hosts hostname resolv.conf";
    assert_eq!(world.image_sh(&["-v", &mount], script).ok(), "mine\nmine\nmine");
    assert_eq!(world.image_sh(&["-v", &format!("{mount}:ro")], script).ok(), "mine\nmine\nmine");
    tree::assert_same(&folder, &before, "");
    // Below a directory that has no such files none is made, and the rest of /etc has them as ever.
    let empty = format!("{}:/etc", world.folder().display());
    assert_eq!(world.image_sh(&["-v", &empty], "ls -A /etc").ok(), "");
    let beside = format!("{}:/etc/beside", file.display());
    assert_ne!(world.image_sh(&["-v", &beside], "cat /etc/hosts").ok(), "");
    // What --add-host asks for would be lost.
    let mount = format!("{}:/etc/hosts", file.display());
    for mount in [mount, empty] {
        let flags = ["-v", &mount, "--add-host", "peer:10.1.2.3"];
        let said = world.image_sh(&flags, "true").fails(125);
        for word in ["--add-host peer:10.1.2.3", "covers /etc/hosts", &mount, "Fix:"] {
            assert!(said.contains(word), "{word} is not in {said}");
        }
    }
}

#[test]
fn options_are_in_force() {
    let world = World::new();
    let folder = world.folder();
    std::fs::write(folder.join("script"), "#!/bin/sh\necho ran\n").unwrap();
    common::world::chmod(&folder.join("script"), 0o755);
    let run = |option: &str, script: &str| {
        let flags = flags(&["-v", &format!("{{}}:/mnt:{option}")], &folder);
        world.image_sh(&strs(&flags), script).run()
    };
    assert_eq!(run("rw", "/mnt/script").expect_code(0).text(), "ran");
    run("noexec", "/mnt/script").expect_code(126);
    for option in ["nosuid", "nodev", "noexec"] {
        let script = "awk '$2 == \"/mnt\" { print $4 }' /proc/mounts";
        let shown = run(option, script).expect_code(0).text();
        assert!(shown.split(',').any(|o| o == option), "{option} is not in {shown}");
    }
    // A bind never hands in devices or setuid bits, asked for or not.
    let shown = run("rw", "awk '$2 == \"/mnt\" { print $4 }' /proc/mounts").expect_code(0).text();
    assert!(shown.contains("nosuid") && shown.contains("nodev"), "{shown}");
}

#[test]
fn a_tmpfs_is_empty_limited_and_gone_afterwards() {
    let world = World::new();
    for flags in [
        &["--tmpfs", "/scratch:size=1m,mode=0750"][..],
        &["--mount", "type=tmpfs,dst=/scratch,tmpfs-size=1m,tmpfs-mode=0750"],
    ] {
        let script = "stat -c %a /scratch; ls -A /scratch | wc -l; \
                      dd if=/dev/zero of=/scratch/x bs=1M count=4 2>/dev/null || echo full";
        assert_eq!(world.image_sh(flags, script).ok(), "750\n0\nfull", "{flags:?}");
    }
}

#[test]
fn many_mounts_are_made_and_too_many_are_refused() {
    let world = World::new();
    let tmpfs = |count| (0..count).map(|n| format!("--tmpfs=/t{n}:size=1m")).collect::<Vec<_>>();
    let script = "grep -c size=1024k /proc/mounts";
    assert_eq!(world.image_sh(&strs(&tmpfs(200)), script).ok(), "200");
    let said = world.image_sh(&strs(&tmpfs(300)), script).fails(125);
    assert!(said.contains("too many mounts") && said.contains("Fix:"), "{said}");
}

#[test]
fn the_shared_memory_has_the_size_asked_for() {
    let world = World::new();
    let script = "df -k /dev/shm | awk 'END { print $2 }'";
    assert_eq!(world.image_sh(&["--shm-size", "3m"], script).ok(), "3072");
    assert_eq!(world.image_sh(&[], script).ok(), "65536");
}

#[test]
fn what_is_wrong_with_a_mount_is_named() {
    let world = World::new();
    let folder = world.folder();
    let here = folder.to_str().unwrap();
    let before = tree::fingerprint(&folder);
    for (flags, word) in [
        (vec!["-v", "/no/such/source:/mnt"], "/no/such/source"),
        (vec!["--mount", "type=bind,src=/no/such/source,dst=/mnt"], "/no/such/source"),
        (vec!["-v", "{}:relative/target"], "relative/target"),
        (vec!["--mount", "type=bind,src={},dst=relative"], "relative"),
        (vec!["--tmpfs", "relative"], "relative"),
        (vec!["-v", "{}:/mnt:junk"], "junk"),
        (vec!["-v", "{}:/mnt:ro,lowerdir=/etc"], "lowerdir"),
        (vec!["--mount", "type=bind,src={},dst=/mnt,junk=1"], "junk"),
        (vec!["--mount", "type=nosuchtype,dst=/mnt"], "nosuchtype"),
        (vec!["--mount", "src={},dst=/mnt,type"], "type"),
        (vec!["--mount", "type=bind,src={}"], "target"),
        (vec!["--tmpfs", "/x:size=lots"], "lots"),
        (vec!["--tmpfs", "/x:lowerdir=/etc"], "lowerdir"),
        (vec!["-v", "no target"], "no target"),
        (vec!["-v", "{}:/a:ro:more"], "more"),
        (vec!["-v", "{}:/mnt:ro,rw"], "rw"),
        (vec!["-v", "{}:/a/../../mnt"], ".."),
        (vec!["-v", "{}:/"], "/"),
        (vec!["--shm-size", "big"], "big"),
    ] {
        let filled: Vec<String> = flags.iter().map(|f| f.replace("{}", here)).collect();
        let said = world.image_sh(&strs(&filled), "true").fails(125);
        assert!(said.contains(word), "{flags:?}: {said}");
    }
    tree::assert_same(&folder, &before, "");
}

#[test]
fn a_mount_in_the_way_of_the_sandboxs_own_devices_is_refused() {
    let world = World::new();
    let file = world.file("x");
    let folder = world.folder();
    let bind = |what: &Path, target: &str| format!("{}:{target}", what.display());
    for (mount, own) in [
        (bind(&file, "/dev/null"), "/dev/null"),
        (bind(&folder, "/dev/stdin"), "/dev/stdin"),
        (bind(&folder, "/dev/fd/below"), "/dev/fd"),
    ] {
        let said = world.image_sh(&["-v", &mount], "true").fails(125);
        assert!(said.contains(&format!("a {own} of its own. Fix:")), "{said}");
    }
    for mount in
        [bind(&folder, "/dev/pts"), bind(&folder, "/dev/pts/ptmx"), bind(&file, "/dev/console")]
    {
        let said = world.image_sh(&["-t", "-v", &mount], "true").fails(125);
        assert!(said.contains("-t") && said.contains("Fix: leave -t or the mount out"), "{said}");
    }
    assert_eq!(world.image_sh(&["-v", &bind(&folder, "/dev/pts")], "ls -A /dev/pts").ok(), "");
    // A file over a directory, and the other way round.
    for mount in [bind(&file, "/etc"), bind(&folder, "/etc/passwd")] {
        let said = world.image_sh(&["-v", &mount], "true").fails(125);
        assert!(said.contains("Fix: mount directories on directories"), "{said}");
    }
}

/// Row S4.
#[test]
fn nothing_can_be_mounted_over_proc_and_sys() {
    let world = World::new();
    let folder = world.folder();
    for target in
        ["/proc", "/proc/self/attr", "/proc/sys", "/sys", "/sys/fs/cgroup", "/proc/../proc"]
    {
        let mount = format!("{}:{target}", folder.display());
        let said = world.image_sh(&["-v", &mount], "true").fails(125);
        assert!(said.contains(target), "{target}: {said}");
        let said = world.image_sh(&["--tmpfs", target], "true").fails(125);
        assert!(said.contains(target), "{target}: {said}");
    }
}

/// Row S9: the source is looked up once, by the caller's rights.
#[test]
fn a_link_as_the_source_is_followed_once() {
    let world = World::new();
    let folder = world.folder();
    std::fs::write(folder.join("in"), "hello\n").unwrap();
    let link = world.fresh("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let flags = flags(&["-v", "{}:/mnt"], &link);
    assert_eq!(world.image_sh(&strs(&flags), "cat /mnt/in").ok(), "hello");
}

/// Row S5: the target is resolved inside the root, wherever its links point.
#[test]
fn a_target_behind_a_link_stays_inside() {
    let world = World::new();
    let canary = world.folder();
    std::fs::write(canary.join("x"), "canary\n").unwrap();
    let before = tree::fingerprint(&canary);
    let root = world.rootfs();
    std::os::unix::fs::symlink(&canary, root.join("out")).unwrap();
    std::os::unix::fs::symlink("../../../../../..", root.join("up")).unwrap();
    let folder = world.folder();
    world.sbx(["run", "--rootfs", root.to_str().unwrap(), "--", "true"]).ok();
    for target in ["/out/sub", "/out", "/up/sub", "/up/etc/sub"] {
        let mount = format!("{}:{target}", folder.display());
        let run = ["run", "--rootfs", root.to_str().unwrap(), "-v", &mount, "--", "true"];
        // Contained or refused: either is right.
        let finished = world.sbx(run).run();
        assert!(matches!(finished.code(), Some(0 | 125)), "{target}: {finished:?}");
        tree::assert_same(&canary, &before, target);
    }
}

#[test]
fn sbx_masks_its_own_directories() {
    let world = World::new();
    world.image();
    let mount = format!("{}:/world", world.root().display());
    let script = "ls -A /world/data/sbx /world/config/sbx /world/cache/sbx /world/run/sbx \
                  2>/dev/null | grep -v '^/' | grep -v '^$'; true";
    for flags in [["-v", &mount], ["-v", &format!("{mount}:ro")], ["-v", &format!("{mount}:O")]] {
        assert_eq!(world.image_sh(&flags, script).ok(), "", "{flags:?}");
    }
    let data = world.path("data/sbx");
    let inside = world.host(["ls", "-A"]).arg(&data).run();
    assert!(inside.stdout.is_empty(), "{inside:?}");
    let mount = format!("{}:/store", data.display());
    let finished = world.image_sh(&["-v", &mount], "ls -A /store").run();
    assert!(finished.stdout.is_empty(), "{finished:?}");
}

/// A mask moves with the directory that it lies in, and a new directory could take its place.
#[test]
fn nothing_above_a_mask_can_be_moved_away() {
    let world = World::new();
    world.image();
    let parent = world.root().parent().expect("a directory of the world").to_owned();
    let name = world.root().file_name().expect("a name").to_string_lossy().into_owned();
    let mount = format!("{}:/outer", parent.display());
    let script = format!(
        "cd /outer; for d in {name} {name}/data {name}/data/sbx; do \
           mv -T $d $d-moved 2>&1 && echo moved $d; done; touch {name}/data/made && ls {name}/data",
    );
    let printed = world.image_sh(&["-v", &mount], &script).ok();
    assert_eq!(printed.matches("busy").count(), 3, "{printed}");
    assert!(!printed.lines().any(|line| line.starts_with("moved")), "{printed}");
    // They are still the caller's own directories.
    assert!(printed.ends_with("made\nsbx"), "{printed}");
    assert!(world.path("data/made").exists());
    std::fs::remove_file(world.path("data/made")).unwrap();
}

#[test]
fn a_mask_that_could_be_taken_away_is_no_mask() {
    let world = World::new();
    world.image();
    let mount = format!("{}:/world", world.root().display());
    for cap in ["SYS_ADMIN", "ALL"] {
        let run = ["run", "--rm", "--cap-add", cap, "-v", &mount, "busybox", "true"];
        let said = world.sbx(run).fails(125);
        assert!(said.contains("CAP_SYS_ADMIN") && said.contains("Fix: "), "{said}");
    }
    let elsewhere = format!("{}:/elsewhere", world.folder().display());
    world.sbx(["run", "--rm", "--cap-add", "ALL", "-v", &elsewhere, "busybox", "true"]).ok();
}

/// Without a run-time directory one of them lies inside another; one that does not exist yet is reached
/// through a link: neither may be written to from inside.
#[test]
fn sbx_masks_directories_that_do_not_exist_yet() {
    let world = World::new();
    let home = world.path("home");
    std::fs::create_dir(home.join("real")).unwrap();
    // Where the sandbox cannot replace it.
    let link = world.path("tmp/link");
    std::os::unix::fs::symlink(home.join("real"), &link).unwrap();
    let mount = format!("{0}:{0}", home.display());
    let script = format!(
        "touch {0}/real/sbx/config.toml 2>/dev/null && echo written; ls -A {0}/data/sbx; echo end",
        home.display()
    );
    let run = ["run", "--host", "-v", &mount, "--", "sh", "-c", &script];
    let printed = world
        .sbx(run)
        .env("XDG_CONFIG_HOME", &link)
        .env("XDG_DATA_HOME", home.join("data"))
        .without_env("XDG_RUNTIME_DIR")
        .ok();
    assert_eq!(printed, "end");
    // In its reach, it would lead the next run to what the sandbox likes.
    std::fs::rename(&link, home.join("link")).unwrap();
    let said = world.sbx(run).env("XDG_CONFIG_HOME", home.join("link")).fails(125);
    assert!(said.contains("symbolic link") && said.contains("Fix: "), "{said}");
    let read_only = ["run", "--host", "-v", &format!("{mount}:ro"), "--", "true"];
    world.sbx(read_only).env("XDG_CONFIG_HOME", home.join("link")).ok();
}

/// Links of an image on the way to a target, and a later mount that covers one of them.
#[test]
fn an_image_cannot_part_a_mount_from_what_is_mounted_in_it() {
    let world = World::new();
    world.image();
    let root = world.rootfs();
    for dir in ["y", "y/a", "z"] {
        std::fs::create_dir(root.join(dir)).unwrap();
    }
    std::os::unix::fs::symlink("/y/a/l", root.join("x")).unwrap();
    std::os::unix::fs::symlink("/z", root.join("y/a/l")).unwrap();
    let rootfs = format!("{}:O", root.display());
    let sh = |mounts: &[&str], script: &str| {
        let run = [&["run", "--rootfs", &rootfs], mounts, &["--", "sh", "-c", script]].concat();
        world.sbx(run).ok()
    };
    let whole = format!("{}:/x", world.root().display());
    let script = "ls -A /z/data/sbx; mv /z/data /z/moved 2>/dev/null && echo moved; echo end";
    assert_eq!(sh(&["-v", &whole, "--tmpfs", "/y/a"], script), "end");

    let (project, other) = (world.folder(), world.folder());
    std::fs::create_dir(project.join("git")).unwrap();
    std::fs::create_dir_all(other.join("a/l/git")).unwrap();
    std::fs::write(project.join("git/config"), "clean").unwrap();
    let mounts = [
        format!("{}:/x", project.display()),
        format!("{}:/y", other.display()),
        format!("{0}/git:/x/git:ro", project.display()),
    ];
    let flags: Vec<&str> = mounts.iter().flat_map(|m| ["-v", m]).collect();
    let script = "for d in /x /z; do echo hacked >$d/git/config; done 2>/dev/null; true";
    sh(&flags, script);
    assert_eq!(std::fs::read_to_string(project.join("git/config")).unwrap(), "clean");
}

/// What hides sbx's own directories must not bring back what the user has hidden.
#[test]
fn mounts_below_a_mount_are_what_was_asked_for() {
    let world = World::new();
    world.image();
    std::fs::create_dir(world.path("config/other")).unwrap();
    std::fs::write(world.path("config/other/secret"), "secret").unwrap();
    let whole = format!("{}:/w", world.root().display());
    let config = format!("{}:/w/config:ro", world.path("config").display());
    let script = "touch /w/config/made 2>/dev/null && echo written; cat /w/config/other/secret; \
                  ls -A /w/config/sbx";
    assert_eq!(world.image_sh(&["-v", &whole, "-v", &config], script).ok(), "secret");
    for hidden in ["/w/config", "/w/config/other"] {
        let script = "ls -A /w/config/other 2>/dev/null; echo end";
        assert_eq!(world.image_sh(&["-v", &whole, "--tmpfs", hidden], script).ok(), "end");
    }
    let read_only = format!("{whole}:ro");
    let safe = format!("{}:/w/config", world.folder().display());
    assert_eq!(world.image_sh(&["-v", &read_only, "-v", &safe], "ls -A /w/config").ok(), "");
}

#[test]
fn a_read_only_directory_as_root_is_so_everywhere() {
    let world = World::new();
    let root = world.rootfs();
    std::fs::create_dir_all(root.join("home/u/.local/share")).unwrap();
    let script = "for d in / /home /home/u /home/u/.local /etc; do \
                  touch $d/made 2>/dev/null && echo $d; done; ls -A /home/u/.local/share/sbx; echo end";
    let run = ["run", "--read-only", "--rootfs", root.to_str().unwrap(), "--", "sh", "-c", script];
    let printed = world.sbx(run).env("XDG_DATA_HOME", root.join("home/u/.local/share")).ok();
    assert_eq!(printed, "end");
}

/// In a user namespace of its own a process is free to unmount.
#[test]
fn beside_a_mask_no_user_namespace_can_be_made() {
    let world = World::new();
    world.image();
    let script = "unshare -U true 2>/dev/null && echo made; echo end";
    let unconfined = ["--security-opt", "seccomp=unconfined"];
    assert_eq!(world.image_sh(&unconfined, script).ok(), "made\nend");
    let mount = format!("{}:/w", world.root().display());
    let flags = [&unconfined[..], &["-v", &mount]].concat();
    assert_eq!(world.image_sh(&flags, script).ok(), "end");
    let run = [&["run", "--rm"], &flags[..], &["--cap-add", "SYS_RESOURCE", "busybox", "true"]];
    let said = world.sbx(run.concat()).fails(125);
    assert!(said.contains("user namespaces"), "{said}");
}

/// A bind of the host's has the same directories under another name.
#[test]
fn sbx_knows_its_own_directories_by_another_name() {
    let world = World::new();
    let other = world.folder();
    let mut command = std::process::Command::new("unshare");
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(world.root()).arg(&other).arg(common::world::binary());
    std::fs::create_dir_all(world.path("data/sbx/images")).unwrap();
    common::world::chmod(&world.path("data/sbx"), 0o700);
    let mount = format!("{}:/w", other.display());
    let run = ["run", "--host", "-v", &mount, "--", "sh", "-c", "ls -A /w/data/sbx; echo end"];
    assert_eq!(common::Sbx::through(&world, command).args(run).ok(), "end");
}
