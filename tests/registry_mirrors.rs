//! `[registries.mirrors]`: other places of the same images.

mod common;

use common::World;
use common::registry::{Options, PLAIN, Registry, digests, elsewhere, free_port};
use common::scripted::{Answer, Scripted};
use common::tokens::BASIC;
use serde_json::json;

const IMAGE: &str = "team/app:1";

/// All of them are insecure, because they are on this machine and have no certificate.
fn config(world: &World, origin: &str, mirrors: &[&str]) {
    let hosts = mirrors.iter().map(|m| m.split('/').next().unwrap()).chain([origin]);
    let insecure: Vec<&str> = hosts.collect();
    world.config(&format!(
        "[registries]\ninsecure = {insecure:?}\n[registries.mirrors]\n{origin:?} = {mirrors:?}\n"
    ));
}

fn push(world: &World, place: &str) {
    world.image();
    world.sbx(["push", PLAIN, "-q", "busybox", place]).ok();
}

#[test]
fn slow_a_mirror_stands_in_for_its_registry() {
    let world = World::new();
    let mirror = Registry::start(&world, &Options::default());
    let nobody = format!("localhost:{}", free_port());
    let name = format!("{nobody}/{IMAGE}");
    for path in ["", "/cache"] {
        let place = format!("{}{path}", mirror.host);
        push(&world, &format!("{place}/{IMAGE}"));
        config(&world, &nobody, &[&place]);
        let other = world.folder();
        elsewhere(&world, &other, &["pull", &name]).ok();
        // It has the name that it was asked for by, and no other.
        let names = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        assert_eq!(elsewhere(&world, &other, &names).ok(), name);
        let by_digest = format!("{nobody}/team/app@{}", digests(&other)[0]);
        elsewhere(&world, &other, &["pull", &by_digest]).ok();
        let fresh = world.folder();
        elsewhere(&world, &fresh, &["run", "--rm", &name, "true"]).ok();
        elsewhere(&world, &fresh, &["run", "--rm", "--pull", "newer", &name, "true"]).ok();
    }
}

#[test]
fn a_mirror_that_fails_is_passed_over() {
    let world = World::new();
    let origin = Registry::start(&world, &Options::default());
    push(&world, &format!("{}/{IMAGE}", origin.host));
    let down = format!("localhost:{}", free_port());
    let lacks = Scripted::start(|_| Answer::new(404));
    let lies = Scripted::start(|request| {
        let body = if request.path.contains("/manifests/") { "{}" } else { "" };
        Answer::new(200).body(body)
    });
    let mirrors = [down.as_str(), &lacks.host, &lies.host];
    config(&world, &origin.host, &mirrors);
    let digest = digests(&world.path("data"))[0].clone();
    for name in [IMAGE.to_owned(), format!("team/app@{digest}")] {
        let other = world.folder();
        let pull = elsewhere(&world, &other, &["pull", &format!("{}/{name}", origin.host)]);
        let said = pull.run().expect_code(0).stderr;
        for mirror in mirrors {
            assert!(said.contains(&format!("the mirror {mirror} is passed over")), "{said}");
        }
    }
    // Where nobody has it every place is named, with its reason.
    let missing = format!("{}/not/there:1", origin.host);
    let said = world.sbx(["pull", &missing]).fails(125);
    let said = said.lines().last().unwrap_or_default();
    for place in mirrors.iter().chain([&origin.host.as_str()]) {
        assert!(said.contains(place), "{said}");
    }
    assert!(said.contains(&format!("cannot pull {missing}")) && said.contains("Fix: "), "{said}");
    assert!(said.contains("refused") && said.contains("no such image"), "{said}");
}

#[test]
fn slow_a_mirror_with_trouble_of_its_own_is_passed_over() {
    let world = World::new();
    let origin = Registry::start(&world, &Options::default());
    let name = format!("{}/{IMAGE}", origin.host);
    push(&world, &name);
    let troubled = Scripted::start(|_| Answer::new(503));
    config(&world, &origin.host, &[&troubled.host]);
    let said = elsewhere(&world, &world.folder(), &["pull", &name]).run().expect_code(0).stderr;
    assert!(said.contains("503") && said.contains("passed over"), "{said}");
}

#[test]
fn a_mirror_gets_its_own_login_only() {
    let world = World::new();
    let mirror =
        Scripted::start(|_| Answer::new(401).header("WWW-Authenticate", "Basic realm=\"mirror\""));
    let origin = Registry::start(&world, &Options { login: true, ..Options::default() });
    let name = format!("{}/{IMAGE}", origin.host);
    world.image();
    let login = ["--creds", "ana:se:cret"];
    world.sbx(["push", PLAIN]).args(login).args(["busybox", &name]).ok();
    config(&world, &origin.host, &[&mirror.host]);
    world.sbx(["pull"]).args(login).arg(&name).ok();
    let file =
        |host: &str, login: &str| world.file(json!({"auths": {host: {"auth": login}}}).to_string());
    world.sbx(["pull", "--authfile"]).arg(file(&origin.host, "YW5hOnNlOmNyZXQ=")).arg(&name).ok();
    let asked = mirror.seen();
    assert!(!asked.is_empty() && asked.iter().all(|r| r.authorization().is_none()), "{asked:?}");
    // bob:other
    let own = file(&mirror.host, "Ym9iOm90aGVy");
    world.sbx(["pull", "--authfile"]).arg(own).arg(&name).fails(125);
    let asked = mirror.seen();
    assert!(asked.iter().any(|r| r.authorization() == Some("Basic Ym9iOm90aGVy")), "{asked:?}");
    assert!(asked.iter().all(|r| r.authorization() != Some(BASIC)), "{asked:?}");
}

#[test]
fn nothing_is_pushed_to_a_mirror() {
    let world = World::new();
    let mirror = Scripted::start(|_| Answer::new(404));
    let origin = Registry::start(&world, &Options::default());
    config(&world, &origin.host, &[&mirror.host]);
    push(&world, &format!("{}/{IMAGE}", origin.host));
    assert!(mirror.seen().is_empty());
}

#[test]
fn a_mirror_is_asked_over_tls() {
    let world = World::new();
    let mirror = Scripted::start(|_| Answer::new(404));
    let origin = Registry::start(&world, &Options::default());
    let name = format!("{}/{IMAGE}", origin.host);
    push(&world, &name);
    let mirrors = |insecure: &str, mirrors: &[&str]| {
        world.config(&format!(
            "[registries]\ninsecure = [{insecure:?}]\n[registries.mirrors]\n{:?} = {mirrors:?}\n",
            origin.host
        ));
    };
    mirrors("", &[&mirror.host]);
    // What the flag says is for the registry alone.
    let said = world.sbx(["pull", PLAIN, &name]).run().expect_code(0).stderr;
    assert!(said.contains("TLS") && said.contains("passed over"), "{said}");
    assert!(mirror.seen().is_empty(), "it was asked without TLS");
    mirrors("mirror.example", &["mirror.example"]);
    let said = world.sbx(["pull", PLAIN, &name]).run().expect_code(0).stderr;
    assert!(said.contains("not on this machine") && said.contains("passed over"), "{said}");
    for bad in ["", "nodot", "https://a.example", "a.example/UPPER"] {
        mirrors("", &[bad]);
        let said = world.sbx(["pull", PLAIN, &name]).fails(125);
        assert!(said.contains("as a mirror of") && said.contains("config.toml"), "{said}");
    }
}
