//! sbx's own directories are never visible inside, even where a bind covers them: the store's
//! integrity, compiled filters and the user's profiles would be in the sandbox's hands.
//!
//! Each is hidden below the very mount that shows it, by descriptor and through no link: a path from the
//! root could be led elsewhere by an image's links, by a later mount, or by another sandbox.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;

use crate::config::{MountKind, Request, Root};
use crate::error::{Error, Result};
use crate::host::dirs::{self, Dirs};
use crate::profile::{CapSet, Filter};
use crate::sys;
use crate::sys::pinned::{self, Pinned};
use crate::userns::idmap::IdMap;

/// What is done to a mount as soon as it is attached. Paths are relative to it.
#[derive(Debug)]
pub(crate) struct Cover {
    /// Which mount of the configuration; `None` is the root.
    pub(crate) of: Option<usize>,
    /// Directories that become mounts of their own, outermost first: rename(2) refuses to move those
    /// (EBUSY). Otherwise what is hidden would move with its parent, and make room for a directory that
    /// the next run takes for sbx's own.
    pub(crate) hold: Vec<PathBuf>,
    pub(crate) hide: Vec<PathBuf>,
}

/// What a sandbox may do that could undo it.
pub(crate) struct Power<'a> {
    pub(crate) caps: CapSet,
    pub(crate) filter: &'a Filter,
    pub(crate) map: &'a IdMap,
}

/// A directory of the host that is shown.
struct Shown<'a> {
    of: Option<usize>,
    source: &'a Pinned,
    text: String,
    /// What is done inside happens on the host.
    writable: bool,
}

/// `first` is the place of the request's mounts in the configuration's list.
pub(super) fn covers(
    request: &Request,
    first: usize,
    dirs: &Dirs,
    power: &Power<'_>,
) -> Result<Vec<Cover>> {
    let all = shown(request, first);
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let (own, links) = (directories(dirs), links(dirs));
    let mut out = Vec::new();
    for shown in all {
        let refuse = |why: String, fix: &str| Err(Error::new(shown.text.clone(), why).fix(fix));
        let mut cover = Cover { of: shown.of, hold: Vec::new(), hide: Vec::new() };
        for own in &own {
            if is_inside(shown.source, own) {
                let why = format!("{} belongs to sbx itself", own.display());
                return refuse(why, "mount another directory");
            }
            let Some(below) = below(shown.source, own) else { continue };
            check_it_holds(&shown.text, own, power)?;
            // What does not exist yet could be made from inside, and believed by the next run.
            dirs::make_private(own)?;
            cover.hide.push(below.to_owned());
            let between = below.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
            let between: Vec<_> = between.filter(|_| shown.writable).map(Path::to_owned).collect();
            cover.hold.extend(between.into_iter().rev());
        }
        if let Some(link) = links.iter().find(|link| link.starts_with(shown.source.path()))
            && shown.writable
        {
            let why = format!(
                "{} is a symbolic link to sbx's own directories, and the sandbox could replace it",
                link.display()
            );
            return refuse(why, "mount it with :ro, or a directory below it");
        }
        cover.hold.sort();
        cover.hold.dedup();
        if !cover.hide.is_empty() {
            out.push(cover);
        }
    }
    Ok(out)
}

fn shown(request: &Request, first: usize) -> Vec<Shown<'_>> {
    let root = match &request.root {
        Root::Directory { dir, overlay } => Some(Shown {
            of: None,
            source: dir,
            text: format!("--rootfs {}", dir.path().display()),
            writable: !overlay && !request.read_only.value,
        }),
        _ => None,
    };
    let binds = request.mounts.iter().enumerate().filter_map(|(number, m)| {
        let MountKind::Bind(b) = &m.kind else { return None };
        Some(Shown {
            of: Some(first + number),
            source: &b.source,
            text: m.text.clone(),
            writable: !b.overlay && !m.readonly,
        })
    });
    root.into_iter().chain(binds).collect()
}

/// Masks for the directories that `--host` shows: they lie in directories of the system.
pub(super) fn host_masks(mounts: &[Mount], dirs: &Dirs, power: &Power<'_>) -> Result<Vec<PathBuf>> {
    let covered = |own: &Path| {
        mounts
            .iter()
            .any(|m| m.typ().as_deref() == Some("tmpfs") && own.starts_with(m.destination()))
    };
    let bare: Vec<_> =
        directories(dirs).into_iter().filter(|own| own.exists() && !covered(own)).collect();
    bare.iter().try_for_each(|own| check_it_holds("--host", own, power))?;
    Ok(bare)
}

/// The way from a source to a directory below it; also where the source is the same directory under
/// another name, as a bind of the host's has it.
fn below<'a>(source: &Pinned, own: &'a Path) -> Option<&'a Path> {
    let same = |dir: &Path| pinned::id_of(dir) == Some(source.id());
    let above = own.ancestors().skip(1).find(|dir| *dir == source.path() || same(dir))?;
    own.strip_prefix(above).ok()
}

fn is_inside(source: &Pinned, own: &Path) -> bool {
    let id = pinned::id_of(own);
    source.path().starts_with(own)
        || source.path().ancestors().any(|dir| id.is_some() && pinned::id_of(dir) == id)
        || id == Some(source.id())
}

fn check_it_holds(text: &str, own: &Path, power: &Power<'_>) -> Result<()> {
    let has = |name| CapSet::parse(name).is_some_and(|cap| power.caps.contains(cap));
    // In a user namespace of its own a sandbox could move what is held; the limit that goes
    // with covers keeps it from making one, unless it can set the limit again or shares the caller's.
    let could_nest =
        power.filter.program.is_empty() && (has("SYS_RESOURCE") || *power.map == IdMap::Inherit);
    let from = if has("SYS_ADMIN") {
        "CAP_SYS_ADMIN"
    } else if could_nest {
        "a sandbox that may make user namespaces"
    } else {
        return Ok(());
    };
    let why = format!(
        "it holds {}, which belongs to sbx itself and cannot be hidden from {from}",
        own.display()
    );
    Err(Error::new(text, why).fix("mount a directory below it, or leave --cap-add out"))
}

/// Without links, also in the part that exists of one that does not; none inside another.
fn directories(dirs: &Dirs) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = dirs.all().into_iter().map(sys::real_path_of_all).collect();
    let inside = |dir: &PathBuf| all.iter().any(|other| other != dir && dir.starts_with(other));
    all.iter().filter(|dir| !inside(dir)).cloned().collect()
}

/// Symbolic links on the way to them, by the real path of each.
fn links(dirs: &Dirs) -> Vec<PathBuf> {
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|m| m.is_symlink());
    let all = dirs.all();
    let on_the_way = all.iter().flat_map(|dir| dir.ancestors()).filter(|path| is_link(path));
    on_the_way
        .filter_map(|link| Some(sys::real_path(link.parent()?)?.join(link.file_name()?)))
        .collect()
}
