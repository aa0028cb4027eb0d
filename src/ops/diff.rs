//! `sbx diff`.

use std::fmt::Write as _;

use serde_json::json;

use super::{kept, output};
use crate::cli::changes::DiffArgs;
use crate::error::{Result, printable};
use crate::host::dirs::Dirs;
use crate::host::ids::{Caller, SubIds};
use crate::image::diff::{Change, Trees, diff as compare};
use crate::image::store::Store;
use crate::userns::idmap;

pub(crate) fn diff(args: &DiffArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let store = Store::open(&dirs)?;
    let with = args.with.as_deref().map(|image| store.find(image)).transpose()?;
    let with = with.as_ref().map(kept::topmost_first);
    let trees = match kept::find(&dirs.data, &store, &args.what)? {
        Some(container) => container.trees(with),
        None => {
            let image = store.find(&args.what).map_err(|mut e| {
                e.why = format!("no container's id begins like that, and {}", e.why);
                e
            })?;
            let new = kept::topmost_first(&image);
            let below = new.iter().skip(1).cloned().collect();
            Trees { new, old: with.unwrap_or(below), targets: Vec::new() }
        }
    };
    let caller = Caller::current();
    let map = idmap::for_store(&caller, &SubIds::of(&caller)?)?;
    let changes = compare(&map, &trees)?;
    output::print(&if args.json { as_json(&changes) } else { as_lines(&changes) })?;
    Ok(0)
}

fn as_lines(changes: &[Change]) -> String {
    changes.iter().fold(String::new(), |mut out, change| {
        let _ = writeln!(out, "{} {}", change.kind, printable(&change.path));
        out
    })
}

fn as_json(changes: &[Change]) -> String {
    let of = |kind| {
        changes.iter().filter(|c| c.kind == kind).map(|c| c.path.as_str()).collect::<Vec<_>>()
    };
    format!("{:#}\n", json!({ "added": of('A'), "changed": of('C'), "deleted": of('D') }))
}
