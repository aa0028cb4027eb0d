//! `sbx save`: images out of the store.

use super::archive::{Archive, Staged};
use super::progress::Progress;
use crate::cli::archive::{SaveArgs, SaveFormat};
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::save::{Target, save as write};
use crate::image::store::Store;

pub(crate) fn save(args: &SaveArgs) -> Result<u8> {
    let (output, format) = (args.output.as_deref(), args.format);
    if args.compress && !format.is_directory() {
        return Err(Error::new(
            "cannot use --compress",
            "layers of an archive are kept as the format has them",
        )
        .fix("--format oci-dir or --format docker-dir, or leave it out"));
    }
    if format == SaveFormat::DockerDir && args.images.len() > 1 {
        return Err(Error::new("cannot save several images", "a docker-dir holds one")
            .fix("--format oci-dir, or a directory for each"));
    }
    let progress = Progress::new();
    let store = Store::open(&Dirs::from_env()?)?;
    let write = |target| write(&store, &progress, &args.images, format, args.compress, target);
    if format.is_directory() {
        let Some(dir) = output else {
            return Err(Error::new("cannot save", "this format is a directory").fix("-o DIR"));
        };
        let staged = Staged::directory(dir)?;
        write(Target::Directory(staged.staged().to_owned()))?;
        staged.finish()?;
    } else {
        let archive = Archive::new(output, "sbx save -o FILE IMAGE")?;
        let file = archive.file.try_clone().what(|| "cannot write the archive")?;
        write(Target::Archive(file))?;
        archive.finish()?;
    }
    Ok(0)
}
