//! An empty tree of the places that every sandbox mounts on. It lies below an image's own layers, so that
//! a place that the image lacks is there without being made: that would be a write to the upper
//! directory for each, and one more thing to remove.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::staging::Staging;
use crate::error::{Context, Result};
use crate::userns::idmap::IdMap;

const DIRS: [&str; 5] = ["", "dev", "etc", "proc", "sys"];
const FILES: [&str; 3] = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// The tree in `layers`, made where it is missing.
pub(super) fn ensure(layers: &Path, tmp: &Path) -> Result<PathBuf> {
    let dir = layers.join("mountpoints");
    if dir.is_dir() {
        return Ok(dir);
    }
    let staging = Staging::private(tmp, &IdMap::Inherit)?;
    let new = staging.path().join("new");
    let make = |name: &str, file: bool| {
        let path = new.join(name);
        if file { std::fs::write(&path, "") } else { std::fs::create_dir(&path) }?;
        // Whatever the caller's umask is.
        std::fs::set_permissions(&path, Permissions::from_mode(if file { 0o644 } else { 0o755 }))
    };
    let all = DIRS.iter().map(|dir| (dir, false)).chain(FILES.iter().map(|file| (file, true)));
    for (name, file) in all {
        make(name, file).what(|| format!("cannot make {}/{name}", dir.display()))?;
    }
    match std::fs::rename(&new, &dir) {
        // Somebody else was faster.
        Err(_) if dir.is_dir() => Ok(dir),
        other => other.what(|| format!("cannot make {}", dir.display())).map(|()| dir),
    }
}
