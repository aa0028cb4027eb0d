//! `sbx doctor`: what this host can do, found out by doing it.

mod common;

use common::World;

#[test]
fn a_working_host_passes() {
    let world = World::new();
    let table = world.sbx(["doctor"]).ok();
    for word in ["user namespace", "subordinate", "overlay", "newuidmap"] {
        assert!(table.to_lowercase().contains(word), "{word} is missing in {table}");
    }
}

#[test]
fn the_json_says_the_same() {
    let world = World::new();
    let text = world.sbx(["doctor", "--json"]).ok();
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(value.is_object() || value.is_array());
}

#[test]
fn a_missing_helper_is_found_with_its_fix() {
    let world = World::new();
    let empty = world.folder();
    let finished = world.sbx(["doctor"]).env("PATH", &empty).run();
    let all = format!("{}{}", finished.text(), finished.stderr);
    assert!(all.contains("newuidmap") && all.contains("apt-get install uidmap"), "{all}");
}

#[test]
fn doctor_and_run_give_the_same_fix() {
    let world = World::new();
    let image = world.image();
    let empty = world.folder();
    let said = world.sbx(["run", "--rm", image, "true"]).env("PATH", &empty).fails(125);
    let fix = said.trim_end().split("Fix: ").nth(1).expect("a fix").to_owned();
    let finished = world.sbx(["doctor"]).env("PATH", &empty).run();
    assert!(finished.text().contains(&fix), "{fix:?} is not in {}", finished.text());
}
