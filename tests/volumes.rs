//! `sbx volume`: made, listed, shown and removed.

mod common;

use common::World;
use common::fixture::TarFile;
use common::terminal::Terminal;
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
    let mut terminal = Terminal::open(24, 80);
    let asked = |terminal: &mut Terminal, answer| {
        let running = terminal.spawn(&world, &["volume", "prune"]);
        terminal.expect("Remove data,");
        terminal.write(answer);
        running.wait().expect_code(0);
        names(&world, &[])
    };
    assert_eq!(asked(&mut terminal, "\n"), ["data"]);
    assert_eq!(asked(&mut terminal, "n\n"), ["data"]);
    assert_eq!(asked(&mut terminal, "y\n"), [""; 0]);
    world.sbx(["volume", "create", "data"]).ok();
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

#[test]
fn what_is_exported_can_be_imported() {
    let world = World::new();
    let mut tar = TarFile::new();
    tar.dir("seed", 0o2750, 33);
    tar.dir("seed/sub", 0o700, 1000);
    let long = format!("seed/sub/{}", "x".repeat(90));
    tar.file(&long, b"deep\n", 0o600, 1000);
    tar.file("seed/.wh.kept", b"a volume has no whiteouts\n", 0o644, 7);
    tar.file("seed/a", b"a\n", 0o4711, 33);
    tar.add("seed/b", tar::EntryType::Link, Some("seed/a"), &[], 0o644, 33);
    tar.link("seed/link", "/nowhere");
    tar.add("seed/fifo", tar::EntryType::Fifo, None, &[], 0o620, 5);
    let file = world.file(tar.finish());
    world.sbx(["volume", "create", "one"]).ok();
    world.sbx(["volume", "import", "one"]).arg(&file).ok();
    let list = "cd /v && find . | sort | while read -r f; do stat -c '%n %a %u:%g %Y %F' $f; done; \
                find . ! -type d | sort | xargs stat -c '%n %h'; find . -type f | sort | xargs cat";
    let mount = |name: &str| format!("{name}:/v:nocopy");
    let shown = |name: &str| world.image_sh(&["-v", &mount(name)], list).ok();
    let one = shown("one");
    for word in ["seed 2750 33:33", ".wh.kept 644 7:7", "a 4711 33:33", "b 2\n", "deep", "fifo"] {
        assert!(one.contains(word), "{word} is not in {one}");
    }

    // To a file, and from standard output to standard input; what is there already stays.
    let copy = world.fresh("copy");
    world.sbx(["volume", "export", "one", "-o", copy.to_str().unwrap()]).ok();
    let bytes = world.sbx(["volume", "export", "one"]).run().expect_code(0).stdout;
    assert_eq!(bytes, std::fs::read(&copy).unwrap());
    world.sbx(["volume", "create", "two"]).ok();
    world.sbx(["volume", "import", "two", "-"]).input(bytes).ok();
    assert_eq!(shown("two"), one);
    // The directory itself may belong to a subordinate id, and be closed to others.
    world
        .image_sh(&["-v", &mount("two")], "rm -r /v/seed; touch /v/mine; chown 9 /v; chmod 700 /v")
        .ok();
    let mut tar = TarFile::new();
    tar.file("more", b"more\n", 0o644, 0);
    world.sbx(["volume", "import", "two", "-"]).input(tar.finish()).ok();
    assert_eq!(world.image_sh(&["-v", &mount("two")], "ls /v").ok(), "mine\nmore");
    assert!(world.sbx(["volume", "export", "two"]).run().expect_code(0).stdout.len() > 1024);
    world.sbx(["volume", "rm", "-a"]).ok();
}

#[test]
fn what_cannot_be_imported_or_exported_is_refused() {
    let world = World::new();
    let mut tar = TarFile::new();
    tar.file("x", b"x", 0o644, 0);
    let tar = tar.finish();
    let said = world.sbx(["volume", "import", "missing", "-"]).input(tar.clone()).fails(125);
    assert!(said.contains("no such volume") && said.contains("Fix:"), "{said}");
    let said = world.sbx(["volume", "export", "missing"]).fails(125);
    assert!(said.contains("no such volume") && said.contains("Fix:"), "{said}");
    world.sbx(["volume", "create", "data"]).ok();
    let said = world.sbx(["volume", "import", "data", "/no/such.tar"]).fails(125);
    assert!(said.contains("/no/such.tar"), "{said}");
    for bad in [&tar[..700], b"not a tar at all, however long it is".as_slice()] {
        world.sbx(["volume", "import", "data", "-"]).input(bad).fails(125);
    }
    let mut tar = TarFile::new();
    tar.file("../escaped", b"x", 0o644, 0);
    world.sbx(["volume", "import", "data", "-"]).input(tar.finish()).fails(125);
    assert!(!world.path("data/sbx/volumes/data/escaped").exists());
    let mut terminal = Terminal::open(24, 80);
    let running = terminal.spawn(&world, &["volume", "export", "data"]);
    terminal.expect("Fix: sbx volume export data -o data.tar");
    running.wait().expect_code(125);
}
