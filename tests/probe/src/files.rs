//! Mounts, devices, and files that change the machine.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::attempts::result;
use crate::sys::{Outcome, call};

pub(crate) fn all() -> Vec<(String, String)> {
    let mut results = vec![
        result("mkdir /sys/fs/cgroup", || made(Path::new("/sys/fs/cgroup/sbx-probe"))),
        result("write /sys/fs/cgroup/cgroup.procs", || writable("/sys/fs/cgroup/cgroup.procs")),
        result("write /proc/sys/kernel/core_pattern", || writable("/proc/sys/kernel/core_pattern")),
        result("write /proc/sys/net/ipv4/ip_forward", || writable("/proc/sys/net/ipv4/ip_forward")),
        result("write /proc/sysrq-trigger", || writable("/proc/sysrq-trigger")),
        result("read /proc/kcore", || readable("/proc/kcore")),
        result("read /proc/keys", || readable("/proc/keys")),
        result("read /proc/timer_list", || readable("/proc/timer_list")),
        result("read /sys/firmware", || {
            let mut entries = std::fs::read_dir("/sys/firmware").map_err(errno)?;
            entries.next().map(|_| 0).ok_or(libc::ENODATA)
        }),
    ];
    match place() {
        Some(dir) => {
            results.push(result("mount proc", || mounted(c"proc", &dir)));
            results.push(result("mount tmpfs", || mounted(c"tmpfs", &dir)));
            results
                .push(result("mknod null", || node(&dir.join("null"), libc::S_IFCHR, 1 << 8 | 3)));
            results.push(result("mknod fifo", || node(&dir.join("fifo"), libc::S_IFIFO, 0)));
            let _ = std::fs::remove_dir(&dir);
        }
        None => results.push(("directory of its own".to_owned(), "none".to_owned())),
    }
    results
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn errno(e: std::io::Error) -> i32 {
    e.raw_os_error().unwrap_or(libc::EIO)
}

/// A new, empty directory. The process id keeps two probes apart.
fn place() -> Option<PathBuf> {
    let name = format!("sbx-probe-{}", std::process::id());
    ["/tmp", "/dev/shm", "/run", "."].iter().map(|d| Path::new(d).join(&name)).find(|dir| {
        // Anybody may have made one before; it must be ours.
        std::os::unix::fs::DirBuilderExt::mode(&mut DirBuilder::new(), 0o700).create(dir).is_ok()
    })
}

fn made(dir: &Path) -> Outcome {
    std::fs::create_dir(dir).map_err(errno)?;
    std::fs::remove_dir(dir).map_err(errno)?;
    Ok(0)
}

/// Opens for writing, and writes nothing.
fn writable(path: &str) -> Outcome {
    File::options().write(true).open(path).map(|_| 0).map_err(errno)
}

/// ENODATA stands for a file that is there and empty, as masked ones are.
fn readable(path: &str) -> Outcome {
    let mut byte = [0];
    match File::open(path).and_then(|mut f| f.read(&mut byte)).map_err(errno)? {
        0 => Err(libc::ENODATA),
        _ => Ok(0),
    }
}

fn text(path: &Path) -> Result<CString, i32> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| libc::EINVAL)
}

fn mounted(kind: &'static CStr, dir: &Path) -> Outcome {
    let dir = text(dir)?;
    let (kind, at) = (kind.as_ptr() as u64, dir.as_ptr() as u64);
    call(libc::SYS_mount, [kind, at, kind, 0, 0, 0])?;
    call(libc::SYS_umount2, [at, 0, 0, 0, 0, 0])
}

fn node(path: &Path, kind: u32, device: u64) -> Outcome {
    let name = text(path)?;
    call(libc::SYS_mknod, [name.as_ptr() as u64, u64::from(kind | 0o600), device, 0, 0, 0])?;
    std::fs::remove_file(path).map_err(errno)?;
    Ok(0)
}
