//! AppArmor where it cannot be had, and the profiles that come with sbx. What it confines is seen in
//! tests/vm/apparmor.rs.

mod common;

use std::process::{Command, Stdio};

use common::{World, need};

/// No host has it, whether AppArmor is enabled there or not.
const UNKNOWN: &str = "sbx-none-such";

fn profile(world: &World, need: &str) -> String {
    let text = format!("version = 1\n[apparmor]\nlabel = \"{UNKNOWN}\"\nneed = \"{need}\"\n");
    world.file(text).to_str().unwrap().to_owned()
}

#[test]
fn a_label_that_cannot_be_had_is_an_error() {
    let world = World::new();
    let flag = format!("apparmor={UNKNOWN}");
    let required = profile(&world, "required");
    for choice in [["--security-opt", &flag], ["--profile", &required]] {
        let said = world.sbx(["run", "--host"]).args(choice).args(["--", "true"]).fails(125);
        assert!(said.contains(UNKNOWN) && said.contains("AppArmor"), "{said}");
        assert!(said.contains("Fix:") && said.contains("best-effort"), "{said}");
    }
}

#[test]
fn a_profile_may_do_without_and_the_run_says_so() {
    let world = World::new();
    let profile = profile(&world, "best-effort");
    let done = world.sbx(["run", "--host", "--profile", &profile, "--", "echo", "ran"]).run();
    let done = done.expect_code(0);
    assert_eq!(done.text(), "ran");
    assert!(done.stderr.contains("without") && done.stderr.contains(UNKNOWN), "{}", done.stderr);
}

#[test]
fn a_flag_goes_before_the_profile() {
    let world = World::new();
    let required = profile(&world, "required");
    let run = |option: &str| {
        world.sbx(["run", "--host", "--profile", &required, "--security-opt", option, "true"])
    };
    run("apparmor=unconfined").ok();
    // What a flag asks for is required, whatever the profile can do without.
    let optional = profile(&world, "best-effort");
    let flag = format!("apparmor={UNKNOWN}");
    world
        .sbx(["run", "--host", "--profile", &optional, "--security-opt", &flag, "true"])
        .fails(125);
    for wrong in ["apparmor=", "apparmor=a b", "apparmor"] {
        let said = run(wrong).fails(125);
        assert!(said.contains("--security-opt") && said.contains("Fix:"), "{said}");
    }
}

#[test]
fn a_label_in_a_profile_is_checked() {
    let world = World::new();
    let bad = world.file("version = 1\n[apparmor]\nlabel = \"a b\"\n");
    let done = world.sbx(["profile", "check", bad.to_str().unwrap()]).run();
    let said = done.text() + &done.stderr;
    assert!(said.contains("line 3, column 9") && said.contains("apparmor.label"), "{said}");
    let bad = world.file("version = 1\n[apparmor]\nneed = \"best-efort\"\n");
    let done = world.sbx(["profile", "check", bad.to_str().unwrap()]).run();
    let said = done.text() + &done.stderr;
    assert!(said.contains("best-effort"), "{said}");
}

#[test]
fn the_profiles_that_come_with_sbx_are_valid() {
    need!("apparmor_parser");
    let world = World::new();
    let dir = common::source_tree().join("profiles/apparmor");
    for name in ["sbx", "sbx-default"] {
        let mut text = std::fs::read_to_string(dir.join(name)).unwrap();
        if !std::path::Path::new("/etc/apparmor.d/abi/4.0").exists() {
            // AppArmor 3 knows neither of these lines, and needs neither of them.
            text = text.replace("abi <abi/4.0>,\n", "").replace("  userns,\n", "");
        }
        let file = world.file(text);
        // Neither loaded into the kernel nor kept.
        let done = Command::new("apparmor_parser")
            .args(["--skip-kernel-load", "--skip-cache", "--warn=all"])
            .arg(&file)
            .env("PATH", common::command::PATH)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{name}: {said}");
    }
}
