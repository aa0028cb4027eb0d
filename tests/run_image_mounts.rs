//! `--mount type=image`: the tree of another image beside the root.

mod common;

use common::World;
use common::fixture::TarFile;
use serde_json::json;

/// An image `tools` of one layer with /bin/tool, and `many`, which has it below 69 others.
fn images(world: &World) {
    let mut tar = TarFile::new();
    tar.dir("bin", 0o755, 0);
    tar.file("bin/tool", b"#!/bin/sh\necho tool\n", 0o755, 7);
    let low = tar.finish();
    world.load_layers("tools", &[&low], &json!({}));
    let others: Vec<Vec<u8>> = (0..69)
        .map(|n| {
            let mut tar = TarFile::new();
            tar.file(&format!("bin/{n}"), b"x", 0o644, 0);
            tar.finish()
        })
        .collect();
    let layers: Vec<&[u8]> = [&low].into_iter().chain(&others).map(Vec::as_slice).collect();
    world.load_layers("many", &layers, &json!({}));
}

const SHOW: &str = "ls -A /t/bin; stat -c %u /t/bin/tool; /t/bin/tool";

#[test]
fn an_image_is_mounted_read_only() {
    let world = World::new();
    images(&world);
    for mount in
        ["type=image,source=tools,target=/t", "type=image,src=tools,dst=/t,readwrite=false"]
    {
        assert_eq!(world.image_sh(&["--mount", mount], SHOW).ok(), "tool\n7\ntool");
        let script = "touch /t/new; mount -o remount,bind,rw /t; touch /t/new";
        let finished = world.image_sh(&["--mount", mount], script).run();
        assert!(
            finished.code() != Some(0) && finished.stderr.contains("Read-only"),
            "{finished:?}"
        );
    }
    // Several, in a root that is a directory; two of many layers.
    let root = format!("{}:O", world.rootfs().display());
    let (one, two) = ("type=image,source=many,target=/m", "type=image,source=tools,target=/t");
    let again = "type=image,source=many,target=/n";
    let mounts = ["--mount", one, "--mount", two, "--mount", again];
    let run = world.sbx(["run", "--rootfs", &root]).args(mounts).args(["--", "sh", "-c"]);
    assert_eq!(run.arg("ls /m/bin | wc -l; ls /n/bin | wc -l; ls /t/bin").ok(), "70\n70\ntool");
}

#[test]
fn what_is_written_to_an_image_is_thrown_away() {
    let world = World::new();
    images(&world);
    let script = "echo changed >/t/bin/tool && rm -f /t/bin/7 && ls -A /t/bin | wc -l";
    for (image, left) in [("tools", "1"), ("many", "69")] {
        let mount = format!("type=image,source={image},target=/t,rw=true");
        for _ in 0..2 {
            assert_eq!(world.image_sh(&["--mount", &mount], script).ok(), left);
        }
        assert_eq!(world.image_sh(&["--mount", &mount], "/t/bin/tool").ok(), "tool");
        world.check_leaks();
    }
}

#[test]
fn what_cannot_be_mounted_is_named() {
    let world = World::new();
    images(&world);
    let refused = |flags: &[&str], words: &[&str]| {
        let said = world.image_sh(flags, "true").fails(125);
        for word in words {
            assert!(said.contains(word), "{word} is not in {said}");
        }
    };
    refused(
        &["--mount", "type=image,source=localhost/missing,target=/t"],
        &["localhost/missing", "Fix:"],
    );
    refused(&["--mount", "type=image,target=/t"], &["no source=", "Fix:"]);
    refused(&["--mount", "type=image,source=tools,target=/t,nocopy"], &["nocopy", "Fix:"]);
    let mount = ["--userns", "keep-id", "--mount", "type=image,source=tools,target=/t"];
    refused(&mount, &["through another id map", "Fix: --userns host-root"]);
}

#[test]
fn explain_names_the_image() {
    let world = World::new();
    images(&world);
    let mount = "type=image,source=tools,target=/t";
    let run = ["run", "--rm", "--explain", "--mount", mount, world.image(), "true"];
    let text = world.sbx(run).ok();
    assert!(text.contains("image tools ro,"), "{text}");
}
