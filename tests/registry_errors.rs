//! What a registry, or a store, may have that cannot be used: each with where, what, and a remedy.

mod common;

use common::registry::{Certificate, Options, PLAIN, Registry};
use common::scripted::{Answer, Scripted};
use common::{World, fixture};
use serde_json::json;
use sha2::{Digest as _, Sha256};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The last line, with the registry, the reference and a remedy in it.
#[track_caller]
fn explained<'s>(said: &'s str, host: &str, name: &str) -> &'s str {
    let line = said.lines().last().unwrap_or_default();
    assert!(line.contains(host) && line.contains(name) && line.contains("Fix: "), "{said}");
    line
}

fn shows(world: &World, certificate: Certificate) -> (Registry, String) {
    let options = Options { tls: true, certificate, ..Options::default() };
    let registry = Registry::start(world, &options);
    let name = format!("{}/x:1", registry.host);
    (registry, name)
}

#[test]
fn a_certificate_of_an_unknown_authority() {
    let world = World::new();
    let (registry, name) = shows(&world, Certificate::Good);
    let said = world.sbx(["pull", &name]).fails(125);
    let said = explained(&said, &registry.host, &name);
    assert!(said.contains("UnknownIssuer") && said.contains("certs.d"), "{said}");
}

#[test]
fn a_certificate_that_has_expired() {
    let world = World::new();
    let (registry, name) = shows(&world, Certificate::Expired);
    registry.trust(&world);
    let said = world.sbx(["pull", &name]).fails(125);
    let said = explained(&said, &registry.host, &name);
    assert!(said.contains("expired") && said.contains("renew"), "{said}");
}

#[test]
fn a_certificate_for_another_name() {
    let world = World::new();
    let (registry, name) = shows(&world, Certificate::OtherName);
    registry.trust(&world);
    let said = world.sbx(["pull", &name]).fails(125);
    let said = explained(&said, &registry.host, &name);
    assert!(said.contains("other.example") && said.contains("subjectAltName"), "{said}");
}

/// `openssl req -x509` makes an authority, and what many take for a server's certificate.
#[test]
fn a_certificate_of_an_authority_itself() {
    let world = World::new();
    for trusted in [false, true] {
        let (registry, name) = shows(&world, Certificate::Authority);
        if trusted {
            registry.trust(&world);
        }
        let said = world.sbx(["pull", &name]).fails(125);
        let said = explained(&said, &registry.host, &name);
        assert!(said.contains("CA:TRUE"), "{said}");
        assert!(said.contains("-addext basicConstraints=critical,CA:FALSE"), "{said}");
    }
    // The remedy is one.
    world.image();
    let (registry, name) = shows(&world, Certificate::SelfSigned);
    registry.trust(&world);
    world.sbx(["push", "busybox", &name]).ok();
    world.sbx(["pull", &name]).ok();
}

#[test]
fn a_manifest_that_is_not_known() {
    let world = World::new();
    let layers = json!({"architecture": fixture::HOST_ARCHITECTURE, "os": "linux",
                        "rootfs": {"type": "layers", "diff_ids": [DIGEST]}});
    let layers = layers.to_string();
    let digest = format!("sha256:{}", common::tree::hex(&Sha256::digest(&layers)));
    let config = |kind: &str| json!({"mediaType": kind, "digest": digest, "size": layers.len()});
    let kind = "application/vnd.oci.image.manifest.v1+json";
    for (manifest, why) in [
        (
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v9+json"}),
            "v9",
        ),
        (json!({"schemaVersion": 3, "mediaType": kind}), "schemaVersion is 3"),
        (json!({"schemaVersion": 1, "name": "x", "fsLayers": []}), "schemaVersion is 1"),
        (
            json!({"schemaVersion": 2, "mediaType": kind, "layers": [],
                   "config": config("application/vnd.cncf.helm.config.v1+json")}),
            "no container image",
        ),
        (
            json!({"schemaVersion": 2, "mediaType": kind, "config": config(CONFIG),
                   "layers": [{"mediaType": "application/vnd.oci.image.layer.v9.tar+br",
                               "digest": DIGEST, "size": 2}]}),
            "v9.tar+br",
        ),
        (
            json!({"schemaVersion": 2, "mediaType": kind, "layers": [],
                   "config": {"mediaType": CONFIG, "digest": digest, "size": 2}}),
            "longer than the 2 bytes",
        ),
    ] {
        let layers = layers.clone();
        let server = Scripted::start(move |request| {
            if request.path.contains("/manifests/") {
                return Answer::new(200).body(manifest.to_string());
            }
            Answer::new(200).body(layers.clone())
        });
        let name = format!("{}/x:1", server.host);
        let said = world.sbx(["pull", PLAIN, &name]).fails(125);
        let said = explained(&said, &server.host, &name);
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn a_registry_that_wants_a_login() {
    let world = World::new();
    let registry = Registry::start(&world, &Options { login: true, ..Options::default() });
    let name = format!("{}/x:1", registry.host);
    for creds in [&[][..], &["--creds", "ana:wrong"]] {
        let said = world.sbx(["pull", PLAIN]).args(creds).arg(&name).fails(125);
        let said = explained(&said, &registry.host, &name);
        assert!(said.contains(&format!("sbx login {}", registry.host)), "{said}");
    }
}

#[test]
fn a_registry_that_is_down_or_lacks_it() {
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    let (host, name) = (registry.host.clone(), format!("{}/x:1", registry.host));
    let said = world.sbx(["pull", PLAIN, &name]).fails(125);
    explained(&said, &host, &name);
    drop(registry);
    for flags in [&[][..], &[PLAIN]] {
        let said = world.sbx(["pull"]).args(flags).arg(&name).fails(125);
        assert!(explained(&said, &host, &name).contains("refused"), "{said}");
    }
}

#[test]
fn slow_a_damaged_index_of_the_store() {
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    let name = format!("{}/x:1", registry.host);
    world.image();
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    world.sbx(["pull", PLAIN, &name]).ok();
    let index = world.path("data/sbx/images/index.json");
    for damage in ["", "{", "[]", "{\"schemaVersion\":2,\"manifests\":[{}]}"] {
        std::fs::write(&index, damage).unwrap();
        for args in [&["pull", PLAIN, &name][..], &["run", &name, "true"], &["images"]] {
            let said = world.sbx(args).fails(125);
            assert!(said.contains(index.to_str().unwrap()), "{said}");
            assert!(said.contains(&format!("Fix: mv {} ", index.display())), "{said}");
        }
        // The remedy is one.
        std::fs::rename(&index, index.with_extension("damaged")).unwrap();
        world.sbx(["pull", PLAIN, &name]).ok();
        world.sbx(["run", "--rm", &name, "true"]).ok();
    }
}
