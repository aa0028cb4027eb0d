//! What sbx needs of a host, and what to say where it is missing: `sbx doctor` and a run that fails
//! use the same words.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::{Context, Error, Result, errno_text};

/// mount_setattr(2), the youngest call that every start uses.
pub(crate) const KERNEL_MIN: (u32, u32) = (5, 12);

/// The package manager of this distribution, from `os-release(5)`.
pub(crate) fn install(package: &str) -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let like = |name: &str| {
        release.lines().any(|l| {
            l.split_once('=').is_some_and(|(key, value)| {
                matches!(key, "ID" | "ID_LIKE")
                    && value.trim_matches('"').split(' ').any(|v| v == name)
            })
        })
    };
    if like("fedora") || like("rhel") {
        let package = if package == "uidmap" { "shadow-utils" } else { package };
        format!("sudo dnf install {package}")
    } else if like("arch") {
        let package = if package == "uidmap" { "shadow" } else { package };
        format!("sudo pacman -S {package}")
    } else if like("suse") {
        let package = if package == "uidmap" { "shadow" } else { package };
        format!("sudo zypper install {package}")
    } else {
        format!("sudo apt-get install {package}")
    }
}

/// A program on PATH. An empty part of PATH would be the current directory, which is not searched.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(
        |file| {
            std::fs::metadata(file)
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        },
    )
}

fn sysctl(name: &str) -> Option<u64> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Why `clone3(2)` refused the namespaces.
pub(crate) fn namespaces(errno: Errno) -> Error {
    const WHAT: &str = "cannot make the sandbox's namespaces";
    let error = |why: &str| Error::new(WHAT, why);
    if sysctl("kernel.apparmor_restrict_unprivileged_userns") == Some(1)
        && matches!(errno, Errno::EPERM | Errno::EACCES)
    {
        return error("AppArmor lets only named programs make user namespaces on this host")
            .fix(apparmor_profile());
    }
    if sysctl("kernel.unprivileged_userns_clone") == Some(0) {
        return error("kernel.unprivileged_userns_clone is 0")
            .fix("sudo sysctl -w kernel.unprivileged_userns_clone=1");
    }
    if sysctl("user.max_user_namespaces") == Some(0) {
        return error("user.max_user_namespaces is 0")
            .fix("sudo sysctl -w user.max_user_namespaces=28633");
    }
    match errno {
        Errno::EPERM => error("operation not permitted: a filter or a security module forbids it")
            .fix("in a container, start it with --security-opt seccomp=unconfined; see also sbx doctor"),
        Errno::ENOSPC | Errno::EUSERS => error("the limit of namespaces is reached").fix(
            "sudo sysctl -w user.max_user_namespaces=28633 user.max_net_namespaces=28633",
        ),
        Errno::EAGAIN => {
            error("the limit of processes is reached").fix("end some, or raise it: ulimit -u")
        }
        _ => Error::of_errno(WHAT, errno as i32),
    }
}

/// Puts this binary, wherever it is, among the programs that may; what profiles/apparmor/sbx does for one in
/// /usr/bin. To lift the restriction for all programs would be more than sbx needs.
fn apparmor_profile() -> String {
    let own = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/sbx".into());
    let profile = format!(
        "abi <abi/4.0>, profile sbx \"{}\" flags=(unconfined) {{ userns, }}",
        own.display()
    );
    let file = "/etc/apparmor.d/sbx";
    format!("echo '{profile}' | sudo tee {file} && sudo apparmor_parser -r {file}")
}

/// Why a program that is there could not be started: a limit, more often than not.
pub(crate) fn started<T>(program: &str, result: std::io::Result<T>) -> Result<T> {
    let errno = result.as_ref().err().and_then(std::io::Error::raw_os_error);
    result.what(|| format!("cannot start {program}")).map_err(|error| match errno {
        Some(libc::EAGAIN) => error.fix("end some processes, or raise the limit: ulimit -u"),
        Some(libc::ENOMEM) => error.fix("free some memory, or raise the limit: ulimit -v"),
        _ => error,
    })
}

pub(crate) fn fuse_device(errno: i32) -> Error {
    let fix = if errno == libc::EACCES {
        "sudo chmod 666 /dev/fuse"
    } else {
        "sudo modprobe fuse && sudo chmod 666 /dev/fuse"
    };
    Error::new("cannot open /dev/fuse", errno_text(errno)).fix(fix)
}

pub(crate) fn tun_device(errno: i32) -> Error {
    let fix = if errno == libc::EACCES {
        "sudo chmod 666 /dev/net/tun"
    } else {
        "sudo modprobe tun && sudo chmod 666 /dev/net/tun"
    };
    Error::new("cannot open /dev/net/tun", errno_text(errno)).fix(fix)
}

pub(crate) fn program(name: &str, package: &str) -> Error {
    Error::new(format!("cannot start {name}"), format!("{name} is not on PATH"))
        .fix(install(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_in_the_way_of_a_helper_is_named() {
        for (errno, fix) in
            [(libc::EAGAIN, "ulimit -u"), (libc::EMFILE, "ulimit -n"), (libc::ENOMEM, "ulimit -v")]
        {
            let failed = Err::<(), _>(std::io::Error::from_raw_os_error(errno));
            let said = started("newuidmap", failed).unwrap_err().to_string();
            assert!(said.starts_with("cannot start newuidmap: ") && said.contains(fix), "{said}");
        }
    }
}
