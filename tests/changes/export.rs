//! `sbx export`, and `sbx import --change`.

use crate::common::World;
use crate::common::terminal::Terminal;
use crate::{SCRIPT, config, kept, remove_all};

/// Name, mode, owner and link of each member.
fn members(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap();
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let head = entry.header();
        let link = entry.link_name().unwrap().unwrap_or_default().display().to_string();
        let (mode, uid) = (head.mode().unwrap(), head.uid().unwrap());
        format!("{} {mode:o} {uid}:{} {link}", entry.path().unwrap().display(), head.gid().unwrap())
    };
    entries.map(|entry| line(entry.unwrap())).collect()
}

#[test]
fn an_exported_container_is_all_that_it_shows() {
    let world = World::new();
    let volume = format!("{}:/mnt/volume", world.folder().display());
    let id = kept(&world, &["-v", &volume], SCRIPT);
    let tar = world.sbx(["export", &id]).run().expect_code(0).stdout;
    let members = members(&tar);
    for line in [
        "bin/sh 777 0:0 busybox",
        "etc/mine 644 0:0 ",
        "etc/data 600 0:0 ",
        "home/ana/new 644 5:6 ",
        "home/ana/same 644 5:6 home/ana/new",
        "tmp/ 1777 0:0 ",
    ] {
        assert!(members.iter().any(|m| m == line), "{line:?} is not in {members:?}");
    }
    for gone in ["etc/group", "home/ana/own", "mnt/", "etc/hosts", ".wh."] {
        assert!(!members.iter().any(|m| m.contains(gone)), "{gone} is in {members:?}");
    }
    let file = world.fresh("out");
    world.sbx(["export", "-o", file.to_str().unwrap(), &id]).ok();
    assert!(std::fs::read(&file).unwrap() == tar);
    // And back again: the same files, owners and links.
    world.sbx(["import", file.to_str().unwrap(), "made"]).ok();
    let look = "cat /home/ana/same; stat -c '%u:%g %h' /home/ana/new; ls /home/ana";
    let seen = world.sbx(["run", "--rm", "made", "sh", "-c", look]).ok();
    assert_eq!(seen, "new\n5:6 2\nnew\nsame");
    remove_all(&world);
}

#[test]
fn a_running_container_is_exported_but_not_to_a_terminal() {
    let world = World::new();
    let script = "echo x >/x; echo up; exec sleep 1000";
    let mut running = world.sbx(["run", world.image(), "sh", "-c", script]).spawn();
    running.until("up");
    let id = world.sbx(["ps", "-q"]).ok();
    let tar = world.sbx(["export", &id]).run().expect_code(0).stdout;
    assert!(members(&tar).iter().any(|m| m == "x 644 0:0 "));
    let mut terminal = Terminal::open(24, 80);
    let refused = terminal.spawn(&world, &["export", &id]);
    terminal.expect("-o FILE");
    refused.wait().expect_code(125);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait().expect_code(143);
    remove_all(&world);
}

#[test]
fn an_import_is_configured_by_changes() {
    let world = World::new();
    world.image();
    let tar = world.path("busybox.tar");
    let changes = ["--change", "CMD echo \"$A\"", "-c", "ENV A='b c'", "-m", "why"];
    world.sbx(["import"]).args(changes).args([tar.to_str().unwrap(), "made"]).ok();
    assert_eq!(world.sbx(["run", "--rm", "made"]).ok(), "b c");
    assert_eq!(config(&world, "made")["history"][0]["comment"], "why");
    let said = world.sbx(["import", "-c", "RUN x", tar.to_str().unwrap(), "bad"]).fails(125);
    assert!(said.contains("RUN") && said.contains("ENTRYPOINT"), "{said}");
}
