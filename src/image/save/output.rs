//! The files of saved images: members of an archive, or files of a directory.

use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::super::digest::Digest;
use super::super::pipe;
use super::super::tar::{Entry, Kind, Writer};
use crate::error::{Context as _, Error, Result};

pub(super) enum Output {
    Archive(Writer<File>),
    Directory(PathBuf),
}

impl Output {
    pub(super) fn directory(&mut self, name: &str) -> Result<()> {
        match self {
            Output::Archive(tar) => {
                let mut entry = Entry::file(name, 0);
                (entry.kind, entry.mode) = (Kind::Directory, 0o755);
                tar.entry(&entry).what(archive)
            }
            Output::Directory(dir) => {
                let path = dir.join(name);
                std::fs::create_dir(&path).what(|| format!("cannot make {}", path.display()))
            }
        }
    }

    /// A file of `size` bytes.
    pub(super) fn copy(&mut self, name: &str, size: u64, from: &mut dyn Read) -> Result<()> {
        // Larger pieces than copy(3) would take by itself.
        let mut from = BufReader::with_capacity(pipe::CHUNK, from);
        let copied = match self {
            Output::Archive(tar) => {
                tar.entry(&Entry::file(name, size)).what(archive)?;
                tar.data(&mut from).what(archive)?
            }
            Output::Directory(dir) => {
                let path = dir.join(name);
                let what = || format!("cannot write {}", path.display());
                let mut file = File::create_new(&path).what(what)?;
                std::io::copy(&mut from, &mut file).what(what)?
            }
        };
        if copied == size {
            return Ok(());
        }
        Err(Error::new(
            format!("cannot save {name}"),
            format!("it has {copied} bytes, {size} were expected: the store is damaged"),
        )
        .fix("load or pull the image again"))
    }

    /// A file of a directory that is called `prefix` and its digest, compressed on the way.
    pub(super) fn compressed(
        &mut self,
        prefix: &str,
        from: &mut dyn Read,
    ) -> Result<(Digest, u64)> {
        let Output::Directory(dir) = self else {
            return Err(Error::new("cannot compress layers", "an archive is written in one go")
                .fix("leave --compress out"));
        };
        let staged = dir.join(format!("{prefix}layer"));
        let what = || format!("cannot write {}", staged.display());
        let file =
            Hashed { file: File::create_new(&staged).what(what)?, hasher: Sha256::new(), len: 0 };
        // gzip's header holds a time and a name only where they are given: the same bytes every time.
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        std::io::copy(&mut BufReader::with_capacity(pipe::CHUNK, from), &mut gzip).what(what)?;
        let file = gzip.finish().what(what)?;
        let digest = Digest::from_hasher(file.hasher);
        let path = dir.join(format!("{prefix}{}", digest.hex()));
        std::fs::rename(&staged, &path).what(|| format!("cannot write {}", path.display()))?;
        Ok((digest, file.len))
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Output::Archive(tar) => {
                let mut file = tar.finish().what(archive)?;
                file.flush().what(archive)
            }
            Output::Directory(_) => Ok(()),
        }
    }
}

fn archive() -> &'static str {
    "cannot write the archive"
}

struct Hashed {
    file: File,
    hasher: Sha256,
    len: u64,
}

impl std::io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
