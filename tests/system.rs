//! `sbx system df` and `sbx system prune`.

mod common;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use common::World;
use common::fixture::busybox_tar;
use common::terminal::Terminal;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn df(world: &World, args: &[&str]) -> Value {
    let text = world.sbx(["system", "df", "--json"]).args(args).ok();
    serde_json::from_str(&text).expect("JSON")
}

/// What stat(2) says of a tree.
fn on_disk(path: &Path) -> u64 {
    let meta = path.symlink_metadata().unwrap();
    let below: u64 = match meta.is_dir() {
        // overlayfs keeps an empty directory that nobody may read.
        true => path.read_dir().map_or(0, |dir| dir.map(|e| on_disk(&e.unwrap().path())).sum()),
        false => 0,
    };
    meta.blocks() * 512 + below
}

/// Of what is in a directory.
fn inside(path: &Path) -> u64 {
    let entries = path.read_dir().unwrap().map(|e| e.unwrap().path());
    entries.filter(|p| !p.ends_with("mountpoints")).map(|p| on_disk(&p)).sum()
}

fn tar(name: &str, bytes: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, &vec![7; bytes][..]).unwrap();
    tar.into_inner().unwrap()
}

/// `one:1` and `two:1`, which share busybox; `two:1` has a label and 3 MB of its own.
fn two_images(world: &World) {
    let base = busybox_tar();
    world.load_layers("one:1", &[base, &tar("one", 1_000_000)], &json!({}));
    let labels = json!({"Labels": {"keep": "no"}});
    world.load_layers("two:1", &[base, &tar("two", 3_000_000)], &labels);
}

#[test]
fn df_counts_what_is_on_disk_once() {
    let world = World::new();
    for row in df(&world, &[]).as_array().unwrap() {
        assert_eq!((&row["Total"], &row["RawSize"]), (&json!(0), &json!(0)));
    }
    two_images(&world);
    let (blobs, layers) = ("data/sbx/images/blobs/sha256", "data/sbx/layers");
    let all = inside(&world.path(blobs)) + inside(&world.path(layers));
    let sums = df(&world, &[]);
    assert_eq!(sums[0]["Type"], "Images");
    assert_eq!((&sums[0]["Total"], &sums[0]["Active"]), (&json!(2), &json!(0)));
    assert_eq!((&sums[0]["RawSize"], &sums[0]["RawReclaimable"]), (&json!(all), &json!(all)));
    assert!(sums[0]["Reclaimable"].as_str().unwrap().ends_with("(100%)"), "{sums}");

    let images = df(&world, &["-v"])["Images"].clone();
    let of = |tag: &str, field: &str| {
        let list = images.as_array().unwrap();
        let image = list.iter().find(|i| i["Repository"] == format!("localhost/{tag}"));
        image.unwrap()[field].as_u64().unwrap()
    };
    assert_eq!(of("one", "RawSharedSize"), of("two", "RawSharedSize"));
    assert_eq!(
        of("one", "RawSharedSize") + of("one", "RawUniqueSize") + of("two", "RawUniqueSize"),
        all
    );
    // Its blob and its tree.
    assert!(of("two", "RawUniqueSize") > 6_000_000);

    world.sbx(["run", "-v", "data:/data", "one:1", "sh", "-c", "echo >/data/f; echo >/f"]).ok();
    world.sbx(["volume", "create", "spare"]).ok();
    let sums = df(&world, &[]);
    assert_eq!((&sums[0]["Total"], &sums[0]["Active"]), (&json!(2), &json!(1)));
    assert_eq!(sums[0]["RawReclaimable"], of("two", "RawUniqueSize"));
    let containers = inside(&world.path("data/sbx/containers"));
    assert_eq!(sums[1]["RawSize"], containers);
    assert_eq!((&sums[1]["Active"], &sums[1]["RawReclaimable"]), (&json!(0), &json!(containers)));
    assert_eq!((&sums[2]["Total"], &sums[2]["Active"]), (&json!(2), &json!(1)));
    assert_eq!(sums[2]["RawSize"], inside(&world.path("data/sbx/volumes")));
    assert_eq!(sums[2]["RawReclaimable"], on_disk(&world.path("data/sbx/volumes/spare")));
    world.sbx(["rm", "--all"]).ok();
}

#[test]
fn df_is_a_table_or_what_a_template_says() {
    let world = World::new();
    two_images(&world);
    world.sbx(["run", "two:1", "true"]).ok();
    let table = world.sbx(["system", "df"]).ok();
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    assert_eq!(lines[1][..3], ["Images", "2", "1"]);
    assert_eq!(lines[2][..3], ["Containers", "1", "0"]);
    assert_eq!(lines[3][..4], ["Local", "Volumes", "0", "0"]);
    let text = world.sbx(["system", "df", "--format", "{{.Type}}={{.Total}}"]).ok();
    assert_eq!(text, "Images=2\nContainers=1\nLocal Volumes=0");
    let text = world.sbx(["system", "df", "-v"]).ok();
    for part in ["SHARED SIZE", "localhost/two", "exited (0)", "Local volumes:"] {
        assert!(text.contains(part), "{text}");
    }
    world.sbx(["system", "df", "-v", "--format", "x"]).fails(125);
    world.sbx(["rm", "--all"]).ok();
}

fn counts(world: &World) -> [u64; 3] {
    let sums = df(world, &[]);
    [0, 1, 2].map(|i| sums[i]["Total"].as_u64().unwrap())
}

#[test]
fn prune_takes_what_it_is_asked_to_take() {
    let world = World::new();
    two_images(&world);
    world.load_layers("none:1", &[&tar("x", 10)], &json!({}));
    world.sbx(["untag", "none:1"]).ok();
    let script = "echo up; exec sleep 1000";
    let mut running = world.sbx(["run", "-v", "used:/v", "one:1", "sh", "-c", script]).spawn();
    running.until("up");
    world.sbx(["run", "two:1", "true"]).ok();
    world.sbx(["volume", "create", "spare"]).ok();
    assert_eq!(counts(&world), [3, 2, 2]);

    let said = world.sbx(["system", "prune", "-a"]).input("y\n").fails(125);
    assert!(said.contains("Fix: sbx system prune -a -f"), "{said}");
    assert_eq!(counts(&world), [3, 2, 2]);
    let mut terminal = Terminal::open(24, 200);
    let mut answered = |answer: &str| {
        let asking = terminal.spawn(&world, &["system", "prune"]);
        terminal.expect("containers that have ended and all images that have no name? [y/N]");
        terminal.write(answer);
        asking.wait().expect_code(0);
        counts(&world)
    };
    assert_eq!(answered("\n"), [3, 2, 2]);
    assert_eq!(answered("y\n"), [2, 1, 2]);
    let before: u64 =
        [0, 1, 2].map(|i| df(&world, &[])[i]["RawSize"].as_u64().unwrap()).iter().sum();
    let said = world.sbx(["system", "prune", "--all", "--volumes", "--force"]).ok();
    assert!(said.contains("spare\n") && said.contains("Untagged: localhost/two:1"), "{said}");
    let after: u64 =
        [0, 1, 2].map(|i| df(&world, &[])[i]["RawSize"].as_u64().unwrap()).iter().sum();
    let megabytes = (before - after) / 1_000_000;
    assert!(said.contains(&format!("Total reclaimed space: {megabytes}.")), "{said}");
    // What runs keeps its container, its image and its volume.
    assert_eq!(counts(&world), [1, 1, 1]);
    running.signal(Signal::SIGTERM);
    running.wait().expect_code(143);
    world.sbx(["system", "prune", "-a", "--volumes", "-f"]).ok();
    assert_eq!(counts(&world), [0, 0, 0]);
}

#[test]
fn prune_goes_by_labels_and_dates() {
    let world = World::new();
    two_images(&world);
    world.sbx(["run", "one:1", "true"]).ok();
    world.sbx(["volume", "create", "--label", "keep=no", "labelled"]).ok();
    world.sbx(["volume", "create", "other"]).ok();
    let prune = |filter: &str| {
        world.sbx(["system", "prune", "-af", "--volumes", "--filter", filter]).ok();
        counts(&world)
    };
    assert_eq!(prune("until=24h"), [2, 1, 2]);
    assert_eq!(prune("label=keep=yes"), [2, 1, 2]);
    assert_eq!(prune("label=keep"), [1, 1, 1]);
    for filter in ["dangling=true", "until=tomorrow", "until="] {
        let said = world.sbx(["system", "prune", "-f", "--filter", filter]).fails(125);
        assert!(said.contains(filter) && said.contains("Fix:"), "{said}");
    }
    assert_eq!(prune("until=2100-01-01"), [1, 0, 0], "the image says no date");
}
