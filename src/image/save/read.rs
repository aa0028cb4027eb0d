//! Blobs as they are read back: counted, hashed, and inflated where that is wanted.

use std::fs::File;
use std::io::{BufReader, Read};

use sha2::{Digest as _, Sha256};

use super::super::digest::Digest;
use super::super::inflate;
use super::super::layer::mismatch;
use super::super::manifest::Compression;
use super::super::pipe;
use super::super::store::Store;
use super::super::tally::Part;
use crate::error::{Context as _, Result};

/// Bytes that must turn out to have a digest.
pub(super) struct Verified<'a> {
    label: String,
    input: Box<dyn Read + 'a>,
    hasher: Sha256,
    count: u64,
}

impl<'a> Verified<'a> {
    pub(super) fn stored(store: &Store, part: &'a Part<'a>, digest: &Digest) -> Result<Self> {
        let (label, file) = open(store, part, digest)?;
        Ok(Verified { label, input: Box::new(file), hasher: Sha256::new(), count: 0 })
    }

    /// The plain tar inside of a layer's blob.
    pub(super) fn inflated(
        store: &Store,
        part: &'a Part<'a>,
        digest: &Digest,
        compression: Compression,
    ) -> Result<Self> {
        let (label, file) = open(store, part, digest)?;
        let buffered = BufReader::with_capacity(pipe::CHUNK, file);
        let input =
            inflate::reader(compression, buffered).what(|| format!("cannot read {label}"))?;
        Ok(Verified { label, input, hasher: Sha256::new(), count: 0 })
    }

    pub(super) fn read_all(&mut self) -> Result<()> {
        std::io::copy(self, &mut std::io::sink()).what(|| "cannot read a layer").map(drop)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Once everything was read.
    pub(super) fn check(self, expected: &Digest) -> Result<()> {
        let found = Digest::from_hasher(self.hasher);
        if found == *expected {
            Ok(())
        } else {
            Err(mismatch(&self.label, "digest", expected, &found))
        }
    }
}

fn open<'a>(store: &Store, part: &'a Part<'a>, digest: &Digest) -> Result<(String, Counted<'a>)> {
    let path = store.blob(digest);
    let file = File::open(&path).what(|| format!("cannot open {}", path.display()))?;
    Ok((format!("blob {}", path.display()), Counted { file, part }))
}

/// A file whose reader is watched.
struct Counted<'a> {
    file: File,
    part: &'a Part<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(into)?;
        self.part.add(n as u64);
        Ok(n)
    }
}

impl Read for Verified<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        // Only what inflates finds something wrong with bytes that could be read.
        let n = self.input.read(into).map_err(|e| match e.raw_os_error() {
            Some(_) => e,
            None => std::io::Error::other(format!("{} is damaged: {e}", self.label)),
        })?;
        self.hasher.update(&into[..n]);
        self.count += n as u64;
        Ok(n)
    }
}
