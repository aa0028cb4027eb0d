//! `sbx volume`: made, listed, shown and removed.

mod common;

use common::World;
use serde_json::Value;

fn names(world: &World, filters: &[&str]) -> Vec<String> {
    let filters = filters.iter().flat_map(|f| ["--filter", f]);
    let text = world.sbx(["volume", "ls", "-q"]).args(filters).ok();
    text.lines().map(str::to_owned).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_volume_is_made_listed_shown_and_removed() {
    let world = World::new();
    let made = world.sbx(["volume", "create", "--label", "a=1", "--label", "b", "data"]).ok();
    assert_eq!(made, "data");
    assert_eq!(names(&world, &[]), ["data"]);
    assert!(world.sbx(["volume", "ls"]).ok().ends_with("local   data"));
    let list = json(&world.sbx(["volume", "inspect", "data"]).ok());
    assert_eq!(list, json(&world.sbx(["volume", "ls", "--json"]).ok()));
    let one = &list[0];
    assert_eq!((&one["Name"], &one["Driver"]), (&"data".into(), &"local".into()));
    assert_eq!(one["Labels"], serde_json::json!({"a": "1", "b": ""}));
    assert!(one["CreatedAt"].as_str().unwrap().ends_with('Z'), "{one}");
    let data = world.path("data/sbx/volumes/data/data");
    assert_eq!(one["Mountpoint"], data.to_str().unwrap());
    assert!(data.is_dir());
    assert_eq!(world.sbx(["volume", "rm", "data"]).ok(), "data");
    assert!(names(&world, &[]).is_empty());
    assert!(!world.path("data/sbx/volumes/data").exists());
}

#[test]
fn a_name_is_given_once_and_made_up_where_there_is_none() {
    let world = World::new();
    world.sbx(["volume", "create", "data"]).ok();
    let said = world.sbx(["volume", "create", "data"]).fails(125);
    assert!(said.contains("exists") && said.contains("Fix: sbx volume create --ignore data"));
    assert_eq!(world.sbx(["volume", "create", "--ignore", "data"]).ok(), "data");
    let random = world.sbx(["volume", "create"]).ok();
    assert_eq!(random.len(), 64, "{random}");
    for name in ["../data", "a/b", ".hidden", ""] {
        let said = world.sbx(["volume", "create", name]).fails(125);
        assert!(said.contains("a name is") && said.contains("Fix:"), "{said}");
    }
    for verb in ["rm", "inspect"] {
        let said = world.sbx(["volume", verb, "missing"]).fails(125);
        assert!(said.contains("missing") && said.contains("Fix: sbx volume ls"), "{said}");
    }
    world.sbx(["volume", "rm", "-f", "missing", "data"]).ok();
    assert_eq!(names(&world, &[]), [random]);
}

#[test]
fn filters_choose() {
    let world = World::new();
    world.sbx(["volume", "create", "--label", "k=v", "one"]).ok();
    world.sbx(["volume", "create", "two"]).ok();
    assert_eq!(names(&world, &["name=on"]), ["one"]);
    assert_eq!(names(&world, &["label=k"]), ["one"]);
    assert_eq!(names(&world, &["label=k=v"]), ["one"]);
    assert_eq!(names(&world, &["label=k=w"]), [""; 0]);
    assert_eq!(names(&world, &["name=two", "label=k"]), [""; 0]);
    assert_eq!(names(&world, &["dangling=true"]), ["one", "two"]);
    assert_eq!(names(&world, &["dangling=false"]), [""; 0]);
    for filter in ["nothing", "driver=local", "dangling=maybe"] {
        let said = world.sbx(["volume", "ls", "--filter", filter]).fails(125);
        assert!(said.contains(filter) && said.contains("Fix:"), "{said}");
    }
}

#[test]
fn prune_asks_and_cannot_ask_without_a_terminal() {
    let world = World::new();
    world.sbx(["volume", "prune"]).ok();
    world.sbx(["volume", "create", "data"]).ok();
    let said = world.sbx(["volume", "prune"]).input("y\n").fails(125);
    assert!(said.contains("Fix: sbx volume prune -f"), "{said}");
    assert_eq!(names(&world, &[]), ["data"]);
    assert_eq!(world.sbx(["volume", "prune", "-f"]).ok(), "data");
    assert!(names(&world, &[]).is_empty());
}

#[test]
fn a_damaged_volume_is_reported_and_can_be_removed() {
    let world = World::new();
    world.sbx(["volume", "create", "bad"]).ok();
    world.sbx(["volume", "create", "good"]).ok();
    let file = world.path("data/sbx/volumes/bad/volume.json");
    std::fs::write(&file, "{").unwrap();
    assert!(world.sbx(["volume", "ls"]).ok().contains("bad  damaged: "));
    let said = world.sbx(["volume", "inspect", "bad"]).fails(125);
    assert!(said.contains("volume.json") && said.contains("Fix: sbx volume rm bad"), "{said}");
    world.sbx(["volume", "inspect", "good"]).ok();
    world.sbx(["volume", "rm", "bad"]).ok();
    assert_eq!(names(&world, &[]), ["good"]);
}
