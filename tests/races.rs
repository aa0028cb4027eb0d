//! Somebody else changes the file system while a sandbox starts. Each race is run 500 times against a
//! process that swaps without a pause.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{World, need};
use rustix::fs::{CWD, RenameFlags, renameat_with};

const ROUNDS: usize = 500;

/// Exchanges two names, again and again, while `rounds` runs.
fn while_swapping(a: &Path, b: &Path, rounds: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).expect("exchange two names");
            }
        });
        // The thread must end even where an assertion fails.
        let stop = Stop(&over);
        rounds();
        drop(stop);
    });
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As a sandbox that can write to `shared` could do it.
fn slow_source_race(flags: impl Fn(&Path) -> Vec<String>, inside: &str) {
    let world = World::new();
    world.image();
    let shared = world.folder();
    let (dir, link) = (shared.join("dir"), shared.join("link"));
    std::fs::create_dir(&dir).unwrap();
    std::fs::create_dir(dir.join("images")).unwrap();
    std::os::unix::fs::symlink(world.path("data/sbx"), &link).unwrap();
    common::fixture::busybox_root(&dir.join("root"));
    std::fs::rename(dir.join("root/bin"), dir.join("bin")).unwrap();
    for name in ["dev", "proc", "sys", "etc", "tmp"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    let (mut started, mut refused) = (0, 0);
    while_swapping(&dir, &link, || {
        for _ in 0..ROUNDS {
            let finished = world.sbx(flags(&dir)).args(["/bin/sh", "-c", inside]).run();
            assert!(!finished.text().contains("index.json"), "the store is in reach: {finished:?}");
            match finished.code() {
                Some(0) => started += 1,
                Some(125) => refused += 1,
                _ => panic!("{finished:?}"),
            }
        }
    });
    assert!(started > 0 && refused > 0, "not a race: {started} started, {refused} refused");
}

#[test]
fn slow_the_source_of_a_bind_is_looked_up_once() {
    let flags = |dir: &Path| {
        let mount = format!("{}:/mnt", dir.display());
        ["run", "--host", "-v", &mount, "--"].map(str::to_owned).to_vec()
    };
    slow_source_race(flags, "ls /mnt/images");
}

#[test]
fn slow_the_source_of_an_overlay_is_looked_up_once() {
    let flags = |dir: &Path| {
        let mount = format!("{}:/mnt:O", dir.display());
        ["run", "--host", "-v", &mount, "--"].map(str::to_owned).to_vec()
    };
    slow_source_race(flags, "ls /mnt/images");
}

#[test]
fn slow_a_directory_as_root_is_looked_up_once() {
    for suffix in ["", ":O"] {
        let flags = |dir: &Path| {
            let root = format!("{}{suffix}", dir.display());
            ["run", "--rootfs", &root, "--"].map(str::to_owned).to_vec()
        };
        slow_source_race(flags, "ls /images");
    }
}

#[test]
fn slow_a_directory_as_root_is_looked_up_once_in_memory_too() {
    let flags = |dir: &Path| {
        let root = format!("{}:O", dir.display());
        ["run", "--rootfs", &root, "--upper", "tmpfs", "--"].map(str::to_owned).to_vec()
    };
    slow_source_race(flags, "ls /images");
}

#[test]
fn slow_a_directory_as_root_is_looked_up_once_by_fuse_overlayfs_too() {
    need!("fuse-overlayfs");
    let flags = |dir: &Path| {
        let root = format!("{}:O", dir.display());
        ["run", "--rootfs", &root, "--storage", "fuse-overlayfs", "--"].map(str::to_owned).to_vec()
    };
    slow_source_race(flags, "ls /images");
}

/// CVE-2021-30465: two sandboxes share a directory, one starts with a mount inside it, the other swaps
/// the target for a link.
#[test]
fn slow_the_target_of_a_mount_stays_inside() {
    let world = World::new();
    world.image();
    let (shared, inner) = (world.folder(), world.folder());
    let outside = world.folder();
    std::fs::write(inner.join("marker"), "inner\n").unwrap();
    std::fs::write(outside.join("secret"), "outside\n").unwrap();
    let (target, link) = (shared.join("target"), shared.join("link"));
    std::fs::create_dir(&target).unwrap();
    std::os::unix::fs::symlink(outside.as_os_str(), &link).unwrap();
    let (a, b) = (format!("{}:/s", shared.display()), format!("{}:/s/target", inner.display()));
    // Wherever it was mounted, it was mounted inside, and nothing else came in with it.
    let script = format!(
        "grep -c ' /[^ ]*{}' /proc/self/mountinfo; cat {}/secret /s/target/secret /s/link/secret",
        inner.file_name().unwrap().display(),
        outside.display(),
    );
    while_swapping(&target, &link, || {
        for _ in 0..ROUNDS {
            let finished = world.image_sh(&["-v", &a, "-v", &b], &script).run();
            let (code, text) = (finished.code(), finished.text());
            assert!(matches!(code, Some(1 | 125)), "{finished:?}");
            assert!(!text.contains("outside"), "{finished:?}");
            assert!(code == Some(125) || text == "1", "{finished:?}");
            assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 1);
            assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        }
    });
}

/// Another sandbox moves the place of a mount between the mount and the masks in it.
#[test]
fn slow_a_mask_stays_with_its_mount() {
    let world = World::new();
    world.image();
    let shared = world.folder();
    let (target, other) = (shared.join("target"), shared.join("other"));
    for dir in [&target, &other] {
        for own in ["data/sbx", "config/sbx", "cache/sbx", "run/sbx"] {
            std::fs::create_dir_all(dir.join(own)).unwrap();
        }
    }
    let (a, b) =
        (format!("{}:/s", shared.display()), format!("{}:/s/target", world.root().display()));
    let script = "ls /s/*/data/sbx 2>/dev/null; echo end";
    while_swapping(&target, &other, || {
        for _ in 0..ROUNDS {
            let finished = world.image_sh(&["-v", &a, "-v", &b], script).run();
            assert!(!finished.text().contains("images"), "the store is in reach: {finished:?}");
        }
    });
}
