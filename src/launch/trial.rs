//! Trying operations in a child that then ends: how `sbx doctor` finds out.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};
use sbx_child::{Failure, From, Op, Program};

use crate::error::{Context, Error, Result, errno_text};
use crate::host::{dirs, prereq};
use crate::stage::{c_path, c_str};
use crate::sys;
use crate::userns::idmap::IdMap;
use crate::userns::write;

pub(crate) const USER: u64 = libc::CLONE_NEWUSER as u64;
pub(crate) const ALL: u64 = USER
    | (libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWNET) as u64;

pub(crate) struct Trial<'a> {
    pub(crate) flags: u64,
    pub(crate) map: &'a IdMap,
    /// What is done once the ids are mapped.
    pub(crate) ops: Vec<Op<'static>>,
}

pub(crate) fn run(trial: &Trial<'_>) -> Result<()> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).what(|| "cannot make a pipe");
    let (report_read, report_write) = pipe()?;
    let (sync_read, sync_write) = pipe()?;
    let mut ops = vec![Op::AwaitParent];
    ops.extend(&trial.ops);
    ops.push(Op::Exit);
    let program = Program {
        ops: &ops,
        report: report_write.as_raw_fd(),
        sync: sync_read.as_raw_fd(),
        timings: &[],
    };
    let ours = [report_read.as_raw_fd(), sync_write.as_raw_fd()];
    let child = sys::clone3(trial.flags, || {
        for fd in ours {
            sys::close(fd);
        }
        sbx_child::run(&program)
    })
    .map_err(prereq::namespaces)?;
    drop((report_write, sync_read));
    let mapped = write::apply(child.pid, trial.map);
    let mut sync = std::fs::File::from(sync_write);
    if mapped.is_ok() {
        let _ = sync.write_all(&[1]);
    }
    drop(sync);
    let mut bytes = Vec::new();
    let read = std::fs::File::from(report_read).read_to_end(&mut bytes);
    sys::wait(&child.pidfd).what(|| "cannot wait for a trial")?;
    mapped?;
    read.what(|| "cannot read a trial's report")?;
    match <[u8; Failure::LEN]>::try_from(&bytes[..]).map(Failure::from_bytes) {
        Ok(failure) => Err(Error::new(
            format!("cannot do {:?}", name(&ops, failure.step)),
            errno_text(failure.errno),
        )),
        Err(_) => Ok(()),
    }
}

/// The kernel's name for what failed.
fn name(ops: &[Op<'_>], step: u16) -> String {
    match ops.get(usize::from(step)) {
        Some(Op::NewFs { fstype, .. }) => format!("mount {}", fstype.to_string_lossy()),
        Some(Op::Overlay { .. }) => "mount overlay".to_owned(),
        Some(Op::Seccomp(_)) => "seccomp".to_owned(),
        _ => "set-up".to_owned(),
    }
}

/// An overlay of directories next to the store's layers, on the same file system.
pub(crate) fn overlay(data: &Path, map: &IdMap) -> Result<()> {
    dirs::make_private(data)?;
    let dir = data.join(format!("trial-{}", std::process::id()));
    let made = (|| {
        for name in ["lower", "upper", "work", "merged"] {
            let path = dir.join(name);
            std::fs::create_dir_all(&path).what(|| format!("cannot make {}", path.display()))?;
        }
        let base = c_path(&dir)?;
        let options = c_str("lowerdir=lower,upperdir=upper,workdir=work,userxattr,volatile")?;
        let op = Op::Overlay { base: From::Host(base), options, target: c"merged" };
        run(&Trial { flags: USER | libc::CLONE_NEWNS as u64, map, ops: vec![op] })
    })();
    let removed = crate::userns::worker::remove_tree(map, &dir);
    made.and(removed)
}
