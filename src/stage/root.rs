//! The new root: a tmpfs with the host's directories, a directory, or an overlay.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use sbx_child::{From, Lookup, Op, Param, Shape, Slot};

use super::memory::Memory;
use super::scratch::Scratch;
use super::{Hint, Steps, c_path, c_str, leak};
use crate::error::{Error, Result};
use crate::plan::{Backend, HostEntry, Plan, RootPlan};

pub(crate) const RDONLY: u64 = 0x1;
pub(crate) const NOSUID: u64 = 0x2;
pub(crate) const NODEV: u64 = 0x4;
pub(crate) const NOEXEC: u64 = 0x8;
/// `mount(2)`, MS_PRIVATE and MS_SLAVE; `mount_setattr(2)` takes the same values.
pub(crate) const PRIVATE: u64 = 1 << 18;
pub(crate) const SLAVE: u64 = 1 << 19;

/// The root mount, and whether its file system belongs to the sandbox.
#[derive(Clone, Copy)]
pub(crate) struct Root {
    pub(crate) slot: Slot,
    pub(crate) own: bool,
}

/// What needs no id: a directory as it is. `None` for other roots.
pub(crate) fn before_map(steps: &mut Steps, plan: &Plan) -> Result<Option<Root>> {
    let RootPlan::Directory(dir) = &plan.host.root else { return Ok(None) };
    let slot = steps.slot()?;
    let from = super::host(plan, dir)?;
    let what = format!("cannot use {} as root", dir.display());
    steps.push(Op::CloneTree { from, recursive: true, out: slot }, what.clone());
    let attr = Op::SetAttr {
        mount: slot,
        set: NOSUID | NODEV,
        clear: 0,
        propagation: PRIVATE,
        recursive: true,
    };
    steps.push(attr, what);
    Ok(Some(Root { slot, own: false }))
}

/// A root that is made once ids are mapped. `fuse` is the socket of a waiting server.
pub(crate) fn before_pivot(
    steps: &mut Steps,
    plan: &Plan,
    early: Option<Root>,
    scratch: Option<&Scratch>,
    fuse: Option<&OwnedFd>,
    memory: &mut Memory,
) -> Result<Root> {
    if let Some(root) = early {
        return Ok(root);
    }
    let slot = match (&plan.host.root, scratch, fuse) {
        (_, _, Some(socket)) => served(steps, socket)?,
        (RootPlan::Overlay { lowers, backend: Backend::Memory { mode }, .. }, ..) => {
            native_in_memory(steps, plan, lowers, *mode, memory)?
        }
        (RootPlan::Overlay { lowers, .. }, Some(scratch), None) => {
            native(steps, plan, lowers, scratch)?
        }
        _ => memory.dir(steps, 0o755, None, "cannot make a root")?,
    };
    Ok(Root { slot, own: true })
}

/// The top-level directories of the host, inside the new root.
pub(crate) fn host_entries(steps: &mut Steps, plan: &Plan) -> Result<Vec<(PathBuf, Slot)>> {
    let RootPlan::Host(entries) = &plan.host.root else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for entry in entries {
        let HostEntry::Directory(path) = entry else { continue };
        let slot = steps.slot()?;
        let what = format!("cannot bind the host's {}", path.display());
        let from = From::Host(c_path(path)?);
        steps.push(Op::CloneTree { from, recursive: true, out: slot }, what.clone());
        let attr = Op::SetAttr {
            mount: slot,
            set: RDONLY | NOSUID | NODEV,
            clear: 0,
            propagation: PRIVATE,
            recursive: true,
        };
        steps.push(attr, what);
        out.push((path.clone(), slot));
    }
    Ok(out)
}

/// Puts the host's entries into the skeleton.
pub(crate) fn fill_host(
    steps: &mut Steps,
    plan: &Plan,
    root: Root,
    bound: &[(PathBuf, Slot)],
) -> Result<()> {
    let RootPlan::Host(entries) = &plan.host.root else { return Ok(()) };
    let target = steps.slot()?;
    for (path, mount) in bound {
        let name = c_path(path.strip_prefix("/").unwrap_or(path))?;
        let what = format!("cannot bind the host's {}", path.display());
        let place = Op::Place { dir: root.slot, name, shape: Shape::Dir, out: target };
        steps.push(place, what.clone());
        steps.push(Op::Attach { mount: *mount, target, own: false }, what);
    }
    for entry in entries {
        let HostEntry::Symlink { path, text } = entry else { continue };
        let name = c_path(path.strip_prefix("/").unwrap_or(path))?;
        let op = Op::Symlink { text: c_path(text)?, dir: root.slot, path: name };
        steps.push(op, format!("cannot make the link {}", path.display()));
    }
    Ok(())
}

fn native(steps: &mut Steps, plan: &Plan, lowers: &[PathBuf], scratch: &Scratch) -> Result<Slot> {
    let slot = steps.slot()?;
    let upper = Upper::on_disk(scratch, "")?;
    let merged = overlay(steps, plan, lowers, &upper, plan.host.remove)?;
    let what = "cannot take up the stacked root";
    steps.push(Op::CloneTree { from: merged, recursive: false, out: slot }, what);
    Ok(slot)
}

/// An overlay whose changes stay in memory: nothing is made on disk, and nothing is to be removed.
fn native_in_memory(
    steps: &mut Steps,
    plan: &Plan,
    lowers: &[PathBuf],
    mode: u32,
    memory: &mut Memory,
) -> Result<Slot> {
    let slot = steps.slot()?;
    let upper = Upper::Memory { fs: memory.overlay_dirs(steps, mode)? };
    let merged = overlay(steps, plan, lowers, &upper, true)?;
    let what = "cannot take up the stacked root";
    steps.push(Op::CloneTree { from: merged, recursive: false, out: slot }, what);
    Ok(slot)
}

/// Where an overlay keeps its changes, and where it is mounted at first.
pub(crate) enum Upper {
    Disk {
        dirs: [PathBuf; 2],
        scratch: Scratch,
    },
    /// No changes: an empty directory below the others, since an overlay is of two at least.
    None {
        place: PathBuf,
        scratch: Scratch,
    },
    /// `upper`, `work` and `merged` in the sandbox's own tmpfs.
    Memory {
        fs: Slot,
    },
}

impl Upper {
    /// `upper` and `work` of the scratch directory, or those with a suffix.
    pub(crate) fn on_disk(scratch: &Scratch, suffix: &str) -> Result<Self> {
        let dir = |name: &str| match suffix {
            "" => Ok(scratch.path(name)),
            suffix => scratch.make_dir(&format!("{name}-{suffix}")),
        };
        let dirs = [dir("upper")?, dir("work")?];
        Ok(Upper::Disk { dirs, scratch: scratch.clone() })
    }

    pub(crate) fn none(scratch: &Scratch, suffix: &str) -> Result<Self> {
        let place = scratch.make_dir(&format!("lower-{suffix}"))?;
        Ok(Upper::None { place, scratch: scratch.clone() })
    }

    /// Where there is a directory for links to layers, and what this one is called there.
    fn links(&self) -> Option<(&Scratch, String)> {
        let (dir, scratch) = match self {
            Upper::Disk { dirs: [upper, _], scratch } => (upper, scratch),
            Upper::None { place, scratch } => (place, scratch),
            Upper::Memory { .. } => return None,
        };
        Some((scratch, format!("links-{}", dir.file_name()?.display())))
    }
}

/// `mount(2)` takes one page of options; names relative to the layers' directory keep most images
/// below it, and short links do for the rest.
const OPTIONS_MAX: usize = 4000;

/// Mounts an overlay; where it is comes back.
pub(crate) fn overlay(
    steps: &mut Steps,
    plan: &Plan,
    lowers: &[PathBuf],
    upper: &Upper,
    volatile: bool,
) -> Result<From<'static>> {
    // user.overlay.* attributes: the only ones an unprivileged mount may use (overlayfs.rst).
    let volatile = volatile && !matches!(upper, Upper::None { .. });
    let flags: &[u8] = if volatile { b",userxattr,volatile" } else { b",userxattr" };
    let upper_option = b",upperdir=";
    let mut rest = Vec::new();
    let parent = || lowers.first().and_then(|l| l.parent()).unwrap_or(Path::new("/"));
    let (mut base, target, merged) = match upper {
        Upper::Disk { dirs: [upper, work], .. } => {
            rest.extend(upper_option);
            escape(&mut rest, upper);
            rest.extend(b",workdir=");
            escape(&mut rest, work);
            // Over its upper directory, which nobody needs to see: no other is needed to mount on.
            let merged = c_path(upper)?;
            (From::Host(c_path(parent())?), merged, From::Host(merged))
        }
        Upper::None { place, .. } => {
            rest.push(b':');
            escape(&mut rest, place);
            let merged = c_path(place)?;
            (From::Host(c_path(parent())?), merged, From::Host(merged))
        }
        Upper::Memory { fs } => {
            rest.extend(upper_option);
            rest.extend(b"upper,workdir=work");
            (From::Slot(*fs, c""), c"merged", From::Slot(*fs, c"merged"))
        }
    };
    rest.extend(flags);

    let mut names = stacked(lowers, !matches!(upper, Upper::Memory { .. }));
    if let [lower] = lowers
        && let pinned @ From::Pinned(..) = super::host(plan, lower)?
    {
        names = match upper {
            // It becomes the working directory.
            Upper::Disk { .. } | Upper::None { .. } => {
                base = pinned;
                b".".to_vec()
            }
            Upper::Memory { fs } => lower_in_memory(steps, *fs, pinned, lower)?,
        };
    }
    if names.len() + rest.len() >= OPTIONS_MAX
        && let Some((scratch, name)) = upper.links()
    {
        let (dir, links) = scratch.link_layers(&name, lowers)?;
        names = links.iter().rev().map(String::as_bytes).collect::<Vec<_>>().join(&b':');
        base = From::Host(c_path(&dir)?);
    }
    if names.len() + rest.len() >= OPTIONS_MAX {
        return Err(Error::new(
            format!("cannot stack {} layers", lowers.len()),
            "their names do not fit into one page of mount options",
        )
        .fix("--upper disk --storage fuse-overlayfs"));
    }
    let options = c_str([b"lowerdir=".to_vec(), names, rest].concat())?;
    let what = format!("cannot mount an overlay of {} layers", lowers.len());
    steps.push_hint(Op::Overlay { base, options, target }, what, Hint::Overlay);
    Ok(merged)
}

/// Mounts the one lower directory where an overlay in memory finds it by a relative name, too.
fn lower_in_memory(
    steps: &mut Steps,
    fs: Slot,
    lower: From<'static>,
    path: &Path,
) -> Result<Vec<u8>> {
    let (mount, target) = (steps.slot()?, steps.slot()?);
    let name = c"lower";
    let what = format!("cannot use {} as root", path.display());
    steps.push(Op::CloneTree { from: lower, recursive: false, out: mount }, what.clone());
    steps.push(Op::Mkdir { dir: fs, path: name, mode: 0o755 }, what.clone());
    let lookup = Lookup {
        shape: Shape::Dir,
        create: false,
        no_symlinks: true,
        no_pseudo: false,
        optional: false,
    };
    steps.push(Op::Target { root: fs, path: name, lookup, out: target }, what.clone());
    steps.push(Op::Attach { mount, target, own: false }, what);
    Ok(name.to_bytes().to_vec())
}

/// The lower directories as the kernel wants them, the topmost first; by their last component where
/// they share a directory.
fn stacked(lowers: &[PathBuf], relative: bool) -> Vec<u8> {
    let parent = lowers.first().and_then(|l| l.parent());
    let same = relative && lowers.iter().all(|l| l.parent() == parent);
    let mut out = Vec::new();
    for lower in lowers.iter().rev() {
        if !out.is_empty() {
            out.push(b':');
        }
        match lower.file_name() {
            Some(name) if same => escape(&mut out, Path::new(name)),
            _ => escape(&mut out, lower),
        }
    }
    out
}

/// overlayfs.rst: a comma, a colon or a backslash in a directory's name is escaped by a backslash.
fn escape(out: &mut Vec<u8>, path: &Path) {
    use std::os::unix::ffi::OsStrExt as _;
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b',' | b':' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

fn served(steps: &mut Steps, socket: &OwnedFd) -> Result<Slot> {
    let slot = steps.slot()?;
    let params = [
        Param { key: c"rootmode", value: Some(c"40000") },
        Param { key: c"user_id", value: Some(c"0") },
        Param { key: c"group_id", value: Some(c"0") },
        Param { key: c"default_permissions", value: None },
        Param { key: c"allow_other", value: None },
        Param { key: c"source", value: Some(c"fuse-overlayfs") },
    ];
    let op = Op::Fuse { params: leak(params.to_vec()), socket: socket.as_raw_fd(), out: slot };
    steps.push_hint(op, "cannot mount FUSE for fuse-overlayfs", Hint::Fuse);
    Ok(slot)
}

/// After the last target has been made: the root becomes read-only.
pub(crate) fn seal(steps: &mut Steps, plan: &Plan, root: Root) {
    let readonly = plan.spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly);
    if readonly == Some(true) {
        // Not what is mounted below by now: each of those has its own setting.
        let op = Op::SetAttr {
            mount: root.slot,
            set: RDONLY,
            clear: 0,
            propagation: 0,
            recursive: false,
        };
        steps.push(op, "cannot make the root read-only");
    }
}
