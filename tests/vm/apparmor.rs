//! In the boot with AppArmor.

use crate::common::World;

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
    assert_eq!(world.image_sh(&[], "cat /proc/self/attr/current").ok(), "unconfined");
}
