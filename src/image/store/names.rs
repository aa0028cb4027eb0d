//! Names of images: changes of `index.json`.

use super::super::manifest::{Descriptor, Index, REF_NAME};
use super::super::reference::{self, Name};
use super::super::staging::lock_file;
use super::Store;
use crate::error::{Error, Result};
use crate::userns::idmap::IdMap;

impl Store {
    /// Puts a manifest into the index, with a name that no other keeps, or without one.
    pub(crate) fn add(&self, descriptor: Descriptor, name: Option<&str>) -> Result<()> {
        self.change(|index| {
            put(index, descriptor, name);
            Ok(())
        })
    }

    /// Gives an image more names.
    pub(crate) fn tag(&self, reference: &str, names: &[Name]) -> Result<()> {
        self.change(|index| {
            let found = self.look_up(index, reference)?.clone();
            for name in names {
                put(index, found.clone(), Some(&name.to_string()));
            }
            Ok(())
        })
    }

    /// Takes these names from an image, or all that it has; those that it had are returned.
    pub(crate) fn untag(&self, reference: &str, names: &[String]) -> Result<Vec<String>> {
        self.change(|index| {
            let digest = self.look_up(index, reference)?.digest.clone();
            let had: Vec<String> = names_of(index, |d| d.digest == digest);
            let wanted: Vec<String> = match names {
                [] => had,
                names => names.iter().map(|name| own(&had, name)).collect::<Result<_>>()?,
            };
            for descriptor in &mut index.manifests {
                if descriptor.annotation(REF_NAME).is_some_and(|n| wanted.iter().any(|w| w == n)) {
                    descriptor.set_ref_name(None);
                }
            }
            tidy(index);
            Ok(wanted)
        })
    }

    /// Changes the index alone, and writes it when that went well.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let _lock = lock_file(&self.data().join("images.lock"))?;
        let layout = self.images.join("oci-layout");
        if !layout.exists() {
            self.write_file(&layout, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        let mut index = self.index()?;
        let value = change(&mut index)?;
        self.write_index(&index)?;
        Ok(value)
    }

    fn write_index(&self, index: &Index) -> Result<()> {
        let bytes = serde_json::to_vec(index)
            .map_err(|e| Error::new("cannot write the index of images", e.to_string()))?;
        let path = self.images.join("index.json");
        self.write_file(&path, &bytes).or_else(|e| {
            // The disk may be full. What nobody needs goes, as far as it is the caller's own.
            let _ = self.collect(&IdMap::Inherit);
            self.write_file(&path, &bytes).map_err(|_| e)
        })
    }
}

/// The names of the images that are meant, sorted.
pub(super) fn names_of(index: &Index, meant: impl Fn(&Descriptor) -> bool) -> Vec<String> {
    let mut names: Vec<String> = index
        .manifests
        .iter()
        .filter(|d| meant(d))
        .filter_map(|d| d.annotation(REF_NAME).map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn put(index: &mut Index, mut descriptor: Descriptor, name: Option<&str>) {
    if let Some(name) = name {
        // The image that had the name stays, without it.
        for other in &mut index.manifests {
            if other.annotation(REF_NAME) == Some(name) {
                other.set_ref_name(None);
            }
        }
    }
    descriptor.set_ref_name(name);
    index.manifests.push(descriptor);
    tidy(index);
}

/// An image without a name stands there once, and not beside itself with one.
fn tidy(index: &mut Index) {
    let named: Vec<_> = index
        .manifests
        .iter()
        .filter(|d| d.annotation(REF_NAME).is_some())
        .map(|d| d.digest.clone())
        .collect();
    let mut seen = Vec::new();
    index.manifests.retain(|d| {
        let first = !seen.contains(&d.digest);
        seen.push(d.digest.clone());
        d.annotation(REF_NAME).is_some() || (first && !named.contains(&d.digest))
    });
}

/// Which of the names `name` stands for.
fn own(had: &[String], name: &str) -> Result<String> {
    let candidates = reference::candidates(name);
    had.iter()
        .find(|own| *own == name || candidates.iter().any(|c| c.to_string() == **own))
        .cloned()
        .ok_or_else(|| {
            let why = match had {
                [] => "the image has no name".to_owned(),
                had => format!("the image is called {}", had.join(", ")),
            };
            Error::new(format!("cannot take the name {name:?} away"), why).fix("sbx images")
        })
}
