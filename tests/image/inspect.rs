//! `sbx inspect` and `sbx history` of images.

use serde_json::{Value, json};

use crate::archive::*;

const LONG: &str = "/bin/sh -c #(nop) COPY file:0123456789abcdef0123456789abcdef in /";

/// An image of two layers and three steps; returns its id and diffIDs.
fn load(place: &Place) -> (String, Vec<String>) {
    let tars = ["a", "b"].map(|name| Tar::default().file(name, name).end());
    let diff_ids = tars.iter().map(|tar| sha256(tar)).collect();
    let mut layout = Layout::new(&tars.map(|tar| (LAYER, tar)));
    layout.config["created"] = "2021-01-02T03:04:05Z".into();
    layout.config["author"] = "somebody".into();
    layout.config["config"] = json!({
        "Env": ["A=1"], "Cmd": ["sh"], "User": "7", "Labels": { "k.x": "v" },
    });
    layout.config["history"] = json!([
        { "created": "2020-01-01T00:00:00Z", "created_by": LONG },
        { "created": "2020-01-02T00:00:00Z", "created_by": "ENV A=1", "empty_layer": true },
        { "created": "2021-01-02T03:04:05Z", "created_by": "two\nlines\u{1b}[1m", "comment": "the last" },
    ]);
    let id = sha256(layout.config.to_string().as_bytes());
    layout.write(&place.path("app"), "app:1");
    place.succeed(&["load", "-i", "app"]);
    (id, diff_ids)
}

#[test]
fn shows_what_is_known_of_an_image() {
    let place = Place::new();
    let (id, diff_ids) = load(&place);
    place.succeed(&["tag", "app:1", "example.com/app:2"]);
    let list: Value = serde_json::from_str(&place.out(&["inspect", "app:1"])).unwrap();
    let image = &list[0];
    let digest = image["Digest"].as_str().unwrap();
    assert!(place.data().join("images/blobs/sha256").join(hex(digest)).exists());
    for (field, value) in [
        ("Id", json!(hex(&id))),
        ("RepoTags", json!(["example.com/app:2", "localhost/app:1"])),
        (
            "RepoDigests",
            json!([format!("example.com/app@{digest}"), format!("localhost/app@{digest}")]),
        ),
        ("Created", json!("2021-01-02T03:04:05Z")),
        ("Author", json!("somebody")),
        ("Architecture", json!("amd64")),
        ("Os", json!("linux")),
        ("RootFS", json!({ "Type": "layers", "Layers": diff_ids })),
        ("Labels", json!({ "k.x": "v" })),
        ("Comment", json!("the last")),
        ("User", json!("7")),
        ("ManifestType", json!(MANIFEST)),
    ] {
        assert_eq!(image[field], value, "{field}");
    }
    assert_eq!(image["Config"]["Env"], json!(["A=1"]));
    assert_eq!(image["History"].as_array().unwrap().len(), 3);
    assert!(image["Size"].as_u64().unwrap() > 2 * 2048);
    assert_eq!(place.out(&["image", "inspect", &hex(&id)[..12]]), place.out(&["inspect", "app:1"]));

    let template = r#"{{.ID}} {{index .Labels "k.x"}} {{range .RootFS.Layers}}{{.}},{{end}}"#;
    let expected = format!("{} v {},\n", hex(&id), diff_ids.join(","));
    assert_eq!(place.out(&["inspect", "-f", template, "app:1"]), expected);
    let escaped = place.out(&["inspect", "--format", "{{.History}}", "app:1"]);
    assert!(!escaped.contains('\u{1b}'), "{escaped:?}");
}

#[test]
fn what_is_missing_does_not_hide_what_is_there() {
    let place = Place::new();
    let (id, _) = load(&place);
    let output = place.run(&["inspect", "nothing", "app:1", "nobody"]);
    assert_eq!(output.status.code(), Some(125));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["Id"]), (1, &json!(hex(&id))));
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err.lines().count(), 2, "{err}");
    assert!(err.contains("nothing") && err.contains("nobody") && err.contains("Fix: "), "{err}");
    let err = place.fail(&["inspect", "--type", "container", "app:1"]);
    assert!(err.contains("container app:1"), "{err}");
    assert!(place.fail(&["inspect", "-f", "{{.Nothing}}", "app:1"]).contains(".Nothing"));
    assert!(place.fail(&["image", "inspect", "none"]).contains("none"));
}

#[test]
fn history_lists_the_steps_newest_first() {
    let place = Place::new();
    let (id, _) = load(&place);
    let table = place.out(&["history", "app:1"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let headings: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(headings, ["ID", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]);
    // What an image says stays in its cell and off the terminal.
    assert!(
        lines[1].starts_with(&hex(&id)[..12]) && lines[1].contains(r"two lines\u{1b}[1m"),
        "{table}"
    );
    assert!(lines[1].ends_with("2.05 kB     the last"), "{table}");
    assert!(
        lines[2].starts_with("<missing>")
            && lines[2].ends_with("ENV A=1                                        0 B"),
        "{table}"
    );
    assert!(lines[3].contains(&format!("{}... ", &LONG[..42])), "{table}");
    assert!(place.out(&["history", "--no-trunc", "app:1"]).contains(LONG));

    assert_eq!(
        place.out(&["history", "-q", "app:1"]),
        format!("{}\n<missing>\n<missing>\n", &hex(&id)[..12])
    );
    assert!(place.out(&["image", "history", "-q", "--no-trunc", "app:1"]).starts_with(&id));
    let list: Value = serde_json::from_str(&place.out(&["history", "--json", "app:1"])).unwrap();
    assert_eq!(list[0]["id"], hex(&id));
    assert_eq!(list[0]["tags"], json!(["localhost/app:1"]));
    assert_eq!(
        list[2],
        json!({
            "id": "<missing>", "created": "2020-01-01T00:00:00Z", "CreatedBy": LONG,
            "size": 2048, "comment": "", "tags": [],
        })
    );
    assert_eq!(list[1]["size"], 0);
    let text = place.out(&["history", "--format", "{{.CreatedAt}} {{.Size}}", "app:1"]);
    assert_eq!(text.lines().nth(1), Some("2020-01-02T00:00:00Z 0 B"));
    assert!(place.fail(&["history", "none"]).contains("none"));
}

#[test]
fn history_of_an_image_that_tells_nothing_lists_its_layers() {
    let place = Place::new();
    let tars = ["a", "b"].map(|name| (LAYER, Tar::default().file(name, name).end()));
    Layout::new(&tars).write(&place.path("app"), "app");
    place.succeed(&["load", "-i", "app"]);
    let sizes = place.out(&["history", "--format", "{{.Size}}{{.CreatedBy}}", "app"]);
    assert_eq!(sizes, "2.05 kB\n2.05 kB\n");
}
