//! Compiled filters of custom profiles, so that each is compiled once.
//!
//! A cache only: an entry that is missing, damaged or of another sbx is compiled again, and one that
//! cannot be written costs the next start its compile and nothing else.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::host::dirs::{self, Dirs};

use super::bpf::{Insn, MAX_INSTRUCTIONS};
use super::capability::CapSet;
use super::compile::{Compiled, REVISION, library_version};

/// The layout below: magic, digest of all that follows it and of the key, keyctl flag, program.
const MAGIC: &[u8; 8] = b"sbxbpf1\n";
const HEADER: usize = MAGIC.len() + 32 + 1;

pub(super) struct Entry {
    /// `None` where the directory is not one to trust.
    path: Option<PathBuf>,
    key: [u8; 32],
}

impl Entry {
    pub(super) fn new(dirs: &Dirs, sources: &[&[u8]], caps: CapSet) -> Self {
        let key = key(sources, caps, &compiler(), &library_version());
        let dir = dirs.cache.join("seccomp");
        let trusted =
            dirs::make_private(&dirs.cache).and_then(|()| dirs::make_private(&dir)).is_ok();
        let name = key.iter().map(|b| format!("{b:02x}")).collect::<String>() + ".bpf";
        Entry { path: trusted.then(|| dir.join(name)), key }
    }

    pub(super) fn read(&self) -> Option<Compiled> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.path.as_ref()?)
            .ok()?;
        let meta = file.metadata().ok()?;
        let me = rustix::process::geteuid().as_raw();
        if !meta.is_file() || meta.uid() != me || meta.mode() & 0o022 != 0 {
            return None;
        }
        let limit = HEADER + MAX_INSTRUCTIONS * Insn::SIZE;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).ok()?;
        let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
        let (digest, rest) = rest.split_at_checked(32)?;
        let (flag, program) = rest.split_first()?;
        let sound = bytes.len() <= limit
            && magic == MAGIC
            && digest == self.digest(*flag, program)
            && *flag <= 1
            && program.len() % Insn::SIZE == 0;
        sound.then(|| Compiled { program: program.to_vec(), allows_keyctl: *flag == 1 })
    }

    pub(super) fn write(&self, compiled: &Compiled) {
        if let Some(path) = &self.path {
            // A full disk or a read-only home must not keep a sandbox from starting.
            let _ = self.store(path, compiled);
        }
    }

    fn store(&self, path: &Path, compiled: &Compiled) -> std::io::Result<()> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = self.fill(&temporary, compiled);
        let placed = written.and_then(|()| std::fs::rename(&temporary, path));
        if placed.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        placed
    }

    fn fill(&self, temporary: &Path, compiled: &Compiled) -> std::io::Result<()> {
        // Left by a process that was killed and had this id; nobody else writes to that name.
        let _ = std::fs::remove_file(temporary);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(temporary)?;
        let flag = u8::from(compiled.allows_keyctl);
        file.write_all(MAGIC)?;
        file.write_all(&self.digest(flag, &compiled.program))?;
        file.write_all(&[flag])?;
        file.write_all(&compiled.program)
        // Not synced: after a crash the digest tells, and the filter is compiled again.
    }

    /// Binds the content to the key, so that an entry under another's name is refused.
    fn digest(&self, flag: u8, program: &[u8]) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.key)
            .chain_update([flag])
            .chain_update(program)
            .finalize()
            .into()
    }
}

fn compiler() -> String {
    format!("{} {REVISION}", env!("CARGO_PKG_VERSION"))
}

/// All that the result depends on.
fn key(sources: &[&[u8]], caps: CapSet, sbx: &str, library: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for source in sources {
        hasher.update(Sha256::digest(source));
    }
    hasher
        .chain_update((sources.len() as u64).to_le_bytes())
        .chain_update(caps.0.to_le_bytes())
        .chain_update(format!("{sbx}\n{library}\n{}", std::env::consts::ARCH))
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(root: &Path) -> Dirs {
        let dir = |name: &str| root.join(name);
        Dirs {
            data: dir("data"),
            config: dir("config"),
            cache: dir("cache"),
            runtime: dir("runtime"),
        }
    }

    fn compiled() -> Compiled {
        Compiled { program: vec![6, 0, 0, 0, 0, 0, 255, 127], allows_keyctl: true }
    }

    #[test]
    fn an_entry_comes_back_and_its_file_is_private() {
        let root = tempfile::tempdir().unwrap();
        let entry = Entry::new(&dirs(root.path()), &[b"a"], CapSet::EMPTY);
        assert_eq!(entry.read(), None);
        entry.write(&compiled());
        assert_eq!(entry.read(), Some(compiled()));
        let path = entry.path.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary");
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let entry = Entry::new(&dirs(root.path()), &[b"a"], CapSet::EMPTY);
        entry.write(&compiled());
        let path = entry.path.clone().unwrap();
        let good = std::fs::read(&path).unwrap();
        for n in 0..good.len() {
            let mut bad = good.clone();
            bad[n] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert_eq!(entry.read(), None, "byte {n}");
            std::fs::write(&path, &good[..n]).unwrap();
            assert_eq!(entry.read(), None, "cut at {n}");
        }
        entry.write(&compiled());
        assert_eq!(entry.read(), Some(compiled()), "overwritten by the next compile");
    }

    #[test]
    fn an_entry_of_another_profile_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let dirs = dirs(root.path());
        let one = Entry::new(&dirs, &[b"one"], CapSet::EMPTY);
        let two = Entry::new(&dirs, &[b"two"], CapSet::EMPTY);
        one.write(&compiled());
        std::fs::rename(one.path.unwrap(), two.path.as_ref().unwrap()).unwrap();
        assert_eq!(two.read(), None);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let dirs = dirs(root.path());
        std::fs::create_dir(&dirs.cache).unwrap();
        std::fs::set_permissions(&dirs.cache, std::fs::Permissions::from_mode(0o777)).unwrap();
        let entry = Entry::new(&dirs, &[b"a"], CapSet::EMPTY);
        entry.write(&compiled());
        assert_eq!(entry.read(), None);
        assert_eq!(std::fs::read_dir(&dirs.cache).unwrap().count(), 0);
    }

    #[test]
    fn the_key_depends_on_everything() {
        let base = key(&[b"a"], CapSet::EMPTY, "1", "2");
        assert_ne!(base, key(&[b"b"], CapSet::EMPTY, "1", "2"));
        assert_ne!(base, key(&[b"a"], CapSet(1), "1", "2"));
        assert_ne!(base, key(&[b"a"], CapSet::EMPTY, "2", "2"));
        assert_ne!(base, key(&[b"a"], CapSet::EMPTY, "1", "3"));
    }
}
