//! A failed operation of the child, in words.

use nix::errno::Errno;
use sbx_child::Failure;

use crate::error::{Error, Kind, errno_text};
use crate::host::{apparmor, prereq};
use crate::image::platform::Platform;
use crate::stage::{About, Hint};

pub(crate) fn error(about: &[About], failure: Failure) -> Error {
    let Some(about) = about.get(usize::from(failure.step)) else {
        return Error::new("cannot start the command", "its program does not end in exec");
    };
    let errno = Errno::from_raw(failure.errno);
    let what = about.what.to_string();
    let plain = || Error::of_errno(what.clone(), failure.errno);
    match (&about.hint, errno) {
        (Hint::Exec { command, .. }, Errno::ENOENT) => {
            let why = if command.contains('/') {
                "no such file or directory, or its interpreter is missing".to_owned()
            } else {
                "no such command in the sandbox's PATH".to_owned()
            };
            Error::new(what, why).kind(Kind::NotFound).fix("give the path of a program inside the root")
        }
        (Hint::Exec { .. }, Errno::EACCES) => Error::new(what, "permission denied")
            .kind(Kind::NotExecutable)
            .fix("make it executable (chmod +x), or run it through its interpreter"),
        (Hint::Exec { foreign: Some(foreign), .. }, Errno::ENOEXEC) => {
            let host = Platform::host();
            Error::new(what, format!("the image is for {foreign}, and this machine is {host}"))
                .kind(Kind::NotExecutable)
                .fix(format!("sbx run --platform {host} IMAGE, or qemu-user-static for binfmt_misc"))
        }
        (Hint::Exec { .. }, Errno::ENOEXEC) => Error::new(what, "not a program for this machine")
            .kind(Kind::NotExecutable)
            .fix("name the interpreter: sh FILE"),
        (Hint::Exec { .. }, _) => plain().kind(Kind::NotExecutable),
        (Hint::Target { in_directory: Some(dir) }, Errno::EXDEV) => Error::new(
            what.clone(),
            format!("{} has no such target, and making one would leave it there", dir.display()),
        )
        .fix(format!("--rootfs {}:O, or make the target first", dir.display())),
        (Hint::Target { .. }, Errno::EXDEV) => Error::new(
            what,
            "the target does not exist, and making one would leave it in a directory of the host",
        )
        .fix("make the target on the host first, or mount elsewhere"),
        (Hint::Target { .. }, Errno::ELOOP) => {
            Error::new(what, "its path is, or leads through, a symbolic link that cannot be followed here")
                .fix("use a root whose /proc, /sys and /dev are directories, and a target that exists")
        }
        (Hint::Target { .. }, Errno::EPERM) => {
            Error::new(what, "the target lies in a file system of the kernel's")
                .fix("choose another target")
        }
        // move_mount(2) says EINVAL.
        (Hint::Target { .. }, Errno::ENOTDIR | Errno::EINVAL) => {
            Error::new(what, "the source is a directory and the target is not, or the other way round")
                .fix("mount directories on directories and files on files")
        }
        (Hint::Supply, Errno::ENOTDIR | Errno::EINVAL) => {
            Error::new(what, "the root has a directory in its place, or a file in the place of /etc")
                .fix("mend the root, or mount a directory of your own over /etc with -v")
        }
        (Hint::Supply, Errno::EXDEV) => Error::new(
            what,
            "the root has no such file, and making one would leave it in a directory of the host",
        )
        .fix("make the file first, or mount a directory that has one over /etc"),
        (Hint::Supply, Errno::ELOOP) => {
            Error::new(what, "it is a symbolic link that leads round in circles or through too many others")
                .fix("make it a file in the root")
        }
        (Hint::Namespaces, errno) => prereq::namespaces(errno),
        (Hint::KernelFs, Errno::EPERM) => Error::new(
            what,
            "the kernel refuses a new instance: this process sees a /proc or /sys that is partly covered",
        )
        .fix("in a container, start it with --security-opt unmask=ALL (podman) or systempaths=unconfined (docker)"),
        (Hint::Overlay, Errno::EINVAL | Errno::EPERM | Errno::ENODEV | Errno::EOPNOTSUPP) => {
            Error::new(what, errno_text(failure.errno)).fix("--storage fuse-overlayfs")
        }
        (Hint::Fuse, Errno::ENOENT | Errno::EACCES | Errno::ENODEV) => {
            prereq::fuse_device(failure.errno)
        }
        (Hint::Device, Errno::EINVAL) => {
            Error::new(what, "it is not the device that its name says").fix("check the host's /dev")
        }
        (Hint::Workdir, Errno::ELOOP) => {
            Error::new(what, "the path leads through a link of procfs").fix("--workdir /")
        }
        (Hint::Workdir, Errno::ENOENT) => plain().fix("--workdir / (or a directory that exists inside)"),
        (Hint::Workdir, Errno::EXDEV) => {
            Error::new(what, "it does not exist, and making it would leave it in the host's directory")
                .fix("make the directory first, or --rootfs DIR:O")
        }
        (Hint::Landlock, Errno::ELOOP) => {
            Error::new(what, "a path that may be written to leads through a symbolic link")
                .fix("in [landlock], name the directory that the link leads to")
        }
        (Hint::Rlimit, Errno::EPERM) => {
            Error::new(what, "the caller's own hard limit is lower (getrlimit(2))")
                .fix("ask for no more than `ulimit -H` shows")
        }
        (Hint::AppArmor { label }, _) => apparmor::refused(label, failure.errno),
        (_, Errno::ESTALE) => {
            Error::new(what, "another file was put in its place while sbx was starting")
                .fix("run it again; do not mount from a directory that another sandbox writes to")
        }
        (_, Errno::EOWNERDEAD) => Error::new(what, "sbx itself has ended"),
        (_, Errno::EDQUOT) => Error::new(what, "the quota is used up")
            .fix("end other sandboxes, or raise it: sudo sysctl kernel.keys.maxkeys"),
        _ => plain(),
    }
}
