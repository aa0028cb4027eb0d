//! The operations, in the words of the kernel's interfaces. The parent prepares every string, filter
//! and descriptor number; the order of the list is the order of execution.

use core::ffi::CStr;

/// An entry of the interpreter's descriptor table: descriptors that operations make for later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u8);

/// How many slots there are.
pub const SLOTS: usize = 250;

/// What a mount target is, and may be made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Dir,
    File,
}

/// The rules for resolving a target below the new root.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    pub shape: Shape,
    /// Make what is missing, where the directory belongs to a file system of this sandbox. In any
    /// other it would be a stub in a host directory: EXDEV. A link that leads nowhere is followed.
    pub create: bool,
    /// No component may be a symbolic link: /proc, /sys and /dev themselves.
    pub no_symlinks: bool,
    /// The target must not lie in procfs or sysfs: EPERM otherwise (CVE-2019-16884 and its kin).
    pub no_pseudo: bool,
    /// A target that does not exist and cannot be made skips the `Attach` that names this slot.
    pub optional: bool,
}

/// Page-aligned memory that is backed by the program's file and was never written to.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub start: usize,
    pub len: usize,
}

/// Memory for a process that is cloned to start on.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    pub(crate) top: usize,
}

impl Stack {
    /// How much there must be. The interpreter needs a few pages for paths.
    pub const LEN: usize = 256 << 10;

    /// # Safety
    /// Below `top`, which is a multiple of 16, lie [`Stack::LEN`] bytes of writable memory that nothing
    /// else uses, now or later, and below them a page that cannot be written to: what grows too far must
    /// not reach other memory.
    pub const unsafe fn new(top: usize) -> Self {
        Stack { top }
    }
}

/// The memory between `arg_start` and `arg_end` of `proc_pid_stat(5)`.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    pub start: usize,
    pub len: usize,
}

/// A name and value for `fsconfig(2)`; without a value it is a flag.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    pub key: &'a CStr,
    pub value: Option<&'a CStr>,
}

/// A file, as long as somebody holds it open; `statx(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub dev_major: u32,
    pub dev_minor: u32,
    pub inode: u64,
}

/// Where a tree to be cloned is.
#[derive(Clone, Copy, Debug)]
pub enum From<'a> {
    /// A path of the host that must lead to this file still, through no link: ESTALE otherwise.
    Pinned(&'a CStr, FileId),
    /// A path of the host, as the caller sees it.
    Host(&'a CStr),
    /// A path below the directory in a slot.
    Slot(Slot, &'a CStr),
}

#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    /// `unshare(2)`: namespaces that need not be there from the start. Made here, they cost no time of the
    /// parent's, which starts the helpers meanwhile.
    Unshare {
        flags: u64,
    },
    /// Wait until the parent has written the id map; EOWNERDEAD if it is gone.
    AwaitParent,
    /// `setresgid(2)`, `setresuid(2)`.
    SetIds {
        uid: u32,
        gid: u32,
    },
    /// `setgroups(2)`.
    SetGroups(&'a [u32]),
    /// `prctl(PR_SET_PDEATHSIG, SIGKILL)`, and a look whether the parent is still there. A change of
    /// ids clears the setting (`prctl(2)`): the process makes none after it.
    DieWithParent,
    /// Fork into a PID namespace inside this one. The child goes on with the list and becomes PID 1 as
    /// the sandbox sees it; this process is the outer init, which the sandbox does not see: once it
    /// dies, the kernel ends everything below. A program that is PID 1 can shake off the signal of its
    /// parent's death (`PR_SET_PDEATHSIG`) by changing its ids; this process changes nothing.
    Nest {
        arguments: Arguments,
        image: &'a [Segment],
        stack: Stack,
    },
    /// `prctl(PR_SET_DUMPABLE, 0)`: nothing that joins these namespaces can trace this process or
    /// open its /proc/PID/exe before exec.
    NotDumpable,
    /// `setsid(2)`: the caller's terminal is no longer the controlling one.
    NewSession,
    SetHostname(&'a [u8]),
    SetDomainname(&'a [u8]),
    /// Brings up `lo` in a new network namespace; see `netdevice(7)`, SIOCSIFFLAGS.
    LoopbackUp,

    /// `mount("", "/", MS_REC | MS_SLAVE or MS_PRIVATE)`.
    Propagation {
        flags: u64,
    },
    /// fsopen, fsconfig, fsmount: a detached mount of a new file system.
    NewFs {
        fstype: &'a CStr,
        params: &'a [Param<'a>],
        attrs: u64,
        out: Slot,
    },
    /// open_tree(OPEN_TREE_CLONE): a detached copy of mounts.
    CloneTree {
        from: From<'a>,
        recursive: bool,
        out: Slot,
    },
    /// `mount_setattr(2)` on a detached or attached mount.
    SetAttr {
        mount: Slot,
        set: u64,
        clear: u64,
        propagation: u64,
        recursive: bool,
    },
    /// `mount(2)` of an overlay on `target`, with the working directory at `base` so that relative
    /// names keep the options below one page.
    Overlay {
        base: From<'a>,
        options: &'a CStr,
        target: &'a CStr,
    },
    /// The device in `slot` must be the character device `major:minor`.
    CheckDevice {
        slot: Slot,
        major: u32,
        minor: u32,
    },
    /// Put the mount of the new root over `/`, change to it with `pivot_root(2)`, and detach the old
    /// one: from here on no path leads to the host.
    PivotRoot {
        root: Slot,
        own: bool,
    },
    /// Resolve a mount target below the new root.
    Target {
        root: Slot,
        path: &'a CStr,
        lookup: Lookup,
        out: Slot,
    },
    /// `move_mount(2)` by descriptors. `own`: the file system belongs to this sandbox, and targets
    /// may be created in it.
    Attach {
        mount: Slot,
        target: Slot,
        own: bool,
    },

    /// Make an entry in a directory that only this sandbox has, and that holds no such name; the
    /// result is a mount target.
    Place {
        dir: Slot,
        name: &'a CStr,
        shape: Shape,
        out: Slot,
    },
    /// Cover a path: a directory with the file system in `empty`, anything else with the device in
    /// `null`. What is not there needs no cover.
    Mask {
        root: Slot,
        path: &'a CStr,
        null: Slot,
        empty: Slot,
    },
    /// Make a directory of a mount a mount of its own, by a bind over itself. No link is followed.
    Hold {
        mount: Slot,
        path: &'a CStr,
    },
    /// Cover a directory of a mount with the file system in `empty`. No link is followed, and it must be
    /// there.
    Hide {
        mount: Slot,
        path: &'a CStr,
        empty: Slot,
    },
    /// Bind a path over itself, read-only with all below it, where it exists.
    ReadOnlyPath {
        root: Slot,
        path: &'a CStr,
    },
    /// A directory of the host, for `Attach` before `PivotRoot`.
    HostDir {
        path: &'a CStr,
        out: Slot,
    },
    /// Mount FUSE and send the descriptor of /dev/fuse to the server. Requests wait until it serves,
    /// so nothing here does.
    Fuse {
        params: &'a [Param<'a>],
        socket: i32,
        out: Slot,
    },

    Mkdir {
        dir: Slot,
        path: &'a CStr,
        mode: u32,
    },
    Symlink {
        text: &'a CStr,
        dir: Slot,
        path: &'a CStr,
    },
    /// A new file with this content.
    WriteFile {
        dir: Slot,
        path: &'a CStr,
        content: &'a [u8],
        mode: u32,
    },
    /// An existing file: `/proc/sys`, below the sandbox's own procfs.
    Sysctl {
        root: Slot,
        path: &'a CStr,
        content: &'a [u8],
    },
    /// The AppArmor label that `Exec` changes to, as `exec LABEL`; see `proc_pid_attr(5)`. A process that
    /// is forked inherits it.
    ExecLabel(&'a [u8]),
    /// `fchownat(2)`, not following a link.
    Chown {
        dir: Slot,
        path: &'a CStr,
        uid: u32,
        gid: u32,
    },

    /// Open a pseudo-terminal of the sandbox's own devpts, send the master to the parent, make the
    /// peer standard input, output and error and the controlling terminal. `console` gets a clone of
    /// the peer (TIOCGPTPEER: by descriptor, so that no name can be swapped).
    Terminal {
        pts: Slot,
        socket: i32,
        rows: u16,
        cols: u16,
        console: Slot,
    },
    /// `dup3(2)` onto 0, 1 or 2.
    Stdio {
        from: i32,
        to: i32,
    },
    /// Everything from `first` on is closed by exec.
    CloseOnExec {
        first: u32,
    },
    /// Change the working directory below the new root; no magic link is followed, and the result
    /// must lie inside the root.
    Chdir {
        root: Slot,
        path: &'a CStr,
        create: bool,
    },

    Umask(u32),
    /// `prlimit(2)` for oneself.
    Rlimit {
        resource: u32,
        soft: u64,
        hard: u64,
    },
    /// A session keyring of its own.
    NewKeyring,
    /// Everything outside `keep` leaves the bounding set; ambient and inheritable are emptied.
    BoundingSet {
        keep: u64,
    },
    /// `capset(2)`: permitted = effective = `caps`, inheritable = 0.
    Capabilities {
        caps: u64,
    },
    NoNewPrivs,
    Landlock(Landlock<'a>),
    /// `seccomp(SECCOMP_SET_MODE_FILTER)` with an array of `struct sock_filter`.
    Seccomp(&'a [u8]),
    /// Reset dispositions and unblock all signals.
    ResetSignals,
    /// Fork: this process stays as PID 1 and reaps; the child goes on with the list. `arguments` is
    /// where the kernel finds this process's command line: it names files of the host, and is
    /// overwritten. `image` is the program's read-only memory, most of which is not needed any more.
    Init {
        terminal: bool,
        arguments: Arguments,
        image: &'a [Segment],
        stack: Stack,
    },
    /// End here, successfully: for programs that only try whether something can be done.
    Exit,
    /// Try each path in turn, as execvp(3) does.
    Exec {
        paths: &'a [*const u8],
        argv: &'a [*const u8],
        envp: &'a [*const u8],
    },
}

/// What Landlock takes away, and what it leaves; the rights are the kernel's, see `landlock(7)`.
#[derive(Clone, Copy, Debug)]
pub struct Landlock<'a> {
    /// Rights about files that are gone but for the rules.
    pub fs: u64,
    /// Rights about TCP ports that are gone but for the ports.
    pub net: u64,
    /// What is out of reach outside of the sandbox.
    pub scoped: u64,
    pub rules: &'a [Rule<'a>],
    pub ports: &'a [Port],
}

/// What is permitted at a path of the new root and below.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    pub path: &'a CStr,
    pub allowed: u64,
    /// Whether links in the path are followed.
    pub follow: bool,
}

/// What is permitted with a TCP port.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub port: u16,
    pub allowed: u64,
}

/// What the child runs.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    pub ops: &'a [Op<'a>],
    /// A failure is written here; close-on-exec, so that end of file means exec succeeded.
    pub report: i32,
    /// One byte arrives here when the id map is written.
    pub sync: i32,
    /// Shared with the parent: the end of each operation on CLOCK_MONOTONIC. Empty when unwanted.
    pub timings: &'a [core::sync::atomic::AtomicU64],
}

/// What the child reports when an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub step: u16,
    pub errno: i32,
}

impl Failure {
    pub const LEN: usize = 6;

    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let s = self.step.to_le_bytes();
        let e = self.errno.to_le_bytes();
        [s[0], s[1], e[0], e[1], e[2], e[3]]
    }

    pub fn from_bytes(b: [u8; Self::LEN]) -> Self {
        Failure {
            step: u16::from_le_bytes([b[0], b[1]]),
            errno: i32::from_le_bytes([b[2], b[3], b[4], b[5]]),
        }
    }
}
