//! AppArmor: whether a program can be given a label.

use std::path::Path;

use crate::error::{Context as _, Error, Result, errno_text};

/// The line that asks for a label at the next exec; see `proc_pid_attr(5)`.
pub(crate) fn line(label: &str) -> Vec<u8> {
    format!("exec {label}").into_bytes()
}

/// Tries it: which profiles are loaded is told to root alone. In a thread, since the label belongs to
/// one, and this one never executes anything.
pub(crate) fn check(label: &str) -> Result<()> {
    let what = "cannot start a thread";
    let enabled = std::fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    if !enabled.starts_with(b"Y") {
        return Err(Error::new(
            format!("cannot confine the command with AppArmor's {label}"),
            "AppArmor is not enabled on this host",
        )
        .fix(format!("boot with apparmor=1 security=apparmor; or {WITHOUT}")));
    }
    let line = line(label);
    let ask = move || {
        // Its own file: `attr/exec` would be that of whichever security module comes first.
        std::fs::write(Path::new("/proc/thread-self/attr/apparmor/exec"), line)
    };
    let thread = std::thread::Builder::new().spawn(ask).what(|| what.to_owned())?;
    let asked = thread.join().map_err(|_| Error::new(what, "it ended early"))?;
    asked.map_err(|e| refused(label, e.raw_os_error().unwrap_or(libc::EIO)))
}

/// Why a label could not be had.
pub(crate) fn refused(label: &str, errno: i32) -> Error {
    let what = format!("cannot confine the command with AppArmor's {label}");
    match errno {
        libc::ENOENT => Error::new(what, "no such AppArmor profile is loaded")
            .fix(format!("sudo apparmor_parser -r /etc/apparmor.d/{label}; or {WITHOUT}")),
        libc::EPERM | libc::EACCES => Error::new(
            what,
            format!("{}: sbx itself is confined, and may not change to it", errno_text(errno)),
        )
        .fix(format!("add to the profile of sbx: change_profile -> {label},")),
        _ => Error::new(what, errno_text(errno)),
    }
}

const WITHOUT: &str =
    "do without: --security-opt apparmor=unconfined, or need = \"best-effort\" in the profile";
