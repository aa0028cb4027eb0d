//! Images leave the index.

use std::fs::File;

use super::super::digest::Digest;
use super::super::manifest::{Descriptor, Index, REF_NAME};
use super::Store;
use super::names::names_of;
use crate::error::{Error, Result};
use crate::state;

/// What a removal goes past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    Nothing,
    /// That the image has several names.
    Names,
    /// That it is in use, too: what uses it keeps its files.
    Use,
}

/// What a removal did; the files go with [`Store::collect`].
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) untagged: Vec<String>,
    /// The id of the image that is gone.
    pub(crate) deleted: Option<Digest>,
    /// Who keeps its files.
    pub(crate) users: Vec<String>,
}

impl Store {
    /// Takes the name away, and with its last name, or by its id, the image.
    pub(crate) fn remove(&self, reference: &str, force: Force) -> Result<Removed> {
        self.change(|index| {
            let name = self.by_name(index, reference).and_then(|d| d.annotation(REF_NAME));
            let name = name.map(str::to_owned);
            let found = self.look_up(index, reference)?.clone();
            let id = self.manifest(&found).map_or(found.digest.clone(), |m| m.config.digest);
            let digests = match name {
                Some(_) => vec![found.digest.clone()],
                None => self.manifests_of(index, &found, &id, reference),
            };
            let names = names_of(index, |d| digests.contains(&d.digest));
            if let Some(name) = name.filter(|_| names.len() > 1) {
                index.manifests.retain(|d| d.annotation(REF_NAME) != Some(&name));
                return Ok(Removed { untagged: vec![name], deleted: None, users: Vec::new() });
            }
            let refused =
                |why: String| Error::new(format!("cannot remove image {reference:?}"), why);
            if names.len() > 1 && force == Force::Nothing {
                let why = format!("it is called {}", names.join(" and "));
                return Err(
                    refused(why).fix(format!("sbx rmi -f {reference}, or by one of its names"))
                );
            }
            let users = self.users(&digests)?;
            if !users.is_empty() && force != Force::Use {
                let fix = format!(
                    "end and remove what uses it (sbx ps -a, sbx rm), or sbx rmi -f {reference}"
                );
                return Err(refused(format!("{} uses it", users.join(" and "))).fix(fix));
            }
            index.manifests.retain(|d| !digests.contains(&d.digest));
            Ok(Removed { untagged: names, deleted: Some(id), users })
        })
    }

    /// All manifests with the id, where it is an id that was given.
    fn manifests_of(
        &self,
        index: &Index,
        found: &Descriptor,
        id: &Digest,
        reference: &str,
    ) -> Vec<Digest> {
        let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
        let meant = |d: &&Descriptor| {
            d.digest == found.digest
                || (id.hex().starts_with(digits)
                    && self.manifest(d).is_ok_and(|m| m.config.digest == *id))
        };
        index.manifests.iter().filter(meant).map(|d| d.digest.clone()).collect()
    }

    /// Who uses images with these manifests, in words.
    pub(crate) fn users(&self, manifests: &[Digest]) -> Result<Vec<String>> {
        let holders = state::holders(self.data())?;
        let mut running = false;
        let mut users = Vec::new();
        for holder in holders {
            if manifests.iter().any(|digest| digest.as_str() == holder.state.image_digest()) {
                running |= holder.running;
                let id = holder.state.id.get(..12).unwrap_or(&holder.state.id);
                users.push(format!("container {id}"));
            }
        }
        // Who runs holds the manifest; see `Store::find`.
        let busy = |digest: &Digest| {
            File::open(self.blob(digest)).is_ok_and(|file| file.try_lock().is_err())
        };
        if !running && manifests.iter().any(busy) {
            users.push("a sandbox that runs".to_owned());
        }
        Ok(users)
    }
}
