//! The options of a mount: an allow-list, nothing passed through.

use super::{MountKind, MountRequest, Propagation};
use crate::config::values;
use crate::error::{Error, Result};

pub(super) fn split(options: &[u8], shown: &str) -> Result<Vec<String>> {
    let text = std::str::from_utf8(options)
        .map_err(|_| Error::new(shown, "the options are not valid UTF-8"))?;
    Ok(text.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect())
}

/// Each option, once it is clear that they do not contradict each other.
pub(super) fn apply_all(mount: &mut MountRequest, options: &[String]) -> Result<()> {
    const OPPOSITES: [(&str, &str); 5] = [
        ("ro", "rw"),
        ("suid", "nosuid"),
        ("dev", "nodev"),
        ("exec", "noexec"),
        ("copy", "nocopy"),
    ];
    let has = |name: &str| options.iter().any(|o| o == name);
    if let Some((a, b)) = OPPOSITES.iter().find(|(a, b)| has(a) && has(b)) {
        return Err(Error::new(mount.text.clone(), format!("{a} and {b} contradict each other"))
            .fix(format!("leave {a} or {b} out")));
    }
    options.iter().try_for_each(|option| apply(mount, option))
}

fn apply(mount: &mut MountRequest, option: &str) -> Result<()> {
    let (key, value) = match option.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (option, None),
    };
    let truth = matches!(value, None | Some("true" | "1"));
    match (key, value) {
        ("ro" | "readonly", None | Some("true" | "false" | "0" | "1")) => mount.readonly = truth,
        ("rw" | "readwrite", None | Some("true" | "false" | "0" | "1")) => mount.readonly = !truth,
        ("nosuid", None) => mount.nosuid = true,
        ("suid", None) => mount.nosuid = false,
        ("nodev", None) => mount.nodev = true,
        ("dev", None) => mount.nodev = false,
        ("noexec", None) => mount.noexec = true,
        ("exec", None) => mount.noexec = false,
        _ => return apply_special(mount, option, key, value),
    }
    Ok(())
}

fn apply_special(m: &mut MountRequest, option: &str, key: &str, value: Option<&str>) -> Result<()> {
    let shown = m.text.clone();
    match (&mut m.kind, key, value) {
        (MountKind::Bind(b), "bind", None) => b.recursive = false,
        (MountKind::Bind(b), "rbind", None) => b.recursive = true,
        (MountKind::Bind(b), "bind-nonrecursive", None | Some("true")) => b.recursive = false,
        (MountKind::Bind(b), "O", None) if b.source.is_dir() => b.overlay = true,
        (MountKind::Bind(_), "O", None) => {
            return Err(Error::new(shown, "O needs a directory").fix("ro for a file"));
        }
        (MountKind::Bind(b), "bind-propagation", Some(kind)) | (MountKind::Bind(b), kind, None)
            if propagation(kind).is_some() =>
        {
            b.propagation = propagation(kind).unwrap_or(b.propagation);
        }
        (MountKind::Volume(v), "copy", None) => v.copy = true,
        (MountKind::Volume(v), "nocopy" | "volume-nocopy", None | Some("true" | "1")) => {
            v.copy = false;
        }
        (MountKind::Tmpfs { size_bytes, .. }, "size" | "tmpfs-size", Some(v)) => {
            *size_bytes = Some(values::size_bytes(&format!("{shown}: size="), v)?);
        }
        (MountKind::Tmpfs { mode, .. }, "mode" | "tmpfs-mode", Some(v)) => {
            let bits = u32::from_str_radix(v, 8).ok().filter(|m| *m <= 0o7777);
            *mode = Some(bits.ok_or_else(|| {
                Error::new(shown, format!("mode={v} is not octal")).fix("mode=1777")
            })?);
        }
        (_, "z" | "Z" | "U" | "idmap", _) => {
            return Err(Error::new(shown, format!("the option {option} is not available yet"))
                .fix(format!("leave {option} out")));
        }
        _ => {
            return Err(Error::new(shown, format!("there is no mount option {option}")).fix(
                "use ro, rw, rbind, bind, O, nosuid, nodev, noexec, suid, dev, exec, [r]private, [r]slave, [r]shared; for a volume nocopy; for a tmpfs size= and mode=",
            ));
        }
    }
    Ok(())
}

fn propagation(name: &str) -> Option<Propagation> {
    match name {
        "private" | "rprivate" => Some(Propagation::Private),
        "slave" | "rslave" => Some(Propagation::Slave),
        "shared" | "rshared" => Some(Propagation::Shared),
        _ => None,
    }
}
