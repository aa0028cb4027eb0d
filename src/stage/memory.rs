//! One tmpfs for everything that a sandbox keeps in memory: the skeleton of `--host`, /dev, /tmp, /run,
//! supplied files, the cover of masked directories. Each is a directory or a file of it, cloned into
//! a mount of its own. A file system for each would cost as much as the rest of the set-up.

use sbx_child::{From, Op, Param, Slot};

use super::{Steps, c_str, leak};
use crate::error::Result;

/// What every clone has without asking: nosuid, nodev.
pub(crate) const FLAGS: u64 = super::root::NOSUID | super::root::NODEV;

pub(crate) struct Memory {
    fs: Slot,
    count: u32,
}

impl Memory {
    /// Before Linux 6.15 only an attached mount can be cloned. Over /proc it is in nobody's way, since
    /// the child does not look there, and it goes with the old root: no path leads to its own root, from
    /// which all of it could be reached.
    pub(crate) fn new(steps: &mut Steps) -> Result<Self> {
        let (fs, place) = (steps.slot()?, steps.slot()?);
        let params = leak(vec![Param { key: c"mode", value: Some(c"700") }]);
        let what = "cannot make a tmpfs";
        steps.push(Op::NewFs { fstype: c"tmpfs", params, attrs: FLAGS, out: fs }, what);
        steps.push(Op::HostDir { path: c"/proc", out: place }, what);
        steps.push(Op::Attach { mount: fs, target: place, own: false }, what);
        Ok(Memory { fs, count: 0 })
    }

    /// A new directory as a detached mount.
    pub(crate) fn dir(
        &mut self,
        steps: &mut Steps,
        mode: u32,
        owner: Option<(u32, u32)>,
        what: &str,
    ) -> Result<Slot> {
        let name = self.name()?;
        steps.push(Op::Mkdir { dir: self.fs, path: name, mode }, what.to_owned());
        if let Some((uid, gid)) = owner {
            steps.push(Op::Chown { dir: self.fs, path: name, uid, gid }, what.to_owned());
        }
        self.clone_of(steps, name, what)
    }

    /// `upper`, `work` and `merged` for an overlay; the directory that holds them is the file system's
    /// own root. `mode` is the merged root's.
    pub(crate) fn overlay_dirs(&mut self, steps: &mut Steps, mode: u32) -> Result<Slot> {
        let what = "cannot make the overlay's directories in memory";
        for (path, mode) in [(c"upper", mode), (c"work", 0o755), (c"merged", 0o755)] {
            steps.push(Op::Mkdir { dir: self.fs, path, mode }, what);
        }
        Ok(self.fs)
    }

    /// A new file with this content as a detached mount.
    pub(crate) fn file(&mut self, steps: &mut Steps, content: Vec<u8>, what: &str) -> Result<Slot> {
        let name = self.name()?;
        let op = Op::WriteFile { dir: self.fs, path: name, content: leak(content), mode: 0o644 };
        steps.push(op, what.to_owned());
        self.clone_of(steps, name, what)
    }

    fn clone_of(
        &self,
        steps: &mut Steps,
        name: &'static std::ffi::CStr,
        what: &str,
    ) -> Result<Slot> {
        let out = steps.slot()?;
        let from = From::Slot(self.fs, name);
        steps.push(Op::CloneTree { from, recursive: false, out }, what.to_owned());
        Ok(out)
    }

    fn name(&mut self) -> Result<&'static std::ffi::CStr> {
        self.count += 1;
        c_str(self.count.to_string())
    }
}
