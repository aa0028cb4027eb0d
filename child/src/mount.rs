//! Mounts and paths. Everything below the new root is reached through descriptors: `openat2(2)` with
//! RESOLVE_IN_ROOT resolves, `move_mount(2)` attaches to what was resolved, and no name is looked up
//! twice.

use core::ffi::CStr;

use crate::op::{FileId, From, Lookup, Param, Shape, Slot};
use crate::path::{self, LINKS_MAX, PROC_SUPER_MAGIC};
use crate::process::send_fd;
use crate::run::State;
use crate::sys::{
    self, EEXIST, EINVAL, ELOOP, ENOENT, ENOTDIR, EPERM, ESTALE, EXDEV, Errno, Result, call, nr,
};

const EBUSY: Errno = Errno(16);

/// `umount(2)`.
const MNT_DETACH: usize = 2;

pub(crate) fn propagation(flags: u64) -> Result<()> {
    call!(nr::MOUNT, c"".as_ptr(), c"/".as_ptr(), 0usize, flags, 0usize).map(drop)
}

#[inline(never)]
pub(crate) fn new_fs(fstype: &CStr, params: &[Param<'_>], attrs: u64) -> Result<i32> {
    const FSOPEN_CLOEXEC: usize = 1;
    const FSMOUNT_CLOEXEC: usize = 1;
    const FSCONFIG_SET_FLAG: usize = 0;
    const FSCONFIG_SET_STRING: usize = 1;
    const FSCONFIG_CMD_CREATE: usize = 6;
    let fs = call!(nr::FSOPEN, fstype.as_ptr(), FSOPEN_CLOEXEC)? as i32;
    let made = (|| {
        for p in params {
            match p.value {
                Some(v) => {
                    call!(nr::FSCONFIG, fs, FSCONFIG_SET_STRING, p.key.as_ptr(), v.as_ptr(), 0usize)
                }
                None => call!(nr::FSCONFIG, fs, FSCONFIG_SET_FLAG, p.key.as_ptr(), 0usize, 0usize),
            }?;
        }
        call!(nr::FSCONFIG, fs, FSCONFIG_CMD_CREATE, 0usize, 0usize, 0usize)?;
        call!(nr::FSMOUNT, fs, FSMOUNT_CLOEXEC, attrs)
    })();
    sys::close(fs);
    made.map(|fd| fd as i32)
}

pub(crate) fn clone_tree(state: &mut State, from: From<'_>, recursive: bool) -> Result<i32> {
    match from {
        From::Host(path) => open_tree(sys::AT_FDCWD, path, recursive),
        From::Slot(slot, path) => open_tree(state.fd(slot)?, path, recursive),
        From::Pinned(path, id) => {
            let file = pinned(path, id)?;
            let tree = open_tree(file, c"", recursive);
            sys::close(file);
            tree
        }
    }
}

/// The file behind a path of the host, if it is the one that was looked at.
fn pinned(path: &CStr, id: FileId) -> Result<i32> {
    let file = match sys::openat2(sys::AT_FDCWD, path, sys::O_PATH, 0, sys::RESOLVE_NO_SYMLINKS) {
        Err(ELOOP) => return Err(ESTALE),
        other => other?,
    };
    let is_same = sys::statx(file)
        .map(|st| id == FileId { dev_major: st.dev_major, dev_minor: st.dev_minor, inode: st.ino });
    if is_same == Ok(true) {
        return Ok(file);
    }
    sys::close(file);
    Err(is_same.err().unwrap_or(ESTALE))
}

fn open_tree(dir: i32, path: &CStr, recursive: bool) -> Result<i32> {
    const OPEN_TREE_CLONE: usize = 1;
    let mut flags = OPEN_TREE_CLONE | sys::O_CLOEXEC as usize;
    if path.is_empty() {
        flags |= sys::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= sys::AT_RECURSIVE;
    }
    call!(nr::OPEN_TREE, dir, path.as_ptr(), flags).map(|fd| fd as i32)
}

pub(crate) fn set_attr(
    mount: i32,
    set: u64,
    clear: u64,
    propagation: u64,
    recursive: bool,
) -> Result<()> {
    // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    let attr = [set, clear, propagation, 0];
    let flags = sys::AT_EMPTY_PATH | if recursive { sys::AT_RECURSIVE } else { 0 };
    call!(nr::MOUNT_SETATTR, mount, c"".as_ptr(), flags, attr.as_ptr(), size_of_val(&attr))
        .map(drop)
}

#[inline(never)]
pub(crate) fn overlay(state: &State, base: From<'_>, options: &CStr, target: &CStr) -> Result<()> {
    match base {
        From::Host(path) => drop(call!(nr::CHDIR, path.as_ptr())?),
        From::Slot(slot, _) => drop(call!(nr::FCHDIR, state.fd(slot)?)?),
        From::Pinned(path, id) => {
            let dir = pinned(path, id)?;
            let changed = call!(nr::FCHDIR, dir);
            sys::close(dir);
            changed?;
        }
    }
    let name = c"overlay".as_ptr();
    call!(nr::MOUNT, name, target.as_ptr(), name, 0usize, options.as_ptr()).map(drop)
}

pub(crate) fn check_device(fd: i32, major: u32, minor: u32) -> Result<()> {
    const S_IFMT: u16 = 0o170_000;
    const S_IFCHR: u16 = 0o020_000;
    let st = sys::statx(fd)?;
    let same = st.mode & S_IFMT == S_IFCHR && (st.rdev_major, st.rdev_minor) == (major, minor);
    if same { Ok(()) } else { Err(EINVAL) }
}

#[inline(never)]
pub(crate) fn pivot_root(state: &mut State, root: Slot, own: bool) -> Result<()> {
    let fd = state.fd(root)?;
    if own {
        state.add_own(fd)?;
    }
    let old = sys::openat2(sys::AT_FDCWD, c"/", sys::O_PATH | sys::O_DIRECTORY, 0, 0)?;
    // Over "/" itself, so that no directory of the host is needed as a mount point.
    move_mount(fd, sys::AT_FDCWD, c"/")?;
    call!(nr::FCHDIR, fd)?;
    let dot = c".".as_ptr();
    // pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one.
    call!(nr::PIVOT_ROOT, dot, dot)?;
    call!(nr::FCHDIR, old)?;
    call!(nr::UMOUNT2, dot, MNT_DETACH)?;
    sys::close(old);
    call!(nr::CHDIR, c"/".as_ptr())?;
    nothing_above(fd)
}

/// `..` of the root leads to whatever is mounted over the root: were it the old one, the host would be
/// a `cd /..` away.
fn nothing_above(root: i32) -> Result<()> {
    let above = sys::openat2(sys::AT_FDCWD, c"/..", sys::O_PATH | sys::O_DIRECTORY, 0, 0)?;
    let same = sys::statx(above).and_then(|a| Ok(a.mount_id == sys::statx(root)?.mount_id));
    sys::close(above);
    if same? { Ok(()) } else { Err(EBUSY) }
}

fn move_mount(mount: i32, dir: i32, path: &CStr) -> Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: usize = 0x4;
    const MOVE_MOUNT_T_EMPTY_PATH: usize = 0x40;
    let mut flags = MOVE_MOUNT_F_EMPTY_PATH;
    if path.is_empty() {
        flags |= MOVE_MOUNT_T_EMPTY_PATH;
    }
    call!(nr::MOVE_MOUNT, mount, c"".as_ptr(), dir, path.as_ptr(), flags).map(drop)
}

pub(crate) fn attach(state: &mut State, mount: Slot, target: Slot, own: bool) -> Result<()> {
    let fd = state.fd(mount)?;
    move_mount(fd, state.fd(target)?, c"")?;
    if own { state.add_own(fd) } else { Ok(()) }
}

#[inline(never)]
pub(crate) fn target(
    state: &mut State,
    root: Slot,
    path: &CStr,
    lookup: Lookup,
    out: Slot,
) -> Result<()> {
    let dir = state.fd(root)?;
    let mut found = path::resolve(dir, path, lookup.shape, lookup.no_symlinks);
    if found == Err(ENOENT) && lookup.create {
        let links = if lookup.no_symlinks { 0 } else { LINKS_MAX };
        found = path::make(state, dir, path, lookup.shape, links)
            .and_then(|()| path::resolve(dir, path, lookup.shape, lookup.no_symlinks));
    }
    let fd = match found {
        Err(ENOENT | ENOTDIR | EXDEV | ELOOP) if lookup.optional => {
            state.set_absent(out, true);
            return Ok(());
        }
        other => other?,
    };
    state.set_absent(out, false);
    if lookup.no_pseudo && path::of_the_kernel(fd)? {
        return Err(EPERM);
    }
    state.put(out, fd)
}

#[inline(never)]
pub(crate) fn mask(
    state: &mut State,
    root: Slot,
    path: &CStr,
    null: Slot,
    empty: Slot,
) -> Result<()> {
    const S_IFMT: u16 = 0o170_000;
    const S_IFDIR: u16 = 0o040_000;
    let Some(target) = path::existing(state.fd(root)?, path)? else { return Ok(()) };
    let result = (|| {
        if sys::statx(target)?.mode & S_IFMT != S_IFDIR {
            return clone_onto(state.fd(null)?, target, 0);
        }
        cover(state, target, empty)
    })();
    sys::close(target);
    result
}

/// The file system that masks directories is attached once, and cloned for the next.
fn cover(state: &mut State, target: i32, empty: Slot) -> Result<()> {
    if state.empty_attached {
        return clone_onto(state.fd(empty)?, target, 0);
    }
    state.empty_attached = true;
    move_mount(state.fd(empty)?, target, c"")
}

#[inline(never)]
pub(crate) fn hold(state: &State, mount: Slot, path: &CStr) -> Result<()> {
    let target = path::resolve(state.fd(mount)?, path, Shape::Dir, true)?;
    let held = clone_onto(target, target, 0);
    sys::close(target);
    held
}

#[inline(never)]
pub(crate) fn hide(state: &mut State, mount: Slot, path: &CStr, empty: Slot) -> Result<()> {
    let target = path::resolve(state.fd(mount)?, path, Shape::Dir, true)?;
    let hidden = cover(state, target, empty);
    sys::close(target);
    hidden
}

#[inline(never)]
pub(crate) fn read_only_path(state: &State, root: Slot, path: &CStr) -> Result<()> {
    let Some(target) = path::existing(state.fd(root)?, path)? else { return Ok(()) };
    let result = clone_onto(target, target, MOUNT_ATTR_RDONLY);
    sys::close(target);
    result
}

/// `mount_setattr(2)`.
const MOUNT_ATTR_RDONLY: u64 = 1;

fn clone_onto(from: i32, target: i32, set: u64) -> Result<()> {
    const OPEN_TREE_CLONE: usize = 1;
    let flags = OPEN_TREE_CLONE | sys::O_CLOEXEC as usize | sys::AT_EMPTY_PATH | sys::AT_RECURSIVE;
    let mount = call!(nr::OPEN_TREE, from, c"".as_ptr(), flags)? as i32;
    let result = (|| {
        if set != 0 {
            set_attr(mount, set, 0, 0, true)?;
        }
        move_mount(mount, target, c"")
    })();
    sys::close(mount);
    result
}

/// `mount.fuse(8)`: the file system is created with the descriptor of a server that has yet to start.
/// /dev/fuse is opened here, since it must belong to the user namespace that mounts.
#[inline(never)]
pub(crate) fn fuse(params: &[Param<'_>], socket: i32) -> Result<i32> {
    let device = sys::openat2(sys::AT_FDCWD, c"/dev/fuse", sys::O_RDWR, 0, 0)?;
    let result = (|| {
        let mut digits = [0u8; 12];
        let fd = Param { key: c"fd", value: Some(decimal(&mut digits, device)?) };
        let mut all = [fd; 16];
        let len = params.len() + 1;
        all.get_mut(1..len).ok_or(EINVAL)?.copy_from_slice(params);
        let mount = new_fs(c"fuse", &all[..len], 0)?;
        send_fd(socket, device)?;
        Ok(mount)
    })();
    sys::close(device);
    result
}

fn decimal(buf: &mut [u8; 12], mut n: i32) -> Result<&CStr> {
    let mut at = buf.len() - 1;
    buf[at] = 0;
    loop {
        at -= 1;
        buf[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return CStr::from_bytes_with_nul(&buf[at..]).map_err(|_| EINVAL);
        }
    }
}

/// The mode is meant as given: the umask is 0 while the sandbox is set up.
pub(crate) fn mkdir(dir: i32, path: &CStr, mode: u32) -> Result<()> {
    match call!(nr::MKDIRAT, dir, path.as_ptr(), mode) {
        Ok(_) | Err(EEXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

pub(crate) fn place(dir: i32, name: &CStr, shape: Shape) -> Result<i32> {
    if shape == Shape::File {
        let flags = sys::O_CREAT | sys::O_EXCL | sys::O_WRONLY | sys::O_NOFOLLOW;
        return sys::openat2(dir, name, flags, 0o644, sys::RESOLVE_NO_SYMLINKS);
    }
    call!(nr::MKDIRAT, dir, name.as_ptr(), 0o755usize)?;
    let flags = sys::O_PATH | sys::O_DIRECTORY | sys::O_NOFOLLOW;
    sys::openat2(dir, name, flags, 0, sys::RESOLVE_NO_SYMLINKS)
}

#[inline(never)]
pub(crate) fn write_file(dir: i32, path: &CStr, content: &[u8], mode: u32) -> Result<()> {
    let flags = sys::O_CREAT | sys::O_EXCL | sys::O_WRONLY | sys::O_NOFOLLOW;
    let fd = sys::openat2(dir, path, flags, u64::from(mode), sys::RESOLVE_NO_SYMLINKS)?;
    let written = sys::write_all(fd, content);
    sys::close(fd);
    written
}

#[inline(never)]
pub(crate) fn sysctl(root: i32, path: &CStr, content: &[u8]) -> Result<()> {
    let rules = sys::RESOLVE_IN_ROOT | sys::RESOLVE_NO_SYMLINKS;
    let fd = sys::openat2(root, path, sys::O_WRONLY, 0, rules)?;
    let written = match sys::filesystem_magic(fd) {
        Ok(PROC_SUPER_MAGIC) => sys::write_all(fd, content),
        Ok(_) => Err(EPERM),
        Err(e) => Err(e),
    };
    sys::close(fd);
    written
}

#[inline(never)]
pub(crate) fn chdir(state: &State, root: Slot, path: &CStr, create: bool) -> Result<()> {
    let dir = state.fd(root)?;
    let fd = match path::resolve(dir, path, Shape::Dir, false) {
        Err(ENOENT) if create => {
            path::make(state, dir, path, Shape::Dir, LINKS_MAX)?;
            path::resolve(dir, path, Shape::Dir, false)?
        }
        other => other?,
    };
    let changed = call!(nr::FCHDIR, fd).map(drop);
    sys::close(fd);
    changed
}
