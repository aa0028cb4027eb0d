//! The mounts of a sandbox, in the order they are made.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use super::VolumePlan;
use super::own::{self, Cover, Power};
use super::users::Resolved;
use crate::config::{MountKind, MountRequest, Network, Request, Root};
use crate::error::Result;
use crate::host::dirs::Dirs;
use crate::sys;
use crate::sys::pinned::Pinned;
use crate::userns::idmap::IdMap;

/// Mounts, and the files of the host that they show.
pub(crate) struct Mounts {
    pub(crate) list: Vec<Mount>,
    pub(crate) pinned: Vec<Pinned>,
    pub(crate) covers: Vec<Cover>,
}

/// What an unprivileged process expects of a root file system, with the options of runtime-spec's
/// "Default Filesystems".
pub(crate) fn all(
    request: &Request,
    volumes: &[VolumePlan],
    map: &IdMap,
    user: &Resolved,
    home: &str,
    dirs: &Dirs,
    power: &Power<'_>,
) -> Result<Mounts> {
    let mut out = Vec::new();
    base(&mut out, request, map);
    if request.root == Root::Host {
        host_private(&mut out, home, user);
    } else if request.read_only.value {
        for target in ["/run", "/tmp", "/var/tmp"] {
            let given = request.mounts.iter().any(|m| m.target == Path::new(target));
            // A plain directory gets no place to mount on that it does not have.
            let place = match &request.root {
                Root::Directory { dir, overlay: false } => {
                    dir.path().join(&target[1..]).symlink_metadata().is_ok_and(|m| m.is_dir())
                }
                _ => true,
            };
            if !given && place {
                out.push(fs("tmpfs", target, &["nosuid", "nodev", "mode=1777"]));
            }
        }
    }
    let first = out.len();
    for mount in &request.mounts {
        out.push(requested(mount, volumes));
    }
    let covers = own::covers(request, first, dirs, power)?;
    if request.root == Root::Host {
        for dir in own::host_masks(&out, dirs, power)? {
            let options = ["ro", "nosuid", "nodev", "noexec", "mode=000"];
            out.push(fs("tmpfs", &dir.to_string_lossy(), &options));
        }
    }
    Ok(Mounts { list: out, pinned: pinned(request), covers })
}

fn pinned(request: &Request) -> Vec<Pinned> {
    let root = match &request.root {
        Root::Directory { dir, .. } => Some(dir),
        _ => None,
    };
    let binds = request.mounts.iter().filter_map(|m| match &m.kind {
        MountKind::Bind(b) => Some(&b.source),
        _ => None,
    });
    root.into_iter().chain(binds).cloned().collect()
}

fn base(out: &mut Vec<Mount>, request: &Request, map: &IdMap) {
    out.push(fs("proc", "/proc", &["nosuid", "noexec", "nodev"]));
    out.push(fs("tmpfs", "/dev", &["nosuid", "noexec", "strictatime", "mode=755"]));
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    // Group tty, where the map has it.
    if map.maps_gid(5) {
        pts.push("gid=5");
    }
    out.push(fs("devpts", "/dev/pts", &pts));
    let size = format!("size={}", request.shm_size_bytes);
    out.push(fs("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]));
    out.push(fs("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]));
    if request.network.value == Network::Host || matches!(map, IdMap::Inherit) {
        // sysfs shows the network namespace; only the owner of that one may mount it anew.
        out.push(bind(
            Path::new("/sys"),
            Path::new("/sys"),
            &["rbind", "ro", "nosuid", "noexec", "nodev"],
        ));
    } else {
        out.push(fs("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]));
    }
    out.push(fs("cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "ro"]));
}

/// What `--host` hides, each replaced by an empty directory of the sandbox's own.
fn host_private(out: &mut Vec<Mount>, home: &str, user: &Resolved) {
    for target in ["/tmp", "/var/tmp"] {
        out.push(fs("tmpfs", target, &["nosuid", "nodev", "mode=1777"]));
    }
    for target in ["/run", "/home"] {
        out.push(fs("tmpfs", target, &["nosuid", "nodev", "mode=755"]));
    }
    out.push(fs("tmpfs", "/root", &["nosuid", "nodev", "mode=700"]));
    // A home of the sandbox's user, and the caller's real one where it lies elsewhere. Another user's
    // home that is not private already is a directory of the system, like /bin for the user bin.
    let covered = |out: &[Mount], dir: &Path| {
        out.iter().any(|m| m.typ().as_deref() == Some("tmpfs") && dir.starts_with(m.destination()))
    };
    let owner = [format!("uid={}", user.uid), format!("gid={}", user.gid)];
    let options = ["nosuid", "nodev", "mode=700", &owner[0], &owner[1]];
    let is_target = out.iter().any(|m| m.destination() == Path::new(home));
    let callers = user.uid == rustix::process::geteuid().as_raw() && Path::new(home).is_dir();
    if home != "/" && !is_target && (covered(out, Path::new(home)) || callers) {
        out.push(fs("tmpfs", home, &options));
    }
    let real = std::env::var_os("HOME").map(PathBuf::from).and_then(|h| sys::real_path(&h));
    if let Some(real) = real.filter(|r| r.is_dir() && r != Path::new("/") && !covered(out, r)) {
        out.push(fs("tmpfs", &real.to_string_lossy(), &options));
    }
}

fn requested(m: &MountRequest, volumes: &[VolumePlan]) -> Mount {
    let mut options: Vec<String> = Vec::new();
    options.push(if m.readonly { "ro" } else { "rw" }.to_owned());
    for (set, name) in [(m.nosuid, "nosuid"), (m.nodev, "nodev"), (m.noexec, "noexec")] {
        if set {
            options.push(name.to_owned());
        }
    }
    match &m.kind {
        MountKind::Bind(b) => {
            options.push(if b.recursive { "rbind" } else { "bind" }.to_owned());
            options.push(b.propagation.option().to_owned());
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let kind = if b.overlay { "overlay" } else { "bind" };
            mount(kind, b.source.path(), &m.target, &options)
        }
        // Of all that sbx has only this is shown, since it is a volume: what is no volume goes through
        // `mask_own`, whatever its path is.
        MountKind::Volume(_) => {
            options.push("bind".to_owned());
            options.push("rprivate".to_owned());
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let data = volumes.iter().find(|v| v.target == m.target).map(|v| v.data.as_path());
            mount("bind", data.unwrap_or(Path::new("")), &m.target, &options)
        }
        MountKind::Image(name) => {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            mount("overlay", Path::new(name), &m.target, &options)
        }
        MountKind::Tmpfs { size_bytes, mode } => {
            options.extend(size_bytes.map(|s| format!("size={s}")));
            options.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            mount("tmpfs", Path::new("tmpfs"), &m.target, &options)
        }
        MountKind::Mqueue => {
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            mount("mqueue", Path::new("mqueue"), &m.target, &options)
        }
    }
}

fn fs(kind: &str, target: &str, options: &[&str]) -> Mount {
    mount(kind, Path::new(kind), Path::new(target), options)
}

fn bind(source: &Path, target: &Path, options: &[&str]) -> Mount {
    mount("bind", source, target, options)
}

fn mount(kind: &str, source: &Path, target: &Path, options: &[&str]) -> Mount {
    let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
    // The builder fails on a missing destination only.
    MountBuilder::default()
        .destination(target)
        .typ(kind)
        .source(source)
        .options(options)
        .build()
        .unwrap_or_default()
}
