//! `sbx volume import` and `export`.

use std::fs::File;

use crate::cli::volume::{ExportArgs, ImportArgs};
use crate::error::{Context as _, Result};
use crate::host::HostFacts;
use crate::image::diff::Trees;
use crate::image::ingest::{Done, Watch as _};
use crate::ops::archive::Archive;
use crate::ops::export;
use crate::ops::import::stdin;
use crate::ops::progress::Progress;
use crate::userns::idmap::MoreIds;
use crate::volume::import;
use crate::volume::store::Store;

pub(super) fn import(store: &Store, facts: &HostFacts, args: &ImportArgs) -> Result<()> {
    let (input, label) = if args.tar.as_os_str() == "-" {
        (stdin(&format!("sbx volume import {} - < FILES.tar", args.name))?, "standard input".into())
    } else {
        let label = args.tar.display().to_string();
        (File::open(&args.tar).what(|| format!("cannot open {label}"))?, label)
    };
    let found = store.find(&args.name)?;
    // It must not be removed meanwhile.
    let _held = store.hold(&found.name, None)?;
    let progress = Progress::new();
    let total = input.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    let more_ids = MoreIds::of(&facts.caller, &facts.subids);
    let watch = |bytes| progress.progress(Done { bytes, total, ..Done::default() });
    let map = store.map();
    let skipped = import::run(map, more_ids, found.mountpoint(), input, &label, &watch)?;
    if let Some(skipped) = skipped {
        progress.warn(&format!("{label}: {skipped}"));
    }
    Ok(())
}

pub(super) fn export(store: &Store, args: &ExportArgs) -> Result<()> {
    let found = store.find(&args.name)?;
    let fix = format!("sbx volume export {0} -o {0}.tar", found.name);
    let _held = store.hold(&found.name, None)?;
    let archive = Archive::new(args.output.as_deref(), &fix)?;
    let trees = Trees { new: vec![found.mountpoint()], old: Vec::new(), targets: Vec::new() };
    export::write(store.map(), trees, archive)
}
