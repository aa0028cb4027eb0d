//! Which extended attributes of a layer are kept.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Attributes that an overlay implementation reads as its own: in a layer they would make it hide,
/// redirect or re-own files.
const OVERLAY: [&[u8]; 3] = [b"user.overlay.", b"user.fuseoverlayfs.", b"user.containers."];

/// `security.capability` counts inside the user namespace only: the kernel stores the namespace's
/// root with it (capabilities(7), "Namespaced file capabilities").
fn kept(name: &[u8]) -> bool {
    name == b"security.capability"
        || (name.starts_with(b"user.")
            && name.len() > 5
            && name.len() < 256
            && !name.contains(&0)
            && !OVERLAY.iter().any(|prefix| name.starts_with(prefix)))
}

/// The attributes of a file that would be kept, by name.
pub(crate) fn of(file: &impl AsFd) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // What the kernel allows: xattr(7).
    let mut names = vec![0u8; 1 << 16];
    let len = match rustix::fs::flistxattr(file, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    let mut list = Vec::new();
    for name in names[..len].split(|b| *b == 0).filter(|name| kept(name)) {
        let mut value = vec![0; 1 << 16];
        let len = rustix::fs::fgetxattr(file, name, &mut value[..])?;
        value.truncate(len);
        list.push((name.to_owned(), value));
    }
    list.sort();
    Ok(list)
}

/// Sets the attributes that are kept and returns how many were not.
pub(in crate::image) fn set(
    file: BorrowedFd<'_>,
    xattrs: &[(Vec<u8>, Vec<u8>)],
) -> rustix::io::Result<u64> {
    let mut dropped = 0;
    for (name, value) in xattrs {
        if !kept(name) {
            dropped += 1;
            continue;
        }
        match rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
            Ok(()) => {}
            // The file system has none, or not on this kind of file.
            Err(Errno::OPNOTSUPP | Errno::PERM) => dropped += 1,
            Err(e) => return Err(e),
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn keeps_only_vetted_names() {
        for name in ["user.x", "user.mime_type", "security.capability", "user.overlayish"] {
            assert!(kept(name.as_bytes()), "{name}");
        }
        for name in [
            "user.overlay.opaque",
            "user.overlay.redirect",
            "user.fuseoverlayfs.opaque",
            "user.containers.override_stat",
            "trusted.overlay.opaque",
            "security.selinux",
            "security.ima",
            "system.posix_acl_access",
            "user.",
            "user.a\0b",
            "",
        ] {
            assert!(!kept(name.as_bytes()), "{name}");
        }
    }
}
