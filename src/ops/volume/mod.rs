//! `sbx volume`: one file for what shows volumes, one for what removes them.

pub(super) mod remove;
mod show;
mod transfer;

use std::collections::BTreeMap;

use super::output;
use crate::cli::volume::{CreateArgs, VolumeVerb};
use crate::error::{Error, Result};
use crate::host::HostFacts;
use crate::host::dirs::Dirs;
use crate::state;
use crate::userns::idmap;
use crate::volume::Name;
use crate::volume::store::Store;

pub(crate) fn volume(verb: &VolumeVerb) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let facts = HostFacts::read(&dirs.data)?;
    let map = idmap::for_store(&facts.caller, &facts.subids)?;
    let store = Store::open(&dirs, map)?;
    match verb {
        VolumeVerb::Create(args) => create(&store, args)?,
        VolumeVerb::Export(args) => transfer::export(&store, args)?,
        VolumeVerb::Import(args) => transfer::import(&store, &facts, args)?,
        VolumeVerb::Inspect(args) => show::inspect(&store, args)?,
        VolumeVerb::Ls(args) => show::ls(&store, &dirs, args)?,
        VolumeVerb::Prune(args) => remove::prune(&store, &dirs, args)?,
        VolumeVerb::Rm(args) => remove::rm(&store, &dirs, args)?,
    }
    Ok(0)
}

fn create(store: &Store, args: &CreateArgs) -> Result<()> {
    let name = args.name.as_deref().map_or_else(Name::random, Name::parse)?;
    let labels: BTreeMap<String, String> = args
        .label
        .iter()
        .map(|label| label.split_once('=').unwrap_or((label, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if !store.create(&name, labels)? && !args.ignore {
        return Err(Error::new(format!("cannot make volume {name}"), "it exists already")
            .fix(format!("sbx volume create --ignore {name}")));
    }
    output::print_line(name.as_str())
}

/// The container that was kept and names the volume, where there is one.
pub(super) fn kept_by(kept: &[state::Found], name: &Name) -> Option<String> {
    let names = |c: &state::Container| c.volumes.iter().any(|v| v == name.as_str());
    kept.iter().find(|f| f.state.as_ref().is_ok_and(names)).map(|f| f.id.clone())
}
