//! `sbx import`: a root file system becomes an image.

use std::fs::File;
use std::io::IsTerminal as _;

use super::progress::Progress;
use crate::cli::image::ImportArgs;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::import::import;
use crate::image::ingest::Ingest;
use crate::image::reference::{Name, Unqualified};
use crate::image::store::Store;

pub(crate) fn run(args: &ImportArgs) -> Result<u8> {
    let name = args.name.as_deref().map(|n| Name::parse(n, Unqualified::Localhost)).transpose()?;
    let changes = super::commit::instructions(&args.change)?;
    let (input, label) = if args.tar.as_os_str() == "-" {
        (stdin("sbx import - < ROOT.tar")?, "standard input".to_owned())
    } else {
        let label = args.tar.display().to_string();
        let file = File::open(&args.tar).what(|| format!("cannot open {label}"))?;
        if file.metadata().what(|| format!("cannot open {label}"))?.is_dir() {
            return Err(Error::new(format!("cannot import {label}"), "it is a directory")
                .fix(format!("tar -C {label} -c . | sbx import - NAME")));
        }
        (file, label)
    };
    let progress = Progress::of(&args.progress);
    let store = Store::open(&Dirs::from_env()?)?;
    let ingest = Ingest::new(&store, &progress)?;
    let id = import(&ingest, input, &label, &changes, args.message.as_deref(), name.as_ref())?;
    drop(progress);
    super::output::print_line(id.as_str())?;
    Ok(0)
}

/// Standard input, unless somebody would have to type an archive.
pub(super) fn stdin(fix: &str) -> Result<File> {
    if std::io::stdin().is_terminal() {
        return Err(Error::new("cannot read an archive", "standard input is a terminal").fix(fix));
    }
    let fd = rustix::stdio::stdin().try_clone_to_owned().what(|| "cannot read standard input")?;
    Ok(File::from(fd))
}
