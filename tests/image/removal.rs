//! `sbx rmi` and `sbx image prune`: what goes, and what stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::archive::*;

/// As many files as each layer has: one that is half removed shows.
const FILES: usize = 40;

fn tar(name: &str) -> Vec<u8> {
    (0..FILES).fold(Tar::default(), |tar, n| tar.file(&format!("{name}{n}"), name)).end()
}

/// Loads an image of these layers, and returns its id.
fn load(place: &Place, name: &str, layers: &[&str]) -> String {
    let gzipped = format!("{LAYER}+gzip");
    let layers: Vec<_> = layers.iter().map(|layer| (gzipped.as_str(), tar(layer))).collect();
    let mut layout = Layout::new(&layers);
    layout.config["author"] = name.into();
    let id = sha256(layout.config.to_string().as_bytes());
    layout.write(&place.path(name), name);
    place.succeed(&["load", "-i", name]);
    id
}

fn names_in(dir: PathBuf) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn blobs(place: &Place) -> BTreeSet<String> {
    names_in(place.data().join("images/blobs/sha256"))
}

fn json_of(place: &Place, digest: &str) -> Value {
    let path = place.data().join("images/blobs/sha256").join(hex(digest));
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|e| panic!("{digest}: {e}"))).unwrap()
}

fn index(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(place.data().join("images/index.json")).unwrap()).unwrap()
}

/// Every image of the index is whole; returns the blobs and layers that they need.
fn check_whole(place: &Place) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut blobs_needed, mut layers_needed) = (BTreeSet::new(), BTreeSet::new());
    let strings = |list: &Value, key: &str| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|v| v[key].as_str().or(v.as_str()).unwrap().to_owned()).collect()
    };
    for digest in strings(&index(place)["manifests"], "digest") {
        let manifest = json_of(place, &digest);
        let config = manifest["config"]["digest"].as_str().unwrap().to_owned();
        for id in strings(&json_of(place, &config)["rootfs"]["diff_ids"], "") {
            layers_needed.insert(hex(&id).to_owned());
        }
        let layers = strings(&manifest["layers"], "digest");
        blobs_needed.extend([digest, config].into_iter().chain(layers).map(|d| hex(&d).to_owned()));
    }
    let missing: Vec<_> = blobs_needed.difference(&blobs(place)).cloned().collect();
    assert!(missing.is_empty(), "missing blobs {missing:?}");
    for layer in &layers_needed {
        let files = listing(&place.data().join("layers").join(layer));
        // With its root.
        assert_eq!(files.len(), FILES + 1, "layer {layer} is incomplete");
    }
    (blobs_needed, layers_needed)
}

/// Nothing is there but what images need.
fn check_swept(place: &Place) {
    let (needed_blobs, needed_layers) = check_whole(place);
    assert_eq!(blobs(place), needed_blobs);
    let mut layers = names_in(place.data().join("layers"));
    layers.remove("mountpoints");
    assert_eq!(layers, needed_layers);
    place.check_clean();
}

#[test]
fn the_last_name_takes_the_image_along_and_shared_layers_stay() {
    let place = Place::new();
    let one = load(&place, "one", &["base", "one"]);
    load(&place, "two", &["base", "two"]);
    place.succeed(&["tag", "one", "other:1"]);
    assert_eq!(place.out(&["rmi", "one"]), "Untagged: localhost/one:latest\n");
    check_swept(&place);
    assert_eq!(place.layers(), 3);
    let expected = format!("Untagged: localhost/other:1\nDeleted: {}\n", hex(&one));
    assert_eq!(place.out(&["rmi", "other:1"]), expected);
    check_swept(&place);
    assert_eq!(place.layers(), 2);
    assert_eq!(place.out(&["images", "--format", "{{.Repository}}"]), "localhost/two\n");
    place.out(&["rmi", "--all"]);
    check_swept(&place);
    assert_eq!((place.layers(), blobs(&place).len()), (0, 0));
    // And it can come back.
    place.succeed(&["load", "-i", "one"]);
    check_swept(&place);
}

#[test]
fn several_names_need_force() {
    let place = Place::new();
    let id = load(&place, "one", &["one"]);
    let short = &hex(&id)[..12];
    place.succeed(&["tag", "one", "two"]);
    let err = place.fail(&["rmi", short]);
    assert!(err.contains("localhost/one:latest and localhost/two:latest"), "{err}");
    assert!(err.contains("Fix: sbx rmi -f"), "{err}");
    check_swept(&place);
    let expected = format!(
        "Untagged: localhost/one:latest\nUntagged: localhost/two:latest\nDeleted: {}\n",
        hex(&id)
    );
    assert_eq!(place.out(&["rmi", "-f", short]), expected);
    check_swept(&place);
    assert_eq!(place.layers(), 0);
}

#[test]
fn an_image_that_is_not_there_does_not_keep_the_others() {
    let place = Place::new();
    load(&place, "one", &["one"]);
    let err = place.fail(&["rmi", "nothing", "one"]);
    assert!(err.contains("nothing"), "{err}");
    assert_eq!(place.layers(), 0);
    assert_eq!(place.out(&["rmi", "--force", "nothing"]), "");
}

#[test]
fn prune_takes_what_has_no_name_and_with_all_the_rest() {
    let place = Place::new();
    load(&place, "named", &["named"]);
    let id = load(&place, "unnamed", &["unnamed"]);
    place.succeed(&["untag", "unnamed"]);
    let err = place.fail(&["image", "prune"]);
    assert!(err.contains("Fix: sbx image prune --force"), "{err}");
    assert_eq!(place.layers(), 2);
    assert_eq!(place.out(&["image", "prune", "-f"]), format!("Deleted: {}\n", hex(&id)));
    check_swept(&place);
    assert_eq!(place.layers(), 1);
    let mut child =
        place.command(&["image", "prune", "--all"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"y\n").unwrap();
    assert!(child.wait().unwrap().success());
    check_swept(&place);
    assert_eq!(place.layers(), 0);
}

#[test]
fn files_of_subordinate_ids_go() {
    let place = Place::new();
    let closed = Head { flag: b'5', mode: 0, uid: 7, gid: 7, ..Head::default() };
    let root = Head { flag: b'5', mode: 0o555, uid: 9, gid: 9, ..Head::default() };
    let tar = Tar::default()
        .entry("./", &root, b"")
        .entry("closed", &closed, b"")
        .file("closed/f", "x")
        .end();
    place.import(&tar);
    place.out(&["rmi", "x"]);
    check_swept(&place);
    assert_eq!(place.layers(), 0);
}

#[test]
fn what_a_killed_run_left_goes_with_the_next() {
    let place = Place::new();
    load(&place, "one", &["one"]);
    load(&place, "two", &["two"]);
    let data = place.data();
    let digits = "0".repeat(64);
    fs::write(data.join("images/blobs/sha256").join(&digits), "x").unwrap();
    fs::create_dir_all(data.join("layers").join(&digits).join("sub")).unwrap();
    fs::write(data.join("layers").join(format!("{digits}.opaque")), "").unwrap();
    fs::create_dir_all(data.join("layers").join(format!("{digits}.gone-0")).join("sub")).unwrap();
    fs::create_dir_all(data.join("tmp/work-1-1/tree")).unwrap();
    place.out(&["rmi", "one"]);
    check_swept(&place);
    assert_eq!(place.layers(), 1);
}

/// Whatever moment it is killed at, what is in the index is whole, and the next run finishes the work.
#[test]
fn slow_a_removal_may_be_killed_at_any_moment() {
    let place = Place::new();
    let layers = ["base", "a", "b", "c", "d", "e", "f"];
    let mut killed = 0;
    for round in 0..120_u32 {
        load(&place, "keep", &["base", "keep"]);
        load(&place, "go", &layers);
        let mut child = place.command(&["rmi", "go"]).spawn().unwrap();
        let start = std::time::Instant::now();
        // As long as a removal takes, in steps.
        while start.elapsed() < std::time::Duration::from_micros(u64::from(round) * 150) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal().is_some());
        check_whole(&place);
        // What is half removed is not taken for the layer.
        load(&place, "go", &layers);
        check_whole(&place);
        place.succeed(&["rmi", "-f", "go"]);
        check_swept(&place);
    }
    assert!(killed > 20, "only {killed} were killed in time");
}

#[test]
fn during_an_import_the_space_is_freed_at_its_end() {
    let place = Place::new();
    load(&place, "one", &["one"]);
    let mut import = place.command(&["import", "-", "new"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = import.stdin.take().unwrap();
    let begun =
        (0..FILES).fold(Tar::default(), |tar, n| tar.file(&format!("f{n}"), &"x".repeat(1 << 15)));
    // More than its pipe and buffers hold: when they are taken, it is at work.
    stdin.write_all(&begun.0).unwrap();
    stdin.write_all(&begun.0).unwrap();
    let (_, err) = place.succeed(&["rmi", "one"]);
    assert!(err.contains("when the load or import"), "{err}");
    check_whole(&place);
    assert!(place.layers() >= 1);
    stdin.write_all(&[0; 1024]).unwrap();
    drop(stdin);
    assert!(import.wait_with_output().unwrap().status.success());
    check_swept(&place);
    assert_eq!(place.layers(), 1);
}

#[test]
fn slow_loads_and_removals_at_once_leave_whole_images() {
    let place = Place::new();
    load(&place, "one", &["base", "one"]);
    load(&place, "two", &["base", "two"]);
    for _ in 0..40 {
        let children: Vec<_> = [
            &["load", "-i", "one"][..],
            &["rmi", "-f", "one"],
            &["load", "-i", "two"],
            &["rmi", "-f", "two", "one"],
        ]
        .into_iter()
        .map(|args| place.command(args).spawn().unwrap())
        .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{err}");
        }
        check_whole(&place);
    }
    place.succeed(&["image", "prune", "-f"]);
    check_swept(&place);
}

/// As `skopeo copy --all` leaves them.
#[test]
fn images_of_several_platforms_keep_their_parts() {
    let place = Place::new();
    load(&place, "one", &["one"]);
    load(&place, "two", &["two"]);
    let mut all = index(&place);
    let nested =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [all["manifests"][0]] });
    let nested = nested.to_string().into_bytes();
    fs::write(place.data().join("images/blobs/sha256").join(hex(&sha256(&nested))), &nested)
        .unwrap();
    all["manifests"][0] = json!({
        "mediaType": INDEX, "digest": sha256(&nested), "size": nested.len(),
        "annotations": { "org.opencontainers.image.ref.name": "several" },
    });
    fs::write(place.data().join("images/index.json"), all.to_string()).unwrap();
    place.out(&["rmi", "two"]);
    assert_eq!(blobs(&place).len(), 4);
    assert_eq!(place.layers(), 1);
    place.out(&["rmi", "several"]);
    assert_eq!((blobs(&place).len(), place.layers()), (0, 0));
}

#[test]
fn what_cannot_be_read_is_not_guessed_about() {
    let place = Place::new();
    load(&place, "one", &["one"]);
    load(&place, "two", &["two"]);
    let digest = index(&place)["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let path = place.data().join("images/blobs/sha256").join(hex(&digest));
    fs::write(&path, "{").unwrap();
    let before = (blobs(&place), place.layers());
    let err = place.fail(&["rmi", "two"]);
    assert!(err.contains(&format!("Fix: sbx rmi -f {digest}")), "{err}");
    assert_eq!((blobs(&place), place.layers()), before);
    // What the fix says.
    place.succeed(&["rmi", "-f", &digest]);
    assert_eq!((blobs(&place).len(), place.layers()), (0, 0));
}

#[test]
fn on_a_full_disk_leftovers_make_room() {
    let place = Place::new();
    load(&place, "one", &["one"]);
    let script = r#"
        set -e
        mount -t tmpfs -o size=4m none "$HOME/data"
        "$0" load -i one >/dev/null
        blobs="$HOME/data/sbx/images/blobs/sha256"
        fill() { dd if=/dev/zero of="$1" bs=4k 2>/dev/null || :; : >"$2" && echo x 2>/dev/null >"$2" && exit 99 || :; }
        fill "$HOME/data/fill" "$HOME/data/probe"
        "$0" rmi one && exit 98
        rm "$HOME/data/fill"
        fill "$blobs/0000000000000000000000000000000000000000000000000000000000000000" "$HOME/data/probe"
        "$0" rmi one
        echo freed >"$HOME/data/probe"
        ls "$blobs"
    "#;
    let mut command = inside("unshare");
    let sbx = place.command(&[]).get_program().to_owned();
    let output = command
        .args(["--mount", "sh", "-c", script])
        .arg(sbx)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", place.path(""))
        .env("XDG_DATA_HOME", place.path("data"))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(err.contains("no space left on device. Fix: free some space"), "{err}");
    assert!(
        out.starts_with("Untagged: localhost/one:latest\nDeleted: ") && out.lines().count() == 2,
        "{out}"
    );
}
