//! What needs a machine of its own: a login session of systemd, delegated cgroups, AppArmor, SELinux.
//!
//! `make test-vm` boots a virtual machine once for each security module and runs these tests in it, as a
//! normal user who is logged in. The module `apparmor` runs in one boot, `selinux` in the other, the
//! rest in both. A test begins with `vm!()`, so that it skips on any other machine.

#[path = "../common/mod.rs"]
mod common;

/// Skips the test outside of the virtual machine.
macro_rules! vm {
    () => {
        if std::env::var_os("SBX_VM").is_none() {
            $crate::common::skip!("this runs in a virtual machine only. Run it with: make test-vm");
        }
    };
}

mod apparmor;
mod sandboxes;
mod selinux;
mod session;
