//! What one `sbx run` asks for, every value checked and with its source.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use oci_spec::image::ImageConfiguration;

use super::env::{self, Variable};
use super::file::ConfigFile;
use super::hosts::{self, HostLine};
use super::mount::{self, MountRequest};
use super::security::{self, AppArmor, Security};
use super::user::UserSpec;
use super::userns::Userns;
use super::values;
use super::{Source, Sourced};
use crate::cli::run::{RunArgs, Storage, Upper};
use crate::error::{Context, Error, Kind, Result};
use crate::host::dirs;
use crate::profile::{Profile, Rlimit, Settings};
use crate::sys::pinned::Pinned;

/// Where the root comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    Host,
    Directory { dir: Pinned, overlay: bool },
    Image(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    None,
    Host,
}

/// Whether the container outlives its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Remove,
    Keep,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) root: Root,
    pub(crate) command: Vec<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) read_only: Sourced<bool>,
    pub(crate) storage: Sourced<Option<Storage>>,
    pub(crate) upper: Sourced<Upper>,
    pub(crate) interactive: bool,
    pub(crate) tty: bool,
    pub(crate) keep: Keep,
    pub(crate) env: Vec<Variable>,
    pub(crate) workdir: Option<PathBuf>,
    pub(crate) user: Option<UserSpec>,
    pub(crate) keep_groups: bool,
    pub(crate) groups: Vec<super::user::Id>,
    pub(crate) init: Sourced<bool>,
    pub(crate) hostname: Option<String>,
    pub(crate) ulimits: Vec<Rlimit>,
    pub(crate) umask: u32,
    pub(crate) timeout: Sourced<Option<Duration>>,
    pub(crate) stop_signal: Option<Signal>,
    pub(crate) stop_timeout: Duration,
    pub(crate) preserve_fds: u32,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) mounts: Vec<MountRequest>,
    pub(crate) shm_size_bytes: u64,
    pub(crate) userns: Sourced<Userns>,
    pub(crate) network: Sourced<Network>,
    pub(crate) add_hosts: Vec<HostLine>,
    pub(crate) no_hosts: bool,
    pub(crate) security: Security,
    pub(crate) apparmor: Option<Sourced<AppArmor>>,
    pub(crate) cap_add: Vec<String>,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) sysctls: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn new(args: &RunArgs, file: &ConfigFile, profile: &Profile) -> Result<Self> {
        let settings = &profile.settings;
        let mut command = args.command.iter();
        let root = root(args, &mut command)?;
        let command = command
            .map(|word| {
                word.to_str().map(str::to_owned).ok_or_else(|| {
                    Error::new(
                        format!("cannot pass the argument {}", word.display()),
                        "it is not valid UTF-8, which a runtime configuration needs",
                    )
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if command.is_empty() && !matches!(root, Root::Image(_)) && args.entrypoint.is_none() {
            return Err(Error::new("cannot run", "no command was given")
                .fix("sbx run --host -- COMMAND [ARG]..."));
        }

        if args.tty && args.interactive && !std::io::stdin().is_terminal() {
            return Err(Error::new("cannot use -i with -t", "standard input is not a terminal")
                .fix("leave -t out, as in: ... | sbx run -i IMAGE COMMAND"));
        }

        let (keep_groups, groups): (Vec<&String>, Vec<&String>) =
            args.group_add.iter().partition(|g| *g == "keep-groups");
        let groups = groups
            .into_iter()
            .map(|g| UserSpec::parse(g, "--group-add").map(|spec| spec.user))
            .collect::<Result<Vec<_>>>()?;

        let userns = match Userns::explicit(&args.uidmap, &args.gidmap)? {
            Some(explicit) => Sourced { value: explicit, source: Source::Flag("--uidmap") },
            None => {
                let next = said(profile, &settings.user_namespace)
                    .or_else(|| file.said(file.run.userns.clone()));
                let text =
                    Sourced::pick(args.userns.clone(), "--userns", next, "host-root".to_owned());
                let label = text.label("--userns", "namespaces.user", "run.userns");
                Sourced { value: Userns::parse(&text.value, &label)?, source: text.source }
            }
        };
        let next = said(profile, &settings.network).or_else(|| file.said(file.run.network.clone()));
        let network = Sourced::pick(args.network.clone(), "--network", next, "none".to_owned());
        let storage = file.run.storage.as_deref().map(storage).transpose()?;

        let mut mounts = Vec::new();
        for v in &args.tmpfs {
            mounts.push(mount::tmpfs(v, "--tmpfs")?);
        }
        if args.project {
            mounts.push(mount::project()?);
        }
        for v in &args.volume {
            mounts.push(mount::volume(v, "-v")?);
        }
        for v in &args.mount {
            mounts.push(mount::long(v)?);
        }
        for v in &args.device {
            mounts.push(mount::device(v)?);
        }
        sort(&mut mounts);
        for pair in mounts.iter().enumerate() {
            if let Some(other) = mounts[..pair.0].iter().find(|m| m.target == pair.1.target) {
                return Err(Error::new(
                    format!("{} and {}", other.text, pair.1.text),
                    "both have the same target",
                )
                .fix("leave one out"));
            }
        }
        // Where the command line mounts something, the profile does not.
        for own in profile_mounts(profile)? {
            if mounts.iter().all(|m| m.target != own.target) {
                mounts.push(own);
            }
        }
        sort(&mut mounts);

        let security = security::parse(&args.security_opt)?;
        Ok(Request {
            root,
            command,
            entrypoint: args.entrypoint.clone(),
            read_only: Sourced::pick(
                args.read_only,
                "--read-only",
                said(profile, &settings.read_only_root),
                false,
            ),
            upper: Sourced::pick(args.upper, "--upper", None, Upper::Disk),
            storage: Sourced::pick(
                args.storage.map(Some),
                "--storage",
                file.said(storage.map(Some)),
                None,
            ),
            interactive: args.interactive,
            tty: args.tty,
            keep: if args.rm { Keep::Remove } else { Keep::Keep },
            env: env::collect(settings, args.env_host, &args.env_file, &args.env)?,
            workdir: workdir(args)?,
            user: args.user.as_deref().map(|u| UserSpec::parse(u, "--user")).transpose()?,
            keep_groups: !keep_groups.is_empty(),
            groups,
            init: Sourced::pick(
                args.init,
                "--init",
                file.said(file.run.init),
                // The host's programs are not written to be PID 1, for which a signal that is not
                // handled is no signal; an image's entry point often is, and may insist on it.
                args.host,
            ),
            hostname: args.hostname.as_deref().map(hostname).transpose()?,
            ulimits: args.ulimit.iter().map(|u| values::ulimit(u)).collect::<Result<_>>()?,
            umask: args.umask.as_deref().map_or(Ok(0o022), values::umask)?,
            timeout: timeout(args, profile)?,
            stop_signal: args
                .stop_signal
                .as_deref()
                .map(|s| values::signal("--stop-signal", s))
                .transpose()?,
            stop_timeout: args
                .stop_timeout
                .as_deref()
                .map_or(Ok(Duration::from_secs(10)), |t| values::duration("--stop-timeout", t))?,
            preserve_fds: args.preserve_fds.unwrap_or(0),
            pidfile: args.pidfile.clone(),
            mounts,
            shm_size_bytes: args
                .shm_size
                .as_deref()
                .map_or(Ok(64 << 20), |s| values::size_bytes("--shm-size", s))?,
            userns,
            network: Sourced {
                value: parse_network(
                    &network.value,
                    &network.label("--network", "network.mode", "run.network"),
                )?,
                source: network.source,
            },
            add_hosts: args.add_host.iter().map(|h| hosts::parse(h)).collect::<Result<_>>()?,
            no_hosts: args.no_hosts,
            apparmor: security::apparmor(&security, profile),
            security,
            cap_add: args.cap_add.clone(),
            cap_drop: args.cap_drop.clone(),
            sysctls: args.sysctl.iter().map(|s| sysctl(s)).collect::<Result<_>>()?,
        })
    }
}

impl Request {
    /// What the image declares as a VOLUME lies in the container's own layer. Where that is read-only it
    /// is mounted, so that the image finds what it was promised: a place to write to.
    pub(crate) fn add_image_volumes(&mut self, image: &ImageConfiguration) -> Result<()> {
        let declared = image.config().as_ref().and_then(|c| c.volumes().as_ref());
        if !self.read_only.value {
            return Ok(());
        }
        for target in declared.into_iter().flatten() {
            let volume = mount::of_image(target)?;
            if self.mounts.iter().all(|m| m.target != volume.target) {
                self.mounts.push(volume);
            }
        }
        sort(&mut self.mounts);
        Ok(())
    }
}

/// The profiles that were chosen, lowest first: on the command line, or in the configuration file.
pub(crate) fn profiles(args: &RunArgs, file: &ConfigFile) -> Vec<OsString> {
    match &file.run.profile {
        Some(name) if args.profile.is_empty() => vec![OsString::from(name)],
        _ => args.profile.clone(),
    }
}

/// A value of the profile.
pub(super) fn said<T: Clone>(profile: &Profile, value: &Option<T>) -> Option<Sourced<T>> {
    let source = || Source::Profile(profile.name.clone());
    value.clone().map(|value| Sourced { value, source: source() })
}

/// Whether what the profile says in the words of flags is right.
pub(crate) fn check(profile: &Profile) -> Result<()> {
    let Settings { user_namespace, network, .. } = &profile.settings;
    let label = |key: &str| format!("profile {}: {key}", profile.name);
    if let Some(mode) = user_namespace {
        Userns::parse(mode, &label("namespaces.user"))?;
    }
    if let Some(mode) = network {
        parse_network(mode, &label("network.mode"))?;
    }
    own_timeout(profile)?;
    profile_mounts(profile).map(drop)
}

fn own_timeout(profile: &Profile) -> Result<Option<Duration>> {
    let label = format!("profile {}: process.timeout", profile.name);
    profile.settings.timeout.as_ref().map(|t| values::duration(&label, t)).transpose()
}

fn timeout(args: &RunArgs, profile: &Profile) -> Result<Sourced<Option<Duration>>> {
    let flag = args.timeout.as_ref().map(|t| values::duration("--timeout", t)).transpose()?;
    let own = own_timeout(profile)?;
    let picked = Sourced::pick(flag.map(Some), "--timeout", said(profile, &own.map(Some)), None);
    // Zero is for ever, as with podman.
    Ok(Sourced { value: picked.value.filter(|t| !t.is_zero()), source: picked.source })
}

fn profile_mounts(profile: &Profile) -> Result<Vec<MountRequest>> {
    let label = format!("profile {}:", profile.name);
    let settings = &profile.settings;
    let tmpfs = settings.tmpfs.iter().map(|text| mount::tmpfs(OsStr::new(text), &label));
    let volumes = settings.volumes.iter().map(|text| match text.strip_prefix("~/") {
        Some(rest) => {
            let mut path = dirs::home()?.into_os_string();
            path.push("/");
            path.push(rest);
            mount::volume(&path, &label)
        }
        None => mount::volume(OsStr::new(text), &label),
    });
    tmpfs.chain(volumes).collect()
}

/// A parent is mounted before what lies below it, whatever the order of the flags.
fn sort(mounts: &mut [MountRequest]) {
    mounts.sort_by_key(|m| m.target.components().count());
}

fn root<'a>(args: &RunArgs, words: &mut impl Iterator<Item = &'a OsString>) -> Result<Root> {
    if args.host {
        return Ok(Root::Host);
    }
    if let Some(text) = &args.rootfs {
        let bytes = text.as_bytes();
        let (path, overlay) = match bytes.strip_suffix(b":O") {
            Some(path) => (OsString::from_vec(path.to_vec()), true),
            None => (text.clone(), false),
        };
        let path = PathBuf::from(path);
        let dir = Pinned::open(&path)
            .what(|| format!("cannot use --rootfs {}", path.display()))
            .map_err(|e| e.fix("give a directory that holds a root file system"))?;
        if !dir.is_dir() {
            return Err(Error::new(
                format!("cannot use --rootfs {}", path.display()),
                "not a directory",
            )
            .fix("sbx import FILE NAME, for an archive of a root file system"));
        }
        if dir.path() == Path::new("/") {
            return Err(Error::new("cannot use --rootfs /", "it is the host's own root")
                .fix("sbx run --host -- COMMAND"));
        }
        return Ok(Root::Directory { dir, overlay });
    }
    let image = words.next().ok_or_else(|| {
        Error::new("cannot run", "no image was given")
            .fix("sbx run --host -- COMMAND (or sbx run IMAGE COMMAND)")
    })?;
    image.to_str().map(|name| Root::Image(name.to_owned())).ok_or_else(|| {
        Error::new(format!("cannot run {}", image.display()), "not an image name")
            .kind(Kind::Failed)
    })
}

fn workdir(args: &RunArgs) -> Result<Option<PathBuf>> {
    match &args.workdir {
        Some(dir) if !dir.is_absolute() => {
            Err(Error::new(format!("--workdir {}", dir.display()), "not an absolute path")
                .fix(format!("--workdir /{}", dir.display())))
        }
        Some(dir) => Ok(Some(dir.clone())),
        None if args.project => {
            std::env::current_dir().map(Some).what(|| "cannot find the current directory")
        }
        None => Ok(None),
    }
}

/// `hostname(7)`: labels of letters, digits and hyphens, 64 bytes for the kernel.
fn hostname(text: &str) -> Result<String> {
    let proper = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if proper {
        return Ok(text.to_owned());
    }
    Err(Error::new(format!("--hostname {text}"), "not a host name of at most 64 characters")
        .fix("--hostname box"))
}

fn parse_network(text: &str, label: &str) -> Result<Network> {
    match text {
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        other => Err(Error::new(format!("{label} {other}"), "this mode is not available yet")
            .fix("--network none, or --network host to share the host's network")),
    }
}

fn storage(name: &str) -> Result<Storage> {
    match name {
        "native" => Ok(Storage::Native),
        "fuse-overlayfs" => Ok(Storage::FuseOverlayfs),
        other => Err(Error::new(format!("storage = \"{other}\""), "there is no such back end")
            .fix("storage = \"native\" or \"fuse-overlayfs\"")),
    }
}

/// Only parameters that a namespace of the sandbox's own holds can be set without privilege; see
/// `namespaces(7)` and runtime-spec, "sysctl".
fn sysctl(text: &str) -> Result<(String, String)> {
    let bad = |why: &str| {
        Error::new(format!("--sysctl {text}"), why)
            .fix("--sysctl net.ipv4.ip_unprivileged_port_start=80")
    };
    let (name, value) = text.split_once('=').ok_or_else(|| bad("no '=' in it"))?;
    let namespaced = ["net.", "kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."];
    if !namespaced.iter().any(|p| name.starts_with(p)) {
        return Err(bad(
            "only net.*, kernel.msg*, kernel.sem, kernel.shm* and fs.mqueue.* belong to a sandbox",
        ));
    }
    if name.contains("..") || name.contains('/') {
        return Err(bad("not the dotted name of a parameter"));
    }
    Ok((name.to_owned(), value.to_owned()))
}
