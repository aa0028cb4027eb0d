//! `--platform`: images of several platforms, and images of another one than this machine's.

mod common;

use common::fixture::{HOST_ARCHITECTURE as HOST, OTHER_ARCHITECTURE as OTHER, TarFile};
use common::registry::{Options, PLAIN, Registry, digests, elsewhere};
use common::{World, fixture};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An ELF header of another machine: e_machine, elf(5).
fn foreign_program() -> Vec<u8> {
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    header.resize(64, 0);
    let machine: u16 = if OTHER == "arm64" { 183 } else { 62 };
    header[16..18].copy_from_slice(&2u16.to_le_bytes());
    header[18..20].copy_from_slice(&machine.to_le_bytes());
    header
}

/// Puts an image there that calls itself one of this platform; its programs are this machine's, but for
/// one. The value is for an index.
fn push(world: &World, registry: &Registry, place: &str, platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut about = json!({"os": parts.next(), "architecture": parts.next()});
    if let Some(variant) = parts.next() {
        about["variant"] = json!(variant);
    }
    let mut top = TarFile::new();
    top.file("platform", platform.as_bytes(), 0o644, 0);
    top.file("bin/foreign", &foreign_program(), 0o755, 0);
    let layers = [fixture::busybox_tar(), &top.finish()];
    world.load_image("made", &layers, &json!({}), &about);
    let name = format!("{}/{place}", registry.host);
    let file = world.fresh("digest");
    world.sbx(["push", PLAIN, "-q", "made", &name, "--digestfile"]).arg(&file).ok();
    let digest = std::fs::read_to_string(file).unwrap();
    let size = std::fs::metadata(registry.blob(&digest[7..])).unwrap().len();
    json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": about})
}

/// `multi:1` with these, in this order.
fn multi(world: &World, registry: &Registry, platforms: &[&str]) -> String {
    let entry = |p: &&str| push(world, registry, &format!("multi:{}", p.replace('/', "-")), p);
    let entries: Vec<Value> = platforms.iter().map(entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    registry.put(world, "multi/manifests/1", INDEX, &index.to_string());
    format!("{}/multi:1", registry.host)
}

fn insecure(world: &World, registry: &Registry) {
    world.config(&format!("[registries]\ninsecure = [{:?}]\n", registry.host));
}

#[test]
fn slow_the_wanted_platform_is_pulled() {
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    let (host, other) = (format!("linux/{HOST}"), format!("linux/{OTHER}"));
    let name = multi(&world, &registry, &["linux/arm/v6", "linux/arm/v7", &other, &host]);
    let store = world.folder();
    let sbx = |args: &[&str]| elsewhere(&world, &store, args);
    let what = ["run", "--rm", &name, "cat", "/platform"];
    for (wanted, is) in [
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v8", "linux/arm/v7"),
        (&other, &other),
        (&host, &host),
    ] {
        sbx(&["pull", PLAIN, "--platform", wanted, &name]).ok();
        assert_eq!(sbx(&what).ok(), is, "{wanted}");
    }
    sbx(&["pull", PLAIN, "--platform", "linux/arm/v7", &name]).ok();
    // Nobody says anything: this machine's.
    let said = sbx(&["pull", PLAIN, &name]).run().expect_code(0).stderr;
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(sbx(&what).ok(), host);
    // One name, one image; the others stay without it.
    let listed = sbx(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    assert_eq!(listed.lines().filter(|line| *line == name).count(), 1, "{listed}");
    // What there is, where none fits.
    let said = sbx(&["pull", PLAIN, "--platform", "linux/s390x", &name]).fails(125);
    assert!(said.contains("no image for linux/s390x"), "{said}");
    assert!(said.contains("linux/arm/v6") && said.contains(&other), "{said}");
    assert!(said.contains("Fix: sbx pull --platform "), "{said}");
}

#[test]
fn slow_run_takes_the_wanted_platform() {
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    let (host, other) = (format!("linux/{HOST}"), format!("linux/{OTHER}"));
    let name = multi(&world, &registry, &[&other, &host]);
    insecure(&world, &registry);
    let store = world.folder();
    let run = |flags: &[&str]| {
        let sbx = elsewhere(&world, &store, &["run", "--rm"]);
        sbx.args(flags).args([&name, "cat", "/platform"])
    };
    let ran = |flags: &[&str]| {
        let finished = run(flags).run().expect_code(0);
        (finished.text(), finished.stderr)
    };
    for platform in [&other, &host] {
        // Another one in the store is as good as none.
        let (printed, said) = ran(&["--platform", platform]);
        assert_eq!(printed, *platform);
        assert!(said.contains("pulling") && !said.contains("warning"), "{said}");
        assert_eq!(ran(&["--platform", platform]), (platform.clone(), String::new()));
    }
    let said = run(&["--platform", &other, "--pull", "never"]).fails(125);
    assert!(said.contains(&host) && said.contains(&other), "{said}");
    assert!(said.contains(&format!("Fix: sbx pull --platform {other} {name}")), "{said}");
    // What is here is run, and said to be another one.
    elsewhere(&world, &store, &["pull", "--platform", &other, &name]).ok();
    let (printed, said) = ran(&[]);
    assert_eq!(printed, other);
    assert!(said.contains("warning") && said.contains(&host) && said.contains(&other), "{said}");
    let said = elsewhere(&world, &store, &["run", "--rm", &name, "foreign"]).fails(126);
    assert!(said.contains(&format!("the image is for {other}")), "{said}");
    assert!(said.contains(&format!("this machine is {host}")), "{said}");
    // Mending it keeps it what it is.
    let layers = store.join("sbx/images/blobs/sha256");
    let digest = digests(&store).pop().unwrap();
    let manifest = std::fs::read(layers.join(&digest[7..])).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = manifest["layers"][1]["digest"].as_str().unwrap();
    std::fs::write(layers.join(&layer[7..]), "damaged").unwrap();
    elsewhere(&world, &store, &["system", "check", "--repair"]).ok();
    assert_eq!(ran(&["--platform", &other]), (other, String::new()));
}

#[test]
fn an_image_of_another_platform_is_said_to_be_one() {
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    let (host, other) = (format!("linux/{HOST}"), format!("linux/{OTHER}"));
    push(&world, &registry, "plain:1", &other);
    let name = format!("{}/plain:1", registry.host);
    let store = world.folder();
    let sbx = |args: &[&str]| elsewhere(&world, &store, args);
    // There is no index: it is what it is.
    let said = sbx(&["pull", PLAIN, &name]).run().expect_code(0).stderr;
    assert!(said.contains("warning") && said.contains(&other) && said.contains(&host), "{said}");
    sbx(&["pull", PLAIN, "--platform", &other, &name]).ok();
    // Whoever asked for another one gets none.
    let said = sbx(&["pull", PLAIN, "--platform", &host, &name]).fails(125);
    assert!(said.contains(&format!("it is for {other}, not for {host}")), "{said}");
    // A local image has no registry that could have another.
    let said = world.sbx(["run", "--rm", "--platform", &host, "made", "true"]).fails(125);
    assert!(said.contains(&other) && said.contains("Fix: "), "{said}");
}

#[test]
fn a_platform_is_for_images() {
    let world = World::new();
    for bad in ["arm64", "linux/", "windows/amd64", "linux/a/b/c"] {
        let said = world.sbx(["pull", "--platform", bad, "a.example/x"]).fails(125);
        assert!(said.contains(bad) && said.contains(&format!("linux/{HOST}")), "{said}");
    }
    let said = world.sbx(["run", "--platform", "linux/arm64", "--host", "true"]).fails(125);
    assert!(said.contains("--platform") && said.contains("--host"), "{said}");
    let said = world.sbx(["pull", "--platform", "linux/arm64", "oci:dir"]).fails(125);
    assert!(said.contains("a registry's images"), "{said}");
}
