//! `sbx pull`, and what `sbx run` does about an image that the store lacks.

use std::path::Path;

use super::output::print_line;
use super::progress::Progress;
use crate::cli::image::LoadArgs;
use crate::cli::registry::{AccessArgs, Pull, PullArgs};
use crate::config::ConfigFile;
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;
use crate::image::Image;
use crate::image::ingest::{Ingest, Watch as _};
use crate::image::pull;
use crate::image::reference::Remote;
use crate::image::registry::{Access, Place};
use crate::image::store::Store;

/// Transports that are files.
const FILES: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

pub(crate) fn run(args: &PullArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let config = ConfigFile::read(&dirs)?;
    for image in &args.images {
        if let Some(path) = FILES.iter().find_map(|transport| image.strip_prefix(transport)) {
            super::load::run(&LoadArgs { input: Some(path.into()) })?;
            continue;
        }
        if image.starts_with("dir:") {
            return Err(Error::new(format!("cannot pull {image}"), "dir: is not available yet")
                .fix(format!("skopeo copy {image} oci:DIR:NAME && sbx load -i DIR")));
        }
        let remote = Remote::parse(image, &config.registries.short_names())?;
        let access = access(&args.access, &config, &remote)?;
        let id = one(&dirs, &remote, args.policy, &places(&remote, access, &config)?, args.quiet)?;
        print_line(&id)?;
    }
    Ok(0)
}

/// Pulls where the policy says so; the value is the image id.
fn one(dirs: &Dirs, remote: &Remote, when: Pull, places: &[Place], quiet: bool) -> Result<String> {
    let store = Store::open(dirs)?;
    let name = remote.stored_name();
    let here = store.id_named(&name)?;
    match (when, here) {
        (Pull::Missing | Pull::Never, Some(id)) => return Ok(id.hex().to_owned()),
        (Pull::Never, None) => return store.find(&name).map(|image| image.digest.hex().to_owned()),
        (Pull::Newer, Some(id)) => {
            let progress = Progress::new();
            match pull::is_current(&store, remote, places, &progress) {
                Ok(true) => return Ok(id.hex().to_owned()),
                Ok(false) => {}
                Err(e) => {
                    progress.warn(&format!("{e}; the image in the store is used"));
                    return Ok(id.hex().to_owned());
                }
            }
        }
        _ => {}
    }
    if !quiet {
        eprintln!("sbx: pulling {remote}");
    }
    let progress = Progress::new();
    let ingest = Ingest::new(&store, &progress)?;
    let pulled = pull::pull(&ingest, remote, places)?;
    Ok(pulled.id.hex().to_owned())
}

/// The image for `sbx run`.
pub(crate) fn for_run(name: &str, when: Pull, dirs: &Dirs, config: &ConfigFile) -> Result<Image> {
    let store = Store::open(dirs)?;
    let found = store.find(name);
    let missing = match &found {
        Ok(_) => when == Pull::Always || when == Pull::Newer,
        Err(_) => when != Pull::Never && !store.has_like(name)?,
    };
    if !missing {
        return found;
    }
    let remote = match Remote::parse(name, &config.registries.short_names()) {
        // What is local has no registry to be pulled from.
        Ok(remote) if remote.name.domain != "localhost" => remote,
        _ => return found,
    };
    let host = &remote.name.domain;
    let (verify, realms) = (config.registries.verifies(host), config.registries.realms_of(host));
    let access = Access { verify, realms, ..Access::default() };
    one(dirs, &remote, when, &places(&remote, access, config)?, false).map_err(
        |e| match found {
            // A name that was mistyped is more like one that is here.
            Err(here) => Error { why: format!("{}; {}", e.why, here.why), ..e },
            Ok(_) => e,
        },
    )?;
    store.find(&remote.stored_name())
}

/// The mirrors, each with what is known of itself alone, and then the registry.
fn places(remote: &Remote, access: Access, config: &ConfigFile) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for mirror in config.registries.mirrors_of(&remote.name.domain) {
        let remote = remote.at(mirror)?;
        let host = &remote.name.domain;
        let access = Access {
            credentials: None,
            auth_file: access.auth_file.clone(),
            verify: config.registries.verifies(host),
            realms: config.registries.realms_of(host),
        };
        places.push(Place { remote, access });
    }
    places.push(Place { remote: remote.clone(), access });
    Ok(places)
}

pub(super) fn access(args: &AccessArgs, config: &ConfigFile, remote: &Remote) -> Result<Access> {
    let credentials = args.creds.as_deref().map(|text| {
        let pair =
            text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()));
        pair.ok_or_else(|| {
            Error::new("--creds", "there is no ':' between user and password")
                .fix("sbx login asks for a password")
        })
    });
    Ok(Access {
        credentials: credentials.transpose()?,
        auth_file: args.authfile.as_deref().map(Path::to_owned),
        verify: args.tls_verify && config.registries.verifies(&remote.name.domain),
        realms: config.registries.realms_of(&remote.name.domain),
    })
}
