use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().join("sbx");
    let dirs = Dirs {
        data: base.clone(),
        config: base.join("c"),
        cache: base.join("h"),
        runtime: base.join("r"),
    };
    let store = Store::open(&dirs).unwrap();
    (temp, store)
}

/// An image without layers.
fn add(store: &Store, name: Option<&str>, label: &str) -> (Digest, Digest) {
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","author":{label:?},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let (id, size) = store.put(config.as_bytes()).unwrap();
    let config = Descriptor::new(manifest::OCI_CONFIG, id.clone(), size);
    let bytes = serde_json::to_vec(&Manifest::new(config, Vec::new())).unwrap();
    let (digest, size) = store.put(&bytes).unwrap();
    let descriptor = Descriptor::new(manifest::OCI_MANIFEST, digest.clone(), size);
    store.add(descriptor, name).unwrap();
    (digest, id)
}

#[test]
fn finds_by_name_and_by_digest() {
    let (_temp, store) = store();
    let (local, id) = add(&store, Some("localhost/x:latest"), "1");
    let (hub, _) = add(&store, Some("docker.io/library/y:1"), "2");
    for (reference, digest) in [
        ("x", &local),
        ("localhost/x", &local),
        ("x:latest", &local),
        ("y:1", &hub),
        ("docker.io/y:1", &hub),
        (local.as_str(), &local),
        (&local.hex()[..12], &local),
        (&id.hex()[..12], &local),
        (id.as_str(), &local),
        (&format!("x@{local}"), &local),
    ] {
        assert_eq!(store.find(reference).unwrap().digest, *digest, "{reference}");
    }
    for missing in ["y", "x:2", "z", &format!("y@{local}"), "sha256:", "abc", "../x"] {
        assert!(store.find(missing).is_err(), "{missing}");
    }
}

#[test]
fn a_name_moves_and_the_old_image_stays() {
    let (_temp, store) = store();
    let (old, _) = add(&store, Some("localhost/x:latest"), "1");
    let (new, _) = add(&store, Some("localhost/x:latest"), "2");
    assert_eq!(store.find("x").unwrap().digest, new);
    assert_eq!(store.find(old.as_str()).unwrap().name, old.as_str());
    add(&store, None, "2");
    add(&store, None, "1");
    assert_eq!(store.index().unwrap().manifests.len(), 2);
    add(&store, Some("localhost/x:latest"), "1");
    assert_eq!(store.find("x").unwrap().digest, old);
}

#[test]
fn names_what_is_similar() {
    let (_temp, store) = store();
    add(&store, Some("localhost/busybox:latest"), "1");
    let error = store.find("busibox").unwrap_err().to_string();
    assert!(error.contains("there is localhost/busybox:latest"), "{error}");
    assert!(error.contains("sbx load") && error.contains("sbx import"), "{error}");
}

#[test]
fn says_which_index_is_damaged() {
    let (_temp, store) = store();
    std::fs::write(store.images.join("index.json"), "{").unwrap();
    assert!(store.find("x").unwrap_err().to_string().contains("index.json"));
}
