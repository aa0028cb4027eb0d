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

/// Somebody removes an image between a look into the index and the lock.
#[test]
fn an_image_that_goes_meanwhile_is_not_there() {
    let (_temp, store) = store();
    let (digest, _) = add(&store, Some("localhost/x:latest"), "1");
    let stale = store.index().unwrap().manifests.remove(0);
    let removing = File::open(store.blob(&digest)).unwrap();
    removing.lock().unwrap();
    std::thread::scope(|scope| {
        let lookup = scope.spawn(|| store.find("x"));
        // It waits for the lock now, with the file open; see proc(5), "/proc/locks".
        let inode = format!(":{} ", removing.metadata().unwrap().ino());
        let waits = |line: &str| line.contains("->") && line.contains(&inode);
        while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
            std::thread::yield_now();
        }
        store.remove("x", Force::Use).unwrap();
        std::fs::remove_file(store.blob(&digest)).unwrap();
        removing.unlock().unwrap();
        let error = lookup.join().unwrap().unwrap_err().to_string();
        assert!(error.contains("cannot find image"), "{error}");
    });
    assert!(store.lease(&stale).unwrap().is_none());
}

#[test]
fn an_image_without_its_manifest_is_damaged_and_not_gone() {
    let (_temp, store) = store();
    let (digest, _) = add(&store, Some("localhost/x:latest"), "1");
    std::fs::remove_file(store.blob(&digest)).unwrap();
    let error = store.find("x").unwrap_err().to_string();
    assert!(error.contains(&format!("Fix: sbx rmi -f {digest}")), "{error}");
}
