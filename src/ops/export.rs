//! `sbx export`: a container's file system as an archive.

use super::archive::Archive;
use super::kept;
use crate::cli::archive::ExportArgs;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::host::ids::{Caller, SubIds};
use crate::image::pack;
use crate::image::store::Store;
use crate::userns::idmap;

pub(crate) fn export(args: &ExportArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let store = Store::open(&dirs)?;
    let container = kept::get(&dirs.data, &store, &args.container)?;
    let caller = Caller::current();
    let map = idmap::for_store(&caller, &SubIds::of(&caller)?)?;
    let archive = Archive::new(args.output.as_deref(), "sbx export -o FILE CONTAINER")?;
    let file = archive.file.try_clone().what(|| "cannot write the archive")?;
    // Compared with nothing, everything is there to be written.
    let job = pack::Job { trees: container.trees(Some(Vec::new())), layer: false };
    let report = pack::run(&map, &job, file.into())?;
    if report.reader_gone {
        let why = "whoever read it went away before its end";
        return Err(Error::new("cannot write the archive", why).fix("-o FILE"));
    }
    if report.skipped > 0 {
        eprintln!("sbx: warning: left out {} sockets or device nodes", report.skipped);
    }
    archive.finish()?;
    Ok(0)
}
