//! `sbx save`: images out of the store.

use std::path::Path;

use super::archive::{Archive, Staged};
use super::progress::Progress;
use crate::cli::archive::{SaveArgs, SaveFormat};
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::digest::Digest;
use crate::image::save::{self, Form, Target};
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
    let progress = Progress::of(&args.progress);
    let form = Form { format, compress: args.compress, name: None };
    match output {
        None if format.is_directory() => {
            return Err(Error::new("cannot save", "this format is a directory").fix("-o DIR"));
        }
        Some(dir) if format.is_directory() => {
            let staged = Staged::directory(dir)?;
            directory(&args.images, &form, staged.staged(), &progress)?;
            staged.finish()?;
        }
        _ => drop(archive(&args.images, &form, output, &progress)?),
    }
    Ok(0)
}

/// One image to a place that `sbx push` names; the digest of the manifest that was written comes back,
/// where the format has one.
pub(super) fn push(
    image: &str,
    form: &Form<'_>,
    path: &Path,
    progress: &Progress,
) -> Result<Option<Digest>> {
    let images = [image.to_owned()];
    match form.format {
        SaveFormat::OciDir => {
            let staged = Staged::layout(path)?;
            let digest = directory(&images, form, staged.staged(), progress)?;
            if path.join("index.json").is_file() {
                save::add_to_layout(staged.staged(), staged.path())?;
            } else {
                staged.finish()?;
            }
            Ok(digest)
        }
        SaveFormat::Dir | SaveFormat::DockerDir => {
            let staged = Staged::directory(path)?;
            let digest = directory(&images, form, staged.staged(), progress)?;
            staged.finish()?;
            Ok(digest)
        }
        SaveFormat::DockerArchive | SaveFormat::OciArchive => {
            archive(&images, form, Some(path), progress)
        }
    }
}

fn directory(
    images: &[String],
    form: &Form<'_>,
    to: &Path,
    progress: &Progress,
) -> Result<Option<Digest>> {
    let store = Store::open(&Dirs::from_env()?)?;
    save::save(&store, progress, images, form, Target::Directory(to.to_owned()))
}

fn archive(
    images: &[String],
    form: &Form<'_>,
    output: Option<&Path>,
    progress: &Progress,
) -> Result<Option<Digest>> {
    let store = Store::open(&Dirs::from_env()?)?;
    let archive = Archive::new(output, "sbx save -o FILE IMAGE")?;
    let file = archive.file.try_clone().what(|| "cannot write the archive")?;
    let digest = save::save(&store, progress, images, form, Target::Archive(file))?;
    archive.finish()?;
    Ok(digest)
}
