//! `sbx load`: images from an archive or a layout.

use std::fs::File;

use super::import::stdin;
use super::output::print_line;
use super::progress::Progress;
use crate::cli::image::LoadArgs;
use crate::error::{Context as _, Result};
use crate::host::dirs::Dirs;
use crate::image::ingest::Ingest;
use crate::image::load::load;
use crate::image::source::{Source, split_reference};
use crate::image::store::Store;

pub(crate) fn run(args: &LoadArgs) -> Result<u8> {
    let progress = Progress::new();
    let (input, reference) = match &args.input {
        Some(text) => {
            let (path, reference) = split_reference(text);
            (Some(path), reference)
        }
        None => (None, None),
    };
    // Opened first: what cannot be read must not make a store.
    let file = match &input {
        Some(path) if path.is_dir() => None,
        Some(path) => Some(File::open(path).what(|| format!("cannot open {}", path.display()))?),
        None => Some(stdin("sbx load -i ARCHIVE")?),
    };
    let label =
        input.as_ref().map_or_else(|| "standard input".to_owned(), |p| p.display().to_string());
    let store = Store::open(&Dirs::from_env()?)?;
    let ingest = Ingest::new(&store, &progress)?;
    // Keeps an archive that had to be copied.
    let staging = ingest.staging()?;
    let source = match (file, input) {
        (Some(file), _) => Source::archive(file, &label, &staging)?,
        (None, path) => Source::directory(&path.unwrap_or_default())?,
    };
    let loaded = load(&ingest, &source, reference.as_deref())?;
    drop(progress);
    for image in loaded {
        for name in &image.names {
            print_line(&format!("Loaded image: {name}"))?;
        }
        if image.names.is_empty() {
            print_line(&format!("Loaded image: {}", image.id))?;
        }
    }
    Ok(0)
}
