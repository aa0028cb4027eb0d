//! `sbx images`, `sbx tag` and `sbx untag`.

use serde_json::{Value, json};

use crate::archive::*;

/// An image with labels, made at this time.
fn load(place: &Place, name: &str, created: &str, labels: &Value) -> String {
    let mut layout = Layout::new(&[(LAYER, Tar::default().file("f", name).end())]);
    layout.config["created"] = created.into();
    layout.config["config"] = json!({ "Labels": labels });
    let id = sha256(layout.config.to_string().as_bytes());
    layout.write(&place.path(name), name);
    place.succeed(&["load", "-i", name]);
    id
}

/// Names in the order in which they are listed.
fn names(place: &Place, args: &[&str]) -> String {
    let all = [&["images", "--format", "{{.Repository}}:{{.Tag}}"], args].concat();
    place.out(&all).trim_end().replace("localhost/", "").replace('\n', " ")
}

#[test]
fn the_newest_is_listed_first() {
    let place = Place::new();
    let old = load(&place, "old", "2020-01-02T03:04:05.678Z", &json!(null));
    let new = load(&place, "new", "2021-01-02T03:04:05+02:00", &json!({ "k": "v" }));
    let table = place.out(&["images"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert_eq!(lines[1][..3], ["localhost/new", "latest", &hex(&new)[..12]]);
    assert_eq!(lines[2][..3], ["localhost/old", "latest", &hex(&old)[..12]]);
    assert_eq!(lines[1][4..6], ["years", "ago"]);
    assert_eq!(lines.len(), 3);

    assert_eq!(
        place.out(&["images", "-q"]),
        format!("{}\n{}\n", &hex(&new)[..12], &hex(&old)[..12])
    );
    assert_eq!(place.out(&["images", "-q", "--no-trunc", "old"]), format!("{old}\n"));
    assert!(place.out(&["images", "--no-trunc"]).contains(&new));
    let digests = place.out(&["images", "--digests"]);
    let digest = place.out(&["images", "--format", "{{.Digest}}", "new"]);
    assert!(digests.contains("DIGEST") && digests.contains(digest.trim()), "{digests}");

    let list: Value = serde_json::from_str(&place.out(&["images", "--json"])).unwrap();
    assert_eq!(list[0]["Id"], hex(&new));
    assert_eq!(list[0]["RepoTags"], json!(["localhost/new:latest"]));
    assert_eq!(list[0]["RepoDigests"], json!([format!("localhost/new@{}", digest.trim())]));
    assert_eq!(list[0]["Labels"], json!({ "k": "v" }));
    assert_eq!(list[0]["CreatedAt"], "2021-01-02T01:04:05Z");
    assert_eq!(list[1]["Created"], 1_577_934_245);
    assert!(list[0]["Size"].as_u64().unwrap() > 2048);
    assert_eq!(
        list,
        serde_json::from_str::<Value>(&place.out(&["images", "--format", "json"])).unwrap()
    );
}

#[test]
fn images_are_sorted_by_a_field() {
    let place = Place::new();
    let ids = [("b", "2020"), ("c", "2021"), ("a", "2022")]
        .map(|(name, year)| load(&place, name, &format!("{year}-01-01T00:00:00Z"), &json!(null)));
    place.succeed(&["tag", "b", "d:1"]);
    let large = Tar::default().file("f", &"x".repeat(1 << 16)).end();
    Layout::new(&[(LAYER, large)]).write(&place.path("large"), "c:2");
    place.succeed(&["load", "-i", "large"]);
    for (field, expected) in [
        ("created", "a:latest c:latest b:latest d:1 c:2"),
        ("repository", "a:latest b:latest c:latest c:2 d:1"),
        ("tag", "d:1 c:2 a:latest c:latest b:latest"),
        ("size", "a:latest c:latest b:latest d:1 c:2"),
    ] {
        assert_eq!(names(&place, &["--sort", field]), expected, "{field}");
    }
    let mut sorted = ids.to_vec();
    sorted.sort();
    let listed = place.out(&[
        "images",
        "--sort",
        "id",
        "--format",
        "json",
        "--filter",
        "reference=?:latest",
    ]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().map(|i| i["Id"].as_str().unwrap()).collect();
    assert_eq!(listed, sorted.iter().map(|id| hex(id)).collect::<Vec<_>>());
    let said = place.run(&["images", "--sort", "colour"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("repository"));
}

#[test]
fn templates_and_tables() {
    let place = Place::new();
    load(&place, "a", "2020-01-01T00:00:00Z", &json!({ "k": "v" }));
    place.succeed(&["tag", "a", "b:2"]);
    let text = place.out(&[
        "images",
        "--format",
        r#"table {{.Tag}}\t{{.Repository}} {{index .Labels "k"}}"#,
    ]);
    assert_eq!(
        text,
        "TAG         REPOSITORY LABELS\nlatest      localhost/a v\n2           localhost/b v\n"
    );
    let err = place.fail(&["images", "--format", "{{.Nothing}}"]);
    assert!(err.contains(".Nothing") && err.contains("Repository"), "{err}");
    assert!(place.fail(&["images", "--format", "{{template}}"]).contains("template"));
}

#[test]
fn what_an_image_says_does_not_reach_the_terminal() {
    let place = Place::new();
    load(&place, "a", "2020-01-01T00:00:00Z", &json!({ "k": "\u{1b}]0;x\u{7}" }));
    let text = place.out(&["images", "--format", "{{.Labels}}"]);
    assert!(!text.contains('\u{1b}') && text.contains("]0;x"), "{text:?}");
}

#[test]
fn filters() {
    let place = Place::new();
    load(&place, "one", "2020-01-01T00:00:00Z", &json!({ "k": "1" }));
    load(&place, "two", "2021-01-01T00:00:00Z", &json!({ "k": "2", "x": "" }));
    load(&place, "three", "2022-01-01T00:00:00Z", &json!(null));
    place.succeed(&["untag", "three"]);
    for (filters, expected) in [
        (&["reference=t*"][..], "two:latest"),
        (&["reference=one", "reference=two"], "two:latest one:latest"),
        (&["label=k"], "two:latest one:latest"),
        (&["label=k=1"], "one:latest"),
        (&["label=k", "label=x"], "two:latest"),
        (&["dangling=true"], "<none>:<none>"),
        (&["dangling=false"], "two:latest one:latest"),
        (&["before=two"], "one:latest"),
        (&["since=one"], "<none>:<none> two:latest"),
        (&["since=one", "label=x"], "two:latest"),
        (&["until=2021-06-01"], "two:latest one:latest"),
        (&["until=2021-01-01T00:00:00Z"], "one:latest"),
        (&["until=24h", "since=one"], "<none>:<none> two:latest"),
    ] {
        let args: Vec<&str> = filters.iter().flat_map(|f| ["--filter", f]).collect();
        assert_eq!(names(&place, &args), expected, "{filters:?}");
    }
    assert_eq!(names(&place, &["localhost/o*:latest"]), "one:latest");
    assert_eq!(names(&place, &["none"]), "");
    for (filter, word) in [
        ("colour=red", "not known"),
        ("dangling=perhaps", "perhaps"),
        ("until=tomorrow", "tomorrow"),
        ("before=nothing", "nothing"),
        ("label", "no value"),
        ("reference=[a", "[a"),
    ] {
        let err = place.fail(&["images", "--filter", filter]);
        assert!(err.contains(word) && err.contains("Fix: "), "{err}");
    }
}

#[test]
fn an_image_without_a_name_is_shown_unless_another_is_built_on_it() {
    let place = Place::new();
    let base = Tar::default().file("base", "x").end();
    let top = Tar::default().file("top", "x").end();
    Layout::new(&[(LAYER, base.clone())]).write(&place.path("base"), "base");
    place.succeed(&["load", "-i", "base"]);
    place.succeed(&["untag", "base"]);
    assert_eq!(names(&place, &[]), "<none>:<none>");
    Layout::new(&[(LAYER, base), (LAYER, top)]).write(&place.path("top"), "top");
    place.succeed(&["load", "-i", "top"]);
    assert_eq!(names(&place, &[]), "top:latest");
    assert_eq!(names(&place, &["--all"]).split(' ').count(), 2);
}

#[test]
fn a_damaged_image_is_reported_and_the_others_are_listed() {
    let place = Place::new();
    let id = load(&place, "bad", "2020-01-01T00:00:00Z", &json!(null));
    load(&place, "good", "2020-01-01T00:00:00Z", &json!(null));
    std::fs::write(place.data().join("images/blobs/sha256").join(hex(&id)), "{").unwrap();
    let (out, err) = place.succeed(&["images"]);
    assert!(out.contains("localhost/good") && !out.contains("localhost/bad"), "{out}");
    assert!(err.contains("localhost/bad") && err.contains(&id), "{err}");
}

#[test]
fn names_come_and_go() {
    let place = Place::new();
    let first = load(&place, "first", "2021-01-01T00:00:00Z", &json!(null));
    load(&place, "second", "2020-01-01T00:00:00Z", &json!(null));
    place.succeed(&["tag", &hex(&first)[..12], "a", "example.com/b:2", "second"]);
    assert_eq!(names(&place, &["first*"]), "first:latest");
    assert_eq!(
        names(&place, &[]),
        "example.com/b:2 a:latest first:latest second:latest <none>:<none>"
    );
    assert_eq!(
        place.out(&["untag", "first", "a", "example.com/b:2"]),
        "Untagged: localhost/a:latest\nUntagged: example.com/b:2\n"
    );
    assert_eq!(names(&place, &[]), "first:latest second:latest <none>:<none>");
    place.out(&["untag", "second"]);
    assert_eq!(names(&place, &[]), "<none>:<none> <none>:<none>");
    // Both are still there.
    place.succeed(&["tag", first.as_str(), "first"]);

    assert!(place.fail(&["tag", "nothing", "x"]).contains("nothing"));
    assert!(place.fail(&["tag", "first", "Bad"]).contains("Bad"));
    let err = place.fail(&["untag", "first", "other"]);
    assert!(err.contains("other") && err.contains("localhost/first:latest"), "{err}");
    assert_eq!(names(&place, &["first"]), "first:latest");
}
