//! Each stage turns one part of the plan into what the child needs: operations, descriptors, and a
//! guard for what must be undone. Stages do not import each other; `ops` puts them in order.

pub(crate) mod devices;
pub(crate) mod files;
pub(crate) mod fuse;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod root;
pub(crate) mod scratch;
pub(crate) mod stdio;
pub(crate) mod volumes;

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::path::Path;

use sbx_child::{From, Op, SLOTS, Slot};

use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::plan::Plan;

/// What to say about an operation that failed.
pub(crate) struct About {
    /// `cannot mount /x on /y`.
    pub(crate) what: Cow<'static, str>,
    pub(crate) hint: Hint,
}

/// Which cause and fix an errno stands for, where the kernel's words would not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    None,
    /// A mount target below the new root.
    Target {
        in_directory: Option<std::path::PathBuf>,
    },
    /// A file of the sandbox's own, like /etc/hosts.
    Supply,
    Namespaces,
    /// A new procfs or sysfs.
    KernelFs,
    Overlay,
    Fuse,
    Device,
    Workdir,
    Landlock,
    Rlimit,
    AppArmor {
        label: String,
    },
    Exec {
        command: String,
        /// The platform of the image, where it is not this machine's.
        foreign: Option<Platform>,
    },
}

/// The child's program while it is being put together.
///
/// Strings and tables handed to the child are leaked: a process puts one program together, and the
/// child's copy of the memory must keep them until exec.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) ops: Vec<Op<'static>>,
    pub(crate) about: Vec<About>,
    next_slot: u8,
}

impl Steps {
    pub(crate) fn push(&mut self, op: Op<'static>, what: impl Into<Cow<'static, str>>) {
        self.push_hint(op, what, Hint::None);
    }

    pub(crate) fn push_hint(
        &mut self,
        op: Op<'static>,
        what: impl Into<Cow<'static, str>>,
        hint: Hint,
    ) {
        self.ops.push(op);
        self.about.push(About { what: what.into(), hint });
    }

    pub(crate) fn slot(&mut self) -> Result<Slot> {
        if usize::from(self.next_slot) >= SLOTS {
            return Err(Error::new("cannot prepare the sandbox", "it has too many mounts")
                .fix("mount a common parent directory instead"));
        }
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        Ok(slot)
    }
}

/// A path of the host for the child: the very file that the plan was made with, where it holds one.
pub(crate) fn host(plan: &Plan, path: &Path) -> Result<From<'static>> {
    let text = c_path(path)?;
    let pinned = plan.host.pinned.iter().find(|p| p.path() == path);
    Ok(pinned.map_or(From::Host(text), |p| From::Pinned(text, p.id())))
}

/// A C string that lives as long as the process.
pub(crate) fn c_str(bytes: impl Into<Vec<u8>>) -> Result<&'static CStr> {
    let text = CString::new(bytes).map_err(|e| {
        let shown = String::from_utf8_lossy(&e.into_vec()).into_owned();
        Error::new(format!("cannot use {shown:?}"), "it holds a NUL byte")
    })?;
    Ok(Box::leak(text.into_boxed_c_str()))
}

pub(crate) fn c_path(path: &Path) -> Result<&'static CStr> {
    use std::os::unix::ffi::OsStrExt as _;
    c_str(path.as_os_str().as_bytes())
}

pub(crate) fn leak<T>(items: Vec<T>) -> &'static [T] {
    Vec::leak(items)
}

/// Something that must be undone when the sandbox ends, whatever else fails.
pub(crate) trait Guard {
    fn release(self: Box<Self>) -> Result<()>;
}

/// Guards, released last first; a failure does not keep the rest from being released.
#[derive(Default)]
pub(crate) struct Unwind {
    guards: Vec<Box<dyn Guard>>,
}

impl Unwind {
    pub(crate) fn push(&mut self, guard: impl Guard + 'static) {
        self.guards.push(Box::new(guard));
    }

    pub(crate) fn release(mut self) -> Vec<Error> {
        self.drain()
    }

    fn drain(&mut self) -> Vec<Error> {
        let mut failures = Vec::new();
        while let Some(guard) = self.guards.pop() {
            if let Err(e) = guard.release() {
                failures.push(e);
            }
        }
        failures
    }
}

impl Drop for Unwind {
    /// The way out of an error or a panic: the first error is the one to report.
    fn drop(&mut self) {
        self.drain();
    }
}
