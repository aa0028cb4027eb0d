//! `sbx run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::registry::Pull;

/// Run a command in a new sandbox
#[derive(Debug, Args)]
#[command(
    override_usage = "sbx run [OPTIONS] IMAGE [COMMAND [ARG]...]\n       \
                      sbx run [OPTIONS] --host [--] COMMAND [ARG]...\n       \
                      sbx run [OPTIONS] --rootfs DIR [--] COMMAND [ARG]...",
    after_help = "Examples:\n  \
        sbx run --host -- make -j4                      the host's programs, none of its files\n  \
        sbx run --host --project -- cargo test          the same, with this directory writable\n  \
        sbx run --rm -it debian bash                    a shell in an image\n  \
        sbx run --rm oci:./images:app                   an image in files, taken in first\n  \
        sbx run --rm -v ./data:/data:ro debian ls /data one directory, read-only\n  \
        sbx run --rootfs ./root:O -- /bin/sh            a directory as root, changes thrown away\n  \
        sbx run --explain --host -- true                what would be done, and why"
)]
pub(crate) struct RunArgs {
    /// Use the host's root, read-only, with a private /tmp and without /home, /root and /run
    #[arg(long, conflicts_with = "rootfs", help_heading = "Root")]
    pub(crate) host: bool,
    /// Use this directory as the root; with :O changes go to a throw-away overlay
    #[arg(long, value_name = "DIR[:O]", help_heading = "Root")]
    pub(crate) rootfs: Option<OsString>,
    /// Mount the root read-only; /run, /tmp and /var/tmp become private tmpfs
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Root"
    )]
    pub(crate) read_only: Option<bool>,
    /// When the image is pulled from its registry [default: missing]
    #[arg(long, value_name = "WHEN", help_heading = "Root")]
    pub(crate) pull: Option<Pull>,
    /// The image for this platform; another one in the store counts as missing
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with_all = ["host", "rootfs"], help_heading = "Root")]
    pub(crate) platform: Option<String>,
    /// What stacks an image's layers [default: native where the kernel can]
    #[arg(long, value_name = "BACKEND", help_heading = "Root")]
    pub(crate) storage: Option<Storage>,
    /// Where changes to a stacked root go while it runs [default: disk]
    #[arg(long, value_name = "PLACE", help_heading = "Root")]
    pub(crate) upper: Option<Upper>,

    /// Keep standard input open
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub(crate) rm: bool,
    /// Set an environment variable; NAME alone takes the caller's value
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Process")]
    pub(crate) env: Vec<OsString>,
    /// Read environment variables from a file, one NAME=VALUE a line
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Pass the caller's whole environment
    #[arg(long, help_heading = "Process")]
    pub(crate) env_host: bool,
    /// Working directory of the command
    #[arg(short, long, value_name = "DIR", help_heading = "Process")]
    pub(crate) workdir: Option<PathBuf>,
    /// Run as this user: NAME|UID[:GROUP|GID], from the root's own passwd and group
    #[arg(short, long, value_name = "USER[:GROUP]", help_heading = "Process")]
    pub(crate) user: Option<String>,
    /// Add a supplementary group; keep-groups keeps the caller's
    #[arg(long, value_name = "GROUP", help_heading = "Process")]
    pub(crate) group_add: Vec<String>,
    /// Replace the image's entry point
    #[arg(long, value_name = "COMMAND", help_heading = "Process")]
    pub(crate) entrypoint: Option<String>,
    /// Run a small init as PID 1 that forwards signals and reaps children [default: with --host]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Process"
    )]
    pub(crate) init: Option<bool>,
    /// Host name inside
    #[arg(long, value_name = "NAME", help_heading = "Process")]
    pub(crate) hostname: Option<String>,
    /// A resource limit: NAME=SOFT[:HARD], -1 for unlimited
    #[arg(long, value_name = "LIMIT", help_heading = "Process")]
    pub(crate) ulimit: Vec<String>,
    /// File mode creation mask
    #[arg(long, value_name = "OCTAL", help_heading = "Process")]
    pub(crate) umask: Option<String>,
    /// End the command after this long: 90, 90s, 5m, 1h
    #[arg(long, value_name = "TIME", help_heading = "Process")]
    pub(crate) timeout: Option<String>,
    /// The signal that --timeout sends first
    #[arg(long, value_name = "SIGNAL", help_heading = "Process")]
    pub(crate) stop_signal: Option<String>,
    /// How long after the stop signal the command is killed
    #[arg(long, value_name = "TIME", help_heading = "Process")]
    pub(crate) stop_timeout: Option<String>,
    /// Pass this many descriptors beyond standard error
    #[arg(long, value_name = "N", help_heading = "Process")]
    pub(crate) preserve_fds: Option<u32>,
    /// Write the command's process id, as the host sees it, to a file
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    pub(crate) pidfile: Option<PathBuf>,

    /// Mount a directory or file, SOURCE:TARGET[:OPTIONS], or a volume: NAME:TARGET[:OPTIONS], made
    /// where it does not exist, or TARGET alone for one that goes with the container
    #[arg(short, long, value_name = "SRC:DST[:OPTS]", help_heading = "Mounts")]
    pub(crate) volume: Vec<OsString>,
    /// Mount in long form: type=bind|volume|image|tmpfs,source=...,target=...[,OPTION]...
    #[arg(long, value_name = "KEY=VALUE,...", help_heading = "Mounts")]
    pub(crate) mount: Vec<OsString>,
    /// Mount a tmpfs: TARGET[:OPTIONS]
    #[arg(long, value_name = "DST[:OPTS]", help_heading = "Mounts")]
    pub(crate) tmpfs: Vec<OsString>,
    /// Mount the current directory at its own path, writable, and start there
    #[arg(long, help_heading = "Mounts")]
    pub(crate) project: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE", help_heading = "Mounts")]
    pub(crate) shm_size: Option<String>,
    /// Bind a device of the host: PATH[:TARGET[:PERMISSIONS]]
    #[arg(long, value_name = "DEVICE", help_heading = "Mounts")]
    pub(crate) device: Vec<OsString>,

    /// User namespace: host-root, keep-id[:uid=N,gid=N], nomap or host
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub(crate) userns: Option<String>,
    /// Map user ids: INSIDE:OUTSIDE[:LENGTH], OUTSIDE counted as podman does
    #[arg(long, value_name = "MAP", conflicts_with = "userns", help_heading = "Isolation")]
    pub(crate) uidmap: Vec<String>,
    /// Map group ids
    #[arg(long, value_name = "MAP", conflicts_with = "userns", help_heading = "Isolation")]
    pub(crate) gidmap: Vec<String>,
    /// Network: none or host
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub(crate) network: Option<String>,
    /// Add a line to /etc/hosts: NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS", help_heading = "Isolation")]
    pub(crate) add_host: Vec<String>,
    /// Leave the root's own /etc/hosts
    #[arg(long, conflicts_with = "add_host", help_heading = "Isolation")]
    pub(crate) no_hosts: bool,
    /// Profile: a built-in name, a name of yours, or a file; of several, later ones are laid over
    #[arg(long, value_name = "NAME|FILE", help_heading = "Isolation")]
    pub(crate) profile: Vec<OsString>,
    /// seccomp=FILE|unconfined, apparmor=LABEL|unconfined, no-new-privileges[=false], mask=PATH:..., unmask=ALL|PATH:...
    #[arg(long, value_name = "OPTION", help_heading = "Isolation")]
    pub(crate) security_opt: Vec<String>,
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAP", help_heading = "Isolation")]
    pub(crate) cap_add: Vec<String>,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "CAP", help_heading = "Isolation")]
    pub(crate) cap_drop: Vec<String>,
    /// Set a kernel parameter of the sandbox's own namespaces
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Isolation")]
    pub(crate) sysctl: Vec<String>,

    /// Print the resolved plan with the source of each value, and do not run
    #[arg(long, help_heading = "Insight")]
    pub(crate) explain: bool,
    /// With --explain: as JSON
    #[arg(long, requires = "explain", help_heading = "Insight")]
    pub(crate) json: bool,
    /// Print where the milliseconds of the start went
    #[arg(long, help_heading = "Insight")]
    pub(crate) timings: bool,

    /// The image, then the command and its arguments
    #[arg(trailing_var_arg = true, value_name = "IMAGE] [COMMAND", hide = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Upper {
    /// A directory of the container
    Disk,
    /// Memory, which is gone with the sandbox
    Tmpfs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// The kernel's overlay file system
    Native,
    /// The fuse-overlayfs program
    FuseOverlayfs,
}
