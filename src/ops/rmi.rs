//! `sbx rmi` and `sbx image prune`.

use std::io::IsTerminal as _;

use super::output;
use crate::cli::image::{ImagePruneArgs, RmiArgs};
use crate::error::{Context as _, Error, Result, printable};
use crate::host::dirs::Dirs;
use crate::host::ids::{Caller, SubIds};
use crate::image::store::{Force, Listed, Removed, Store};
use crate::userns::idmap;

pub(crate) fn rmi(args: &RmiArgs) -> Result<u8> {
    let store = Store::open(&Dirs::from_env()?)?;
    let (references, force) = match (args.all, args.force) {
        (false, false) => (args.images.clone(), Force::Nothing),
        (false, true) => (args.images.clone(), Force::Use),
        (true, force) => (digests(&store)?, if force { Force::Use } else { Force::Names }),
    };
    let mut failures = Vec::new();
    for reference in &references {
        match store.remove(reference, force) {
            Ok(removed) => report(&removed)?,
            // As with podman, what is not there need not be removed by force.
            Err(_) if args.force && !store.has(reference)? => {}
            Err(e) => failures.push(e),
        }
    }
    collect(&store, failures)
}

pub(crate) fn prune(args: &ImagePruneArgs) -> Result<u8> {
    if !args.force {
        confirm(args.all)?;
    }
    let store = Store::open(&Dirs::from_env()?)?;
    remove_unused(&store, |listed| args.all || listed.names.is_empty())
}

/// Removes those of the wanted images that nothing uses, and all that no image needs.
pub(super) fn remove_unused(store: &Store, wanted: impl Fn(&Listed) -> bool) -> Result<u8> {
    let mut failures = Vec::new();
    for listed in store.list()? {
        if wanted(&listed) && store.users(std::slice::from_ref(&listed.digest))?.is_empty() {
            match store.remove(listed.digest.as_str(), Force::Names) {
                Ok(removed) => report(&removed)?,
                // Somebody else was faster, to remove it or to use it.
                Err(_) if !store.has(listed.digest.as_str())? => {}
                Err(e) => failures.push(e),
            }
        }
    }
    collect(store, failures)
}

fn digests(store: &Store) -> Result<Vec<String>> {
    let mut digests: Vec<String> =
        store.index()?.manifests.iter().map(|d| d.digest.to_string()).collect();
    digests.sort();
    digests.dedup();
    Ok(digests)
}

fn report(removed: &Removed) -> Result<()> {
    for name in &removed.untagged {
        output::print_line(&format!("Untagged: {name}"))?;
    }
    if let Some(id) = &removed.deleted {
        output::print_line(&format!("Deleted: {}", id.hex()))?;
    }
    if !removed.users.is_empty() {
        eprintln!(
            "sbx: its files stay until {} is gone; then: sbx image prune",
            printable(&removed.users.join(" and "))
        );
    }
    Ok(())
}

/// Frees the space; of all that failed the last is the error.
fn collect(store: &Store, mut failures: Vec<Error>) -> Result<u8> {
    let caller = Caller::current();
    let map = idmap::for_store(&caller, &SubIds::of(&caller)?)?;
    match store.collect(&map) {
        Ok(collected) => {
            if collected.deferred {
                eprintln!(
                    "sbx: the space is freed when the load or import that is going on has ended"
                );
            }
            failures.extend(collected.failures);
        }
        Err(e) => failures.push(e),
    }
    let Some(last) = failures.pop() else { return Ok(0) };
    for failure in failures {
        eprintln!("sbx: {failure}");
    }
    Err(last)
}

fn confirm(all: bool) -> Result<()> {
    let which = if all { "images that nothing uses" } else { "images that have no name" };
    let refused = |why: &str| {
        Err(Error::new("cannot prune images", why.to_owned()).fix("sbx image prune --force"))
    };
    if std::io::stdin().is_terminal() {
        eprint!("This removes all {which}. Go on? [y/N] ");
    }
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).what(|| "cannot read the answer")?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ if read == 0 => refused("it takes a yes, and standard input has no answer"),
        _ => refused("the answer was not yes"),
    }
}
