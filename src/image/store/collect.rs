//! Removal of what no image needs any more.
//!
//! It may be killed at any point: a manifest goes before what it refers to, and a tree is given
//! another name before it is taken apart. What is left then is not referred to, and goes next time.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::digest::Digest;
use super::super::layer::OPAQUE_SUFFIX;
use super::super::manifest::MAX_JSON;
use super::super::staging::{self, lock_failed, open_lock_file};
use super::{Store, read_capped};
use crate::error::{Context, Error, Result};
use crate::state;
use crate::userns::idmap::IdMap;
use crate::userns::worker;

/// In the name of a tree that is being removed.
const GONE: &str = ".gone-";

/// Of a digest.
const DIGITS: usize = 64;

#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) failures: Vec<Error>,
    /// Somebody takes an image in, whose parts look like leftovers: that one collects when it is done.
    pub(crate) deferred: bool,
}

/// What is referred to, by its digits.
#[derive(Default)]
struct Needed {
    blobs: HashSet<String>,
    layers: HashSet<String>,
}

/// What manifests and indexes of any kind have in common.
#[derive(Deserialize)]
struct Refs {
    config: Option<Ref>,
    #[serde(default)]
    layers: Vec<Ref>,
    #[serde(default)]
    manifests: Vec<Ref>,
}

#[derive(Deserialize)]
struct Ref {
    digest: String,
}

/// Until it is gone, everything stays in the store, referred to or not.
#[derive(Debug)]
pub(crate) struct Hold {
    store: Store,
    map: IdMap,
    lock: Option<File>,
}

impl Hold {
    pub(crate) fn new(store: &Store, map: &IdMap) -> Result<Self> {
        let path = store.collect_lock();
        let lock = open_lock_file(&path)?;
        lock.lock_shared().what(|| lock_failed(&path))?;
        Ok(Hold { store: store.clone(), map: map.clone(), lock: Some(lock) })
    }
}

impl Drop for Hold {
    /// Does what a removal had to leave because of this.
    fn drop(&mut self) {
        self.lock = None;
        if self.store.collect_wanted().exists() {
            // What fails is tried again by the next removal, and said there.
            let _ = self.store.collect(&self.map);
        }
    }
}

impl Store {
    /// Removes what neither an image of the index needs, nor a container, nor a sandbox that runs.
    pub(crate) fn collect(&self, map: &IdMap) -> Result<Collected> {
        let mut collected = Collected::default();
        let (path, wanted) = (self.collect_lock(), self.collect_wanted());
        loop {
            // First: whoever has the lock looks for it after letting go. Without it, on a full disk, the
            // next call does the work.
            let _ = File::create(&wanted);
            let lock = open_lock_file(&path)?;
            if lock.try_lock().is_err() {
                collected.deferred = true;
                return Ok(collected);
            }
            let _ = std::fs::remove_file(&wanted);
            let aside = self.put_aside(&mut collected.failures)?;
            // From here on others can go on: nobody looks for these names.
            drop(lock);
            for tree in aside {
                collected.failures.extend(worker::remove_tree(map, &tree).err());
            }
            if !wanted.exists() {
                break;
            }
        }
        collected.failures.extend(staging::sweep(&self.tmp, map)?);
        Ok(collected)
    }

    fn collect_lock(&self) -> PathBuf {
        self.data().join("collect.lock")
    }

    fn collect_wanted(&self) -> PathBuf {
        self.data().join("collect.wanted")
    }

    /// Removes blobs, and gives trees names under which nobody looks for them.
    fn put_aside(&self, failures: &mut Vec<Error>) -> Result<Vec<PathBuf>> {
        let mut needed = Needed::default();
        for descriptor in &self.index()?.manifests {
            self.need(&descriptor.digest, &mut needed)?;
        }
        self.need_of_containers(&mut needed)?;
        // The index that lacks them is on disk before they go.
        let what = || format!("cannot write {}", self.images.display());
        File::open(&self.images).and_then(|dir| dir.sync_all()).what(what)?;

        let spare: Vec<Digest> = digests(&self.blobs())?;
        let spare: Vec<Digest> =
            spare.into_iter().filter(|d| !needed.blobs.contains(d.hex())).collect();
        // Manifests first: one that is in use keeps the rest of its image.
        for digest in spare.iter().filter(|digest| self.is_manifest(digest)) {
            let path = self.blob(digest);
            let Ok(file) = File::open(&path) else { continue };
            match file.try_lock() {
                Ok(()) => remove_file(&path, failures),
                Err(TryLockError::WouldBlock) => self.need(digest, &mut needed)?,
                Err(TryLockError::Error(e)) => return Err(e).what(|| lock_failed(&path)),
            }
        }
        for digest in spare.iter().filter(|digest| !needed.blobs.contains(digest.hex())) {
            remove_file(&self.blob(digest), failures);
        }
        self.put_layers_aside(&needed, failures)
    }

    fn put_layers_aside(&self, needed: &Needed, failures: &mut Vec<Error>) -> Result<Vec<PathBuf>> {
        let mut aside = Vec::new();
        for name in names(&self.layers)? {
            let path = self.layers.join(&name);
            if name.contains(GONE) {
                aside.push(path);
                continue;
            }
            let digits = name.strip_suffix(OPAQUE_SUFFIX).unwrap_or(&name);
            if needed.layers.contains(digits) || of_digits(digits).is_none() {
                continue;
            }
            if digits != name {
                remove_file(&path, failures);
                continue;
            }
            match self.rename_aside(&name) {
                Ok(path) => aside.push(path),
                Err(e) => failures.push(e),
            }
        }
        Ok(aside)
    }

    fn need_of_containers(&self, needed: &mut Needed) -> Result<()> {
        for holder in state::holders(self.data())? {
            if let Ok(digest) = Digest::parse(holder.state.image_digest()) {
                self.need(&digest, needed)?;
            }
            let layers = holder.state.layers.iter().filter_map(|path| path.file_name());
            needed.layers.extend(layers.map(|name| name.to_string_lossy().into_owned()));
        }
        Ok(())
    }

    /// The blobs and trees of the image with this manifest.
    pub(crate) fn parts(&self, manifest: &Digest) -> Result<HashSet<PathBuf>> {
        let mut needed = Needed::default();
        self.need(manifest, &mut needed)?;
        Ok(self.paths(&needed))
    }

    /// The blobs and trees that stay where of the images only these do.
    pub(crate) fn parts_kept(&self, images: &[Digest]) -> Result<HashSet<PathBuf>> {
        let mut needed = Needed::default();
        for digest in images {
            self.need(digest, &mut needed)?;
        }
        self.need_of_containers(&mut needed)?;
        Ok(self.paths(&needed))
    }

    /// All blobs and trees, whatever needs them.
    pub(crate) fn all_parts(&self) -> Result<Vec<PathBuf>> {
        let mut all: Vec<PathBuf> = Vec::new();
        for dir in [&self.blobs(), &self.layers] {
            // What belongs to no image is no part.
            let parts = names(dir)?.into_iter().filter(|n| n.len() >= DIGITS);
            all.extend(parts.map(|name| dir.join(name)));
        }
        Ok(all)
    }

    fn paths(&self, needed: &Needed) -> HashSet<PathBuf> {
        let blobs = needed.blobs.iter().map(|digits| self.blobs().join(digits));
        let trees = needed.layers.iter().map(|digits| self.layers.join(digits));
        blobs.chain(trees).collect()
    }

    /// In the same directory: that takes neither space on a full disk nor rights on a tree that belongs
    /// to a subordinate id.
    fn rename_aside(&self, name: &str) -> Result<PathBuf> {
        for n in 0.. {
            let new = self.layers.join(format!("{name}{GONE}{n}"));
            match std::fs::rename(self.layers.join(name), &new) {
                Ok(()) => return Ok(new),
                // A leftover has the name.
                Err(_) if std::fs::symlink_metadata(&new).is_ok() => {}
                Err(e) => return Err(e).what(|| format!("cannot remove layer {name}")),
            }
        }
        unreachable!("there are enough numbers")
    }

    /// Takes down all that is reached from a manifest or an index.
    fn need(&self, digest: &Digest, needed: &mut Needed) -> Result<()> {
        let mut todo = vec![digest.clone()];
        while let Some(digest) = todo.pop() {
            if !needed.blobs.insert(digest.hex().to_owned()) {
                continue;
            }
            let path = self.blob(&digest);
            let bytes = match read_capped(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.what(|| format!("cannot read {}", path.display())),
            };
            let refs = bytes.and_then(|bytes| {
                serde_json::from_slice::<Refs>(&bytes).map_err(|e| {
                    Error::new(format!("cannot read {}", path.display()), e.to_string())
                })
            });
            // What cannot be read may need anything.
            let refs = refs.map_err(|e| e.fix(format!("sbx rmi -f {digest}")))?;
            let parse = |r: Ref| Digest::parse(&r.digest).ok();
            todo.extend(refs.manifests.into_iter().filter_map(parse));
            let layers = refs.layers.into_iter().filter_map(parse);
            needed.blobs.extend(layers.map(|layer| layer.hex().to_owned()));
            if let Some(config) = refs.config.and_then(parse) {
                needed.layers.extend(self.diff_ids(&config));
                needed.blobs.insert(config.hex().to_owned());
            }
        }
        Ok(())
    }

    /// The digits of the layers that a configuration names; what is none names none.
    fn diff_ids(&self, config: &Digest) -> Vec<String> {
        let bytes = read_capped(&self.blob(config)).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let ids = config["rootfs"]["diff_ids"].as_array().into_iter().flatten();
        ids.filter_map(|id| Some(Digest::parse(id.as_str()?).ok()?.hex().to_owned())).collect()
    }

    fn is_manifest(&self, digest: &Digest) -> bool {
        let path = self.blob(digest);
        std::fs::metadata(&path).is_ok_and(|m| m.len() <= MAX_JSON)
            && read_capped(&path).is_ok_and(|bytes| {
                serde_json::from_slice::<Refs>(&bytes)
                    .is_ok_and(|refs| refs.config.is_some() || !refs.manifests.is_empty())
            })
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let what = || format!("cannot list {}", dir.display());
    let entries = std::fs::read_dir(dir).what(what)?;
    entries.map(|entry| Ok(entry.what(what)?.file_name().to_string_lossy().into_owned())).collect()
}

fn digests(dir: &Path) -> Result<Vec<Digest>> {
    Ok(names(dir)?.iter().filter_map(|name| of_digits(name)).collect())
}

fn of_digits(name: &str) -> Option<Digest> {
    Digest::parse(&format!("sha256:{name}")).ok()
}

fn remove_file(path: &Path, failures: &mut Vec<Error>) {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            failures
                .extend(Err::<(), _>(e).what(|| format!("cannot remove {}", path.display())).err());
        }
        _ => {}
    }
}
