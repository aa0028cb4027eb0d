//! A small root made from Debian's busybox-static, as a directory and as a tar archive.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Users of the fixture, each for one case of `--user`.
pub(crate) const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:2:2::/:/bin/false
ana:x:1000:1000:Ana:/home/ana:/bin/sh
huge:x:4294967296:0::/:/bin/sh
minus:x:-1:0::/:/bin/sh
4294967297:x:7:7::/:/bin/sh
broken
";
pub(crate) const GROUP: &str = "\
root:x:0:
staff:x:50:ana
games:x:60:daemon,ana
ana:x:1000:
";

/// As image-spec calls it.
pub(crate) const HOST_ARCHITECTURE: &str =
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
/// One that this machine does not run.
pub(crate) const OTHER_ARCHITECTURE: &str =
    if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };

enum Node {
    Dir(u32),
    File(Vec<u8>, u32),
    Link(&'static str),
}

struct Entry {
    path: &'static str,
    node: Node,
    owner: u32,
}

fn entries() -> Vec<Entry> {
    let dir = |path, mode| Entry { path, node: Node::Dir(mode), owner: 0 };
    let file = |path, content: &str, mode| Entry {
        path,
        node: Node::File(content.as_bytes().to_vec(), mode),
        owner: 0,
    };
    let mut list = vec![
        dir("bin", 0o755),
        dir("dev", 0o755),
        dir("etc", 0o755),
        dir("home", 0o755),
        Entry { path: "home/ana", node: Node::Dir(0o755), owner: 1000 },
        dir("proc", 0o555),
        dir("root", 0o700),
        dir("run", 0o755),
        dir("sys", 0o555),
        dir("tmp", 0o1777),
        dir("usr", 0o755),
        dir("usr/bin", 0o755),
        dir("var", 0o755),
        dir("var/tmp", 0o1777),
        Entry { path: "var/run", node: Node::Link("/run"), owner: 0 },
        file("etc/passwd", PASSWD, 0o644),
        file("etc/group", GROUP, 0o644),
        file("etc/data", "not a program\n", 0o644),
        file("etc/nobinfmt", "\u{1}\u{2}\u{3}", 0o755),
        Entry { path: "home/ana/own", node: Node::File(b"ana's\n".to_vec(), 0o600), owner: 1000 },
    ];
    let busybox = std::fs::read(busybox()).expect("read busybox");
    list.push(Entry { path: "bin/busybox", node: Node::File(busybox, 0o755), owner: 0 });
    list
}

fn busybox() -> PathBuf {
    ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .expect("busybox. Fix: sudo apt-get install busybox-static")
}

fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let list = Command::new(busybox()).arg("--list").output().expect("run busybox --list");
        String::from_utf8_lossy(&list.stdout)
            .lines()
            .filter(|name| *name != "busybox")
            .map(str::to_owned)
            .collect()
    })
}

/// The root as files of the caller. `root` must not exist.
pub(crate) fn busybox_root(root: &Path) {
    use std::os::unix::fs::symlink;
    std::fs::create_dir(root).expect("make the root");
    let mut closed = Vec::new();
    for entry in entries() {
        let path = root.join(entry.path);
        match entry.node {
            Node::Dir(mode) => {
                std::fs::create_dir(&path).expect("make a directory of the root");
                closed.push((path, mode));
            }
            Node::File(content, mode) => {
                std::fs::write(&path, content).expect("write a file of the root");
                super::world::chmod(&path, mode);
            }
            Node::Link(target) => symlink(target, &path).expect("make a link of the root"),
        }
    }
    for applet in applets() {
        symlink("busybox", root.join("bin").join(applet)).expect("make an applet");
    }
    for (path, mode) in closed {
        super::world::chmod(&path, mode);
    }
}

/// The root as an archive, with the owners that the directory cannot have.
pub(crate) fn busybox_tar() -> &'static [u8] {
    static TAR: OnceLock<Vec<u8>> = OnceLock::new();
    TAR.get_or_init(|| {
        let mut tar = TarFile::new();
        for entry in entries() {
            match entry.node {
                Node::Dir(mode) => tar.dir(entry.path, mode, entry.owner),
                Node::File(content, mode) => tar.file(entry.path, &content, mode, entry.owner),
                Node::Link(target) => tar.link(entry.path, target),
            }
        }
        for applet in applets() {
            tar.link(&format!("bin/{applet}"), "busybox");
        }
        tar.finish()
    })
}

/// Writes archives entry by entry, names as they are given: hostile ones too.
pub(crate) struct TarFile(tar::Builder<Vec<u8>>);

impl TarFile {
    pub(crate) fn new() -> Self {
        TarFile(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        kind: tar::EntryType,
        target: Option<&str>,
        content: &[u8],
        mode: u32,
        owner: u32,
    ) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        header.set_mtime(1_700_000_000);
        header.set_size(content.len().try_into().expect("a small file"));
        // Not through set_path, which refuses `..` and absolute names.
        let field = &mut header.as_gnu_mut().expect("a GNU header").name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(target) = target {
            let field = &mut header.as_gnu_mut().expect("a GNU header").linkname;
            field[..target.len()].copy_from_slice(target.as_bytes());
        }
        header.set_cksum();
        self.0.append(&header, content).expect("append to the archive");
    }

    pub(crate) fn dir(&mut self, name: &str, mode: u32, owner: u32) {
        self.add(&format!("{name}/"), tar::EntryType::Directory, None, &[], mode, owner);
    }

    pub(crate) fn file(&mut self, name: &str, content: &[u8], mode: u32, owner: u32) {
        self.add(name, tar::EntryType::Regular, None, content, mode, owner);
    }

    pub(crate) fn link(&mut self, name: &str, target: &str) {
        self.add(name, tar::EntryType::Symlink, Some(target), &[], 0o777, 0);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_inner().expect("finish the archive")
    }
}
