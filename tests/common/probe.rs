//! `sbx-probe`: a static program that tries what a sandbox must refuse and prints as JSON what happened.

use std::path::PathBuf;

use super::World;

pub(crate) fn path() -> Option<PathBuf> {
    std::env::var_os("SBX_PROBE").map(PathBuf::from).filter(|path| path.is_file())
}

/// Runs the probe with `flags`, in the image, the host's root or a directory; it writes to a file,
/// since with `-t` its output is a terminal's.
pub(crate) fn attempts(world: &World, flags: &[&str], root: &[&str]) -> Option<serde_json::Value> {
    let probe = path()?;
    let out = world.folder();
    super::world::chmod(&out, 0o777);
    let program = format!("{}:/tmp/probe:ro", probe.display());
    let folder = format!("{}:/tmp/out", out.display());
    world
        .sbx(["run", "--rm", "--tmpfs", "/tmp:exec", "-v", &program, "-v", &folder])
        .args(flags)
        .args(root)
        .args(["sh", "-c", "/tmp/probe >/tmp/out/json"])
        .ok();
    let text = std::fs::read_to_string(out.join("json")).expect("the probe's output");
    Some(serde_json::from_str(&text).expect("the probe prints JSON"))
}
