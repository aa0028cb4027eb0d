//! Paths below the new root: looked up, and made where they are missing.

use core::ffi::CStr;

use crate::op::Shape;
use crate::run::State;
use crate::sys::{
    self, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV, Errno, Result, call, nr,
};

const EROFS: Errno = Errno(30);

const PATH_MAX: usize = 4096;

/// `statfs(2)`, f_type.
pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// How many links that lead nowhere are followed on the way to what is to be made.
pub(crate) const LINKS_MAX: u32 = 8;

pub(crate) fn resolve(root: i32, path: &CStr, shape: Shape, no_symlinks: bool) -> Result<i32> {
    let mut flags = sys::O_PATH;
    if shape == Shape::Dir {
        flags |= sys::O_DIRECTORY;
    }
    let mut rules = sys::RESOLVE_IN_ROOT | sys::RESOLVE_NO_MAGICLINKS;
    if no_symlinks {
        rules |= sys::RESOLVE_NO_SYMLINKS;
    }
    sys::openat2(root, path, flags, 0, rules)
}

/// A path that may be missing, or unreachable because a parent is missing.
pub(crate) fn existing(root: i32, path: &CStr) -> Result<Option<i32>> {
    match resolve(root, path, Shape::File, false) {
        Err(ENOENT | ENOTDIR) => Ok(None),
        other => other.map(Some),
    }
}

/// Makes the missing components of `path`, each below a descriptor of its parent, and only where the
/// parent lies in a file system of the sandbox's own. Where a component is a symbolic link that leads
/// nowhere, its target is made: with systemd-resolved, /etc/resolv.conf is a link to below /run. At
/// most `links` of those are followed.
#[inline(never)]
pub(crate) fn make(
    state: &State,
    root: i32,
    path: &CStr,
    shape: Shape,
    mut links: u32,
) -> Result<()> {
    let given = path.to_bytes();
    let mut bytes = [0u8; PATH_MAX];
    bytes.get_mut(..given.len()).ok_or(ENAMETOOLONG)?.copy_from_slice(given);
    let (mut len, mut at) = (given.len(), 0);
    while let Some((start, end)) = component(&bytes[..len], at) {
        at = end;
        let last = bytes[end..len].iter().all(|b| *b == b'/');
        let kind = if last { shape } else { Shape::Dir };
        let mut buf = [0u8; PATH_MAX];
        // The prefix up to the end of this component.
        match resolve(root, copy(&mut buf, &bytes[..end])?, kind, false) {
            Ok(fd) => {
                sys::close(fd);
                continue;
            }
            Err(ENOENT) => {}
            Err(e) => return Err(e),
        }
        let parent = resolve(root, copy(&mut buf, &bytes[..start])?, Shape::Dir, false)?;
        let mut text = [0u8; PATH_MAX];
        let made = make_one(state, parent, copy(&mut buf, &bytes[start..end])?, kind, &mut text);
        sys::close(parent);
        if let Made::Link(text) = made? {
            links = links.checked_sub(1).ok_or(ELOOP)?;
            // The text takes the place of the component, or of all up to it.
            at = if text.starts_with(b"/") { 0 } else { start };
            let behind = at + text.len();
            let new_len = behind + (len - end);
            if new_len >= PATH_MAX {
                return Err(ENAMETOOLONG);
            }
            bytes.copy_within(end..len, behind);
            bytes[at..behind].copy_from_slice(text);
            len = new_len;
        }
    }
    Ok(())
}

/// Where the next component starts and ends.
fn component(path: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + path[from..].iter().position(|b| *b != b'/')?;
    let len = path[start..].iter().position(|b| *b == b'/');
    Some((start, len.map_or(path.len(), |len| start + len)))
}

/// Whether this lies in procfs, sysfs or a control group's directory: nobody makes files there.
pub(crate) fn of_the_kernel(fd: i32) -> Result<bool> {
    /// `statfs(2)`, f_type.
    const SYSFS_MAGIC: u64 = 0x6265_6572;
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    let magic = sys::filesystem_magic(fd)?;
    Ok(matches!(magic, PROC_SUPER_MAGIC | SYSFS_MAGIC | CGROUP2_SUPER_MAGIC))
}

enum Made<'a> {
    Done,
    /// The name is a link with this text.
    Link(&'a [u8]),
}

fn make_one<'a>(
    state: &State,
    parent: i32,
    name: &CStr,
    shape: Shape,
    text: &'a mut [u8; PATH_MAX],
) -> Result<Made<'a>> {
    match call!(nr::READLINKAT, parent, name.as_ptr(), text.as_mut_ptr(), PATH_MAX) {
        Ok(len) => return Ok(Made::Link(&text[..len])),
        Err(ENOENT) => {}
        Err(e) => return Err(e),
    }
    if !state.is_own(parent)? {
        return Err(if of_the_kernel(parent)? { ENOENT } else { EXDEV });
    }
    let made = match shape {
        Shape::Dir => call!(nr::MKDIRAT, parent, name.as_ptr(), 0o755usize).map(drop),
        Shape::File => {
            let flags = sys::O_CREAT | sys::O_EXCL | sys::O_WRONLY | sys::O_NOFOLLOW;
            sys::openat2(parent, name, flags, 0o644, 0).map(sys::close)
        }
    };
    match made {
        Ok(()) => Ok(Made::Done),
        Err(EROFS) => Err(EXDEV),
        Err(e) => Err(e),
    }
}

fn copy<'a>(buf: &'a mut [u8; PATH_MAX], bytes: &[u8]) -> Result<&'a CStr> {
    // An empty prefix is the root itself.
    let bytes = if bytes.is_empty() { b"." } else { bytes };
    buf.get_mut(..bytes.len()).ok_or(ENAMETOOLONG)?.copy_from_slice(bytes);
    *buf.get_mut(bytes.len()).ok_or(ENAMETOOLONG)? = 0;
    CStr::from_bytes_until_nul(buf).map_err(|_| EINVAL)
}
