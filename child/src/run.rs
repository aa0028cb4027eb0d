//! The interpreter.

use core::sync::atomic::Ordering;

use crate::init::{self, Rest};
use crate::op::{Failure, Op, Program, SLOTS, Slot};
use crate::sys::{self, EINTR, EINVAL, EOWNERDEAD, EXDEV, Errno, Result, call, nr};
use crate::{landlock, mount, process};

/// How many file systems of the sandbox's own can be remembered: each comes from a slot.
const OWN: usize = SLOTS;

/// Descriptors made so far, and the devices on which targets may be created.
pub(crate) struct State {
    slots: [i32; SLOTS],
    own: [(u32, u32); OWN],
    owned: usize,
    /// An optional target that was not there: its mount is dropped.
    absent: [bool; SLOTS],
    /// The file system that masks directories has been attached; further masks clone it.
    pub(crate) empty_attached: bool,
}

impl State {
    fn new() -> Self {
        State {
            slots: [-1; SLOTS],
            own: [(0, 0); OWN],
            owned: 0,
            absent: [false; SLOTS],
            empty_attached: false,
        }
    }

    pub(crate) fn fd(&self, slot: Slot) -> Result<i32> {
        match self.slots.get(usize::from(slot.0)) {
            Some(&fd) if fd >= 0 => Ok(fd),
            _ => Err(EINVAL),
        }
    }

    pub(crate) fn put(&mut self, slot: Slot, fd: i32) -> Result<()> {
        let entry = self.slots.get_mut(usize::from(slot.0)).ok_or(EINVAL)?;
        if *entry >= 0 {
            sys::close(*entry);
        }
        *entry = fd;
        Ok(())
    }

    pub(crate) fn set_absent(&mut self, slot: Slot, absent: bool) {
        if let Some(entry) = self.absent.get_mut(usize::from(slot.0)) {
            *entry = absent;
        }
    }

    pub(crate) fn is_absent(&self, slot: Slot) -> bool {
        self.absent.get(usize::from(slot.0)).is_some_and(|a| *a)
    }

    pub(crate) fn add_own(&mut self, fd: i32) -> Result<()> {
        let st = sys::statx(fd)?;
        let entry = self.own.get_mut(self.owned).ok_or(EINVAL)?;
        *entry = (st.dev_major, st.dev_minor);
        self.owned += 1;
        Ok(())
    }

    pub(crate) fn is_own(&self, fd: i32) -> Result<bool> {
        let st = sys::statx(fd)?;
        Ok(self.own[..self.owned].contains(&(st.dev_major, st.dev_minor)))
    }
}

/// Runs the program. Never returns: it ends in `exec`, in the init loop, or in `_exit`.
pub fn run(program: &Program<'_>) -> ! {
    go_on(program, &mut State::new(), 0)
}

/// Runs the program from one of its operations on.
pub(crate) fn go_on(program: &Program<'_>, state: &mut State, first: usize) -> ! {
    for (step, op) in program.ops.iter().enumerate().skip(first) {
        let done = match *op {
            Op::Init { terminal, arguments, image, stack } => {
                let rest = Rest { program, state: &mut *state, first: step + 1 };
                init::split(rest, terminal, arguments, image, stack)
            }
            Op::Nest { arguments, image, stack } => {
                let rest = Rest { program, state: &mut *state, first: step + 1 };
                init::nest(rest, arguments, image, stack)
            }
            _ => execute(op, program, state),
        };
        if let Err(errno) = done {
            fail(program, step, errno);
        }
        mark(program, step);
    }
    // A list without Exec is a mistake of the parent's; it must not look like success.
    fail(program, program.ops.len(), EINVAL)
}

pub(crate) fn fail(program: &Program<'_>, step: usize, errno: Errno) -> ! {
    let failure = Failure { step: step as u16, errno: errno.0 };
    let _ = sys::write_all(program.report, &failure.to_bytes());
    sys::exit(125)
}

pub(crate) fn mark(program: &Program<'_>, step: usize) {
    if let Some(cell) = program.timings.get(step) {
        cell.store(sys::monotonic_ns(), Ordering::Relaxed);
    }
}

/// Not inlined, nor are those that need room for paths: their frames would add up.
#[inline(never)]
fn execute(op: &Op<'_>, program: &Program<'_>, state: &mut State) -> Result<()> {
    match *op {
        Op::Unshare { flags } => call!(nr::UNSHARE, flags).map(drop),
        Op::AwaitParent => await_parent(program.sync),
        Op::SetIds { uid, gid } => process::set_ids(uid, gid),
        Op::SetGroups(groups) => call!(nr::SETGROUPS, groups.len(), groups.as_ptr()).map(drop),
        Op::DieWithParent => process::die_with_parent(program.report),
        Op::NotDumpable => process::not_dumpable(),
        Op::NewSession => call!(nr::SETSID).map(drop),
        Op::SetHostname(name) => call!(nr::SETHOSTNAME, name.as_ptr(), name.len()).map(drop),
        Op::SetDomainname(name) => call!(nr::SETDOMAINNAME, name.as_ptr(), name.len()).map(drop),
        Op::LoopbackUp => process::loopback_up(),

        Op::Propagation { flags } => mount::propagation(flags),
        Op::NewFs { fstype, params, attrs, out } => {
            state.put(out, mount::new_fs(fstype, params, attrs)?)
        }
        // What would be done to an optional target that is not there is not done.
        Op::Attach { target, .. } if state.is_absent(target) => Ok(()),
        Op::CloneTree { from, recursive, out } => {
            let fd = mount::clone_tree(state, from, recursive)?;
            state.put(out, fd)
        }
        Op::SetAttr { mount, set, clear, propagation, recursive } => {
            mount::set_attr(state.fd(mount)?, set, clear, propagation, recursive)
        }
        Op::Overlay { base, options, target } => mount::overlay(state, base, options, target),
        Op::CheckDevice { slot, major, minor } => {
            mount::check_device(state.fd(slot)?, major, minor)
        }
        Op::PivotRoot { root, own } => mount::pivot_root(state, root, own),
        Op::Target { root, path, lookup, out } => mount::target(state, root, path, lookup, out),
        Op::Attach { mount, target, own } => mount::attach(state, mount, target, own),
        Op::Place { dir, name, shape, out } => {
            let dir = state.fd(dir)?;
            if !state.is_own(dir)? {
                return Err(EXDEV);
            }
            let fd = mount::place(dir, name, shape)?;
            state.put(out, fd)
        }
        Op::Mask { root, path, null, empty } => mount::mask(state, root, path, null, empty),
        Op::Hold { mount, path } => mount::hold(state, mount, path),
        Op::Hide { mount, path, empty } => mount::hide(state, mount, path, empty),
        Op::ReadOnlyPath { root, path } => mount::read_only_path(state, root, path),
        Op::HostDir { path, out } => {
            let flags = sys::O_PATH | sys::O_DIRECTORY;
            state.put(out, sys::openat2(sys::AT_FDCWD, path, flags, 0, 0)?)
        }
        Op::Fuse { params, socket, out } => {
            let fd = mount::fuse(params, socket)?;
            state.put(out, fd)
        }
        Op::Mkdir { dir, path, mode } => mount::mkdir(state.fd(dir)?, path, mode),
        Op::Symlink { text, dir, path } => {
            call!(nr::SYMLINKAT, text.as_ptr(), state.fd(dir)?, path.as_ptr()).map(drop)
        }
        Op::WriteFile { dir, path, content, mode } => {
            mount::write_file(state.fd(dir)?, path, content, mode)
        }
        Op::Sysctl { root, path, content } => mount::sysctl(state.fd(root)?, path, content),
        Op::ExecLabel(line) => process::exec_label(line),
        Op::Chown { dir, path, uid, gid } => {
            let dir = state.fd(dir)?;
            call!(nr::FCHOWNAT, dir, path.as_ptr(), uid, gid, sys::AT_SYMLINK_NOFOLLOW).map(drop)
        }

        Op::Terminal { pts, socket, rows, cols, console } => {
            process::terminal(state, pts, socket, rows, cols, console)
        }
        Op::Stdio { from, to } => process::stdio(from, to),
        Op::CloseOnExec { first } => process::close_on_exec(first),
        Op::Chdir { root, path, create } => mount::chdir(state, root, path, create),

        Op::Umask(mask) => call!(nr::UMASK, mask).map(drop),
        Op::Rlimit { resource, soft, hard } => {
            let limit = [soft, hard];
            call!(nr::PRLIMIT64, 0usize, resource, limit.as_ptr(), 0usize).map(drop)
        }
        Op::NewKeyring => process::new_keyring(),
        Op::BoundingSet { keep } => process::bounding_set(keep),
        Op::Capabilities { caps } => process::capabilities(caps),
        Op::NoNewPrivs => process::no_new_privs(),
        Op::Landlock(ref landlock) => landlock::restrict(landlock),
        Op::Seccomp(filter) => process::seccomp(filter),
        Op::ResetSignals => process::reset_signals(),
        Op::Exit => sys::exit(0),
        // Run by go_on, which knows what is left to do.
        Op::Init { .. } | Op::Nest { .. } => Err(EINVAL),
        Op::Exec { paths, argv, envp } => process::exec(paths, argv, envp),
    }
}

fn await_parent(sync: i32) -> Result<()> {
    let mut byte = [0u8; 1];
    loop {
        match call!(nr::READ, sync, byte.as_mut_ptr(), 1usize) {
            Ok(1) => return Ok(()),
            Ok(_) => return Err(EOWNERDEAD),
            Err(EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}
