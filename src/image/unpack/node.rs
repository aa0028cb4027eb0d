//! Files, directories, links and FIFOs with their owner, mode, attributes and time.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{Unpacker, path, tree, whiteout, xattr};
use crate::error::{Context, Error, Result, errno_text};
use crate::image::tar::{Entry, Kind, Segment, Time};
use crate::userns::idmap::MoreIds;

/// The ids that this process can give to files.
pub(super) struct Owners<'a> {
    uids: Vec<(u64, u64)>,
    gids: Vec<(u64, u64)>,
    more_ids: &'a MoreIds,
}

impl<'a> Owners<'a> {
    pub(super) fn of_this_process(more_ids: &'a MoreIds) -> Result<Self> {
        let read = |path: &str| {
            let text = std::fs::read_to_string(path).what(|| format!("cannot read {path}"))?;
            Ok::<_, Error>(ranges(&text))
        };
        Ok(Owners {
            uids: read("/proc/self/uid_map")?,
            gids: read("/proc/self/gid_map")?,
            more_ids,
        })
    }

    fn check(&self, kind: &str, id: u64) -> Result<u32, (String, Option<String>)> {
        let ids = if kind == "user" { &self.uids } else { &self.gids };
        if ids.iter().any(|(start, len)| id >= *start && id - start < *len) {
            // Maps hold 32-bit ids.
            return Ok(id as u32);
        }
        let why = format!("its owner is {kind} id {id}, which the id map does not have");
        let mapped = ids.iter().map(|(start, len)| start + len).max().unwrap_or(0);
        Err((why, self.more_ids.fix(id, mapped)))
    }
}

/// First ids and lengths, as the inside of the namespace sees them.
fn ranges(text: &str) -> Vec<(u64, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().map(str::parse);
            Some((fields.next()?.ok()?, fields.nth(1)?.ok()?))
        })
        .collect()
}

impl<R: BufRead> Unpacker<'_, R> {
    /// Makes what `entry` describes at `path`.
    pub(super) fn node(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        if entry.kind == Kind::Device {
            self.counts.devices += 1;
            return Ok(());
        }
        let owner = |kind, id| {
            self.owners.check(kind, id).map_err(|(why, fix)| {
                let error = self.refused(entry, why);
                match fix {
                    Some(fix) => error.fix(fix),
                    None => error,
                }
            })
        };
        let (uid, gid) = (owner("user", entry.uid)?, owner("group", entry.gid)?);
        self.look_at_space()?;
        if path.is_empty() && entry.kind != Kind::Directory {
            return Err(self.refused(entry, "it would replace the root directory"));
        }
        match entry.kind {
            Kind::Directory => self.make_directory(entry, path, uid, gid),
            Kind::File => self.make_file(entry, path, uid, gid),
            Kind::HardLink => self.make_link(entry, path),
            Kind::Symlink | Kind::Fifo => self.make_special(entry, path, uid, gid),
            Kind::Device => Ok(()),
        }
    }

    fn make_directory(&mut self, entry: &Entry, path: &[u8], uid: u32, gid: u32) -> Result<()> {
        let what = || format!("cannot make {:?}", String::from_utf8_lossy(path));
        let (parent, name) = path::split(path);
        let dir = self.tree.directory(parent)?;
        let fd = if path.is_empty() {
            open_dir(dir, b".").what(what)?
        } else {
            let mode = Mode::from_raw_mode(entry.mode & 0o777);
            match rustix::fs::mkdirat(dir, name, mode) {
                Ok(()) => open_dir(dir, name).what(what)?,
                Err(Errno::EXIST) => match open_dir(dir, name) {
                    Ok(fd) => fd,
                    Err(Errno::NOTDIR | Errno::LOOP) => {
                        let hidden = whiteout::is_whiteout(dir, name);
                        rustix::fs::unlinkat(dir, name, AtFlags::empty()).what(what)?;
                        rustix::fs::mkdirat(dir, name, mode).what(what)?;
                        let fd = open_dir(dir, name).what(what)?;
                        if hidden {
                            // What the whiteout hid must not shine through.
                            whiteout::make_opaque(fd.as_fd()).what(what)?;
                        }
                        fd
                    }
                    Err(e) => return Err(e).what(what),
                },
                Err(e) => return Err(e).what(what),
            }
        };
        settle(&fd, uid, gid, entry.mode).what(what)?;
        self.counts.xattrs += xattr::set(fd.as_fd(), &entry.xattrs).what(what)?;
        self.remember_time(path, entry.mtime)?;
        if !path.is_empty() {
            self.tree.entered(path, fd);
        }
        Ok(())
    }

    fn make_file(&mut self, entry: &Entry, path: &[u8], uid: u32, gid: u32) -> Result<()> {
        self.account(entry.size)?;
        let what = || format!("cannot write {:?}", String::from_utf8_lossy(path));
        let (parent, name) = path::split(path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        // Writing takes the setuid and setgid bits away: they come at the end.
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let create =
            |dir: BorrowedFd<'_>| rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, mode);
        let file = match create(self.tree.directory(parent)?) {
            Err(Errno::EXIST) => {
                self.remove(parent, name)?;
                create(self.tree.directory(parent)?)
            }
            other => other,
        }
        .what(what)?;
        match &entry.sparse {
            Some(map) => self.write_sparse(&file, map, entry.size, path)?,
            None => self.write(&file, entry.size, path)?,
        }
        settle(&file, uid, gid, entry.mode).what(what)?;
        // A change of owner takes capabilities away, so attributes come after it.
        if !entry.xattrs.is_empty() {
            self.counts.xattrs += xattr::set(file.as_fd(), &entry.xattrs).what(what)?;
        }
        rustix::fs::futimens(&file, &times(entry.mtime)).what(what)
    }

    /// Copies `left` bytes from the archive to the file's position.
    fn write(&mut self, file: &OwnedFd, mut left: u64, path: &[u8]) -> Result<()> {
        while left > 0 {
            self.look_at_space()?;
            let piece = self.tar.data()?;
            if piece.is_empty() {
                return Err(self
                    .tar
                    .error("it is truncated: a file is shorter than its header says"));
            }
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            let n = match rustix::io::write(file, &piece[..piece.len().min(limit)]) {
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(e) => {
                    let (path, place) = (String::from_utf8_lossy(path), self.place.display());
                    return Err(e).what(|| format!("cannot write {path:?} below {place}"));
                }
            };
            self.tar.consume(n);
            left -= n as u64;
        }
        Ok(())
    }

    fn write_sparse(
        &mut self,
        file: &OwnedFd,
        map: &[Segment],
        size: u64,
        path: &[u8],
    ) -> Result<()> {
        let what = || format!("cannot write {:?}", String::from_utf8_lossy(path));
        rustix::fs::ftruncate(file, size).what(what)?;
        for segment in map {
            rustix::fs::seek(file, SeekFrom::Start(segment.offset)).what(what)?;
            self.write(file, segment.len, path)?;
        }
        Ok(())
    }

    /// The target is looked up in the tree, and is itself not followed when it is a link.
    fn make_link(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let target = path::inside(&entry.link).map_err(|why| {
            self.refused(entry, format!("as a hard link it has a bad target: {why}"))
        })?;
        let missing = || {
            let target = String::from_utf8_lossy(&entry.link);
            self.refused(entry, format!("it is a hard link to {target:?}, which is not there"))
        };
        let (target_dir, target_name) = path::split(&target);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let from = self.tree.open(target_dir, flags).map_err(|_| missing())?;
        match tree::kind(from.as_fd(), target_name) {
            None => return Err(missing()),
            Some(FileType::Directory) => {
                return Err(self.refused(entry, "it is a hard link to a directory"));
            }
            Some(_) if *target == *path => return Ok(()),
            Some(_) => {}
        }
        let (parent, name) = path::split(path);
        let link = |dir: BorrowedFd<'_>| {
            rustix::fs::linkat(&from, target_name, dir, name, AtFlags::empty())
        };
        match link(self.tree.directory(parent)?) {
            Err(Errno::EXIST) => {
                self.remove(parent, name)?;
                link(self.tree.directory(parent)?)
            }
            other => other,
        }
        .what(|| format!("cannot link {:?}", String::from_utf8_lossy(path)))
    }

    fn make_special(&mut self, entry: &Entry, path: &[u8], uid: u32, gid: u32) -> Result<()> {
        let what = || format!("cannot make {:?}", String::from_utf8_lossy(path));
        let (parent, name) = path::split(path);
        if entry.kind == Kind::Symlink && entry.link.is_empty() {
            return Err(self.refused(entry, "it is a symbolic link to nothing"));
        }
        let create = |dir: BorrowedFd<'_>| match entry.kind {
            Kind::Symlink => rustix::fs::symlinkat(entry.link.as_slice(), dir, name),
            _ => {
                let mode = Mode::from_raw_mode(entry.mode & 0o777);
                rustix::fs::mknodat(dir, name, FileType::Fifo, mode, 0)
            }
        };
        match create(self.tree.directory(parent)?) {
            Err(Errno::EXIST) => {
                self.remove(parent, name)?;
                create(self.tree.directory(parent)?)
            }
            other => other,
        }
        .what(what)?;
        self.counts.xattrs += entry.xattrs.len() as u64;
        let dir = self.tree.directory(parent)?;
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(dir, name, nofollow).what(what)?;
        if (stat.st_uid, stat.st_gid) != (uid, gid) {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(dir, name, uid, gid, nofollow).what(what)?;
        }
        rustix::fs::utimensat(dir, name, &times(entry.mtime), nofollow).what(what)
    }

    /// Makes way for an entry of the same name.
    fn remove(&mut self, parent: &[u8], name: &[u8]) -> Result<()> {
        let failed =
            |why| Error::new(format!("cannot replace {:?}", String::from_utf8_lossy(name)), why);
        let dir = self.tree.directory(parent)?;
        let name =
            std::ffi::CString::new(name).map_err(|_| failed("its name is bad".to_owned()))?;
        crate::sys::tree::remove_at(dir, &name)
            .map_err(|e| failed(errno_text(e.errno.raw_os_error())))?;
        self.tree.forget();
        Ok(())
    }
}

fn open_dir(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Gives a new file its owner and mode. Looking first is cheaper than a change that changes nothing,
/// and sees what a setgid parent, a mount option or an ACL did.
pub(in crate::image) fn settle(
    file: &OwnedFd,
    uid: u32,
    gid: u32,
    mode: u32,
) -> rustix::io::Result<()> {
    let stat = rustix::fs::fstat(file)?;
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    // chown(2) takes the setuid and setgid bits of files away.
    if stat.st_mode & 0o7777 != mode || mode & 0o6000 != 0 {
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

pub(super) fn times(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
