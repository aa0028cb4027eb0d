//! `sbx system prune`: what `rm`, `volume prune` and `image prune` remove.

use super::usage::{Place, Usage};
use crate::cli::system::PruneArgs;
use crate::error::{Error, Result};
use crate::image::store::Listed;
use crate::ops::filter::Filters;
use crate::ops::volume::remove;
use crate::ops::{ask, human, output, rm, rmi};
use crate::state;

pub(super) fn prune(args: &PruneArgs) -> Result<u8> {
    if let Some(other) =
        args.filter.iter().find(|f| !f.starts_with("label=") && !f.starts_with("until="))
    {
        let why = "that is not known of containers, volumes and images alike";
        return Err(Error::new(format!("cannot filter by {other:?}"), why)
            .fix("--filter takes label=KEY[=VALUE] and until=TIME"));
    }
    let place = Place::open()?;
    let filters = Filters::parse(&args.filter, &place.store)?;
    let fix =
        format!("sbx system prune{}{} -f", flag(args.all, " -a"), flag(args.volumes, " --volumes"));
    if !args.force && !ask::agreed(&question(args), "cannot prune", &fix)? {
        return Ok(0);
    }
    let before = Usage::read(&place)?.bytes();
    containers(&place, &filters)?;
    if args.volumes {
        volumes(&place, &filters)?;
    }
    // What is damaged has neither labels nor a date.
    let fits = |listed: &Listed| match &listed.details {
        Ok(details) => filters.matches(listed, details),
        Err(_) => args.filter.is_empty(),
    };
    let wanted = |listed: &Listed| (args.all || listed.names.is_empty()) && fits(listed);
    let code = rmi::remove_unused(&place.store, wanted)?;
    let won = before.saturating_sub(Usage::read(&place)?.bytes());
    output::print_line(&format!("Total reclaimed space: {}", human::size(won)))?;
    Ok(code)
}

fn flag(given: bool, text: &'static str) -> &'static str {
    if given { text } else { "" }
}

fn question(args: &PruneArgs) -> String {
    let images = if args.all { "images that nothing uses" } else { "images that have no name" };
    let volumes = flag(args.volumes, ", all volumes that no container uses");
    let filters = match args.filter.as_slice() {
        [] => String::new(),
        filters => format!(", where {} holds", filters.join(" and ")),
    };
    format!("Remove all containers that have ended{volumes} and all {images}{filters}?")
}

fn containers(place: &Place, filters: &Filters) -> Result<()> {
    let mut ended = state::list(&place.dirs.data)?;
    ended.retain(|found| {
        let created = found.state.as_ref().ok().map(|state| state.created.cast_signed());
        !found.running && filters.takes(false, created, |_| None)
    });
    rm::remove(&place.map, &ended)
}

fn volumes(place: &Place, filters: &Filters) -> Result<()> {
    let mut names = remove::unused(&place.volumes, &place.dirs, false)?;
    let all = place.volumes.list()?;
    names.retain(|name| {
        let volume = all.iter().find(|f| f.name == *name).and_then(|f| f.volume.as_ref().ok());
        let created = volume.map(|v| v.created.cast_signed());
        filters.takes(false, created, |key| volume?.labels.get(key).map(String::as_str))
    });
    remove::remove(&place.volumes, &names)
}
