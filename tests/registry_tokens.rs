//! Docker-registry behind a token server, as most public registries are.

mod common;

use common::World;
use common::registry::{Options, PLAIN, Registry, elsewhere};
use common::tokens::{Life, Tokens};

const LOGIN: [&str; 2] = ["--creds", "ana:se:cret"];

/// The token server has a port of its own on this machine, which the user has to name.
fn start(world: &World, life: Life) -> (Registry, Tokens) {
    world.image();
    let tokens = Tokens::start(world, life);
    let options = Options { auth: Some(tokens.config()), ..Options::default() };
    let registry = Registry::start(world, &options);
    let realm = (&registry.host, &tokens.server.host);
    world.config(&format!("[registries.realms]\n{:?} = [{:?}]\n", realm.0, realm.1));
    (registry, tokens)
}

#[test]
fn a_token_is_asked_for_what_is_done() {
    let world = World::new();
    let (registry, tokens) = start(&world, Life::default());
    let name = format!("{}/team/app:1", registry.host);
    world.sbx(["push", PLAIN]).args(LOGIN).args(["busybox", &name]).ok();
    // One token for the whole push.
    let (pull, push) = ("repository:team/app:pull", "repository:team/app:pull,push");
    assert_eq!(tokens.asked(), [(push.to_owned(), true)]);
    // Whoever is nobody gets one as well, for pulling.
    let other = world.folder();
    elsewhere(&world, &other, &["pull", PLAIN, &name]).ok();
    assert_eq!(tokens.asked()[1..], [(pull.to_owned(), false)]);
    elsewhere(&world, &other, &["run", "--rm", &name, "true"]).ok();
    // And so does a pull with a login.
    elsewhere(&world, &other, &["pull", PLAIN]).args(LOGIN).arg(&name).ok();
    assert_eq!(tokens.asked()[2..], [(pull.to_owned(), true)]);
}

#[test]
fn what_a_token_does_not_allow_is_said() {
    let world = World::new();
    let (registry, _tokens) = start(&world, Life::default());
    let name = format!("{}/team/app:1", registry.host);
    for creds in [&[][..], &["--creds", "ana:wrong"]] {
        let said = world.sbx(["push", PLAIN]).args(creds).args(["busybox", &name]).fails(125);
        assert!(said.contains(&format!("Fix: sbx login {}", registry.host)), "{said}");
        assert!(said.contains(&name) && !said.contains("wrong"), "{said}");
    }
    let login = ["login", PLAIN, "-u", "ana", "--password-stdin", &registry.host];
    world.sbx(login).input("wrong").fails(125);
    world.sbx(login).input("se:cret").ok();
    world.sbx(["push", PLAIN, "busybox", &name]).ok();
    std::fs::remove_file(world.path("run/containers/auth.json")).unwrap();
}

#[test]
fn a_token_that_has_expired_is_replaced() {
    let world = World::new();
    // It has expired although the server says that it holds: the registry's answer counts.
    let (registry, tokens) = start(&world, Life { first_s: -120, said_s: 300 });
    let name = format!("{}/team/app:1", registry.host);
    world.sbx(["push", PLAIN]).args(LOGIN).args(["busybox", &name]).ok();
    assert_eq!(tokens.asked().len(), 2);
}

#[test]
fn a_token_that_is_about_to_expire_is_replaced() {
    let world = World::new();
    // The server says that each holds for no time: every request has a new one.
    let (registry, tokens) = start(&world, Life { first_s: 300, said_s: 0 });
    let name = format!("{}/team/app:1", registry.host);
    world.sbx(["push", PLAIN]).args(LOGIN).args(["busybox", &name]).ok();
    let pushed = tokens.asked().len();
    assert!(pushed > 4, "{pushed} tokens for a push");
    let other = world.folder();
    elsewhere(&world, &other, &["pull", PLAIN, &name]).ok();
    let pulled = tokens.asked().len() - pushed;
    assert!(pulled > 2, "{pulled} tokens for a pull");
}
