//! Filters in JSON, and actions other than errors, seen from inside.

mod common;

use std::path::PathBuf;

use common::{World, skip};

const PODMANS: &str = "/usr/share/containers/seccomp.json";

/// Everything is permitted but for one call.
fn filter(action: &str, call: &str) -> String {
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW",
            "archMap": [{{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}}],
            "syscalls": [{{"names": ["{call}"], "action": "{action}"}}]}}"#
    )
}

fn written(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn under(world: &World, path: &std::path::Path, script: &str) -> common::command::Finished {
    let option = format!("seccomp={}", path.display());
    world.sbx(["run", "--host", "--security-opt", &option, "--", "sh", "-c", script]).run()
}

#[test]
fn a_start_takes_filters_in_json() {
    let world = World::new();
    let path = written(&world, "deny.json", &filter("SCMP_ACT_ERRNO", "mkdir"));
    let script = "mkdir /tmp/x 2>&1; touch /tmp/y && echo touched";
    let printed = under(&world, &path, script).expect_code(0).text();
    assert!(printed.contains("not permitted") && printed.contains("touched"), "{printed}");
    let said =
        world.sbx(["run", "--host", "--profile"]).args([&path]).args(["--", "true"]).fails(125);
    assert!(said.contains("in JSON") && said.contains("--security-opt seccomp="), "{said}");
}

#[test]
fn podmans_own_file_runs_a_sandbox() {
    let world = World::new();
    let path = PathBuf::from(PODMANS);
    if !path.is_file() {
        skip!("golang-github-containers-common is not installed");
    }
    assert_eq!(under(&world, &path, "echo works").expect_code(0).text(), "works");
    let toml = world.sbx(["profile", "convert", PODMANS]).ok();
    let converted = written(&world, "podman.toml", &toml);
    assert_eq!(under(&world, &converted, "echo works").expect_code(0).text(), "works");
    let json = world.sbx(["profile", "convert"]).args([&converted]).ok();
    let again = written(&world, "podman.json", &json);
    assert_eq!(
        world
            .sbx(["profile", "convert"])
            .args([&again])
            .ok()
            .replace("podman.json", "seccomp.json"),
        toml
    );
}

#[test]
fn a_profile_is_laid_over_an_imported_filter() {
    let world = World::new();
    written(&world, "below.json", &filter("SCMP_ACT_ERRNO", "mkdir"));
    let group = "[[seccomp.group]]\nname = \"links\"\naction = \"errno\"\nerrno = \"EIO\"\nsyscalls = [\"symlinkat\"]\n";
    let text = format!("version = 1\n[seccomp]\nimport = \"below.json\"\n{group}");
    let path = written(&world, "over.toml", &text);
    let script = "mkdir /tmp/x; ln -s a /tmp/l; unshare -U true && echo unshared";
    let printed = world
        .sbx(["run", "--host", "--profile"])
        .args([&path])
        .args(["--", "sh", "-c", &format!("({script}) 2>&1; true")])
        .ok();
    for expected in ["not permitted", "nput/output", "unshared"] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
    let shown = world.sbx(["profile", "show", "--resolved"]).args([&path]).ok();
    assert!(shown.contains("seccomp.mkdir"), "{shown}");
}

#[test]
fn what_cannot_be_carried_out_is_refused_at_the_start() {
    let world = World::new();
    for (action, word) in [("SCMP_ACT_NOTIFY", "notify"), ("SCMP_ACT_TRACE", "trace")] {
        let path = written(&world, "a.json", &filter(action, "mkdir"));
        let output = under(&world, &path, "true").expect_code(125);
        let said = output.stderr;
        assert!(said.contains(word) && said.contains("mkdir"), "{said}");
    }
    let path = written(&world, "a.json", &filter("SCMP_ACT_ERRNO", "of_the_future"));
    let said = under(&world, &path, "true").expect_code(125).stderr;
    assert!(said.contains("of_the_future"), "{said}");
}

#[test]
fn a_program_may_handle_a_trap() {
    let world = World::new();
    let path = written(&world, "trap.json", &filter("SCMP_ACT_TRAP", "umask"));
    let handled = under(&world, &path, "trap 'echo handled' SYS; umask 22; echo on");
    assert!(handled.expect_code(0).text().starts_with("handled"));
    // SIGSYS is 31.
    under(&world, &path, "umask 22; echo on").expect_code(128 + 31);
}

#[test]
fn a_thread_or_its_process_is_killed() {
    let world = World::new();
    let Some(probe) = common::probe::path() else { skip!("sbx-probe is not built") };
    let program = format!("{}:/opt/probe:ro", probe.display());
    for (action, in_thread) in [("kill-thread", "ok"), ("kill", "signal 31"), ("trap", "signal 31")]
    {
        let text = format!(
            "version = 1\n[seccomp]\n[[seccomp.group]]\nname = \"no accounts\"\naction = \"{action}\"\n\
             syscalls = [\"acct\"]\n"
        );
        let path = written(&world, "kill.toml", &text);
        let printed = world
            .sbx(["run", "--host", "--tmpfs", "/opt", "-v", &program, "--profile"])
            .args([&path])
            .args(["--", "/opt/probe"])
            .ok();
        let found: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(found["native"]["acct"], "signal 31", "{action}");
        assert_eq!(found["native"]["acct in a thread"], in_thread, "{action}");
    }
}
