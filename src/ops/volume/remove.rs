//! `sbx volume rm` and `prune`.

use super::kept_by;
use crate::cli::volume::{PruneArgs, RmArgs};
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;
use crate::ops::{ask, output};
use crate::state;
use crate::volume::Name;
use crate::volume::store::{self, Store};

pub(super) fn rm(store: &Store, dirs: &Dirs, args: &RmArgs) -> Result<()> {
    if args.all {
        return remove(store, &unused(store, dirs, args.force)?);
    }
    let kept = state::list(&dirs.data)?;
    let mut names = Vec::new();
    // Nothing is removed where something is refused.
    for text in &args.names {
        let name = match store.find(text) {
            Err(_) if args.force && Name::parse(text).is_ok() => continue,
            found => found?.name,
        };
        if store.is_used(&name)? {
            return Err(store::used(&name));
        }
        if !args.force
            && let Some(id) = kept_by(&kept, &name)
        {
            let why = format!("container {id}, which was kept, uses it");
            return Err(Error::new(format!("cannot remove volume {name}"), why)
                .fix(format!("sbx rm {id}; or sbx volume rm -f {name}")));
        }
        names.push(name);
    }
    remove(store, &names)
}

pub(super) fn prune(store: &Store, dirs: &Dirs, args: &PruneArgs) -> Result<()> {
    let names = unused(store, dirs, false)?;
    if !args.force && !names.is_empty() {
        let list = names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        let question = format!("Remove {list}, with all that is in them?");
        if !ask::agreed(&question, "cannot remove unused volumes", "sbx volume prune -f")? {
            return Ok(());
        }
    }
    remove(store, &names)
}

/// Those that no running container uses and, unless `kept_too`, none that was kept.
pub(in crate::ops) fn unused(store: &Store, dirs: &Dirs, kept_too: bool) -> Result<Vec<Name>> {
    let kept = state::list(&dirs.data)?;
    let mut out = Vec::new();
    for f in store.list()? {
        if (kept_too || kept_by(&kept, &f.name).is_none()) && !store.is_used(&f.name)? {
            out.push(f.name);
        }
    }
    Ok(out)
}

pub(in crate::ops) fn remove(store: &Store, names: &[Name]) -> Result<()> {
    for name in names {
        store.remove(name)?;
        output::print_line(name.as_str())?;
    }
    Ok(())
}
