//! `--explain` and `--timings`.

mod common;

use common::World;

#[test]
fn explain_prints_the_plan_and_runs_nothing() {
    let world = World::new();
    let folder = world.folder();
    let mount = format!("{}:/mnt", folder.display());
    let run = [
        "run",
        "--explain",
        "--host",
        "-v",
        &mount,
        "-e",
        "A=b",
        "--userns",
        "keep-id",
        "--",
        "touch",
        "/mnt/made",
    ];
    let plan = world.sbx(run).ok();
    assert!(!folder.join("made").exists());
    for word in ["--userns", "default", "/mnt", "A=b", "touch"] {
        assert!(plan.contains(word), "{word} is missing in {plan}");
    }
}

#[test]
fn a_value_of_the_configuration_names_its_file() {
    let world = World::new();
    std::fs::create_dir_all(world.path("config/sbx")).unwrap();
    std::fs::write(world.path("config/sbx/config.toml"), "[run]\nuserns = \"keep-id\"\n").unwrap();
    let plan = world.sbx(["run", "--explain", "--host", "--", "true"]).ok();
    assert!(plan.contains("config.toml"), "{plan}");
    // A flag wins over it.
    let run = ["run", "--userns", "host-root", "--host", "--", "id", "-u"];
    assert_eq!(world.sbx(run).ok(), "0");
}

#[test]
fn explain_finds_the_same_errors() {
    let world = World::new();
    let run = ["run", "--explain", "--host", "-v", "/no/such:/mnt", "--", "true"];
    let said = world.sbx(run).fails(125);
    assert!(said.contains("/no/such"), "{said}");
}

#[test]
fn explain_as_json_is_json() {
    let world = World::new();
    let text = world.sbx(["run", "--explain", "--json", "--host", "--", "true"]).ok();
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
}

#[test]
fn timings_go_to_standard_error() {
    let world = World::new();
    let finished =
        world.sbx(["run", "--timings", "--host", "--", "echo", "out"]).run().expect_code(0);
    assert_eq!(finished.text(), "out");
    assert!(finished.stderr.contains("ms"), "{finished:?}");
}
