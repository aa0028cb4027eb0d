//! Landlock; see `landlock(7)` and Documentation/userspace-api/landlock.rst.

use crate::op::{Landlock, Port, Rule};
use crate::sys::{self, EACCES, ENOENT, ENOTDIR, Result, call, nr};

/// `struct landlock_ruleset_attr`; older kernels take it where the fields that they lack are zero.
#[repr(C)]
struct Attributes {
    fs: u64,
    net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`, packed in the kernel's header.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

#[repr(C)]
struct NetPort {
    allowed: u64,
    port: u64,
}

const RULE_PATH_BENEATH: usize = 1;
const RULE_NET_PORT: usize = 2;

/// Rights that a file can have; the others concern directories, and the kernel refuses them elsewhere.
const OF_FILES: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15;

/// From here on this process and its children have no more than the rules give.
#[inline(never)]
pub(crate) fn restrict(landlock: &Landlock<'_>) -> Result<()> {
    let Landlock { fs, net, scoped, rules, ports } = landlock;
    let attributes = Attributes { fs: *fs, net: *net, scoped: *scoped };
    let size = size_of::<Attributes>();
    let ruleset = call!(nr::LANDLOCK_CREATE_RULESET, &raw const attributes, size, 0usize)? as i32;
    let done = add(ruleset, rules, ports)
        .and_then(|()| call!(nr::LANDLOCK_RESTRICT_SELF, ruleset, 0usize).map(drop));
    sys::close(ruleset);
    done
}

fn add(ruleset: i32, rules: &[Rule<'_>], ports: &[Port]) -> Result<()> {
    for rule in rules {
        let resolve =
            if rule.follow { sys::RESOLVE_NO_MAGICLINKS } else { sys::RESOLVE_NO_SYMLINKS };
        let parent = match sys::openat2(sys::AT_FDCWD, rule.path, sys::O_PATH, 0, resolve) {
            // A rule only permits: what is not there, or out of reach, needs none.
            Err(ENOENT | ENOTDIR | EACCES) => continue,
            other => other?,
        };
        let done = beneath(ruleset, parent, rule.allowed);
        sys::close(parent);
        done?;
    }
    for port in ports {
        let attr = NetPort { allowed: port.allowed, port: u64::from(port.port) };
        call!(nr::LANDLOCK_ADD_RULE, ruleset, RULE_NET_PORT, &raw const attr, 0usize)?;
    }
    Ok(())
}

const S_IFMT: u16 = 0o170_000;
const S_IFDIR: u16 = 0o040_000;

fn beneath(ruleset: i32, parent: i32, allowed: u64) -> Result<()> {
    let directory = sys::statx(parent)?.mode & S_IFMT == S_IFDIR;
    let allowed = if directory { allowed } else { allowed & OF_FILES };
    if allowed == 0 {
        return Ok(());
    }
    let attr = PathBeneath { allowed, parent };
    call!(nr::LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, &raw const attr, 0usize).map(drop)
}
