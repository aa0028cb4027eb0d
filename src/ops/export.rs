//! `sbx export`: a container's file system as an archive, and a volume's files likewise.

use super::archive::Archive;
use super::kept;
use crate::cli::archive::ExportArgs;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::host::ids::{Caller, SubIds};
use crate::image::diff::Trees;
use crate::image::pack;
use crate::image::store::Store;
use crate::userns::idmap::{self, IdMap};

pub(crate) fn export(args: &ExportArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let store = Store::open(&dirs)?;
    let container = kept::get(&dirs.data, &store, &args.container)?;
    let caller = Caller::current();
    let map = idmap::for_store(&caller, &SubIds::of(&caller)?)?;
    let archive = Archive::new(args.output.as_deref(), "sbx export -o FILE CONTAINER")?;
    write(&map, container.trees(Some(Vec::new())), archive)?;
    Ok(0)
}

/// Writes what `trees` show. Compared with nothing, everything is there to be written.
pub(super) fn write(map: &IdMap, trees: Trees, archive: Archive) -> Result<()> {
    let file = archive.file.try_clone().what(|| "cannot write the archive")?;
    let report = pack::run(map, &pack::Job { trees, layer: false }, file.into())?;
    if report.reader_gone {
        let why = "whoever read it went away before its end";
        return Err(Error::new("cannot write the archive", why).fix("-o FILE"));
    }
    if report.skipped > 0 {
        eprintln!("sbx: warning: left out {} sockets or device nodes", report.skipped);
    }
    archive.finish()
}
