//! A volume's files as a tar, and a tar's files into a volume: by a worker, which reads what belongs to
//! subordinate ids and writes it with its owners.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::image::layer;
use crate::image::stack::{Node, Stack};
use crate::image::tar::{Entry, Kind, Time, Writer};
use crate::image::unpack;
use crate::userns::idmap::{IdMap, MoreIds};
use crate::userns::worker;

pub(crate) const EXPORT: &str = "export a volume";

#[derive(Serialize, Deserialize)]
pub(crate) struct Export {
    data: PathBuf,
}

/// Writes the files of `data` to `out`; the value is how many could not be: sockets and devices.
pub(crate) fn export(map: &IdMap, data: PathBuf, out: File) -> Result<u64> {
    worker::run(map, EXPORT, &Export { data }, Stdio::from(out), &|_| ())
}

/// Unpacks an archive over what is in `data`; the value says what was left out.
pub(crate) fn import(
    map: &IdMap,
    more_ids: MoreIds,
    data: PathBuf,
    input: File,
    label: &str,
    progress: &dyn Fn(u64),
) -> Result<Option<String>> {
    let job = layer::Job::over(data, label, more_ids);
    let report: layer::Report = worker::run(map, layer::JOB, &job, Stdio::from(input), progress)?;
    Ok(report.counts.skipped())
}

/// In the worker, whose standard input is the archive.
pub(crate) fn prepare(job: &Export) -> Result<impl FnOnce() -> Result<u64> + use<>> {
    let what = || format!("cannot open {}", job.data.display());
    let out = rustix::stdio::stdin().try_clone_to_owned().what(what)?;
    let stack = Stack::open(std::slice::from_ref(&job.data)).what(what)?;
    Ok(move || write(&stack, File::from(out)))
}

fn write(stack: &Stack, out: File) -> Result<u64> {
    let what = || "cannot write the archive";
    let mut tar = Writer::new(BufWriter::with_capacity(1 << 18, out));
    let mut links: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut skipped = 0;
    let root = stack.root().what(what)?;
    tar.entry(&entry(Kind::Directory, b"./", &root.stat)).what(what)?;
    let mut todo = vec![root];
    while let Some(dir) = todo.pop() {
        for (_, node) in stack.children(&dir).what(what)? {
            let other = match node {
                Node::Dir(dir) => {
                    let mut made =
                        entry(Kind::Directory, dir.path().as_os_str().as_bytes(), &dir.stat);
                    made.xattrs = unpack::xattrs(&stack.open_dir(&dir).what(what)?).what(what)?;
                    tar.entry(&made).what(what)?;
                    todo.push(dir);
                    continue;
                }
                Node::Other(other) => other,
            };
            let read = || format!("cannot read {}", other.path.display());
            let path = other.path.as_os_str().as_bytes();
            let mut made = entry(Kind::File, path, &other.stat);
            if other.stat.st_nlink > 1 {
                if let Some(first) = links.get(&other.stat.st_ino) {
                    (made.kind, made.link) = (Kind::HardLink, first.clone());
                    tar.entry(&made).what(what)?;
                    continue;
                }
                links.insert(other.stat.st_ino, path.to_vec());
            }
            match FileType::from_raw_mode(other.stat.st_mode) {
                FileType::RegularFile => {
                    let file = stack.open_file(&other).what(read)?;
                    made.xattrs = unpack::xattrs(&file).what(read)?;
                    let file = File::from(file);
                    made.size = file.metadata().what(read)?.len();
                    tar.entry(&made).what(what)?;
                    // A container may write to it meanwhile: the header has promised this many bytes.
                    let mut data = file.take(made.size).chain(std::io::repeat(0)).take(made.size);
                    tar.data(&mut data).what(read)?;
                }
                FileType::Symlink => {
                    made.kind = Kind::Symlink;
                    made.link = stack.read_link(&other).what(read)?.into_bytes();
                    tar.entry(&made).what(what)?;
                }
                FileType::Fifo => {
                    made.kind = Kind::Fifo;
                    tar.entry(&made).what(what)?;
                }
                _ => skipped += 1,
            }
        }
    }
    let mut out = tar.finish().what(what)?;
    out.flush().what(what)?;
    Ok(skipped)
}

fn entry(kind: Kind, path: &[u8], stat: &rustix::fs::Stat) -> Entry {
    let mut entry = Entry::file("", 0);
    entry.kind = kind;
    entry.path = path.to_vec();
    entry.mode = stat.st_mode & 0o7777;
    (entry.uid, entry.gid) = (stat.st_uid.into(), stat.st_gid.into());
    entry.mtime = Time { secs: stat.st_mtime, nanos: 0 };
    entry
}
