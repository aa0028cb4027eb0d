//! The init that is PID 1: what can be seen of it from inside.

mod common;

use common::World;

/// The init is a copy of sbx: nothing of the host's command line shows in it.
#[test]
fn the_init_tells_nothing_of_the_host() {
    let world = World::new();
    let folder = world.folder();
    let mount = format!("{}:/mnt", folder.display());
    let script = "tr -d '\\0' </proc/1/cmdline; echo; cat /proc/1/environ /proc/1/maps 2>/dev/null; \
                  readlink /proc/1/exe /proc/1/cwd /proc/1/root; ls /proc/1/fd 2>/dev/null";
    let run = ["run", "--host", "-e", "SECRET=hidden", "-v", &mount, "--", "sh", "-c", script];
    let printed = world.sbx(run).run().text();
    assert_eq!(printed, "sbx-init");
}

/// Not even to a program that looks before the init has run once more: on one processor, a process that
/// wakes up does not take the place of a batch process that runs (sched(7)).
#[test]
fn the_init_tells_nothing_from_the_start() {
    common::need!("chrt", "taskset");
    let world = World::new();
    let on_one_processor = "cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/self/status); \
                            exec chrt --batch 0 taskset -c $cpu \"$@\"";
    for _ in 0..5 {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", on_one_processor, "sh"]).arg(common::world::binary());
        let run = ["run", "--host", "--init", "--", "cat", "/proc/1/cmdline"];
        let printed = common::Sbx::through(&world, command).args(run).ok();
        assert_eq!(printed.trim_end_matches('\0'), "sbx-init");
    }
}
