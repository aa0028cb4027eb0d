//! The machine itself: what the other tests take for granted.

use std::process::Command;

use crate::common::command::Sbx;
use crate::common::{World, which};

/// The standard output of a program that must succeed.
#[track_caller]
pub(crate) fn output(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output().expect("start a program");
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text").trim_end().to_owned()
}

/// sbx in a scope of the user's systemd, whose cgroup is delegated.
pub(crate) fn in_delegated_scope<'w>(world: &'w World, args: &[&str]) -> Sbx<'w> {
    let mut command = Command::new(which("systemd-run").expect("systemd-run"));
    command.args(["--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"]);
    command.arg(crate::common::world::binary());
    let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").expect("the address of the user's bus");
    Sbx::through(world, command).env("DBUS_SESSION_BUS_ADDRESS", bus).args(args)
}

#[test]
fn a_normal_user_is_logged_in() {
    vm!();
    assert!(!rustix::process::geteuid().is_root());
    assert_eq!(output("systemctl", &["--user", "is-system-running", "--wait"]), "running");
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    assert!(cgroup.contains("/user.slice/user-") && cgroup.contains("/session-"), "{cgroup}");
    let runtime = std::env::var("XDG_RUNTIME_DIR").unwrap();
    assert_eq!(runtime, format!("/run/user/{}", rustix::process::getuid().as_raw()));
}

#[test]
fn cpu_memory_and_pids_are_delegated() {
    vm!();
    let script = "cat /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)/cgroup.controllers";
    let scope = ["--user", "--scope", "--quiet", "--property=Delegate=yes", "sh", "-c", script];
    let controllers = output("systemd-run", &scope);
    for controller in ["cpu", "memory", "pids"] {
        assert!(controllers.split(' ').any(|c| c == controller), "{controllers}");
    }
}

#[test]
fn doctor_finds_the_delegation() {
    vm!();
    let world = World::new();
    let text = in_delegated_scope(&world, &["doctor", "--json"]).ok();
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows = value["capabilities"].as_array().expect("a list");
    let row = rows.iter().find(|r| r["capability"] == "cgroup delegation").expect("a row");
    assert_eq!(row["state"], "ok", "{row}");
    assert_eq!(row["uses"], "cpu memory pids", "{row}");
}
