//! One image through the hands of four tools: buildah makes it, skopeo pushes it, sbx changes it, podman
//! runs what came out.

mod common;

use std::process::Command;

use common::podman::Podman;
use common::registry::{Options, Registry};
use common::{World, need};

const PLAIN: &str = "--tls-verify=false";

/// What each step leaves in the image, and the owner of a file that buildah gave away.
const LOOK: &str = "cat /srv/greeting; stat -c '%a %u:%g' /srv/greeting; ls /srv; echo $MADE_BY";

#[test]
fn slow_an_image_goes_from_buildah_through_sbx_to_podman() {
    need!("buildah", "skopeo", "podman");
    let world = World::new();
    let registry = Registry::start(&world, &Options::default());
    let made = format!("{}/team/app:made", registry.host);
    Buildah::new(&world).make(&made);

    world.sbx(["pull", PLAIN, &made]).ok();
    assert_eq!(
        world.sbx(["run", "--rm", &made]).ok(),
        "from buildah\n640 5:6\ngone\ngreeting\nbuildah"
    );
    let change = "echo from sbx >>/srv/greeting; rm /srv/gone; ln /srv/greeting /srv/same";
    world.sbx(["run", &made, "sh", "-ec", change]).ok();
    let id = world.sbx(["ps", "-aq"]).ok();
    let changed = format!("{}/team/app:changed", registry.host);
    let image = world.sbx(["commit", "-q", &id, &changed]).ok();
    let archives = ["docker-archive", "oci-archive"].map(|format| {
        let file = world.fresh(format).display().to_string();
        world.sbx(["save", "--format", format, "-o", &file, &changed]).ok();
        file
    });
    world.sbx(["push", PLAIN, &changed, &changed]).ok();
    world.sbx(["rm", "--all"]).ok();

    let podman = Podman::new(&world.path("work"));
    let is_what_sbx_made = |from: &str| {
        let id = podman.run(&["images", "-q", "--no-trunc", &changed]);
        assert_eq!(id.trim(), image, "{from}");
        // The command is the one that buildah put into the configuration.
        let printed = podman.container(&changed, &[]);
        assert_eq!(printed, "from buildah\nfrom sbx\n640 5:6\ngreeting\nsame\nbuildah\n", "{from}");
        let links = podman.container(&changed, &["stat", "-c", "%h", "/srv/same"]);
        assert_eq!(links, "2\n", "{from}");
        podman.run(&["rmi", "--force", &changed]);
    };
    podman.run(&["pull", "-q", PLAIN, &changed]);
    is_what_sbx_made("the registry");
    for archive in &archives {
        podman.run(&["load", "-q", "-i", archive]);
        is_what_sbx_made(archive);
    }
}

/// buildah with a storage of its own.
struct Buildah<'w> {
    world: &'w World,
    run: tempfile::TempDir,
}

impl<'w> Buildah<'w> {
    fn new(world: &'w World) -> Self {
        let run = tempfile::Builder::new().prefix("sbx-b").tempdir_in("/tmp").expect("a folder");
        Buildah { world, run }
    }

    /// An image of two layers and a configuration, pushed as `name`.
    fn make(&self, name: &str) {
        let base = self.run(&["from", "scratch"]);
        self.run(&["copy", "-q", &base, &self.world.rootfs().display().to_string(), "/"]);
        self.run(&["config", "--env", "MADE_BY=buildah", &base]);
        self.run(&["commit", "-q", "--rm", &base, "base"]);
        let top = self.run(&["from", "--pull-never", "base"]);
        let file = self.world.file("from buildah\n").display().to_string();
        let flags = ["-q", "--chown", "5:6", "--chmod", "640"];
        self.run(&[&["copy"], &flags[..], &[&top, &file, "/srv/greeting"]].concat());
        self.run(&["add", "-q", &top, &file, "/srv/gone"]);
        let command = serde_json::json!(["sh", "-c", LOOK]).to_string();
        self.run(&["config", "--cmd", &command, &top]);
        self.run(&["commit", "-q", "--rm", &top, "localhost/made"]);
        let storage = format!("[vfs@{}+{}]", self.root(), self.run.path().display());
        let from = format!("containers-storage:{storage}localhost/made");
        let to = format!("docker://{name}");
        self.call("skopeo", &["copy", "-q", "--dest-tls-verify=false", &from, &to]);
    }

    fn root(&self) -> String {
        self.world.path("work/buildah").display().to_string()
    }

    fn run(&self, args: &[&str]) -> String {
        let (root, run) = (self.root(), self.run.path().display().to_string());
        let storage = ["--storage-driver", "vfs", "--root", &root, "--runroot", &run];
        self.call("buildah", &[&storage[..], args].concat())
    }

    fn call(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program)
            .args(args)
            .env("HOME", self.world.path("home"))
            .env("XDG_RUNTIME_DIR", self.run.path())
            .env("TMPDIR", self.run.path())
            .output()
            .unwrap_or_else(|e| panic!("run {program}: {e}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
