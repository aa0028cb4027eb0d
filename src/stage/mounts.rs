//! The mounts of the runtime-spec configuration: sources are cloned while the host is in reach, and
//! attached by descriptor below the new root.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use sbx_child::{Lookup, Op, Param, Shape, Slot};

use super::memory::Memory;
use super::root::{PRIVATE, RDONLY, Root, SLAVE, Upper};
use super::scratch::Scratch;
use super::{Hint, Steps, c_path, c_str, leak};
use crate::error::{Error, Result};
use crate::plan::{Plan, RootPlan};
use crate::sys::pinned::Pinned;
use crate::userns::idmap::IdMap;

/// A mount that is made and waits to be attached.
pub(crate) struct Detached {
    mount: Slot,
    target: PathBuf,
    kind: Kind,
    shape: Shape,
    /// A new file system or directory that is writable.
    empty: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// procfs and sysfs: as for /dev, their place must be a real directory.
    Kernel,
    Cgroup,
    /// A file system of the sandbox's own.
    Own,
    /// Somebody else's files.
    Foreign,
}

const MOUNT_ATTRS: [(&str, u64); 5] = [
    ("ro", RDONLY),
    ("nosuid", 0x2),
    ("nodev", 0x4),
    ("noexec", 0x8),
    ("strictatime", STRICTATIME),
];

const STRICTATIME: u64 = 0x20;
const SHARED: u64 = 1 << 20;

/// What needs no id: this is done while the id map is being written. The rest is `None`.
pub(crate) fn before_map(steps: &mut Steps, plan: &Plan) -> Result<Vec<Option<Detached>>> {
    let mounts = plan.spec.mounts().iter().flatten();
    let early = |mount: &Mount| {
        if needs_ids(mount) {
            return Ok(None);
        }
        let slot = steps.slot()?;
        let source = mount.source().as_deref().unwrap_or(Path::new(""));
        let mut shape = Shape::Dir;
        let what = what(mount);
        let kind = match mount.typ().as_deref() {
            Some("bind") => {
                let recursive = options(mount).any(|o| o == "rbind");
                let from = super::host(plan, source)?;
                steps.push(Op::CloneTree { from, recursive, out: slot }, what.clone());
                shape = shape_of(plan, source);
                attributes(steps, mount, slot, recursive, what);
                Kind::Foreign
            }
            Some(fstype) => new_fs(steps, mount, fstype, slot, what)?,
            None => return Err(Error::new(what, "it has no type")),
        };
        Ok(Some(Detached::new(mount, slot, kind, shape)))
    };
    mounts.map(early).collect()
}

/// Files are made with ids that must be mapped, devpts is given a group, and an overlay works in its
/// upper directory from the start.
fn needs_ids(mount: &Mount) -> bool {
    matches!(mount.typ().as_deref(), Some("devpts" | "overlay")) || shares_memory(mount)
}

/// The rest, once ids are mapped; the order is the configuration's.
pub(crate) fn before_pivot(
    steps: &mut Steps,
    plan: &Plan,
    memory: &mut Memory,
    scratch: Option<&Scratch>,
    early: Vec<Option<Detached>>,
) -> Result<Vec<Detached>> {
    let mounts = plan.spec.mounts().iter().flatten();
    let late = |(number, (mount, early)): (usize, (&Mount, Option<Detached>))| {
        if let Some(made) = early {
            return Ok(made);
        }
        let what = what(mount);
        if shares_memory(mount) {
            let slot = in_memory(steps, mount, memory, &what)?;
            return Ok(Detached::new(mount, slot, Kind::Own, Shape::Dir));
        }
        let slot = steps.slot()?;
        let kind = match mount.typ().as_deref() {
            Some("overlay") => {
                let scratch = scratch
                    .ok_or_else(|| Error::new(what.clone(), "there is no scratch directory"))?;
                let number = number.to_string();
                let image =
                    plan.host.image_mounts.iter().find(|i| i.target == *mount.destination());
                let (lowers, upper) = match image {
                    Some(image) if !image.writable => {
                        (image.lowers.clone(), Upper::none(scratch, &number)?)
                    }
                    Some(image) => (image.lowers.clone(), Upper::on_disk(scratch, &number)?),
                    None => {
                        let source = mount.source().clone().into_iter().collect();
                        (source, Upper::on_disk(scratch, &number)?)
                    }
                };
                let from = super::root::overlay(steps, plan, &lowers, &upper, true)?;
                steps.push(Op::CloneTree { from, recursive: false, out: slot }, what.clone());
                attributes(steps, mount, slot, false, what);
                Kind::Own
            }
            other => new_fs(steps, mount, other.unwrap_or_default(), slot, what)?,
        };
        Ok(Detached::new(mount, slot, kind, Shape::Dir))
    };
    mounts.zip(early).enumerate().map(late).collect()
}

fn what(mount: &Mount) -> String {
    let source = mount.source().as_deref().unwrap_or(Path::new(""));
    format!("cannot mount {} on {}", source.display(), mount.destination().display())
}

impl Detached {
    fn new(of: &Mount, mount: Slot, kind: Kind, shape: Shape) -> Self {
        let empty = of.typ().as_deref() == Some("tmpfs") && options(of).all(|o| o != "ro");
        Detached { mount, target: of.destination().clone(), kind, shape, empty }
    }
}

fn options(mount: &Mount) -> impl Iterator<Item = &str> {
    mount.options().iter().flatten().map(String::as_str)
}

fn shape_of(plan: &Plan, source: &Path) -> Shape {
    let held = plan.host.pinned.iter().find(|p| p.path() == source);
    if held.map_or_else(|| source.is_dir(), Pinned::is_dir) { Shape::Dir } else { Shape::File }
}

/// A tmpfs with no limit of its own needs no file system of its own.
fn shares_memory(mount: &Mount) -> bool {
    let known = |o: &str| {
        MOUNT_ATTRS.iter().any(|(name, _)| *name == o)
            || o == "rw"
            || matches!(o.split_once('='), Some(("mode" | "uid" | "gid", _)))
    };
    mount.typ().as_deref() == Some("tmpfs") && options(mount).all(known)
}

fn in_memory(steps: &mut Steps, mount: &Mount, memory: &mut Memory, what: &str) -> Result<Slot> {
    let value = |key: &str| options(mount).find_map(|o| o.strip_prefix(key)?.strip_prefix('='));
    let mode = value("mode").and_then(|m| u32::from_str_radix(m, 8).ok()).unwrap_or(0o1777);
    let id = |key| value(key).and_then(|v| v.parse().ok());
    let slot = memory.dir(steps, mode, id("uid").zip(id("gid")), what)?;
    let set = options(mount)
        .filter_map(|o| MOUNT_ATTRS.iter().find(|(name, _)| *name == o))
        .fold(0, |set, (_, bit)| set | bit);
    if set == super::memory::FLAGS {
        return Ok(slot);
    }
    // mount_setattr(2): the access time setting is one field, to be cleared before it is set.
    let clear = if set & STRICTATIME == 0 { 0 } else { 0x70 };
    let op = Op::SetAttr { mount: slot, set, clear, propagation: 0, recursive: false };
    steps.push(op, what.to_owned());
    Ok(slot)
}

fn new_fs(steps: &mut Steps, m: &Mount, fstype: &str, slot: Slot, what: String) -> Result<Kind> {
    let (mut params, mut attrs) = (Vec::new(), 0);
    for option in options(m) {
        if let Some((_, bit)) = MOUNT_ATTRS.iter().find(|(name, _)| *name == option) {
            attrs |= bit;
        } else if option == "newinstance" || option == "rw" {
            // Every devpts mount is an instance of its own since Linux 4.7.
        } else if let Some((key, value)) = option.split_once('=') {
            params.push(Param { key: c_str(key)?, value: Some(c_str(value)?) });
        } else {
            return Err(Error::new(what, format!("{fstype} has no option {option}")));
        }
    }
    let (fstype, kind) = match fstype {
        "proc" => (c"proc", Kind::Kernel),
        "sysfs" => (c"sysfs", Kind::Kernel),
        "cgroup" => (c"cgroup2", Kind::Cgroup),
        "tmpfs" => (c"tmpfs", Kind::Own),
        "devpts" => (c"devpts", Kind::Own),
        "mqueue" => (c"mqueue", Kind::Own),
        other => {
            return Err(Error::new(what, format!("file systems of type {other} are not mounted")));
        }
    };
    let hint = if kind == Kind::Kernel { Hint::KernelFs } else { Hint::None };
    steps.push_hint(Op::NewFs { fstype, params: leak(params), attrs, out: slot }, what, hint);
    Ok(kind)
}

fn attributes(steps: &mut Steps, mount: &Mount, slot: Slot, recursive: bool, what: String) {
    let (mut set, mut propagation) = (0, PRIVATE);
    for option in options(mount) {
        if let Some((_, bit)) = MOUNT_ATTRS.iter().find(|(name, _)| *name == option) {
            set |= bit;
        }
        match option {
            "slave" | "rslave" => propagation = SLAVE,
            "shared" | "rshared" => propagation = SHARED,
            _ => {}
        }
    }
    // "ro" holds for everything below as well: a writable submount would be a hole.
    steps.push(Op::SetAttr { mount: slot, set, clear: 0, propagation, recursive }, what);
}

/// Attaches what was made. The slot of devpts comes back, for the terminal.
pub(crate) fn attach(
    steps: &mut Steps,
    plan: &Plan,
    root: Root,
    detached: &[Detached],
    empty: Slot,
) -> Result<Option<Slot>> {
    cover(steps, plan, None, root.slot, empty)?;
    let target = steps.slot()?;
    let mut pts = None;
    let in_directory = match &plan.host.root {
        RootPlan::Directory(dir) => Some(dir.clone()),
        _ => None,
    };
    let hint = Hint::Target { in_directory };
    let mut fresh = Fresh::new(plan, root);
    for (number, d) in detached.iter().enumerate() {
        let what = format!("cannot mount on {}", d.target.display());
        if let Some(dir) = fresh.parent_of(&d.target)
            && let Some(name) = d.target.file_name()
        {
            let name = c_path(Path::new(name))?;
            steps.push(Op::Place { dir, name, shape: d.shape, out: target }, what.clone());
        } else {
            let lookup = Lookup {
                shape: d.shape,
                create: true,
                no_symlinks: d.kind == Kind::Kernel || d.target == Path::new("/dev"),
                no_pseudo: d.kind != Kind::Kernel && d.kind != Kind::Cgroup,
                optional: false,
            };
            // Below another mount it is looked up in there: a link on the way to that one, or whoever can
            // move its place, must not part the two.
            let above = detached[..number].iter().filter(|e| d.target.starts_with(&e.target));
            let above = above.max_by_key(|e| e.target.components().count());
            let (dir, place) =
                above.map_or((root.slot, Path::new("/")), |e| (e.mount, e.target.as_path()));
            let below = d.target.strip_prefix(place).unwrap_or(&d.target);
            let path = if below.as_os_str().is_empty() { c"." } else { c_path(below)? };
            let op = Op::Target { root: dir, path, lookup, out: target };
            steps.push_hint(op, what.clone(), hint.clone());
        }
        let op = Op::Attach { mount: d.mount, target, own: d.kind == Kind::Own };
        steps.push_hint(op, what, hint.clone());
        cover(steps, plan, Some(number), d.mount, empty)?;
        fresh.add(d);
        if d.target == Path::new("/dev/pts") {
            pts = Some(d.mount);
        }
    }
    Ok(pts)
}

/// Hides sbx's own directories in a mount that has just been attached.
fn cover(
    steps: &mut Steps,
    plan: &Plan,
    of: Option<usize>,
    mount: Slot,
    empty: Slot,
) -> Result<()> {
    for cover in plan.host.covers.iter().filter(|cover| cover.of == of) {
        for dir in &cover.hold {
            let op = Op::Hold { mount, path: c_path(dir)? };
            steps.push(op, format!("cannot hold {} in its place", dir.display()));
        }
        for dir in &cover.hide {
            let op = Op::Hide { mount, path: c_path(dir)?, empty };
            steps.push(op, format!("cannot hide {}", dir.display()));
        }
    }
    Ok(())
}

/// Directories of the sandbox's own in which nothing is but what was put there: a name that was not
/// used is free, and needs no look-up that walks from the root.
struct Fresh {
    dirs: Vec<(PathBuf, Slot)>,
    used: Vec<PathBuf>,
}

impl Fresh {
    fn new(plan: &Plan, root: Root) -> Self {
        let mut fresh = Fresh { dirs: Vec::new(), used: Vec::new() };
        if let RootPlan::Host(entries) = &plan.host.root {
            fresh.dirs.push((PathBuf::from("/"), root.slot));
            fresh.used = entries.iter().map(|e| e.path().to_owned()).collect();
        }
        fresh
    }

    fn parent_of(&self, target: &Path) -> Option<Slot> {
        // Of two mounts on one place the later one is on top.
        let parent = target.parent()?;
        let dir = self.dirs.iter().rev().find(|(dir, _)| dir == parent)?;
        let taken = self.used.iter().any(|u| u.starts_with(target));
        (!taken).then_some(dir.1)
    }

    fn add(&mut self, d: &Detached) {
        self.used.push(d.target.clone());
        // What is mounted over such a directory hides it.
        self.dirs.retain(|(dir, _)| !dir.starts_with(&d.target));
        if d.empty {
            self.dirs.push((d.target.clone(), d.mount));
        }
    }
}

/// An empty directory that nobody can write to, to mask with.
pub(crate) fn empty(steps: &mut Steps, memory: &mut Memory) -> Result<Slot> {
    let what = "cannot make an empty directory to mask with";
    let slot = memory.dir(steps, 0o555, None, what)?;
    let set = RDONLY | super::root::NOSUID | super::root::NODEV | super::root::NOEXEC;
    let op = Op::SetAttr { mount: slot, set, clear: 0, propagation: 0, recursive: false };
    steps.push(op, what);
    Ok(slot)
}

/// Kernel parameters, then masked and read-only paths (runtime-spec, "Masked Paths").
pub(crate) fn restrict(
    steps: &mut Steps,
    plan: &Plan,
    root: Root,
    null: Slot,
    empty: Slot,
) -> Result<()> {
    let Some(linux) = plan.spec.linux() else { return Ok(()) };
    if !plan.host.covers.is_empty() && plan.host.idmap != IdMap::Inherit {
        // In a namespace of its own, a process could take apart what hides sbx's directories.
        let path = c"proc/sys/user/max_user_namespaces";
        let op = Op::Sysctl { root: root.slot, path, content: b"0" };
        steps.push(op, "cannot keep the sandbox from making user namespaces");
    }
    for (name, value) in linux.sysctl().iter().flatten() {
        let path = c_str(format!("proc/sys/{}", name.replace('.', "/")))?;
        let content = leak(value.clone().into_bytes());
        let op = Op::Sysctl { root: root.slot, path, content };
        steps.push(op, format!("cannot set --sysctl {name}={value}"));
    }
    for path in linux.masked_paths().iter().flatten() {
        let op = Op::Mask { root: root.slot, path: relative(path)?, null, empty };
        steps.push(op, format!("cannot mask {path}"));
    }
    for path in linux.readonly_paths().iter().flatten() {
        let op = Op::ReadOnlyPath { root: root.slot, path: relative(path)? };
        steps.push(op, format!("cannot make {path} read-only"));
    }
    Ok(())
}

fn relative(path: &str) -> Result<&'static std::ffi::CStr> {
    c_str(path.trim_start_matches('/'))
}
