//! What will be done, decided once and then only read: a runtime-spec configuration, and beside it
//! what that cannot express.

pub(crate) mod caps;
mod command;
mod explain;
mod files;
mod images;
mod landlock;
mod make;
mod mounts;
mod own;
mod userns;
mod users;
mod volumes;

pub(crate) use explain::explain;
pub(crate) use landlock::{LandlockPlan, PathRule, WRITE_FILE};
pub(crate) use make::{Inputs, make};
pub(crate) use own::Cover;
pub(crate) use users::RootFiles;

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use oci_spec::runtime::Spec;

use crate::image::platform::Platform;
use crate::profile::Filter;
use crate::sys::pinned::Pinned;
use crate::userns::idmap::IdMap;
use crate::volume::Name;

/// Immutable once made: what every stage reads.
pub(crate) struct Plan {
    pub(crate) spec: Spec,
    pub(crate) host: HostPlan,
}

/// What the runtime-spec cannot express.
pub(crate) struct HostPlan {
    /// 64 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) idmap: IdMap,
    pub(crate) root: RootPlan,
    /// What the image is for, where that is another platform than this machine's.
    pub(crate) foreign: Option<Platform>,
    /// Changes to the root and everything else on disk end with the container.
    pub(crate) remove: bool,
    pub(crate) filter: Filter,
    pub(crate) landlock: Option<LandlockPlan>,
    /// What the profile asked for with best effort, and the host cannot do.
    pub(crate) lost: Vec<String>,
    pub(crate) keyring: Keyring,
    /// The files of the host that mounts and root show, each as it was looked up.
    pub(crate) pinned: Vec<Pinned>,
    /// What hides sbx's own directories. Where there is any, the sandbox makes no user namespace.
    pub(crate) covers: Vec<Cover>,
    pub(crate) image_mounts: Vec<ImageMount>,
    /// Volumes, which are made and locked when the plan is carried out.
    pub(crate) volumes: Vec<VolumePlan>,
    /// Files of the sandbox's own, put over the root's.
    pub(crate) files: Vec<SuppliedFile>,
    pub(crate) keep_groups: bool,
    pub(crate) init: bool,
    pub(crate) interactive: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stop_signal: Signal,
    pub(crate) stop_timeout: Duration,
    pub(crate) preserve_fds: u32,
    pub(crate) pidfile: Option<PathBuf>,
}

/// An image that one of the mounts shows.
pub(crate) struct ImageMount {
    pub(crate) target: PathBuf,
    /// Lowest first.
    pub(crate) lowers: Vec<PathBuf>,
    /// Whether it can be written to, in vain.
    pub(crate) writable: bool,
}

/// A volume that one of the mounts shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VolumePlan {
    /// `None`: it lies in the container's own directory.
    pub(crate) name: Option<Name>,
    pub(crate) target: PathBuf,
    /// What is mounted.
    pub(crate) data: PathBuf,
    /// Whether what the image has at the target goes into a new one.
    pub(crate) copy: bool,
}

pub(crate) enum RootPlan {
    /// A tmpfs into which the host's top-level directories are bound read-only.
    Host(Vec<HostEntry>),
    /// A directory as it is.
    Directory(PathBuf),
    /// Lower directories, lowest first, below an upper one.
    Overlay {
        lowers: Vec<PathBuf>,
        backend: Backend,
        /// What the layers are from; the first of them is not the image's, but sbx's own.
        image: Option<String>,
    },
}

/// An entry of the host's root directory that is shown inside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostEntry {
    Directory(PathBuf),
    Symlink { path: PathBuf, text: PathBuf },
}

impl HostEntry {
    pub(crate) fn path(&self) -> &std::path::Path {
        match self {
            HostEntry::Directory(path) | HostEntry::Symlink { path, .. } => path,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Native,
    FuseOverlayfs,
    /// The kernel's overlay with its changes in memory; the mode is the topmost layer's root's.
    Memory {
        mode: u32,
    },
}

/// What becomes of the caller's session keyring; see `session-keyring(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyring {
    /// Inherited and out of reach: the filter denies keyctl, add_key and request_key. A keyring for
    /// each sandbox would meet the kernel's quota of 200 keys a user.
    Denied,
    /// The filter lets keyctl through, so that the sandbox gets a keyring of its own.
    Own,
}

#[derive(Clone, Debug)]
pub(crate) struct SuppliedFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
    /// Leave it out where the root has no such file and none can be made, instead of failing.
    pub(crate) optional: bool,
}
