//! A tar of what differs between two stacks of trees: the layer that turns one into the other, or a whole
//! file system where there is nothing to compare with. Runs in a worker, as root of the user namespace, so
//! that it reads everything and sees the ids that the image has.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write};

use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use super::changes::{Kind, Sink};
use super::diff::{Opened, Trees};
use super::merged::Node;
use super::pipe;
use super::tar::{self, Entry, Time, Writer};
use crate::error::{Context as _, Error, Result};
use crate::userns::idmap::IdMap;
use crate::userns::worker;

/// The kind of job that a worker knows this as.
pub(crate) const JOB: &str = "pack a layer";

/// image-spec, layer, "Whiteouts".
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) trees: Trees,
    /// A layer for an image, compressed; a plain archive of the file system otherwise.
    pub(crate) layer: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Sockets and devices, which an archive cannot hold or nobody could unpack.
    pub(crate) skipped: u64,
    /// Whoever reads the archive went away; why, only they know.
    pub(crate) reader_gone: bool,
}

/// Has a worker write the archive to `out`.
pub(crate) fn run(map: &IdMap, job: &Job, out: Stdio) -> Result<Report> {
    worker::run(map, JOB, job, out, &|_| ())
}

/// The worker's part: writes the archive to `out`.
pub(crate) fn pack(trees: &Opened, layer: bool, out: File) -> Result<Report> {
    let out = BufWriter::with_capacity(pipe::CHUNK, out);
    let out = if layer {
        Out::Gzip(Box::new(GzEncoder::new(out, Compression::default())))
    } else {
        Out::Plain(out)
    };
    let mut packer =
        Packer { tar: Writer::new(out), layer, links: HashMap::new(), report: Report::default() };
    match trees.compare(&mut packer) {
        Err(_) if packer.report.reader_gone => Ok(packer.report),
        Err(e) => Err(e),
        Ok(()) => {
            let Packer { tar, mut report, .. } = packer;
            let finished = tar.finish().and_then(Out::finish);
            written(finished, &mut report)?;
            Ok(report)
        }
    }
}

enum Out {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Out {
    fn finish(self) -> std::io::Result<()> {
        match self {
            Out::Plain(mut out) => out.flush(),
            Out::Gzip(gzip) => gzip.finish()?.flush(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Out::Plain(out) => out.write(bytes),
            Out::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Out::Plain(out) => out.flush(),
            Out::Gzip(out) => out.flush(),
        }
    }
}

fn written<T>(result: std::io::Result<T>, report: &mut Report) -> Result<T> {
    report.reader_gone |=
        result.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
    result.what(|| "cannot write an archive")
}

struct Packer {
    tar: Writer<Out>,
    layer: bool,
    /// Files that have several names, by device and inode, under their first.
    links: HashMap<(u64, u64), Vec<u8>>,
    report: Report,
}

impl Packer {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        written(self.tar.entry(entry), &mut self.report)
    }

    fn marker(&mut self, path: Vec<u8>) -> Result<()> {
        let mut entry = Entry::file("", 0);
        entry.path = path;
        self.entry(&entry)
    }
}

impl Sink for Packer {
    fn changed(&mut self, _: Kind, path: &[u8], node: &Node<'_>) -> Result<()> {
        let what = || format!("cannot pack /{}", String::from_utf8_lossy(path));
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        if self.layer && name.starts_with(WHITEOUT) {
            return Err(Error::new(
                what(),
                "in a layer such a name stands for a deleted file: image-spec keeps .wh. for that",
            )
            .fix("rename it in the container"));
        }
        let kind = match node.kind() {
            FileType::Directory => tar::Kind::Directory,
            FileType::RegularFile => tar::Kind::File,
            FileType::Symlink => tar::Kind::Symlink,
            FileType::Fifo => tar::Kind::Fifo,
            _ => {
                self.report.skipped += 1;
                return Ok(());
            }
        };
        let mut entry = Entry::file("", 0);
        entry.kind = kind;
        entry.path = if path.is_empty() { b"./".to_vec() } else { path.to_vec() };
        (entry.mode, entry.uid, entry.gid) =
            (node.stat.st_mode & 0o7777, node.stat.st_uid.into(), node.stat.st_gid.into());
        entry.mtime = Time { secs: node.stat.st_mtime, nanos: 0 };
        if kind != tar::Kind::Directory && node.stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&node.id()) {
                entry.kind = tar::Kind::HardLink;
                entry.link.clone_from(first);
                return self.entry(&entry);
            }
            self.links.insert(node.id(), path.to_vec());
        }
        entry.xattrs = node.xattrs().what(what)?;
        match kind {
            tar::Kind::Symlink => {
                entry.link = node.target().what(what)?.into_bytes();
                self.entry(&entry)
            }
            tar::Kind::File => {
                let file = node.open().what(what)?;
                let size = file.metadata().what(what)?.len();
                entry.size = size;
                self.entry(&entry)?;
                // The header has promised this many bytes, whatever a running program does to the file.
                let mut data = file.take(size).chain(std::io::repeat(0)).take(size);
                written(self.tar.data(&mut data), &mut self.report).map(drop)
            }
            _ => self.entry(&entry),
        }
    }

    fn deleted(&mut self, path: &[u8]) -> Result<()> {
        let at = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let (dir, name) = path.split_at(at);
        self.marker([dir, WHITEOUT, name].concat())
    }

    fn marks_emptied(&self) -> bool {
        true
    }

    fn emptied(&mut self, path: &[u8]) -> Result<()> {
        self.marker([path, b"/", OPAQUE].concat())
    }
}
