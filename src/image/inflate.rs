//! Decompression, and the limits that keep a bomb small.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::manifest::Compression;
use super::pipe::{self, Receiver, Sender};
use crate::error::{Error, Result};

/// More than a layer may unpack to; the tar's own structure is in it as well.
const MAX_TAR: u64 = super::unpack::MAX_BYTES + (8 << 30);

/// Real layers shrink to a twentieth at best, zeros to a thousandth with gzip. Below the floor any
/// ratio is harmless.
const MAX_RATIO: u64 = 5000;
const RATIO_FLOOR: u64 = 1 << 30;

/// zstd's window: 2^27 bytes is what its command line decodes without being told to.
const MAX_WINDOW_LOG: u32 = 27;

/// How the bytes are compressed. A media type that says otherwise than the bytes is refused.
pub(crate) fn detect(first: &[u8], said: Option<Compression>, label: &str) -> Result<Compression> {
    let what = || format!("cannot unpack {label}");
    let found = match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // Skippable frames may stand first: RFC 8878, section 3.1.2.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', ..] => {
            return Err(Error::new(what(), "bzip2 is not supported").fix("bunzip2 it first"));
        }
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            return Err(Error::new(what(), "xz is not supported").fix("unxz it first"));
        }
        _ => Compression::None,
    };
    match said {
        Some(said) if said != found && !first.is_empty() => Err(Error::new(
            what(),
            format!("its media type says {said:?} compression, its bytes say {found:?}"),
        )),
        _ => Ok(found),
    }
}

/// A reader of the decompressed bytes.
pub(crate) fn reader<'a>(
    compression: Compression,
    input: impl std::io::BufRead + 'a,
) -> std::io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// Counts what comes out against what went in.
pub(crate) struct Gauge<'a> {
    label: &'a str,
    out: u64,
}

impl<'a> Gauge<'a> {
    pub(crate) fn new(label: &'a str) -> Self {
        Gauge { label, out: 0 }
    }

    pub(crate) fn count(&mut self, n: usize, read: u64) -> Result<()> {
        self.out += n as u64;
        let limit = |why: String| Err(Error::new(format!("cannot unpack {}", self.label), why));
        if self.out > MAX_TAR {
            return limit(format!("it inflates to more than the limit of {MAX_TAR} bytes"));
        }
        if self.out > RATIO_FLOOR && self.out / MAX_RATIO > read {
            return limit(format!(
                "it is a decompression bomb: it inflates to over {MAX_RATIO} times its size"
            ));
        }
        Ok(())
    }
}

/// Inflates and hashes until the end, or until nobody receives any more. `read` is how many bytes
/// went in so far.
pub(crate) fn run(
    compression: Compression,
    input: Receiver,
    out: &Sender,
    read: &AtomicU64,
    label: &str,
) -> Result<Digest> {
    let bad = |e: std::io::Error| {
        let why = if e.kind() == std::io::ErrorKind::UnexpectedEof {
            "it is truncated: its compressed data ends early".to_owned()
        } else {
            format!("its compressed data is damaged: {e}")
        };
        Error::new(format!("cannot unpack {label}"), why)
    };
    let mut decoder = reader(compression, input).map_err(bad)?;
    let mut gauge = Gauge::new(label);
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; pipe::CHUNK];
    loop {
        chunk.resize(pipe::CHUNK, 0);
        let mut have = 0;
        while have < chunk.len() {
            match decoder.read(&mut chunk[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(bad(e)),
            }
        }
        if have == 0 {
            return Ok(Digest::from_hasher(hasher));
        }
        chunk.truncate(have);
        gauge.count(have, read.load(Ordering::Relaxed))?;
        hasher.update(&chunk);
        match out.send(chunk) {
            Some(next) => chunk = next,
            // Whoever received has the error to show.
            None => return Ok(Digest::from_hasher(hasher)),
        }
    }
}
