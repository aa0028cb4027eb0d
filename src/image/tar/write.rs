//! Writes archives: ustar headers, with PAX records for what does not fit into them; see tar(5), "POSIX
//! ustar" and "Pax Interchange Format". The same entries give the same bytes.

use std::io::{self, Write};

use super::{BLOCK, Entry, Kind, padding};

/// What the octal fields of a header hold.
const MAX_ID: u64 = 0o7_777_777;
const MAX_SIZE: u64 = 0o77_777_777_777;

pub(crate) struct Writer<W> {
    out: W,
    padding: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Writer { out, padding: 0 }
    }

    /// Writes the header of an entry; for a file, [`Writer::data`] has to follow with all of its bytes.
    /// Times are cut to seconds, as other tools do for layers.
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let mut path = entry.path.clone();
        if entry.kind == Kind::Directory && !path.ends_with(b"/") {
            path.push(b'/');
        }
        let size = if entry.kind == Kind::File { entry.size } else { 0 };
        let records = records(entry, &path, size);
        if !records.is_empty() {
            let mut name = b"PaxHeaders.0/".to_vec();
            name.extend(&path[..path.len().min(80)]);
            let len = records.len() as u64;
            self.out.write_all(&block(b'x', &name, b"", 0o644, [0, 0], len, 0))?;
            self.out.write_all(&records)?;
            self.pad(padding(len))?;
        }
        let flag = match entry.kind {
            Kind::File => b'0',
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
            Kind::Device => return Err(io::Error::other("device nodes are not written")),
        };
        let ids = [entry.uid, entry.gid];
        let head = block(flag, &path, &entry.link, entry.mode, ids, size, entry.mtime.secs);
        self.padding = padding(size);
        self.out.write_all(&head)
    }

    /// The data of a file, whole.
    pub(crate) fn data(&mut self, data: &mut dyn io::Read) -> io::Result<u64> {
        let copied = io::copy(data, &mut self.out)?;
        let padding = std::mem::take(&mut self.padding);
        self.pad(padding)?;
        Ok(copied)
    }

    /// Writes the end mark.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.pad(2 * BLOCK as u64)?;
        Ok(self.out)
    }

    fn pad(&mut self, len: u64) -> io::Result<()> {
        io::copy(&mut io::Read::take(io::repeat(0), len), &mut self.out).map(drop)
    }
}

/// What the header cannot say, in a fixed order.
fn records(entry: &Entry, path: &[u8], size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |n: i128| n.to_string().into_bytes();
    if path.len() > 100 {
        record(&mut out, b"path", path);
    }
    if entry.link.len() > 100 {
        record(&mut out, b"linkpath", &entry.link);
    }
    for (key, id) in [(&b"uid"[..], entry.uid), (b"gid", entry.gid)] {
        if id > MAX_ID {
            record(&mut out, key, &number(id.into()));
        }
    }
    if size > MAX_SIZE {
        record(&mut out, b"size", &number(size.into()));
    }
    if !fits(entry.mtime.secs) {
        record(&mut out, b"mtime", &number(entry.mtime.secs.into()));
    }
    let mut xattrs: Vec<_> = entry.xattrs.iter().collect();
    xattrs.sort();
    for (name, value) in xattrs {
        record(&mut out, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    out
}

fn fits(secs: i64) -> bool {
    u64::try_from(secs).is_ok_and(|secs| secs <= MAX_SIZE)
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let mut len = body + 1;
    while len != body + len.to_string().len() {
        len = body + len.to_string().len();
    }
    out.extend(len.to_string().bytes());
    out.push(b' ');
    out.extend(key);
    out.push(b'=');
    out.extend(value);
    out.push(b'\n');
}

fn block(
    flag: u8,
    path: &[u8],
    link: &[u8],
    mode: u32,
    [uid, gid]: [u64; 2],
    size: u64,
    mtime: i64,
) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, len: usize, bytes: &[u8]| {
        let bytes = &bytes[..bytes.len().min(len)];
        block[at..at + bytes.len()].copy_from_slice(bytes);
    };
    // Numbers that do not fit are in a PAX record, which counts.
    let octal = |value: u64, digits: usize, max: u64| {
        let value = if value > max { 0 } else { value };
        format!("{value:0digits$o}\0").into_bytes()
    };
    put(0, 100, path);
    put(100, 8, &octal(mode.into(), 7, MAX_ID));
    put(108, 8, &octal(uid, 7, MAX_ID));
    put(116, 8, &octal(gid, 7, MAX_ID));
    put(124, 12, &octal(size, 11, MAX_SIZE));
    put(136, 12, &octal(u64::try_from(mtime).unwrap_or(0), 11, MAX_SIZE));
    put(148, 8, b"        ");
    put(156, 1, &[flag]);
    put(157, 100, link);
    put(257, 8, b"ustar\x0000");
    put(329, 8, &octal(0, 7, MAX_ID));
    put(337, 8, &octal(0, 7, MAX_ID));
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::super::{Next, Reader, Time};
    use super::*;

    fn through(entries: &[Entry]) -> Vec<Entry> {
        let mut tar = Writer::new(Vec::new());
        for entry in entries {
            tar.entry(entry).unwrap();
            tar.data(&mut io::Read::take(io::repeat(b'x'), entry.size)).unwrap();
        }
        let bytes = tar.finish().unwrap();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut reader = Reader::new(&bytes[..], "it");
        let mut out = Vec::new();
        while let Next::Entry(entry) = reader.next().unwrap() {
            out.push(entry);
        }
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "long/".repeat(60);
        let mut odd = Entry::file("odd", 5);
        (odd.mode, odd.uid, odd.gid) = (0o4755, 3_000_000, 7);
        odd.mtime = Time { secs: -5, nanos: 0 };
        odd.xattrs = vec![(b"user.b".to_vec(), b"\0\n".to_vec()), (b"user.a".to_vec(), vec![])];
        let mut link = Entry::file(&format!("{long}link"), 0);
        (link.kind, link.link) = (Kind::Symlink, long.clone().into_bytes());
        let mut dir = Entry::file("dir", 0);
        dir.kind = Kind::Directory;
        let read = through(&[odd, link, dir]);
        assert_eq!((read[0].mode, read[0].uid, read[0].gid), (0o4755, 3_000_000, 7));
        assert_eq!((read[0].mtime.secs, read[0].size), (-5, 5));
        assert_eq!(read[0].xattrs[1], (b"user.b".to_vec(), b"\0\n".to_vec()));
        assert_eq!(read[1].path, format!("{long}link").into_bytes());
        assert_eq!(read[1].link, long.into_bytes());
        assert_eq!((read[2].kind, &read[2].path[..]), (Kind::Directory, &b"dir/"[..]));
    }
}
