//! `sbx push`: to a registry, or to files as sbx save writes them.

use super::progress::Progress;
use super::pull::{access, refuse_access};
use crate::cli::archive::SaveFormat;
use crate::cli::registry::PushArgs;
use crate::config::ConfigFile;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::digest::Digest;
use crate::image::push;
use crate::image::reference::{Name, Remote, Unqualified};
use crate::image::save::Form;
use crate::image::store::Store;
use crate::image::transport::Transport;

pub(crate) fn run(args: &PushArgs) -> Result<u8> {
    let destination = args.destination.as_deref().unwrap_or(&args.image);
    let digest = match Transport::of(destination) {
        Some(file) => to_files(args, destination, file)?,
        None => Some(to_registry(args, destination)?),
    };
    if let (Some(path), Some(digest)) = (&args.digestfile, digest) {
        std::fs::write(path, digest.as_str())
            .what(|| format!("cannot write --digestfile {}", path.display()))?;
    }
    Ok(0)
}

fn begin(args: &PushArgs, destination: &str) -> Progress {
    let progress = if args.quiet { Progress::quiet() } else { Progress::of(&args.progress) };
    progress.begin("pushing", destination);
    progress
}

fn to_files(
    args: &PushArgs,
    destination: &str,
    (transport, rest): (Transport, &str),
) -> Result<Option<Digest>> {
    refuse_access(&args.access, destination)?;
    if args.destination.is_none() {
        let what = format!("cannot push {destination}");
        return Err(Error::new(what, "that is where to push to, and no image is given")
            .fix(format!("sbx push IMAGE {destination}")));
    }
    if transport == Transport::DockerArchive && args.digestfile.is_some() {
        return Err(Error::new("cannot write --digestfile", "a docker archive has no manifest")
            .fix("oci-archive:FILE, or leave --digestfile out"));
    }
    let (path, name) = transport.destination(rest);
    let (format, name) = match (transport, name) {
        (Transport::Dir, _) => (SaveFormat::Dir, None),
        (Transport::Oci, name) => (SaveFormat::OciDir, name.map(str::to_owned)),
        (Transport::OciArchive, name) => (SaveFormat::OciArchive, name.map(str::to_owned)),
        (Transport::DockerArchive, name) => {
            let name = name.map(|name| Name::parse(name, Unqualified::DockerHub)).transpose()?;
            (SaveFormat::DockerArchive, name.map(|name| name.to_string()))
        }
    };
    let progress = begin(args, destination);
    let form = Form { format, compress: false, name: name.as_deref() };
    super::save::push(&args.image, &form, &path, &progress)
}

fn to_registry(args: &PushArgs, destination: &str) -> Result<Digest> {
    let dirs = Dirs::from_env()?;
    let config = ConfigFile::read(&dirs)?;
    let store = Store::open(&dirs)?;
    let remote = Remote::parse(destination, &config.registries.short_names())?;
    let what = || format!("cannot push to {destination}");
    if remote.name.domain == "localhost" {
        return Err(Error::new(
            what(),
            "localhost without a port is no registry, but a local image",
        )
        .fix(format!("sbx push {} REGISTRY/NAME:TAG", args.image)));
    }
    if remote.digest.is_some() {
        return Err(Error::new(what(), "an image is pushed under a tag")
            .fix(format!("sbx push {} {}", args.image, remote.name)));
    }
    let progress = begin(args, &remote.to_string());
    let access = access(&args.access, &config, &remote)?;
    push::push(&store, &args.image, &remote, &access, &progress)
}
