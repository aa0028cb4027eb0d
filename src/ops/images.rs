//! `sbx images`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::filter::Filters;
use super::{human, output, table};
use crate::cli::image::{ImagesArgs, Sort};
use crate::error::{Result, printable};
use crate::host::dirs::Dirs;
use crate::image::date as clock;
use crate::image::digest::Digest;
use crate::image::import::rfc3339;
use crate::image::store::{Details, Listed, Store};

const NONE: &str = "<none>";

const HEADINGS: [(&str, &str); 3] =
    [("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("CreatedAt", "CREATED AT")];

/// An image under one of its names.
struct Row<'a> {
    name: Option<&'a str>,
    listed: &'a Listed,
    details: &'a Details,
}

pub(crate) fn images(args: &ImagesArgs) -> Result<u8> {
    let store = Store::open(&Dirs::from_env()?)?;
    let mut filters = Filters::parse(&args.filter, &store)?;
    if let Some(name) = &args.name {
        filters.reference(name)?;
    }
    let all = store.list()?;
    let mut rows = Vec::new();
    for listed in &all {
        let details = match &listed.details {
            Ok(details) => details,
            Err(e) => {
                let name = listed.names.first().map_or(listed.digest.as_str(), String::as_str);
                eprintln!("sbx: cannot list image {}: {e}", printable(name));
                continue;
            }
        };
        if filters.matches(listed, details) && (args.all || !is_intermediate(listed, &all)) {
            let names = filters.names(listed, details);
            rows.extend(names.into_iter().map(|name| Row { name, listed, details }));
        }
    }
    sort(&mut rows, args.sort);
    output::print(&text(args, &rows)?)?;
    Ok(0)
}

/// What is alike stays as the store lists it: newest first.
fn sort(rows: &mut [Row<'_>], by: Sort) {
    match by {
        Sort::Created => {}
        Sort::Id => rows.sort_by(|a, b| a.details.id.hex().cmp(b.details.id.hex())),
        Sort::Repository => rows.sort_by(|a, b| a.name().0.cmp(b.name().0)),
        Sort::Size => rows.sort_by_key(|row| row.details.size()),
        Sort::Tag => rows.sort_by(|a, b| a.name().1.cmp(b.name().1)),
    }
}

fn text(args: &ImagesArgs, rows: &[Row<'_>]) -> Result<String> {
    if args.quiet {
        let mut seen = BTreeSet::new();
        let fresh = rows.iter().filter(|row| seen.insert(&row.details.id));
        return Ok(fresh.map(|row| id(&row.details.id, args.no_trunc) + "\n").collect());
    }
    let values: Vec<Value> = if args.output.is_json() {
        // All names of an image together.
        let mut seen = BTreeSet::new();
        let fresh = rows.iter().filter(|row| seen.insert(&row.listed.digest));
        fresh.map(Row::as_json).collect()
    } else {
        rows.iter().map(|row| row.fields(args.no_trunc)).collect()
    };
    if let Some(text) = output::formatted(&args.output, &values, &HEADINGS)? {
        return Ok(text);
    }
    let columns: &[&str] = match args.digests {
        true => &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"],
        false => &["Repository", "Tag", "ID", "CreatedSince", "Size"],
    };
    Ok(table::of_fields(columns, &HEADINGS, &values))
}

impl Row<'_> {
    /// Repository and tag.
    fn name(&self) -> (&str, &str) {
        self.name.map_or((NONE, NONE), split)
    }

    /// What templates and tables show.
    fn fields(&self, whole: bool) -> Value {
        let Row { listed, details, .. } = self;
        let (repository, tag) = self.name();
        let created = details.created();
        json!({
            "ID": id(&details.id, whole),
            "Repository": repository,
            "Tag": tag,
            "Digest": listed.digest,
            "Created": created,
            "CreatedAt": created.and_then(date),
            "CreatedSince": since(created),
            "Size": human::size(details.size()),
            "Labels": details.config["config"]["Labels"],
            "Names": listed.names,
            "RepoTags": listed.names,
            "RepoDigests": repo_digests(listed),
            "Dangling": listed.names.is_empty(),
        })
    }

    fn as_json(&self) -> Value {
        let Row { listed, details, .. } = self;
        let created = details.created();
        json!({
            "Id": details.id.hex(),
            "Names": listed.names,
            "RepoTags": listed.names,
            "RepoDigests": repo_digests(listed),
            "Digest": listed.digest,
            "Size": details.size(),
            "Labels": details.config["config"]["Labels"],
            "Created": created,
            "CreatedAt": created.and_then(date),
            "Dangling": listed.names.is_empty(),
        })
    }
}

/// Twelve digits, as podman and docker shorten them.
pub(super) fn id(id: &Digest, whole: bool) -> String {
    if whole { id.to_string() } else { id.hex()[..12].to_owned() }
}

pub(super) fn date(seconds: i64) -> Option<String> {
    u64::try_from(seconds).ok().map(rfc3339)
}

/// How long ago, in words.
pub(super) fn since(created: Option<i64>) -> String {
    let ago = |created| human::ago(clock::now().saturating_sub(created));
    created.map_or_else(|| "N/A".to_owned(), ago)
}

/// The repository with the digest of the manifest, as registries know images.
pub(super) fn repo_digests(listed: &Listed) -> Vec<String> {
    let repositories: BTreeSet<&str> = listed.names.iter().map(|name| split(name).0).collect();
    repositories.into_iter().map(|repository| format!("{repository}@{}", listed.digest)).collect()
}

/// Repository and tag. Other tools put names into the index that sbx would not.
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, NONE),
    }
}

/// Without a name, and another image is built on it.
fn is_intermediate(listed: &Listed, all: &[Listed]) -> bool {
    let Ok(own) = listed.details.as_ref().map(Details::diff_ids) else { return false };
    let above = |other: &Listed| {
        let other = other.details.as_ref().map_or(&[][..], Details::diff_ids);
        other.len() > own.len() && other.starts_with(own)
    };
    listed.names.is_empty() && !own.is_empty() && all.iter().any(above)
}
