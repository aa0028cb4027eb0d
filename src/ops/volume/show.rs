//! `sbx volume ls` and `inspect`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::kept_by;
use crate::cli::volume::{InspectArgs, LsArgs};
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;
use crate::image::import::rfc3339;
use crate::ops::output;
use crate::state;
use crate::volume::store::{Found, Store};

pub(super) fn inspect(store: &Store, args: &InspectArgs) -> Result<()> {
    let found = args.names.iter().map(|name| store.find(name)).collect::<Result<Vec<_>>>()?;
    if let Some(damaged) = found.iter().find_map(|f| f.volume.as_ref().err()) {
        return Err(damaged.clone());
    }
    output::print(&as_json(&found))
}

pub(super) fn ls(store: &Store, dirs: &Dirs, args: &LsArgs) -> Result<()> {
    let filters = args.filter.iter().map(|f| Filter::parse(f)).collect::<Result<Vec<_>>>()?;
    let kept = state::list(&dirs.data)?;
    let mut found = Vec::new();
    for f in store.list()? {
        let mut shown = true;
        for filter in &filters {
            shown = shown && filter.takes(&f, store, &kept)?;
        }
        if shown {
            found.push(f);
        }
    }
    if args.json {
        return output::print(&as_json(&found));
    }
    let mut out = if args.quiet { String::new() } else { "DRIVER  VOLUME NAME\n".to_owned() };
    for f in &found {
        let _ = match &f.volume {
            _ if args.quiet => writeln!(out, "{}", f.name),
            Ok(_) => writeln!(out, "local   {}", f.name),
            Err(e) => writeln!(out, "local   {}  damaged: {e}", f.name),
        };
    }
    output::print(&out)
}

fn as_json(found: &[Found]) -> String {
    let list: Vec<Value> = found.iter().map(one).collect();
    format!("{:#}\n", json!(list))
}

/// The names of podman and docker.
fn one(f: &Found) -> Value {
    let mut out = json!({"Name": f.name, "Driver": "local", "Mountpoint": f.mountpoint()});
    match &f.volume {
        Ok(v) => {
            out["CreatedAt"] = json!(rfc3339(v.created));
            out["Labels"] = json!(v.labels);
        }
        Err(e) => out["Damaged"] = json!(e.to_string()),
    }
    out
}

enum Filter<'a> {
    Name(&'a str),
    Label(&'a str, Option<&'a str>),
    Dangling(bool),
}

impl<'a> Filter<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(format!("--filter {text}"), why)
                .fix("--filter name=PART, --filter label=KEY or --filter dangling=true")
        };
        match text.split_once('=').ok_or_else(|| bad("no '=' in it"))? {
            ("name", part) => Ok(Filter::Name(part)),
            ("label", label) => Ok(match label.split_once('=') {
                Some((key, value)) => Filter::Label(key, Some(value)),
                None => Filter::Label(label, None),
            }),
            ("dangling", "true" | "1") => Ok(Filter::Dangling(true)),
            ("dangling", "false" | "0") => Ok(Filter::Dangling(false)),
            ("dangling", _) => Err(bad("neither true nor false")),
            _ => Err(bad("there is no such filter")),
        }
    }

    fn takes(&self, f: &Found, store: &Store, kept: &[state::Found]) -> Result<bool> {
        Ok(match self {
            Filter::Name(part) => f.name.as_str().contains(part),
            Filter::Label(key, value) => f.volume.as_ref().is_ok_and(|v| {
                v.labels.get(*key).is_some_and(|own| value.is_none_or(|value| value == own))
            }),
            Filter::Dangling(wanted) => {
                let used = kept_by(kept, &f.name).is_some() || store.is_used(&f.name)?;
                used != *wanted
            }
        })
    }
}
