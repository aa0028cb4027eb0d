//! How pull, push, load, save and import tell how far they have come.

mod common;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use common::fifo::Fifo;
use common::registry::{Options, Registry};
use common::terminal::Terminal;
use common::{World, fixture};

/// Runs with `--progress json`; every line of standard error is JSON, and numbers grow up to the end.
#[track_caller]
fn events(world: &World, args: &[&str]) -> Vec<Value> {
    let said = world.sbx([args, &["--progress", "json"]].concat()).run().expect_code(0).stderr;
    let events: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{args:?}: {line}: {e}")))
        .collect();
    let (mut bytes, mut layers) = (0, 0);
    for event in events.iter().filter(|e| e["bytes"].is_u64()) {
        assert!(event["bytes"].as_u64().unwrap() >= bytes, "{events:?}");
        let now = event["layers"].as_u64().unwrap();
        // One for each.
        assert_eq!(now - layers, u64::from(event["event"] == "layer"), "{events:?}");
        (bytes, layers) = (event["bytes"].as_u64().unwrap(), now);
    }
    events
}

/// The last numbers, which must be those of the end.
#[track_caller]
fn end(events: &[Value]) -> (u64, u64) {
    let last = events.iter().rfind(|e| e["bytes"].is_u64()).expect("numbers");
    assert_eq!(last["bytes"], last["total"], "{events:?}");
    assert_eq!(last["layers"], last["layersTotal"], "{events:?}");
    (last["bytes"].as_u64().unwrap(), last["layers"].as_u64().unwrap())
}

/// Three layers: 20, 30 and 40 blocks.
fn layers() -> Vec<Vec<u8>> {
    [20_usize, 30, 40]
        .map(|blocks| {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(((blocks - 3) * 512) as u64);
            header.set_mode(0o644);
            header.set_cksum();
            let data = vec![1; (blocks - 3) * 512];
            tar.append_data(&mut header, format!("f{blocks}"), &data[..]).unwrap();
            tar.into_inner().unwrap()
        })
        .to_vec()
}

#[test]
fn json_tells_of_every_byte_and_layer() {
    let world = World::new();
    let layers = layers();
    let slices: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let sum: u64 = layers.iter().map(|layer| layer.len() as u64).sum();
    world.load_layers("app", &slices, &json!({}));
    let at = |name: &str| world.path("work").join(name).display().to_string();
    for format in ["docker-archive", "oci-archive", "oci-dir", "docker-dir"] {
        let said = events(&world, &["save", "--format", format, "-o", &at(format), "app"]);
        assert_eq!(end(&said), (sum, 3), "{format}");
    }
    // What the store has already counts as well, and then is not read.
    assert_eq!(end(&events(&world, &["load", "-i", &at("oci-dir")])), (sum, 3));
    world.sbx(["rmi", "app"]).ok();
    assert_eq!(end(&events(&world, &["pull", &format!("oci:{}", at("oci-dir"))])), (sum, 3));

    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/app:1", registry.host);
    let said = events(&world, &["push", "--tls-verify=false", "app", &name]);
    assert_eq!(said[0], json!({"event": "pushing", "image": name}));
    // The configuration is sent, too.
    let (bytes, count) = end(&said);
    assert!(bytes > sum && count == 3, "{said:?}");
    world.sbx(["rmi", "app"]).ok();
    let said = events(&world, &["pull", "--tls-verify=false", &name]);
    assert_eq!(said[0]["event"], "pulling");
    assert_eq!(end(&said), (sum, 3));
}

#[test]
fn json_tells_of_what_is_read_twice_and_of_what_has_no_known_length() {
    let world = World::new();
    let tar = fixture::busybox_tar();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(tar).unwrap();
    let gzip = gzip.finish().unwrap();
    let len = gzip.len() as u64;
    let file = world.file(&gzip);
    let said = events(&world, &["import", file.to_str().unwrap(), "app"]);
    assert_eq!(end(&said), (len, 1));
    let piped = world.sbx(["import", "--progress", "json", "-", "app"]).input(gzip).run();
    let said = piped.expect_code(0).stderr;
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["bytes"], &last["total"], &last["layers"]),
        (&json!(len), &json!(len), &json!(1))
    );
    // A plain tar is made of what is compressed: once for its length.
    let archive = world.path("work").join("out.tar").display().to_string();
    assert_eq!(end(&events(&world, &["save", "-o", &archive, "app"])), (2 * len, 1));
}

#[test]
fn none_is_none_and_quiet_has_no_progress() {
    let world = World::new();
    let layers = layers();
    world.load_layers("app", &[&layers[0]], &json!({}));
    let dir = format!("dir:{}", world.path("work").join("dir").display());
    let push = world.sbx(["push", "--progress", "none", "app", &dir]).run().expect_code(0);
    assert_eq!(push.stderr, format!("sbx: pushing {dir}\n"));
    for verb in [&["pull", &dir][..], &["push", "app", &dir]] {
        let both = [verb, &["--quiet", "--progress", "json"]].concat();
        let said = world.sbx(both).fails(125);
        assert!(said.contains("--quiet") && said.contains("--progress"), "{said}");
    }
}

/// The beginning of an archive arrives, and then nothing more until the file is closed.
fn feed(path: &Path, tar: &[u8]) -> File {
    let mut pipe = File::options().write(true).open(path).expect("open the FIFO");
    pipe.write_all(tar).expect("write to the FIFO");
    pipe
}

#[test]
fn json_comes_while_a_layer_is_slow() {
    let world = World::new();
    let path = world.fresh("fifo");
    let fifo = Fifo::new(&path);
    let tar = fixture::busybox_tar();
    let args = ["import", "--progress", "json", path.to_str().unwrap(), "x"];
    let mut running = world.through_sh("exec \"$0\" \"$@\" 2>&1", &args).spawn();
    let (first, second) = tar.split_at(100_001);
    let mut pipe = feed(&path, first);
    running.until("\"bytes\":100001,");
    pipe.write_all(second).unwrap();
    drop(pipe);
    drop(fifo);
    running.wait().expect_code(0);
}

#[test]
fn slow_a_bar_moves_on_a_terminal_and_goes_with_ctrl_c() {
    let world = World::new();
    let path = world.fresh("fifo");
    let _fifo = Fifo::new(&path);
    let tar = fixture::busybox_tar();
    let mut terminal = Terminal::open(24, 100);
    let running = terminal.spawn(&world, &["import", path.to_str().unwrap(), "x"]);
    let mut pipe = feed(&path, &tar[..1 << 18]);
    let shown = terminal.expect("0 of 1 layers");
    assert!(shown.contains("256.00 KiB") && shown.contains("/s"), "{shown:?}");
    pipe.write_all(&tar[1 << 18..1 << 19]).unwrap();
    terminal.expect("512.00 KiB");
    terminal.write("\x03");
    let finished = running.wait();
    assert_eq!(finished.signal(), Some(2));
    // Its line is erased, and nothing is drawn after that.
    terminal.spawn(&world, &["--version"]).wait().expect_code(0);
    let left = terminal.expect("sbx ");
    let after = left.rsplit("\r\x1b[K").next().unwrap_or(&left);
    assert!(left.contains("\r\x1b[K") && matches!(after, "sbx " | "^Csbx "), "{left:?}");
    // What the killed one left is swept.
    world.image();
}
