//! `sbx volume import` and `export`.

use std::fs::File;
use std::io::IsTerminal as _;

use crate::cli::volume::{ExportArgs, ImportArgs};
use crate::error::{Context as _, Error, Result};
use crate::host::HostFacts;
use crate::image::ingest::Watch as _;
use crate::ops::import::stdin;
use crate::ops::progress::Progress;
use crate::userns::idmap::MoreIds;
use crate::volume::archive;
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
    let watch = |done| progress.progress(done, total);
    let map = store.map();
    let skipped = archive::import(map, more_ids, found.mountpoint(), input, &label, &watch)?;
    if let Some(skipped) = skipped {
        progress.warn(&format!("{label}: {skipped}"));
    }
    Ok(())
}

pub(super) fn export(store: &Store, args: &ExportArgs) -> Result<()> {
    let found = store.find(&args.name)?;
    let fix = format!("sbx volume export {0} -o {0}.tar", found.name);
    let _held = store.hold(&found.name, None)?;
    let out = match &args.output {
        Some(path) => File::create(path).what(|| format!("cannot write {}", path.display()))?,
        None if std::io::stdout().is_terminal() => {
            let why = "standard output is a terminal";
            return Err(Error::new("cannot write an archive", why).fix(fix));
        }
        None => {
            let out = rustix::stdio::stdout().try_clone_to_owned();
            File::from(out.what(|| "cannot use standard output")?)
        }
    };
    let skipped = archive::export(store.map(), found.mountpoint(), out)?;
    if skipped > 0 {
        let text = format!("left out {skipped} sockets and devices, which an archive cannot hold");
        Progress::new().warn(&text);
    }
    Ok(())
}
