//! `pull`, `push`, `login` and `logout` against Debian's docker-registry on loopback.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use common::registry::{Cutter, Options, PLAIN, Registry, digests, elsewhere};
use common::{World, fixture};

#[test]
fn what_is_pushed_is_pulled_and_run() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/team/app:1.0", registry.host);
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    let other = world.folder();
    let id = elsewhere(&world, &other, &["pull", PLAIN, &name]).ok();
    assert_eq!(id.len(), 64, "{id}");
    assert_eq!(digests(&other), digests(&world.path("data")));
    let run = ["run", "--rm", &name, "stat", "-c", "%u %a", "/home/ana", "/tmp"];
    assert_eq!(elsewhere(&world, &other, &run).ok(), "1000 755\n0 1777");
    // By digest, and the same again: nothing is sent twice.
    let by_digest = format!("{}/team/app@{}", registry.host, digests(&other)[0]);
    elsewhere(&world, &other, &["pull", PLAIN, &by_digest]).ok();
    elsewhere(&world, &other, &["run", "--rm", &by_digest, "true"]).ok();
}

#[test]
fn an_image_that_is_current_is_not_fetched_again() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/app:1", registry.host);
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    let other = world.folder();
    let pull = || elsewhere(&world, &other, &["pull", PLAIN, &name]);
    let id = pull().ok();
    // Without its configuration the registry cannot give the image any more.
    let config = registry.blob(&id);
    let aside = config.with_extension("aside");
    std::fs::rename(&config, &aside).unwrap();
    assert_eq!(pull().ok(), id);
    // What is missing here is fetched, though the registry has nothing new.
    let manifest = digests(&other)[0].strip_prefix("sha256:").unwrap().to_owned();
    let blobs = other.join("sbx/images/blobs/sha256");
    let manifest = std::fs::read_to_string(blobs.join(manifest)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    std::fs::remove_file(blobs.join(layer)).unwrap();
    pull().fails(125);
    std::fs::rename(&aside, &config).unwrap();
    assert_eq!(pull().ok(), id);
    assert!(blobs.join(layer).exists());
    elsewhere(&world, &other, &["system", "check"]).ok();
}

#[test]
fn what_skopeo_pushed_is_pulled_with_its_digest() {
    common::need!("skopeo");
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let target = format!("docker://{}/from/skopeo:x", registry.host);
    let layout =
        format!("oci:{}/sbx/images:localhost/busybox:latest", world.path("data").display());
    skopeo(&world, &["copy", "--dest-tls-verify=false", "--format", "v2s2", &layout, &target]);
    let other = world.folder();
    let name = format!("{}/from/skopeo:x", registry.host);
    elsewhere(&world, &other, &["pull", PLAIN, &name]).ok();
    let said = skopeo(&world, &["inspect", PLAIN, "--format", "{{.Digest}}", &target]);
    assert_eq!(digests(&other), [said.trim()]);
    elsewhere(&world, &other, &["run", "--rm", &name, "true"]).ok();
}

fn skopeo(world: &World, args: &[&str]) -> String {
    let output = Command::new("skopeo")
        .args(args)
        .env("HOME", world.path("home"))
        .env("XDG_RUNTIME_DIR", world.path("run"))
        .output()
        .expect("run skopeo");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_login_is_asked_for_checked_and_shared() {
    common::need!("skopeo");
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options { login: true, ..Options::default() });
    let host = registry.host.as_str();
    let name = format!("{host}/private:1");
    let said = world.sbx(["push", PLAIN, "busybox", &name]).fails(125);
    assert!(said.contains(&format!("Fix: sbx login {host}")), "{said}");

    let login = ["login", PLAIN, "-u", "ana", "--password-stdin", host];
    let said = world.sbx(login).input("wrong\n").fails(125);
    assert!(said.contains(host) && !said.contains("wrong"), "{said}");
    let file = world.path("run/containers/auth.json");
    assert!(!file.exists(), "a wrong login was written down");
    world.sbx(login).input("se:cret\n").ok();
    assert_eq!(world.sbx(["login", "--get-login", host]).ok(), "ana");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    // podman's tools read it.
    skopeo(&world, &["inspect", PLAIN, &format!("docker://{name}")]);

    world.sbx(["logout", host]).ok();
    let said = world.sbx(["pull", PLAIN, &name]).fails(125);
    assert!(said.contains("sbx login"), "{said}");
    world.sbx(["pull", PLAIN, "--creds", "ana:se:cret", &name]).ok();
    // And sbx reads what they write.
    let docker = world.path("home/.docker");
    std::fs::create_dir(&docker).unwrap();
    let auths = format!(r#"{{"auths":{{"{host}":{{"auth":"YW5hOnNlOmNyZXQ="}}}}}}"#);
    std::fs::write(docker.join("config.json"), auths).unwrap();
    world.sbx(["pull", PLAIN, &name]).ok();
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_credential_helper_is_asked() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options { login: true, ..Options::default() });
    let bin = world.folder();
    let helper = bin.join("docker-credential-mine");
    let script = format!(
        "#!/bin/sh\nread -r server; [ \"$1 $server\" = 'get {}' ] && \
         echo '{{\"Username\":\"ana\",\"Secret\":\"se:cret\"}}'\n",
        registry.host
    );
    std::fs::write(&helper, script).unwrap();
    common::world::chmod(&helper, 0o755);
    let file = world.file(format!(r#"{{"credHelpers":{{"{}":"mine"}}}}"#, registry.host));
    let name = format!("{}/x:1", registry.host);
    let path = format!("{}:{}", bin.display(), common::command::PATH);
    let push = ["push", PLAIN, "--authfile", file.to_str().unwrap(), "busybox", &name];
    world.sbx(push).env("PATH", path).ok();
}

#[test]
fn certificates_are_verified() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options { tls: true, ..Options::default() });
    let name = format!("{}/x:1", registry.host);
    let said = world.sbx(["push", "busybox", &name]).fails(125);
    assert!(said.contains("certificate") && said.contains(&registry.host), "{said}");
    assert!(said.contains("certs.d"), "{said}");
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    registry.trust(&world);
    world.sbx(["pull", &name]).ok();
}

#[test]
fn without_tls_only_this_machine_is_trusted() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/x:1", registry.host);
    let said = world.sbx(["push", "busybox", &name]).fails(125);
    assert!(said.contains("TLS") && said.contains("--tls-verify=false"), "{said}");
    let said = world.sbx(["pull", PLAIN, "registry.example/x"]).fails(125);
    assert!(said.contains("not on this machine"), "{said}");
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    world.sbx(["push", PLAIN, "busybox", &format!("{}/x:1", registry.host)]).ok();
    let cutter = Cutter::before(&registry, 2, 300_000);
    let other = world.folder();
    let name = format!("{}/x:1", cutter.host);
    elsewhere(&world, &other, &["pull", PLAIN, &name]).ok();
    assert!(cutter.cuts.load(Ordering::SeqCst) >= 2, "nothing was cut");
    elsewhere(&world, &other, &["run", "--rm", &name, "true"]).ok();
}

#[test]
fn what_is_not_what_its_digest_says_is_refused() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/x:1", registry.host);
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    let layer = largest_blob(&world.path("data"));
    let path = registry.blob(&layer);
    let mut bytes = std::fs::read(&path).expect("the layer in the registry");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let other = world.folder();
    let said = elsewhere(&world, &other, &["pull", PLAIN, &name]).fails(125);
    assert!(said.contains(&layer[..12]), "{said}");
    assert!(!other.join("sbx/images/index.json").exists(), "a damaged image has a name");
    assert_eq!(std::fs::read_dir(other.join("sbx/layers")).unwrap().count(), 0);
}

fn largest_blob(store: &Path) -> String {
    let blobs = std::fs::read_dir(store.join("sbx/images/blobs/sha256")).expect("blobs");
    let largest = blobs.flatten().max_by_key(|b| b.metadata().map_or(0, |m| m.len()));
    largest.expect("a blob").file_name().into_string().expect("a digest")
}

#[test]
fn the_image_for_this_machine_is_taken_from_an_index() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    world.sbx(["push", PLAIN, "busybox", &format!("{}/multi:one", registry.host)]).ok();
    let digest = digests(&world.path("data"))[0].clone();
    let size = std::fs::metadata(registry.blob(&digest[7..])).unwrap().len();
    let entry = |arch: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{arch}"}}}}"#
        )
    };
    for (tag, archs) in [("both", "s390x,amd64"), ("none", "s390x,arm64")] {
        let entries: Vec<String> = archs.split(',').map(entry).collect();
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
            entries.join(",")
        );
        let kind = "application/vnd.oci.image.index.v1+json";
        registry.put(&world, &format!("multi/manifests/{tag}"), kind, &index);
    }
    let other = world.folder();
    let name = |tag: &str| format!("{}/multi:{tag}", registry.host);
    elsewhere(&world, &other, &["pull", PLAIN, &name("both")]).ok();
    assert_eq!(digests(&other), [digest]);
    let said = elsewhere(&world, &other, &["pull", PLAIN, &name("none")]).fails(125);
    assert!(said.contains("linux/amd64") && said.contains("linux/s390x"), "{said}");
}

#[test]
fn what_cannot_be_had_is_named_with_a_remedy() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/there:1", registry.host);
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    let wrong_tag = format!("{}/there:2", registry.host);
    for missing in [wrong_tag, format!("{}/not/there", registry.host)] {
        let said = world.sbx(["pull", PLAIN, &missing]).fails(125);
        assert!(said.contains(&missing) && said.contains("skopeo list-tags"), "{said}");
    }
    let host = registry.host.clone();
    drop(registry);
    let said = world.sbx(["pull", PLAIN, &name]).fails(125);
    assert!(said.contains(&host) && said.contains("refused"), "{said}");
    for bad in ["UPPER/x", "a@sha256:zz", "a:b:c"] {
        let said = world.sbx(["pull", bad]).fails(125);
        assert!(said.contains("Fix: ") || said.contains("digest"), "{said}");
    }
}

#[test]
fn slow_run_takes_in_what_is_in_files() {
    let world = World::new();
    world.image();
    let there = world.folder();
    let at = |name: &str| format!("{}/{name}", there.display());
    let mut all = Vec::new();
    for transport in ["dir", "oci", "oci-archive", "docker-archive"] {
        let file = format!("{transport}:{}", at(transport));
        world.sbx(["push", "-q", "busybox", &file]).ok();
        all.push(file);
    }
    world.sbx(["push", "-q", "busybox", &format!("oci:{}:named", at("oci"))]).ok();
    all[1] = format!("oci:{}:named", at("oci"));
    for file in &all {
        let fresh = world.folder();
        // Always loaded, as with podman, whether the store has it or not.
        for when in ["missing", "newer", "always"] {
            let run = ["run", "--rm", "--pull", when, file, "echo", "ran"];
            let finished = elsewhere(&world, &fresh, &run).run().expect_code(0);
            assert_eq!((finished.text().as_str(), finished.stderr.as_str()), ("ran", ""), "{file}");
        }
        let run = ["run", "--rm", "--pull", "never", file, "true"];
        let said = elsewhere(&world, &fresh, &run).fails(125);
        assert!(said.contains("always loaded"), "{said}");
        assert_eq!(digests(&fresh).len(), 1, "{file}");
    }
    // Which one is meant must be said.
    world.sbx(["tag", "busybox", "other"]).ok();
    world.sbx(["save", "-o", &at("two.tar"), "busybox", "other"]).ok();
    let root = world.file(fixture::busybox_tar());
    world.sbx(["import"]).arg(root).arg("second").env("SOURCE_DATE_EPOCH", "7").ok();
    world.sbx(["save", "-o", &at("two.tar"), "busybox", "second"]).ok();
    let fresh = world.folder();
    let two = format!("docker-archive:{}", at("two.tar"));
    let said = elsewhere(&world, &fresh, &["run", "--rm", &two, "true"]).fails(125);
    assert!(said.contains("several images") && said.contains(":NAME"), "{said}");
    assert!(!fresh.join("sbx/images/index.json").exists(), "something was taken in");
    let named = format!("{two}:localhost/second:latest");
    elsewhere(&world, &fresh, &["run", "--rm", &named, "true"]).ok();
}

#[test]
fn run_pulls_what_is_missing() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/app:1", registry.host);
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    let other = world.folder();
    let text = format!(
        "[registries]\ninsecure = [{0:?}]\ndefault = {0:?}\naliases = {{ short = \"{0}/app\" }}\n",
        registry.host
    );
    world.config(&text);
    let said =
        elsewhere(&world, &other, &["run", "--rm", "--pull", "never", &name, "true"]).fails(125);
    assert!(said.contains("no image in the store"), "{said}");
    // A mistyped name is answered with what is here as well.
    let typo = format!("{}/busybix", registry.host);
    let said = world.sbx(["run", "--rm", &typo, "true"]).fails(125);
    assert!(said.contains("no such image or tag") && said.contains("there is"), "{said}");
    for image in [name.as_str(), "app:1", "short:1"] {
        let fresh = world.folder();
        let run = ["run", "--rm", image, "echo", "ran"];
        let finished = elsewhere(&world, &fresh, &run).run().expect_code(0);
        assert_eq!(finished.text(), "ran");
        assert!(finished.stderr.contains("pulling"), "{finished:?}");
        // The second time it is there.
        let finished = elsewhere(&world, &fresh, &run).run().expect_code(0);
        assert_eq!((finished.text().as_str(), finished.stderr.as_str()), ("ran", ""), "{image}");
    }
    // A tag that moved: only --pull always, or newer, sees that.
    let other_root = world.file(fixture::busybox_tar());
    world.sbx(["import"]).arg(other_root).arg("moved").env("SOURCE_DATE_EPOCH", "7").ok();
    elsewhere(&world, &other, &["pull", &name]).ok();
    let before = digests(&other);
    world.sbx(["push", "moved", &name]).ok();
    elsewhere(&world, &other, &["run", "--rm", &name, "true"]).ok();
    assert_eq!(digests(&other), before);
    elsewhere(&world, &other, &["run", "--rm", "--pull", "newer", &name, "true"]).ok();
    assert_ne!(digests(&other), before);
    drop(registry);
    // newer goes on without the registry, always does not.
    elsewhere(&world, &other, &["run", "--rm", "--pull", "newer", &name, "true"]).ok();
    elsewhere(&world, &other, &["run", "--rm", "--pull", "always", &name, "true"]).fails(125);
}
