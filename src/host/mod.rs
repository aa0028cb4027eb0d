//! What this host offers.

pub(crate) mod apparmor;
pub(crate) mod dirs;
pub(crate) mod ids;
pub(crate) mod prereq;

use std::path::Path;

use crate::error::Result;
use ids::{Caller, SubIds};

/// The few facts a start needs, read and not probed: a probe costs more than the start.
/// `sbx doctor` probes.
pub(crate) struct HostFacts {
    pub(crate) caller: Caller,
    pub(crate) subids: SubIds,
    /// Why the kernel's overlay cannot be had for directories below the store.
    pub(crate) native_overlay: Result<(), String>,
    /// The version of Landlock; 0 where there is none.
    pub(crate) landlock_abi: u32,
}

impl HostFacts {
    pub(crate) fn read(data: &Path) -> Result<Self> {
        let caller = Caller::current();
        let subids = SubIds::of(&caller)?;
        Ok(HostFacts {
            caller,
            subids,
            native_overlay: native_overlay(data),
            landlock_abi: crate::sys::landlock_abi().unwrap_or(0),
        })
    }
}

/// `Documentation/filesystems/overlayfs.rst`: an upper directory needs extended attributes and
/// d_type, which these do not offer; unprivileged overlay came with Linux 5.11.
fn native_overlay(data: &Path) -> Result<(), String> {
    const UNFIT: [(u64, &str); 5] = [
        (0x794c_7630, "overlay"),
        (0x6969, "NFS"),
        (0xf15f, "eCryptfs"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
    ];
    let (major, minor) = kernel_version();
    if (major, minor) < (5, 11) {
        return Err(format!("Linux {major}.{minor} has no overlay in user namespaces (5.11 has)"));
    }
    let Ok(stat) = rustix::fs::statfs(data) else { return Ok(()) };
    match UNFIT.iter().find(|(magic, _)| stat.f_type as u64 == *magic) {
        Some((_, name)) => {
            Err(format!("{} lies on {name}, which an overlay cannot write to", data.display()))
        }
        None => Ok(()),
    }
}

pub(crate) fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
