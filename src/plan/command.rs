//! The command line and the environment, from the request and the image's configuration
//! (image-spec, "Conversion to OCI Runtime Configuration").

use oci_spec::image::ImageConfiguration;

use crate::config::Request;
use crate::error::{Error, Result};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(crate) fn args(request: &Request, image: Option<&ImageConfiguration>) -> Result<Vec<String>> {
    let config = image.and_then(|i| i.config().as_ref());
    let image_entry = config.and_then(|c| c.entrypoint().clone()).unwrap_or_default();
    let image_cmd = config.and_then(|c| c.cmd().clone()).unwrap_or_default();
    // A new entry point drops the image's CMD: it was written for the old one.
    let (mut args, own_entry) = match &request.entrypoint {
        Some(e) if e.is_empty() => (Vec::new(), true),
        Some(e) => (vec![e.clone()], true),
        None => (image_entry, false),
    };
    if !request.command.is_empty() {
        args.extend(request.command.iter().cloned());
    } else if !own_entry {
        args.extend(image_cmd);
    }
    match args.first() {
        None => Err(Error::new("cannot run", "the image names no command and none was given")
            .fix("sbx run IMAGE COMMAND [ARG]...")),
        Some(first) if first.is_empty() => {
            Err(Error::new("cannot run \"\"", "the command is empty")
                .kind(crate::error::Kind::NotFound))
        }
        Some(_) if args.iter().any(|a| a.contains('\0')) => {
            Err(Error::new("cannot run", "an argument holds a NUL byte"))
        }
        Some(_) => Ok(args),
    }
}

/// Later variables replace earlier ones of the same name.
pub(crate) fn env(
    request: &Request,
    image: Option<&ImageConfiguration>,
    home: &str,
    hostname: &str,
) -> Vec<String> {
    let mut vars: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match vars.iter_mut().find(|(n, _)| n == name) {
        Some(entry) => value.clone_into(&mut entry.1),
        None => vars.push((name.to_owned(), value.to_owned())),
    };
    set("PATH", PATH);
    set("HOME", home);
    set("HOSTNAME", hostname);
    set("container", "sbx");
    for name in ["TERM", "LANG"] {
        if let Ok(value) = std::env::var(name) {
            set(name, &value);
        }
    }
    let config = image.and_then(|i| i.config().as_ref());
    for pair in config.and_then(|c| c.env().as_ref()).into_iter().flatten() {
        if let Some((name, value)) = pair.split_once('=') {
            set(name, value);
        }
    }
    for v in &request.env {
        set(&v.name, &v.value);
    }
    vars.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}
