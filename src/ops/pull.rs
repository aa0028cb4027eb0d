//! `sbx pull`, and what `sbx run` does about an image that the store lacks.

use std::path::Path;

use super::output::print_line;
use super::progress::Progress;
use crate::cli::registry::{AccessArgs, Pull, PullArgs};
use crate::config::ConfigFile;
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;
use crate::image::Image;
use crate::image::ingest::{Ingest, Watch as _};
use crate::image::platform::Platform;
use crate::image::pull;
use crate::image::reference::Remote;
use crate::image::registry::{Access, Place};
use crate::image::store::Store;
use crate::image::transport::Transport;

pub(crate) fn run(args: &PullArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let config = ConfigFile::read(&dirs)?;
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    // Each has a bar of its own.
    let progress = || match args.quiet {
        true => Progress::quiet(),
        false => Progress::of(&args.progress),
    };
    for image in &args.images {
        if let Some(file) = Transport::of(image) {
            refuse_access(&args.access, image)?;
            refuse_platform(platform.as_ref(), image)?;
            let loaded = super::load::pull(&dirs, file, args.policy, &progress())?;
            loaded.iter().try_for_each(|image| print_line(image.id.hex()))?;
            continue;
        }
        let remote = Remote::parse(image, &config.registries.short_names())?;
        let access = access(&args.access, &config, &remote)?;
        let places = places(&remote, access, &config)?;
        let wanted = Wanted { remote: &remote, when: args.policy, platform: platform.as_ref() };
        let id = one(&dirs, &wanted, &places, &progress())?;
        if platform.is_none() {
            warn_of_platform(&Store::open(&dirs)?.find(&remote.stored_name())?);
        }
        print_line(&id)?;
    }
    Ok(0)
}

/// What is to be in the store.
struct Wanted<'a> {
    remote: &'a Remote,
    when: Pull,
    /// `None`: the one for this machine, and whatever the store has.
    platform: Option<&'a Platform>,
}

/// Pulls where the policy says so; the value is the image id.
fn one(dirs: &Dirs, wanted: &Wanted<'_>, places: &[Place], progress: &Progress) -> Result<String> {
    let store = Store::open(dirs)?;
    let (remote, platform) = (wanted.remote, wanted.platform);
    let name = remote.stored_name();
    let mut here = store.id_named(&name)?;
    if let Some(platform) = platform.filter(|_| here.is_some()) {
        let fits = store.find(&name).and_then(|image| check_platform(&image, platform));
        match fits {
            Err(e) if wanted.when == Pull::Never => return Err(e),
            Err(_) => here = None,
            Ok(()) => {}
        }
    }
    match (wanted.when, here) {
        (Pull::Missing | Pull::Never, Some(id)) => return Ok(id.hex().to_owned()),
        (Pull::Never, None) => return store.find(&name).map(|image| image.digest.hex().to_owned()),
        (Pull::Newer, Some(id)) => {
            match pull::is_current(&store, remote, places, platform, progress) {
                Ok(true) => return Ok(id.hex().to_owned()),
                Ok(false) => {}
                Err(e) => {
                    progress.warn(&format!("{e}; the image in the store is used"));
                    return Ok(id.hex().to_owned());
                }
            }
        }
        // What is wrong with the registry is told when the image itself is asked for.
        (Pull::Always, Some(id)) => {
            let quiet = Progress::quiet();
            if matches!(pull::is_current(&store, remote, places, platform, &quiet), Ok(true)) {
                return Ok(id.hex().to_owned());
            }
        }
        _ => {}
    }
    progress.begin("pulling", &remote.to_string());
    let ingest = Ingest::new(&store, progress)?;
    let pulled = pull::pull(&ingest, remote, places, platform)?;
    Ok(pulled.id.hex().to_owned())
}

/// The image for `sbx run`.
pub(crate) fn for_run(
    name: &str,
    when: Pull,
    platform: Option<&Platform>,
    dirs: &Dirs,
    config: &ConfigFile,
) -> Result<Image> {
    if let Some(file) = Transport::of(name) {
        refuse_platform(platform, name)?;
        return super::load::for_run(dirs, name, file, when);
    }
    let store = Store::open(dirs)?;
    let found = store.find(name);
    let other = found.as_ref().ok().zip(platform).and_then(|(i, p)| check_platform(i, p).err());
    let missing = match &found {
        Ok(_) if other.is_some() => when != Pull::Never,
        Ok(_) => when == Pull::Always || when == Pull::Newer,
        Err(_) => when != Pull::Never && !store.has(name)?,
    };
    let kept = |found: Result<Image>| match other.clone() {
        Some(other) => Err(other),
        None => found,
    };
    if !missing {
        return kept(found);
    }
    let remote = match Remote::parse(name, &config.registries.short_names()) {
        // What is local has no registry to be pulled from.
        Ok(remote) if remote.name.domain != "localhost" => remote,
        _ => return kept(found),
    };
    // Nor is it replaced by one of another name.
    if other.is_some() && found.as_ref().is_ok_and(|image| image.name != remote.stored_name()) {
        return kept(found);
    }
    let host = &remote.name.domain;
    let (verify, realms) = (config.registries.verifies(host), config.registries.realms_of(host));
    let access = Access { verify, realms, ..Access::default() };
    let wanted = Wanted { remote: &remote, when, platform };
    one(dirs, &wanted, &places(&remote, access, config)?, &Progress::new()).map_err(
        |e| match found {
            // A name that was mistyped is more like one that is here.
            Err(here) => Error { why: format!("{}; {}", e.why, here.why), ..e },
            Ok(_) => e,
        },
    )?;
    store.find(&remote.stored_name())
}

/// An error where an image of the store is for another platform than the wanted one.
fn check_platform(image: &Image, wanted: &Platform) -> Result<()> {
    match Platform::of(&image.config) {
        Some(is) if !wanted.takes(&is) => Err(Error::new(
            format!("cannot use image {}", image.name),
            format!("the one in the store is for {is}, not for {wanted}"),
        )
        .fix(format!("sbx pull --platform {wanted} {}", image.name))),
        _ => Ok(()),
    }
}

/// Nobody asked for a platform, and this is not the machine's.
pub(crate) fn warn_of_platform(image: &Image) {
    let host = Platform::host();
    if let Some(is) = Platform::of(&image.config).filter(|is| !host.takes(is)) {
        let text = format!("image {} is for {is}, this machine is {host}", image.name);
        Progress::new().warn(&text);
    }
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

/// No registry chooses among the images of files.
fn refuse_platform(platform: Option<&Platform>, name: &str) -> Result<()> {
    let Some(platform) = platform else { return Ok(()) };
    let why = "--platform chooses among a registry's images";
    Err(Error::new(format!("cannot use {name} for {platform}"), why).fix("leave --platform out"))
}

/// Files are not reached through a registry.
pub(super) fn refuse_access(args: &AccessArgs, name: &str) -> Result<()> {
    let given = [
        ("--creds", args.creds.is_some()),
        ("--authfile", args.authfile.is_some()),
        ("--tls-verify", !args.tls_verify),
    ];
    let Some((flag, _)) = given.iter().find(|(_, given)| *given) else { return Ok(()) };
    Err(Error::new(
        format!("cannot use {flag} for {name}"),
        "it is for a registry, and this is none",
    )
    .fix(format!("leave {flag} out")))
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
