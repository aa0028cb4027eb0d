//! `sbx load`: images from an archive or a layout; and what other verbs do about images in files.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::import::stdin;
use super::output::print_line;
use super::progress::Progress;
use crate::cli::image::LoadArgs;
use crate::cli::registry::Pull;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::Image;
use crate::image::ingest::Ingest;
use crate::image::load::{self, Loaded};
use crate::image::source::Source;
use crate::image::store::Store;
use crate::image::transport::{Transport, split_reference};

pub(crate) fn run(args: &LoadArgs) -> Result<u8> {
    let progress = Progress::of(&args.progress);
    let input = match &args.input {
        Some(text) => Input::at(split_reference(text), None)?,
        None => Input::stdin()?,
    };
    let store = Store::open(&Dirs::from_env()?)?;
    let loaded = input.load(&Ingest::new(&store, &progress)?, |_| Ok(()))?;
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

/// `TRANSPORT:REST` for `sbx pull`.
pub(super) fn pull(
    dirs: &Dirs,
    (transport, rest): (Transport, &str),
    when: Pull,
    progress: &Progress,
) -> Result<Vec<Loaded>> {
    refuse_never(when, rest)?;
    let input = Input::at(transport.source(rest), Some(transport))?;
    let store = Store::open(dirs)?;
    input.load(&Ingest::new(&store, progress)?, |_| Ok(()))
}

/// The same for `sbx run`: one image.
pub(super) fn for_run(
    dirs: &Dirs,
    name: &str,
    (transport, rest): (Transport, &str),
    when: Pull,
) -> Result<Image> {
    refuse_never(when, rest)?;
    let input = Input::at(transport.source(rest), Some(transport))?;
    let store = Store::open(dirs)?;
    let progress = Progress::new();
    // Held until the image is: nobody removes it in between.
    let ingest = Ingest::new(&store, &progress)?;
    let loaded = input.load(&ingest, |found| match found {
        [_] => Ok(()),
        _ => Err(Error::new(format!("cannot run {name}"), "it holds several images")
            .fix(format!("sbx run {name}:NAME, with the name of one"))),
    })?;
    let digest = loaded.first().map(|image| image.digest.to_string()).unwrap_or_default();
    store.find(&digest)
}

/// As with podman files are always loaded: what the store has of them is not read again.
fn refuse_never(when: Pull, rest: &str) -> Result<()> {
    if when != Pull::Never {
        return Ok(());
    }
    let why = "an image in files is always loaded";
    Err(Error::new(format!("cannot use {rest} where nothing may be pulled"), why)
        .fix("leave never out"))
}

/// What is loaded, opened before there is a store: what cannot be read must not make one.
struct Input {
    /// `None` for a directory.
    file: Option<File>,
    path: PathBuf,
    reference: Option<String>,
    transport: Option<Transport>,
}

impl Input {
    fn at(
        (path, reference): (PathBuf, Option<String>),
        transport: Option<Transport>,
    ) -> Result<Self> {
        let file = match path.is_dir() {
            true => None,
            false => Some(File::open(&path).what(|| format!("cannot open {}", path.display()))?),
        };
        Ok(Input { file, path, reference, transport })
    }

    fn stdin() -> Result<Self> {
        let file = Some(stdin("sbx load -i ARCHIVE")?);
        let path = Path::new("standard input").to_owned();
        Ok(Input { file, path, reference: None, transport: None })
    }

    /// `check` sees what was found before anything of it is taken in.
    fn load(
        self,
        ingest: &Ingest<'_>,
        check: impl FnOnce(&[load::Found]) -> Result<()>,
    ) -> Result<Vec<Loaded>> {
        // Keeps an archive that had to be copied.
        let staging = ingest.staging()?;
        let source = match self.file {
            Some(file) => Source::archive(file, &self.path.display().to_string(), &staging)?,
            None => Source::directory(&self.path)?,
        };
        let found = load::find(&source, self.reference.as_deref(), self.transport)?;
        check(&found)?;
        load::take_in(ingest, found)
    }
}
