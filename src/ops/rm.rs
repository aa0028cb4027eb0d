//! `sbx rm`.

use super::output;
use crate::cli::containers::RmArgs;
use crate::error::{Error, Result};
use crate::host::HostFacts;
use crate::host::dirs::Dirs;
use crate::state::{self, Found};
use crate::userns::idmap::{self, IdMap};
use crate::userns::worker;

pub(crate) fn rm(args: &RmArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let facts = HostFacts::read(&dirs.data)?;
    let map = idmap::for_store(&facts.caller, &facts.subids)?;
    let found: Vec<Found> = if args.all {
        state::list(&dirs.data)?.into_iter().filter(|f| !f.running).collect()
    } else {
        args.ids.iter().map(|id| state::find(&dirs.data, id)).collect::<Result<_>>()?
    };
    if let Some(busy) = found.iter().find(|f| f.running) {
        return Err(Error::new(format!("cannot remove container {}", busy.id), "it is running")
            .fix("end it first"));
    }
    remove(&map, &found)?;
    Ok(0)
}

pub(super) fn remove(map: &IdMap, found: &[Found]) -> Result<()> {
    for f in found {
        worker::remove_tree(map, &f.dir)?;
        output::print_line(&f.id)?;
    }
    Ok(())
}
