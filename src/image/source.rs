//! What images are loaded from: a directory, or a tar archive whose files are read where they are.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::digest::Digest;
use super::layer::mismatch;
use super::manifest::{Compression, Descriptor, MAX_JSON};
use super::staging::Staging;
use super::tar::{Kind, Next, Reader};
use super::transport::Transport;
use super::{inflate, pipe};
use crate::error::{Context, Error, Result};

/// An archive of images has a few files for each.
const MAX_MEMBERS: usize = 100_000;
/// How `version` of a directory begins, containers-transports(5); the second number is for signatures.
const DIR_VERSION: &[u8] = b"Directory Transport Version: 1.";
/// Links between members: old docker archives name a layer that they have already by a link.
const MAX_LINKS: usize = 8;

/// Bytes that can be had.
pub(crate) enum Blob {
    /// Part of a file.
    Part { file: File, start: u64, len: u64 },
    /// What a registry sends when it is asked.
    Remote { from: Arc<dyn Fetch>, digest: Digest, len: u64 },
}

impl Blob {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Blob::Part { len, .. } | Blob::Remote { len, .. } => *len,
        }
    }
}

/// A repository that is far away.
pub(crate) trait Fetch: Send + Sync {
    /// A manifest or index, not verified.
    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>>;
    /// Begins to send a blob, of no more than `size` bytes; not verified.
    fn stream(&self, digest: &Digest, size: u64) -> Result<Incoming>;
}

/// A blob that arrives.
pub(crate) struct Incoming {
    /// A pipe.
    pub(crate) file: File,
    /// Why the pipe ended.
    pub(crate) outcome: Receiver<Result<()>>,
}

pub(crate) struct Source {
    /// As the user gave it.
    label: String,
    kind: Inner,
}

enum Inner {
    Registry(Arc<dyn Fetch>),
    /// `flat`: blobs lie beside the manifest, as containers-transports(5) has it for dir:.
    Directory {
        dir: File,
        flat: bool,
    },
    Archive {
        file: File,
        members: HashMap<Vec<u8>, Member>,
    },
}

#[derive(Debug)]
enum Member {
    File { start: u64, len: u64 },
    Link(Vec<u8>),
}

impl Source {
    pub(crate) fn directory(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())
            .what(|| format!("cannot open {}", path.display()))?;
        let kind = Inner::Directory { dir: dir.into(), flat: false };
        let mut source = Source { label: path.display().to_string(), kind };
        if source.open("index.json")?.is_none()
            && source.read("version")?.is_some_and(|version| version.starts_with(DIR_VERSION))
            && let Inner::Directory { flat, .. } = &mut source.kind
        {
            *flat = true;
        }
        Ok(source)
    }

    /// Takes an open archive. What cannot be read at any place, or is compressed, is first copied
    /// into the staging directory.
    pub(crate) fn archive(mut file: File, label: &str, staging: &Staging) -> Result<Self> {
        let what = || format!("cannot read {label}");
        let seekable = file.metadata().what(what)?.is_file();
        let mut first = Vec::new();
        (&mut file).take(16).read_to_end(&mut first).what(what)?;
        let compression = inflate::detect(&first, None, label)?;
        if !seekable || compression != Compression::None {
            file = spool(file, first, compression, label, staging)?;
        }
        let members = list(&mut file, label)?;
        Ok(Source { label: label.to_owned(), kind: Inner::Archive { file, members } })
    }

    pub(crate) fn registry(from: Arc<dyn Fetch>, label: &str) -> Self {
        Source { label: label.to_owned(), kind: Inner::Registry(from) }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The image's name, where a registry has it.
    pub(crate) fn pulled(&self) -> Option<&str> {
        matches!(self.kind, Inner::Registry(_)).then_some(self.label.as_str())
    }

    /// What the files are; `None` where they are no images.
    pub(crate) fn transport(&self) -> Result<Option<Transport>> {
        let directory = match &self.kind {
            Inner::Registry(_) => return Ok(None),
            Inner::Directory { flat: true, .. } => return Ok(Some(Transport::Dir)),
            Inner::Directory { .. } => true,
            Inner::Archive { .. } => false,
        };
        Ok(if self.open("index.json")?.is_some() {
            Some(if directory { Transport::Oci } else { Transport::OciArchive })
        } else if self.open("manifest.json")?.is_some() {
            Some(Transport::DockerArchive)
        } else {
            None
        })
    }

    /// A file, or `None` where there is none of this name.
    pub(crate) fn open(&self, name: &str) -> Result<Option<Blob>> {
        let what = || format!("cannot open {name:?} in {}", self.label);
        match &self.kind {
            Inner::Registry(_) => Ok(None),
            Inner::Directory { dir, .. } => {
                // Not blocking on a FIFO that stands for a blob.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
                match rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve) {
                    Ok(fd) => {
                        let file = File::from(fd);
                        let meta = file.metadata().what(what)?;
                        if !meta.is_file() {
                            return Err(Error::new(what(), "it is not a regular file"));
                        }
                        Ok(Some(Blob::Part { file, start: 0, len: meta.len() }))
                    }
                    Err(rustix::io::Errno::NOENT) => Ok(None),
                    Err(e) => Err(e).what(what),
                }
            }
            Inner::Archive { file, members } => {
                let mut name = name.as_bytes().to_vec();
                for _ in 0..MAX_LINKS {
                    match members.get(&name) {
                        None => return Ok(None),
                        Some(Member::File { start, len }) => {
                            let file = file.try_clone().what(what)?;
                            return Ok(Some(Blob::Part { file, start: *start, len: *len }));
                        }
                        Some(Member::Link(target)) => name.clone_from(target),
                    }
                }
                Err(Error::new(what(), "it is a loop of links"))
            }
        }
    }

    /// A small file, whole.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(blob) = self.open(name)? else { return Ok(None) };
        small(blob, || format!("cannot read {name:?} in {}", self.label)).map(Some)
    }

    /// The blob that a descriptor points at; its size is checked, its digest is for the reader.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<Blob> {
        if let Inner::Registry(from) = &self.kind {
            let (from, digest) = (Arc::clone(from), descriptor.digest.clone());
            return Ok(Blob::Remote { from, digest, len: descriptor.size });
        }
        let what = || format!("cannot take blob {} of {}", descriptor.digest, self.label);
        let blob = self
            .open(&self.blob_name(&descriptor.digest))?
            .ok_or_else(|| Error::new(what(), "it is missing"))?;
        if blob.len() != descriptor.size {
            return Err(Error::new(
                what(),
                format!("it has {} bytes, its descriptor says {}", blob.len(), descriptor.size),
            ));
        }
        Ok(blob)
    }

    /// A small blob, verified.
    pub(crate) fn read_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let label = || format!("blob {} of {}", descriptor.digest, self.label);
        let bytes = small(self.blob(descriptor)?, || format!("cannot read {}", label()))?;
        verified(bytes, descriptor, &label())
    }

    /// A manifest or index, verified; a registry has those in a place of their own.
    pub(crate) fn read_manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match &self.kind {
            Inner::Registry(from) => {
                let label = format!("manifest {} of {}", descriptor.digest, self.label);
                verified(from.manifest(&descriptor.digest)?, descriptor, &label)
            }
            Inner::Directory { flat: true, .. } => {
                let label = format!("manifest {} of {}", descriptor.digest, self.label);
                let name = format!("{}.manifest.json", descriptor.digest.hex());
                if let Some(bytes) = self.read(&name)? {
                    return verified(bytes, descriptor, &label);
                }
                // The one that stands for all has no digest in its name.
                match self.read("manifest.json")? {
                    Some(top) if Digest::of(&top) == descriptor.digest => Ok(top),
                    _ => Err(Error::new(format!("cannot take {label}"), "it is missing")),
                }
            }
            _ => self.read_blob(descriptor),
        }
    }

    fn blob_name(&self, digest: &Digest) -> String {
        match self.kind {
            Inner::Directory { flat: true, .. } => digest.hex().to_owned(),
            _ => format!("blobs/sha256/{}", digest.hex()),
        }
    }
}

fn verified(bytes: Vec<u8>, descriptor: &Descriptor, label: &str) -> Result<Vec<u8>> {
    let found = Digest::of(&bytes);
    if found == descriptor.digest {
        return Ok(bytes);
    }
    Err(mismatch(label, "digest", &descriptor.digest, &found))
}

/// All of a blob that may not be large.
fn small(blob: Blob, what: impl Fn() -> String) -> Result<Vec<u8>> {
    let len = blob.len();
    if len > MAX_JSON {
        let why = format!("its {len} bytes are over the limit of {MAX_JSON}");
        return Err(Error::new(what(), why));
    }
    match blob {
        Blob::Part { file, start, len } => {
            // The limit makes the length fit.
            let mut bytes = vec![0; len as usize];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, start).what(&what)?;
            Ok(bytes)
        }
        Blob::Remote { from, digest, len } => {
            let Incoming { mut file, outcome } = from.stream(&digest, len)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).what(&what)?;
            outcome.recv().unwrap_or_else(|_| Err(Error::new(what(), "the download ended")))?;
            Ok(bytes)
        }
    }
}

fn spool(
    file: File,
    first: Vec<u8>,
    compression: Compression,
    label: &str,
    staging: &Staging,
) -> Result<File> {
    use std::io::Write as _;
    let what = || format!("cannot read {label}");
    let path = staging.path().join("archive");
    let write = || format!("cannot write {}", path.display());
    let mut out =
        File::options().read(true).write(true).create_new(true).open(&path).what(write)?;
    let count = Cell::new(0);
    let counted = CountedRead { inner: std::io::Cursor::new(first).chain(file), count: &count };
    let input = BufReader::with_capacity(pipe::CHUNK, counted);
    let mut input = inflate::reader(compression, input).what(what)?;
    let mut gauge = inflate::Gauge::new(label);
    let mut buffer = vec![0; pipe::CHUNK];
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => return Ok(out),
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::new(what(), format!("it is damaged or truncated: {e}"))),
        };
        gauge.count(n, count.get())?;
        out.write_all(&buffer[..n]).what(write)?;
    }
}

struct CountedRead<'a, R> {
    inner: R,
    count: &'a Cell<u64>,
}

impl<R: std::io::Read> std::io::Read for CountedRead<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(into)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

/// Goes through the headers, past the data.
fn list(file: &mut File, label: &str) -> Result<HashMap<Vec<u8>, Member>> {
    let what = || format!("cannot read {label}");
    file.seek(SeekFrom::Start(0)).what(what)?;
    let size = file.metadata().what(what)?.len();
    let mut tar = Reader::new(BufReader::with_capacity(4096, &mut *file), label);
    let mut members = HashMap::new();
    loop {
        let Next::Entry(entry) = tar.next()? else { return Ok(members) };
        let start = tar.position();
        let len = tar.data_left();
        let name = normal(&entry.path);
        let member = match entry.kind {
            Kind::File if entry.sparse.is_some() => {
                return Err(Error::new(
                    what(),
                    "it has a sparse file, which archives of images do not",
                ));
            }
            Kind::File => Some(Member::File { start, len }),
            Kind::HardLink => Some(Member::Link(normal(&entry.link))),
            Kind::Symlink => Some(Member::Link(beside(&name, &entry.link))),
            Kind::Directory | Kind::Fifo | Kind::Device => None,
        };
        tar.seek_past_data(size)?;
        let Some(member) = member else { continue };
        if members.len() == MAX_MEMBERS {
            return Err(Error::new(what(), format!("it has over {MAX_MEMBERS} files, the limit")));
        }
        if members.insert(name, member).is_some() {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            return Err(Error::new(what(), format!("it is ambiguous: it has {name:?} twice")));
        }
    }
}

fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// A link's target, seen from the directory that the link is in.
fn beside(name: &[u8], target: &[u8]) -> Vec<u8> {
    match name.iter().rposition(|b| *b == b'/') {
        Some(slash) => normal(&[&name[..=slash], target].concat()),
        None => normal(target),
    }
}
