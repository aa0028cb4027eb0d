//! What is in the data directory, and what each part of it takes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::error::Result;
use crate::host::HostFacts;
use crate::host::dirs::Dirs;
use crate::image::store::{Listed, Store};
use crate::image::usage::measure;
use crate::ops::volume::{kept_by, remove};
use crate::state;
use crate::userns::idmap::{self, IdMap};
use crate::volume::store::{self as volumes, Store as Volumes};

pub(super) struct Place {
    pub(super) dirs: Dirs,
    pub(super) map: IdMap,
    pub(super) store: Store,
    pub(super) volumes: Volumes,
}

impl Place {
    pub(super) fn open() -> Result<Self> {
        let dirs = Dirs::from_env()?;
        let facts = HostFacts::read(&dirs.data)?;
        let map = idmap::for_store(&facts.caller, &facts.subids)?;
        let store = Store::open(&dirs)?;
        let volumes = Volumes::open(&dirs, map.clone())?;
        Ok(Place { dirs, map, store, volumes })
    }
}

/// How many there are of a kind, and what they take.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) total: usize,
    pub(super) active: usize,
    pub(super) bytes: u64,
    pub(super) reclaimable: u64,
}

pub(super) struct Image {
    pub(super) listed: Listed,
    pub(super) containers: usize,
    /// Of parts that other images have, too.
    pub(super) shared: u64,
    pub(super) unique: u64,
}

pub(super) struct Container {
    pub(super) found: state::Found,
    pub(super) bytes: u64,
}

pub(super) struct Volume {
    pub(super) found: volumes::Found,
    pub(super) bytes: u64,
    pub(super) links: usize,
    is_used: bool,
}

pub(super) struct Usage {
    pub(super) images: Vec<Image>,
    pub(super) image_sum: Sum,
    pub(super) containers: Vec<Container>,
    pub(super) volumes: Vec<Volume>,
}

impl Usage {
    pub(super) fn read(place: &Place) -> Result<Self> {
        let Place { dirs, map, store, volumes } = place;
        let (images, image_sum) = images(store, map, dirs)?;
        let found = state::list(&dirs.data)?;
        let sizes = measure(map, found.iter().map(|f| f.dir.clone()).collect())?;
        let mut used = Vec::new();
        let unused = remove::unused(volumes, dirs, false)?;
        let all = volumes.list()?;
        let bytes = measure(map, all.iter().map(|f| f.dir.clone()).collect())?;
        for (volume, bytes) in all.into_iter().zip(bytes) {
            let is_used = !unused.contains(&volume.name);
            let links =
                found.iter().filter(|c| kept_by(std::slice::from_ref(c), &volume.name).is_some());
            used.push(Volume { links: links.count(), found: volume, bytes, is_used });
        }
        let containers =
            found.into_iter().zip(sizes).map(|(found, bytes)| Container { found, bytes }).collect();
        Ok(Usage { images, image_sum, containers, volumes: used })
    }

    pub(super) fn container_sum(&self) -> Sum {
        self.containers.iter().fold(Sum::default(), |sum, c| sum.with(c.found.running, c.bytes))
    }

    pub(super) fn volume_sum(&self) -> Sum {
        self.volumes.iter().fold(Sum::default(), |sum, v| sum.with(v.is_used, v.bytes))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.image_sum.bytes + self.container_sum().bytes + self.volume_sum().bytes
    }
}

impl Sum {
    fn with(mut self, active: bool, bytes: u64) -> Self {
        self.total += 1;
        self.active += usize::from(active);
        self.bytes += bytes;
        self.reclaimable += if active { 0 } else { bytes };
        self
    }
}

fn images(store: &Store, map: &IdMap, dirs: &Dirs) -> Result<(Vec<Image>, Sum)> {
    let all = store.all_parts()?;
    let sizes: HashMap<PathBuf, u64> =
        all.iter().cloned().zip(measure(map, all.clone())?).collect();
    let of = |part: &PathBuf| sizes.get(part).copied().unwrap_or(0);
    let mut parts = Vec::new();
    let mut active = Vec::new();
    let mut owners: HashMap<PathBuf, usize> = HashMap::new();
    for listed in store.list()? {
        let own = store.parts(&listed.digest)?;
        own.iter().for_each(|part| *owners.entry(part.clone()).or_default() += 1);
        if !store.users(std::slice::from_ref(&listed.digest))?.is_empty() {
            active.push(listed.digest.clone());
        }
        parts.push((listed, own));
    }
    let kept: HashSet<PathBuf> = store.parts_kept(&active)?;
    let sum = Sum {
        total: parts.len(),
        active: active.len(),
        bytes: sizes.values().sum(),
        reclaimable: all.iter().filter(|part| !kept.contains(*part)).map(of).sum(),
    };
    let holders = state::holders(&dirs.data)?;
    let images = parts.into_iter().map(|(listed, own)| {
        let digest = listed.digest.as_str();
        let (shared, unique): (Vec<_>, Vec<_>) = own.iter().partition(|part| owners[*part] > 1);
        Image {
            containers: holders.iter().filter(|h| h.state.image_digest() == digest).count(),
            shared: shared.into_iter().map(of).sum(),
            unique: unique.into_iter().map(of).sum(),
            listed,
        }
    });
    Ok((images.collect(), sum))
}
