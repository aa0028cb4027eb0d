//! Files of the sandbox's own over the root's, bound one by one. Neither the image nor the host is
//! touched.

use sbx_child::{Lookup, Op, Shape, Slot};

use super::memory::Memory;
use super::root::Root;
use super::{Hint, Steps, c_path};
use crate::error::Result;
use crate::plan::Plan;

/// The mounts of single files, in the order of the plan.
pub(crate) fn before_pivot(
    steps: &mut Steps,
    plan: &Plan,
    memory: &mut Memory,
) -> Result<Vec<Slot>> {
    let supply = |file: &crate::plan::SuppliedFile| {
        let what = format!("cannot supply {}", file.path.display());
        let mount = memory.file(steps, file.content.clone(), &what)?;
        let flags = super::root::NOSUID | super::root::NODEV | super::root::NOEXEC;
        let op = Op::SetAttr { mount, set: flags, clear: 0, propagation: 0, recursive: false };
        steps.push(op, what);
        Ok(mount)
    };
    plan.host.files.iter().map(supply).collect()
}

pub(crate) fn attach(steps: &mut Steps, plan: &Plan, root: Root, mounts: &[Slot]) -> Result<()> {
    let target = steps.slot()?;
    for (file, mount) in plan.host.files.iter().zip(mounts) {
        let what = format!("cannot supply {}", file.path.display());
        let lookup = Lookup {
            shape: Shape::File,
            create: true,
            no_symlinks: false,
            no_pseudo: true,
            optional: file.optional,
        };
        let path = c_path(file.path.strip_prefix("/").unwrap_or(&file.path))?;
        let op = Op::Target { root: root.slot, path, lookup, out: target };
        steps.push_hint(op, what.clone(), Hint::Supply);
        let op = Op::Attach { mount: *mount, target, own: false };
        steps.push_hint(op, what, Hint::Supply);
    }
    Ok(())
}
