//! `sbx push`.

use super::progress::Progress;
use super::pull::access;
use crate::cli::registry::PushArgs;
use crate::config::ConfigFile;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::push;
use crate::image::reference::Remote;
use crate::image::store::Store;

pub(crate) fn run(args: &PushArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let config = ConfigFile::read(&dirs)?;
    let store = Store::open(&dirs)?;
    let destination = args.destination.as_deref().unwrap_or(&args.image);
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
    if !args.quiet {
        eprintln!("sbx: pushing {remote}");
    }
    let progress = Progress::new();
    let access = access(&args.access, &config, &remote)?;
    let digest = push::push(&store, &args.image, &remote, &access, &progress)?;
    if let Some(path) = &args.digestfile {
        std::fs::write(path, digest.as_str())
            .what(|| format!("cannot write --digestfile {}", path.display()))?;
    }
    Ok(0)
}
