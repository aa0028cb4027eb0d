//! `-v`, `--mount`, `--tmpfs` and `--device`.

mod options;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::sys::pinned::Pinned;
use crate::volume::Name;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountRequest {
    pub(crate) kind: MountKind,
    pub(crate) target: PathBuf,
    pub(crate) readonly: bool,
    pub(crate) nosuid: bool,
    pub(crate) nodev: bool,
    pub(crate) noexec: bool,
    /// As typed, for messages.
    pub(crate) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind(Bind),
    Volume(Volume),
    /// The tree of an image, by its name; what is written to it is thrown away.
    Image(String),
    Tmpfs {
        size_bytes: Option<u64>,
        mode: Option<u32>,
    },
    Mqueue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) source: Pinned,
    pub(crate) recursive: bool,
    /// A throw-away overlay over the source.
    pub(crate) overlay: bool,
    pub(crate) propagation: Propagation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// `None` lives and ends with its container.
    pub(crate) name: Option<Name>,
    /// What the image has at the target goes into it where it is new.
    pub(crate) copy: bool,
    /// The image asks for it, and not the caller.
    pub(crate) declared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Private,
    Slave,
    Shared,
}

impl Propagation {
    pub(crate) fn option(self) -> &'static str {
        match self {
            Propagation::Private => "rprivate",
            Propagation::Slave => "rslave",
            Propagation::Shared => "rshared",
        }
    }
}

/// `-v SOURCE:TARGET[:OPTIONS]`; a source without a slash is the name of a volume, a target alone is a
/// volume without one.
pub(crate) fn volume(text: &OsStr, label: &str) -> Result<MountRequest> {
    let shown = format!("{label} {}", text.display());
    let fields: Vec<&[u8]> = text.as_bytes().split(|b| *b == b':').collect();
    let (source, target, options) = match fields[..] {
        [source, target] => (source, target, &b""[..]),
        [source, target, options] => (source, target, options),
        [target] => return anonymous(OsStr::from_bytes(target), shown),
        _ => {
            return Err(Error::new(shown, "more than two ':'")
                .fix("--mount type=bind,source=PATH,target=PATH (paths there may hold a ':')"));
        }
    };
    let (source, target) = (OsStr::from_bytes(source), OsStr::from_bytes(target));
    let mut mount = if !source.is_empty() && is_name(source.as_bytes()) {
        named(source, target, shown.clone())?
    } else {
        bind(source, target, shown.clone())?
    };
    options::apply_all(&mut mount, &options::split(options, &shown)?)?;
    Ok(mount)
}

/// A VOLUME of the image's configuration: without a name.
pub(super) fn of_image(target: &str) -> Result<MountRequest> {
    let mount = anonymous(OsStr::new(target), format!("the image's VOLUME {target}"))?;
    let kind = MountKind::Volume(Volume { name: None, copy: true, declared: true });
    Ok(MountRequest { kind, ..mount })
}

fn is_name(source: &[u8]) -> bool {
    !source.contains(&b'/') && source != b"." && source != b".."
}

fn named(source: &OsStr, dest: &OsStr, shown: String) -> Result<MountRequest> {
    let name = Name::parse(&source.to_string_lossy())
        .map_err(|e| Error::new(shown.clone(), e.why).fix(e.fix.unwrap_or_default()))?;
    let mut mount = anonymous(dest, shown)?;
    mount.kind = MountKind::Volume(Volume { name: Some(name), copy: true, declared: false });
    Ok(mount)
}

fn anonymous(dest: &OsStr, shown: String) -> Result<MountRequest> {
    Ok(MountRequest {
        kind: MountKind::Volume(Volume { name: None, copy: true, declared: false }),
        target: target(dest, &shown)?,
        readonly: false,
        nosuid: true,
        nodev: true,
        noexec: false,
        text: shown,
    })
}

/// `--tmpfs TARGET[:OPTIONS]`; without options nosuid, nodev and noexec, as in podman.
pub(crate) fn tmpfs(text: &OsStr, label: &str) -> Result<MountRequest> {
    let shown = format!("{label} {}", text.display());
    let bytes = text.as_bytes();
    let cut = bytes.iter().position(|b| *b == b':').unwrap_or(bytes.len());
    let options = bytes.get(cut + 1..).unwrap_or_default();
    let mut mount = MountRequest {
        kind: MountKind::Tmpfs { size_bytes: None, mode: None },
        target: target(OsStr::from_bytes(&bytes[..cut]), &shown)?,
        readonly: false,
        nosuid: true,
        nodev: true,
        noexec: true,
        text: shown.clone(),
    };
    options::apply_all(&mut mount, &options::split(options, &shown)?)?;
    Ok(mount)
}

/// `--mount type=…,source=…,target=…[,OPTION]…`.
pub(crate) fn long(text: &OsStr) -> Result<MountRequest> {
    let shown = format!("--mount {}", text.display());
    let (mut kind, mut source, mut dest) = (None, None, None);
    let mut options = Vec::new();
    for field in text.as_bytes().split(|b| *b == b',') {
        let cut = field.iter().position(|b| *b == b'=').unwrap_or(field.len());
        let value = field.get(cut + 1..).map(OsStr::from_bytes);
        match (&field[..cut], value) {
            (b"type", Some(v)) => kind = v.to_str(),
            (b"source" | b"src", Some(v)) => source = Some(v),
            (b"target" | b"dst" | b"destination", Some(v)) => dest = Some(v),
            _ => options.push(String::from_utf8_lossy(field).into_owned()),
        }
    }
    let fix = "--mount type=bind,source=./DIR,target=/DIR,ro";
    let missing = |what: &str| Error::new(shown.clone(), format!("no {what}= in it")).fix(fix);
    let dest = dest.ok_or_else(|| missing("target"))?;
    let mut mount = match kind.unwrap_or("bind") {
        "bind" => bind(source.ok_or_else(|| missing("source"))?, dest, shown.clone())?,
        kind @ ("tmpfs" | "mqueue") => MountRequest {
            kind: match kind {
                "tmpfs" => MountKind::Tmpfs { size_bytes: None, mode: None },
                _ => MountKind::Mqueue,
            },
            target: target(dest, &shown)?,
            readonly: false,
            nosuid: true,
            nodev: true,
            noexec: true,
            text: shown.clone(),
        },
        "volume" => match source {
            Some(name) => named(name, dest, shown.clone())?,
            None => anonymous(dest, shown.clone())?,
        },
        "image" => {
            let name = source.and_then(OsStr::to_str).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| {
                Error::new(shown.clone(), "no source= with the name of an image in it")
                    .fix("--mount type=image,source=IMAGE,target=/DIR")
            })?;
            let mount = anonymous(dest, shown.clone())?;
            MountRequest { kind: MountKind::Image(name.to_owned()), readonly: true, ..mount }
        }
        kind => return Err(Error::new(shown, format!("there is no type {kind}")).fix(fix)),
    };
    options::apply_all(&mut mount, &options)?;
    Ok(mount)
}

/// `--device PATH[:TARGET[:PERMISSIONS]]`: a bind, since a user namespace makes no device nodes.
pub(crate) fn device(text: &OsStr) -> Result<MountRequest> {
    let shown = format!("--device {}", text.display());
    let fields: Vec<&[u8]> = text.as_bytes().split(|b| *b == b':').collect();
    let (source, dest, permissions) = match fields[..] {
        [source] => (source, source, &b"rw"[..]),
        [source, dest] if dest.starts_with(b"/") => (source, dest, &b"rw"[..]),
        [source, permissions] => (source, source, permissions),
        [source, dest, permissions] => (source, dest, permissions),
        _ => return Err(Error::new(shown, "more than two ':'").fix("--device /dev/fuse")),
    };
    if permissions.is_empty() || permissions.iter().any(|p| !b"rwm".contains(p)) {
        return Err(Error::new(shown, "permissions are made of r, w and m")
            .fix("--device /dev/fuse:/dev/fuse:rw"));
    }
    let mut mount = bind(OsStr::from_bytes(source), OsStr::from_bytes(dest), shown)?;
    let MountKind::Bind(bind) = &mount.kind else { return Ok(mount) };
    if !bind.source.is_device() {
        return Err(Error::new(mount.text, "not a device").fix("-v binds files and directories"));
    }
    mount.nodev = false;
    mount.readonly = !permissions.contains(&b'w');
    Ok(mount)
}

/// The current directory at its own path.
pub(crate) fn project() -> Result<MountRequest> {
    let cwd = std::env::current_dir().what(|| "cannot find the current directory for --project")?;
    bind(cwd.as_os_str(), cwd.as_os_str(), "--project".to_owned())
}

fn bind(source: &OsStr, dest: &OsStr, shown: String) -> Result<MountRequest> {
    if source.is_empty() {
        return Err(Error::new(shown, "the source is empty").fix("-v ./DIR:/TARGET"));
    }
    let given = Path::new(source);
    let source = Pinned::open(given)
        .what(|| format!("cannot mount {} ({shown})", given.display()))
        .map_err(|e| {
            if e.why == "no such file or directory" {
                e.fix(format!("mkdir -p {}", given.display()))
            } else {
                e
            }
        })?;
    Ok(MountRequest {
        kind: MountKind::Bind(Bind {
            source,
            recursive: true,
            overlay: false,
            propagation: Propagation::Private,
        }),
        target: target(dest, &shown)?,
        readonly: false,
        nosuid: true,
        nodev: true,
        noexec: false,
        text: shown,
    })
}

/// Targets are absolute, without `..`, and lie outside the kernel's own file systems.
fn target(text: &OsStr, shown: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    let bad = |why: &str, fix: String| Err(Error::new(shown, why).fix(fix));
    if !path.is_absolute() {
        let fix = format!("use /{} as the target", path.display());
        return bad(&format!("the target {:?} is not an absolute path", path.display()), fix);
    }
    if path.components().any(|c| c == Component::ParentDir) {
        return bad("the target has a '..' in it", "write the target out".to_owned());
    }
    let clean: PathBuf = path.components().collect();
    if clean == Path::new("/") {
        return bad("the target is the root itself", "--rootfs DIR".to_owned());
    }
    if clean == Path::new("/dev") {
        return bad(
            "/dev is always the sandbox's own",
            "--device /dev/NAME, or -v for a directory below /dev".to_owned(),
        );
    }
    for kernel in ["/proc", "/sys"] {
        if clean.starts_with(kernel) {
            return bad(
                &format!(
                    "mounts over {kernel} are refused: tools inside trust what they read there"
                ),
                "choose another target".to_owned(),
            );
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests;
