//! Registries that want more than they are owed: logins for other hosts, requests without TLS.

mod common;

use std::path::Path;

use common::World;
use common::registry::{Options, PLAIN, Registry, digests, elsewhere};
use common::scripted::{Answer, Request, Scripted};
use common::tokens::BASIC;
use serde_json::{Value, json};

/// Wants a token of `realm`, and has nothing.
fn wants_token(realm: String) -> Scripted {
    Scripted::start(move |request| match request.authorization() {
        Some("Bearer the-token") => Answer::new(404),
        _ => {
            let challenge = format!("Bearer realm=\"{realm}\",service=\"here\"");
            Answer::new(401).header("WWW-Authenticate", &challenge)
        }
    })
}

fn gives_token() -> Scripted {
    Scripted::start(|_| Answer::new(200).body(r#"{"token":"the-token"}"#))
}

fn has_login(server: &Scripted) -> bool {
    server.seen().iter().any(|request| request.authorization().is_some_and(|a| a.contains("Basic")))
}

#[test]
fn a_login_is_not_sent_to_a_realm_elsewhere() {
    let world = World::new();
    let thief = gives_token();
    let registry = wants_token(format!("http://{}/token", thief.host));
    let name = format!("{}/x:1", registry.host);
    let login = ["pull", PLAIN, "--creds", "ana:se:cret", &name];
    let said = world.sbx(login).fails(125);
    assert!(said.contains(&registry.host) && said.contains(&thief.host), "{said}");
    assert!(said.contains("another host") && said.contains("registries.realms"), "{said}");
    assert!(thief.seen().is_empty() && !has_login(&registry), "the login was sent");
    // Nor is what auth.json has.
    let auth = json!({"auths": {&registry.host: {"auth": "YW5hOnNlOmNyZXQ="}}});
    let file = world.file(auth.to_string());
    world.sbx(["pull", PLAIN, "--authfile"]).arg(file).arg(&name).fails(125);
    assert!(thief.seen().is_empty() && !has_login(&registry), "the login was sent");

    // Without a login there is nothing to lose: an anonymous token.
    let said = world.sbx(["pull", PLAIN, &name]).fails(125);
    assert!(said.contains("no such image"), "{said}");
    let asked = thief.seen();
    assert!(asked[0].path.contains("scope=repository%3Ax%3Apull"), "{asked:?}");
    assert!(asked[0].path.contains("service=here"), "{asked:?}");
    assert!(!has_login(&thief));

    // A realm that the user has named gets it, in a query for just this.
    world.config(&format!("[registries.realms]\n{:?} = [{:?}]\n", registry.host, thief.host));
    let said = world.sbx(login).fails(125);
    assert!(said.contains("no such image"), "{said}");
    assert_eq!(thief.seen().last().unwrap().authorization(), Some(BASIC));
    assert!(!has_login(&registry), "the registry got the login as well");
}

#[test]
fn a_realm_has_to_be_reached_over_tls() {
    let world = World::new();
    for realm in ["http://auth.example/token", "file:///etc/passwd", "no url"] {
        let registry = wants_token(realm.to_owned());
        let name = format!("{}/x:1", registry.host);
        let said = world.sbx(["pull", PLAIN, "--creds", "ana:se:cret", &name]).fails(125);
        assert!(said.contains(realm) && said.contains(&registry.host), "{said}");
        // An anonymous one neither: the answer would be somebody else's.
        world.sbx(["pull", PLAIN, &name]).fails(125);
        assert!(!has_login(&registry));
    }
}

#[test]
fn a_realm_does_not_pass_the_login_on() {
    let world = World::new();
    let thief = gives_token();
    let to = format!("http://{}/token", thief.host);
    // On loopback a realm at the registry's own port is the registry's.
    let registry = Scripted::start(move |request| {
        if request.path.starts_with("/token") {
            return Answer::new(307).header("Location", &to);
        }
        let realm = format!("http://{}/token", request.header("host").unwrap());
        Answer::new(401).header("WWW-Authenticate", &format!("Bearer realm=\"{realm}\""))
    });
    let name = format!("{}/x:1", registry.host);
    let said = world.sbx(["pull", PLAIN, "--creds", "ana:se:cret", &name]).fails(125);
    assert!(said.contains("token") && said.contains("307"), "{said}");
    assert!(has_login(&registry) && thief.seen().is_empty());
}

/// What is in a registry's store, over HTTP and from another host.
fn serves_files(store: &Path) -> Scripted {
    let store = store.to_owned();
    Scripted::start(move |request| {
        let path = request.path.split('?').next().unwrap_or_default().trim_start_matches('/');
        match std::fs::read(store.join(path)) {
            Ok(bytes) => Answer::new(200).body(bytes),
            Err(_) => Answer::new(404),
        }
    })
}

/// A registry that sends whoever wants a blob to another server.
fn redirecting(world: &World, options: &Options) -> (Registry, Scripted, String) {
    let registry = Registry::start(world, options);
    let name = format!("{}/x:1", registry.host);
    world.sbx(["push", PLAIN, "--creds", "ana:se:cret", "busybox", &name]).ok();
    let files = serves_files(&registry.store());
    let redirect = Some(format!("http://{}/", files.host));
    let registry = registry.again(&Options { redirect, ..options.clone() });
    let name = format!("{}/x:1", registry.host);
    (registry, files, name)
}

#[test]
fn a_redirect_takes_no_login_along() {
    let world = World::new();
    world.image();
    let options = Options { login: true, ..Options::default() };
    let (_registry, files, name) = redirecting(&world, &options);
    let other = world.folder();
    elsewhere(&world, &other, &["pull", PLAIN, "--creds", "ana:se:cret", &name]).ok();
    let asked = files.seen();
    assert!(!asked.is_empty(), "no blob was redirected");
    assert!(asked.iter().all(|request| request.authorization().is_none()), "{asked:?}");
    elsewhere(&world, &other, &["run", "--rm", &name, "true"]).ok();
}

#[test]
fn a_redirect_does_not_lead_out_of_tls() {
    let world = World::new();
    world.image();
    let options = Options { tls: true, ..Options::default() };
    let (registry, files, name) = redirecting(&world, &options);
    registry.trust(&world);
    for no_proxy in ["", "localhost", "*"] {
        let other = world.folder();
        let pull = elsewhere(&world, &other, &["pull", &name]).env("NO_PROXY", no_proxy);
        let said = pull.fails(125);
        assert!(said.contains("without TLS") && said.contains(&registry.host), "{said}");
    }
    assert!(files.seen().is_empty(), "it was asked without TLS");
}

#[test]
fn an_upload_elsewhere_takes_no_login_along() {
    let world = World::new();
    world.image();
    let storage = Scripted::start(|request| {
        let next = format!("http://{}/upload", request.header("host").unwrap());
        let status = if request.method == "PATCH" { 202 } else { 201 };
        Answer::new(status).header("Location", &next)
    });
    let upload = format!("http://{}/upload", storage.host);
    let registry =
        Scripted::start(move |request| match (request.authorization(), &*request.method) {
            (None, _) => Answer::new(401).header("WWW-Authenticate", "Basic realm=\"x\""),
            (_, "POST") => Answer::new(202).header("Location", &upload),
            (_, "PUT") => Answer::new(201).header("Location", &request.path),
            _ => Answer::new(404),
        });
    let name = format!("{}/x:1", registry.host);
    world.sbx(["push", PLAIN, "--creds", "ana:se:cret", "busybox", &name]).ok();
    let sent = |request: &&Request| request.method == "PATCH";
    let asked = storage.seen();
    assert!(asked.iter().any(|request| sent(&request)), "nothing was uploaded");
    assert!(asked.iter().all(|request| request.authorization().is_none()), "{asked:?}");
    assert!(has_login(&registry));
}

#[test]
fn the_urls_of_a_layer_are_not_followed() {
    let world = World::new();
    world.image();
    let registry = Registry::start(&world, &Options { login: false, ..Options::default() });
    let name = |tag: &str| format!("{}/x:{tag}", registry.host);
    world.sbx(["push", PLAIN, "busybox", &name("1")]).ok();
    let elsewhere_too = Scripted::start(|_| Answer::new(200));
    let digest = digests(&world.path("data"))[0].clone();
    let bytes = std::fs::read(registry.blob(&digest[7..])).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    for (tag, nondistributable, gone) in
        [("urls", false, false), ("gone", false, true), ("foreign", true, false)]
    {
        let mut manifest = manifest.clone();
        let layer = &mut manifest["layers"][0];
        layer["urls"] = json!([format!("http://{}/layer", elsewhere_too.host)]);
        if nondistributable {
            layer["mediaType"] =
                json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
        }
        let blob = registry.blob(&layer["digest"].as_str().unwrap()[7..]);
        registry.put(&world, &format!("x/manifests/{tag}"), kind, &manifest.to_string());
        if gone {
            std::fs::rename(&blob, blob.with_extension("away")).unwrap();
        }
        let other = world.folder();
        let pull =
            elsewhere(&world, &other, &["pull", PLAIN, "--creds", "ana:se:cret", &name(tag)]);
        if gone || nondistributable {
            let said = pull.fails(125);
            assert!(!nondistributable || said.contains("nondistributable"), "{said}");
        } else {
            pull.ok();
        }
        if gone {
            std::fs::rename(blob.with_extension("away"), &blob).unwrap();
        }
    }
    assert!(elsewhere_too.seen().is_empty(), "a url of the manifest was asked");
}
