//! The mounts of a sandbox, in the order they are made.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use super::users::Resolved;
use crate::config::{MountKind, MountRequest, Network, Request, Root};
use crate::error::{Context, Error, Result};
use crate::host::dirs::{self, Dirs};
use crate::profile::CapSet;
use crate::sys;
use crate::sys::pinned::Pinned;
use crate::userns::idmap::IdMap;

/// Mounts, and the files of the host that they show.
#[derive(Default)]
pub(crate) struct Mounts {
    pub(crate) list: Vec<Mount>,
    pub(crate) pinned: Vec<Pinned>,
}

/// What an unprivileged process expects of a root file system, with the options of runtime-spec's
/// "Default Filesystems".
pub(crate) fn all(
    request: &Request,
    map: &IdMap,
    user: &Resolved,
    home: &str,
    dirs: &Dirs,
    caps: CapSet,
) -> Result<Mounts> {
    let mut out = Vec::new();
    base(&mut out, request, map);
    if request.root == Root::Host {
        host_private(&mut out, home, user);
    } else if request.read_only {
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
    for mount in &request.mounts {
        out.push(requested(mount));
    }
    let mut mounts = Mounts { list: out, pinned: pinned(request) };
    mask_own(&mut mounts, request, dirs, caps)?;
    Ok(mounts)
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
            mount(kind, b.source.path(), &m.target, &options)
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
fn mask_own(out: &mut Mounts, request: &Request, dirs: &Dirs, caps: CapSet) -> Result<()> {
    let own = own_directories(dirs);
    for shown in shown(request) {
        let source = shown.source.path();
        for own in &own {
            if source.starts_with(own) {
                let why = format!("{} belongs to sbx itself", own.display());
                return Err(Error::new(shown.text, why).fix("mount another directory"));
            }
            let Ok(below) = own.strip_prefix(source) else { continue };
            check_mask_holds(&shown.text, own, caps)?;
            // What does not exist yet could be made from inside, and believed by the next run.
            dirs::make_private(own)?;
            if let Some(options) = &shown.options {
                hold_in_place(out, source, shown.target, below, options)?;
            }
            out.list.push(mask(&shown.target.join(below)));
        }
    }
    if request.root == Root::Host {
        // Directories that --host shows are binds as well.
        for own in own.iter().filter(|own| own.exists()) {
            let covered = out
                .list
                .iter()
                .any(|m| m.typ().as_deref() == Some("tmpfs") && own.starts_with(m.destination()));
            if !covered {
                check_mask_holds("--host", own, caps)?;
                out.list.push(mask(own));
            }
        }
    }
    Ok(())
}

/// A directory of the host that is shown, and where.
struct Shown<'a> {
    source: &'a Pinned,
    target: &'a Path,
    text: String,
    /// Of the mount, where what is done inside happens on the host.
    options: Option<Vec<String>>,
}

fn shown(request: &Request) -> Vec<Shown<'_>> {
    let mut out: Vec<_> = request
        .mounts
        .iter()
        .filter_map(|m| {
            let MountKind::Bind(b) = &m.kind else { return None };
            let options = (!b.overlay).then(|| requested(m).options().clone()).flatten();
            Some(Shown { source: &b.source, target: &m.target, text: m.text.clone(), options })
        })
        .collect();
    if let Root::Directory { dir, overlay } = &request.root {
        let options = ["rbind", "rw", "nosuid", "nodev", "rprivate"].map(str::to_owned).to_vec();
        out.push(Shown {
            source: dir,
            target: Path::new("/"),
            text: format!("--rootfs {}", dir.path().display()),
            options: (!overlay).then_some(options),
        });
    }
    out
}

fn mask(target: &Path) -> Mount {
    let options = ["ro", "nosuid", "nodev", "noexec", "mode=000"];
    fs("tmpfs", &target.to_string_lossy(), &options)
}

fn check_mask_holds(text: &str, own: &Path, caps: CapSet) -> Result<()> {
    if !CapSet::parse("SYS_ADMIN").is_some_and(|admin| caps.contains(admin)) {
        return Ok(());
    }
    let why = format!(
        "it holds {}, which belongs to sbx itself and cannot be hidden from CAP_SYS_ADMIN",
        own.display()
    );
    Err(Error::new(text, why).fix("mount a directory below it, or leave --cap-add SYS_ADMIN out"))
}

/// Each directory between a bind and the mask below it becomes a mount of its own: rename(2) refuses to
/// move those (EBUSY). Otherwise the mask would move with its parent, and make room for a directory that
/// the next run takes for sbx's own.
fn hold_in_place(
    out: &mut Mounts,
    source: &Path,
    target: &Path,
    below: &Path,
    options: &[String],
) -> Result<()> {
    let mut between: Vec<&Path> = below.ancestors().skip(1).collect();
    // The last one is the bind itself.
    between.pop();
    for part in between.into_iter().rev() {
        let dir = source.join(part);
        let held = Pinned::open(&dir).what(|| format!("cannot look at {}", dir.display()))?;
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        out.list.push(bind(&dir, &target.join(part), &options));
        out.pinned.push(held);
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
