//! A minimal /dev (runtime-spec, "Default Devices"): the host's nodes bound by descriptor, since a
//! user namespace cannot make any.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use sbx_child::{From, Lookup, Op, Shape, Slot};

use super::root::Root;
use super::{Hint, Steps, c_str};
use crate::error::{Error, Result};
use crate::plan::Plan;

/// Name, major and minor; `Documentation/admin-guide/devices.txt`.
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

pub(crate) struct Nodes {
    slots: Vec<Slot>,
}

impl Nodes {
    /// /dev/null, which masks files.
    pub(crate) fn null(&self) -> Slot {
        self.slots[0]
    }
}

/// Clones the nodes and verifies what they are: a name can be swapped, a device number cannot
/// (CVE-2025-31133).
pub(crate) fn before_pivot(steps: &mut Steps, plan: &Plan) -> Result<Nodes> {
    check_free(plan)?;
    let mut slots = Vec::new();
    for (name, major, minor) in NODES {
        let slot = steps.slot()?;
        let from = From::Host(c_str(format!("/dev/{name}"))?);
        let what = format!("cannot bind the host's /dev/{name}");
        steps.push(Op::CloneTree { from, recursive: false, out: slot }, what.clone());
        steps.push_hint(Op::CheckDevice { slot, major, minor }, what, Hint::Device);
        slots.push(slot);
    }
    Ok(Nodes { slots })
}

/// What is asked for must neither be in the way of the sandbox's own devices nor be covered by them.
fn check_free(plan: &Plan) -> Result<()> {
    let names = NODES.iter().map(|(name, ..)| name).chain(LINKS.iter().map(|(name, _)| name));
    let own: Vec<PathBuf> = names.map(|name| Path::new("/dev").join(name)).collect();
    let terminal = plan.spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal);
    let terminal = if terminal == Some(true) { &["/dev/pts", "/dev/console"][..] } else { &[] };
    let others = |m: &&Mount| m.typ().as_deref() != Some("devpts");
    for mount in plan.spec.mounts().iter().flatten().filter(others) {
        let target = mount.destination();
        let what = || format!("cannot mount on {}", target.display());
        if let Some(own) = own.iter().find(|own| target.starts_with(own)) {
            let why = format!("every sandbox has a {} of its own", own.display());
            return Err(
                Error::new(what(), why).fix("leave the mount out, or choose another target")
            );
        }
        if let Some(place) = terminal.iter().find(|place| target.starts_with(place)) {
            let why = format!("the terminal of -t needs a {place} of its own");
            return Err(Error::new(what(), why).fix("leave -t or the mount out"));
        }
    }
    Ok(())
}

pub(crate) fn attach(steps: &mut Steps, root: Root, nodes: &Nodes) -> Result<()> {
    let dev = steps.slot()?;
    let target = steps.slot()?;
    let lookup = Lookup {
        shape: Shape::Dir,
        create: false,
        no_symlinks: true,
        no_pseudo: true,
        optional: false,
    };
    steps.push(Op::Target { root: root.slot, path: c"dev", lookup, out: dev }, "cannot open /dev");
    for ((name, ..), mount) in NODES.iter().zip(&nodes.slots) {
        let what = format!("cannot mount on {}", Path::new("/dev").join(name).display());
        let name = c_str(*name)?;
        let place = Op::Place { dir: dev, name, shape: Shape::File, out: target };
        steps.push(place, what.clone());
        steps.push(Op::Attach { mount: *mount, target, own: false }, what);
    }
    for (name, text) in LINKS {
        let op = Op::Symlink { text: c_str(text)?, dir: dev, path: c_str(name)? };
        steps.push(op, format!("cannot make the link /dev/{name}"));
    }
    Ok(())
}

/// The terminal of the sandbox, at /dev/console as well (runtime-spec, "Default Devices").
pub(crate) fn terminal(
    steps: &mut Steps,
    root: Root,
    pts: Slot,
    socket: i32,
    size: (u16, u16),
) -> Result<()> {
    let console = steps.slot()?;
    let target = steps.slot()?;
    let (rows, cols) = size;
    let op = Op::Terminal { pts, socket, rows, cols, console };
    steps.push(op, "cannot open a terminal for the sandbox");
    let lookup = Lookup {
        shape: Shape::File,
        create: true,
        no_symlinks: true,
        no_pseudo: true,
        optional: false,
    };
    let op = Op::Target { root: root.slot, path: c"dev/console", lookup, out: target };
    steps.push(op, "cannot make /dev/console");
    steps.push(Op::Attach { mount: console, target, own: false }, "cannot mount on /dev/console");
    Ok(())
}
