//! The mounts of a sandbox, in the order they are made.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use super::users::Resolved;
use crate::config::{MountKind, MountRequest, Network, Request, Root};
use crate::error::{Error, Result};
use crate::host::dirs::{self, Dirs};
use crate::sys;
use crate::userns::idmap::IdMap;

/// What an unprivileged process expects of a root file system, with the options of runtime-spec's
/// "Default Filesystems".
pub(crate) fn all(
    request: &Request,
    map: &IdMap,
    user: &Resolved,
    home: &str,
    dirs: &Dirs,
) -> Result<Vec<Mount>> {
    let mut out = Vec::new();
    base(&mut out, request, map);
    if request.root == Root::Host {
        host_private(&mut out, home, user);
    } else if request.read_only {
        for target in ["/run", "/tmp", "/var/tmp"] {
            let given = request.mounts.iter().any(|m| m.target == Path::new(target));
            // A plain directory gets no place to mount on that it does not have.
            let place = match &request.root {
                Root::Directory { path, overlay: false } => {
                    path.join(&target[1..]).symlink_metadata().is_ok_and(|m| m.is_dir())
                }
                _ => true,
            };
            if !given && place {
                out.push(fs("tmpfs", target, &["nosuid", "nodev", "mode=1777"]));
            }
        }
    }
    for mount in &request.mounts {
        out.push(requested(mount));
    }
    mask_own(&mut out, request, dirs)?;
    Ok(out)
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
    // A home of the sandbox's user, and the caller's real one where it lies elsewhere.
    let covered = |out: &[Mount], dir: &Path| {
        out.iter().any(|m| m.typ().as_deref() == Some("tmpfs") && dir.starts_with(m.destination()))
    };
    let owner = [format!("uid={}", user.uid), format!("gid={}", user.gid)];
    let options = ["nosuid", "nodev", "mode=700", &owner[0], &owner[1]];
    let is_target = out.iter().any(|m| m.destination() == Path::new(home));
    if home != "/" && !is_target && (covered(out, Path::new(home)) || Path::new(home).is_dir()) {
        out.push(fs("tmpfs", home, &options));
    }
    let real = std::env::var_os("HOME").map(PathBuf::from).and_then(|h| sys::real_path(&h));
    if let Some(real) = real.filter(|r| r.is_dir() && r != Path::new("/") && !covered(out, r)) {
        out.push(fs("tmpfs", &real.to_string_lossy(), &options));
    }
}

fn requested(m: &MountRequest) -> Mount {
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
            mount(kind, &b.source, &m.target, &options)
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

/// sbx's own directories are never visible inside, even where a bind covers them: the store's
/// integrity, compiled filters and the user's profiles would be in the sandbox's hands.
fn mask_own(out: &mut Vec<Mount>, request: &Request, dirs: &Dirs) -> Result<()> {
    let sources: Vec<(PathBuf, PathBuf, String)> = request
        .mounts
        .iter()
        .filter_map(|m| match &m.kind {
            MountKind::Bind(b) => Some((b.source.clone(), m.target.clone(), m.text.clone())),
            _ => None,
        })
        .chain(match &request.root {
            Root::Directory { path, .. } => {
                Some((path.clone(), PathBuf::from("/"), format!("--rootfs {}", path.display())))
            }
            _ => None,
        })
        .collect();
    let mask = |target: &Path| {
        let options = ["ro", "nosuid", "nodev", "noexec", "mode=000"];
        fs("tmpfs", &target.to_string_lossy(), &options)
    };
    let own = own_directories(dirs);
    for (source, target, text) in sources {
        for own in &own {
            if source.starts_with(own) {
                return Err(Error::new(text, format!("{} belongs to sbx itself", own.display()))
                    .fix("mount another directory"));
            }
            let Ok(below) = own.strip_prefix(&source) else { continue };
            // What does not exist yet could be made from inside, and believed by the next run.
            dirs::make_private(own)?;
            out.push(mask(&target.join(below)));
        }
    }
    if request.root == Root::Host {
        // Directories that --host shows are binds as well.
        for own in own.iter().filter(|own| own.exists()) {
            let covered = out
                .iter()
                .any(|m| m.typ().as_deref() == Some("tmpfs") && own.starts_with(m.destination()));
            if !covered {
                out.push(mask(own));
            }
        }
    }
    Ok(())
}

/// Without links, also in the part that exists of one that does not; none inside another.
fn own_directories(dirs: &Dirs) -> Vec<PathBuf> {
    let resolved = |dir: &Path| {
        dir.ancestors()
            .find_map(|a| Some(sys::real_path(a)?.join(dir.strip_prefix(a).ok()?)))
            .unwrap_or_else(|| dir.to_owned())
    };
    let all: Vec<PathBuf> = dirs.all().into_iter().map(resolved).collect();
    let inside = |dir: &PathBuf| all.iter().any(|other| other != dir && dir.starts_with(other));
    all.iter().filter(|dir| !inside(dir)).cloned().collect()
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
