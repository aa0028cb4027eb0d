//! In the boot with SELinux, enforcing, and Debian's default policy.

use crate::common::World;

#[test]
fn selinux_enforces() {
    vm!();
    assert_eq!(std::fs::read_to_string("/sys/fs/selinux/enforce").unwrap(), "1");
    let context = std::fs::read_to_string("/proc/self/attr/current").unwrap();
    assert!(context.starts_with("unconfined_u:unconfined_r:unconfined_t:"), "{context}");
}

/// Every file has a label. It belongs to this host and is no change of the container's.
#[test]
fn labels_stay_out_of_images() {
    vm!();
    let world = World::new();
    let image = world.image();
    let script = "echo new >/etc/data; mkdir /etc/d";
    world.sbx(["run", image, "sh", "-c", script]).ok();
    let id = world.sbx(["ps", "-a", "-q"]).ok();
    assert_eq!(world.sbx(["diff", &id]).ok(), "C /etc\nA /etc/d\nC /etc/data");
    world.sbx(["commit", &id, "changed"]).ok();
    world.sbx(["export", "-o", "root.tar", &id]).ok();
    world.sbx(["rm", "--all"]).ok();
    // The layers are compressed.
    let script = "cat root.tar; find ../data/sbx/images/blobs -type f -exec zcat --force {} +";
    let output = |script: &str| {
        let mut command = std::process::Command::new("sh");
        let done = command.args(["-ec", script]).current_dir(world.path("work")).output();
        done.expect("run sh").stdout
    };
    let all = output(script);
    let holds = |text: &str| all.windows(text.len()).any(|w| w == text.as_bytes());
    // A name of the tree shows that it was searched in the clear.
    assert!(holds("etc/data") && holds("rootfs"));
    assert!(!holds("security.selinux") && !holds("object_r"), "labels are in the layers");
}
