//! The tree that a container sees against the one that umoci unpacks from the same image.
//!
//! One program lists both: sbx-probe, as the root of a user namespace in which the whole id map counts.
//! In the container it lists the root; umoci's it lists from a namespace with the map that umoci ran in.
//!
//! Compared are names, kinds, modes, owners, times to the nanosecond, sizes, contents, targets of links,
//! all extended attributes, and which names are one file. Not compared are:
//!
//! - what sbx mounts, and the directories that hold nothing else ([`MOUNTED`]);
//! - the time of the root, in which sbx makes the places that it mounts on;
//! - the time of a directory that an opaque marker further up empties after it was unpacked: umoci's is
//!   of that moment ([`Image::touched`]);
//! - how many names a file has: overlay counts the hidden ones, so what is compared is the visible ones;
//! - holes of sparse files, which are umoci's own choice.

use std::path::PathBuf;
use std::process::Command;

use crate::archive::*;
use crate::reference_tools::have;

const MOUNTED: [&str; 7] =
    ["dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf", "probe"];
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

struct Image {
    layers: Vec<Tar>,
    /// Directories whose time is not compared.
    touched: &'static [&'static str],
}

fn probe() -> Option<PathBuf> {
    std::env::var_os("SBX_PROBE").map(PathBuf::from).filter(|path| path.is_file())
}

fn equals_umocis(image: Image, least: usize) {
    let Some(probe) = probe() else {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "SKIP image::umoci: SBX_PROBE names no program");
        return;
    };
    if !have("umoci") {
        return;
    }
    let place = Place::new();
    let layers: Vec<_> = image.layers.into_iter().map(|tar| (GZIP, tar.end())).collect();
    Layout::new(&layers).write(&place.path("layout"), "x");
    let (_, err) = place.succeed(&["load", "-i", "layout"]);
    assert_eq!(err, "");
    let program = format!("{}:/probe:ro", probe.display());
    let tree = [&["/probe", "tree", "/"][..], &MOUNTED].concat();
    let ours = place.out(&[&["run", "--rm", "-v", &program, "x"], &tree[..]].concat());

    let bundle = place.path("bundle");
    let source = format!("{}:x", place.path("layout").display());
    printed(inside("umoci").args(["unpack", "--image", &source]).arg(&bundle));
    let theirs = printed(
        inside(probe.to_str().unwrap()).arg("tree").arg(bundle.join("rootfs")).args(MOUNTED),
    );

    let comparable = |text: &str| -> Vec<String> {
        let timeless: Vec<_> = std::iter::once("")
            .chain(image.touched.iter().copied())
            .map(|p| format!("{p:?} dir "))
            .collect();
        let time = |line: &str| timeless.iter().any(|start| line.starts_with(start));
        let fields = |line: &str| -> Vec<String> {
            let cut = time(line);
            line.split(' ')
                .filter(|f| !(cut && f.starts_with("mtime=")))
                .map(str::to_owned)
                .collect()
        };
        text.lines().map(|line| fields(line).join(" ")).collect()
    };
    let (ours, theirs) = (comparable(&ours), comparable(&theirs));
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|line| !b.contains(line)).map(|l| format!("\n    {l}")).collect::<String>()
    };
    assert!(
        ours == theirs,
        "the trees differ\n  only sbx has{}\n  only umoci has{}",
        only(&ours, &theirs),
        only(&theirs, &ours)
    );
    assert!(ours.len() >= least, "only {} files were compared: {ours:#?}", ours.len());
}

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn owned(flag: u8, mode: u32, uid: u64, gid: u64) -> Head {
    Head { flag, mode, uid, gid, ..Head::default() }
}

/// What every image here begins with.
fn base() -> Tar {
    Tar::default().entry("./", &owned(b'5', 0o755, 0, 0), b"").dir("etc").file("etc/os", "1")
}

impl Tar {
    /// A long name or target, as GNU tar writes it before the entry that has it.
    fn gnu(self, flag: u8, text: &str) -> Self {
        self.entry("././@LongLink", &owned(flag, 0, 0, 0), format!("{text}\0").as_bytes())
    }
}

#[test]
fn whiteouts_links_and_modes_are_as_umoci_has_them() {
    let bottom = base()
        .entry("etc/shadow", &owned(b'0', 0o640, 0, 42), b"secret")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .dir("bin")
        .entry("bin/su", &owned(b'0', 0o4755, 0, 0), b"su")
        .entry("bin/wall", &owned(b'0', 0o2755, 0, 5), b"wall")
        .entry("bin/both", &owned(b'0', 0o6711, 7, 8), b"both")
        .dir("lib")
        .hard_link("lib/su", "bin/su")
        .hard_link("lib/wall", "bin/wall")
        .entry("tmp", &owned(b'5', 0o1777, 0, 0), b"")
        .entry("mail", &owned(b'5', 0o2775, 0, 8), b"")
        .file("mail/inherits-nothing", "")
        .dir("gone")
        .file("gone/a", "a")
        .dir("gone/b")
        .file("gone/b/c", "c")
        .dir("before")
        .file("before/old", "old")
        .dir("after")
        .file("after/old", "old")
        .dir("after/sub")
        .file("after/sub/old", "old")
        .dir("both")
        .file("both/old", "old")
        .dir("deep")
        .dir("deep/opaque")
        .file("deep/opaque/old", "old")
        .file("deep/beside", "stays")
        .entry("home", &owned(b'5', 0o755, 0, 0), b"")
        .entry("home/user", &owned(b'5', 0o700, 1000, 1000), b"")
        .entry("home/user/f", &owned(b'0', 0, 1000, 1000), b"mine")
        .entry("home/pipe", &owned(b'6', 0o622, 5, 6), b"")
        .entry("last", &owned(b'0', 0o600, 65535, 65535), b"the last id");
    let middle = Tar::default()
        .dir("etc")
        .file("etc/.wh.passwd", "")
        .file(".wh.gone", "")
        // The marker before what this layer has, after it, and between.
        .dir("before")
        .file("before/.wh..wh..opq", "")
        .file("before/new", "new")
        .dir("after")
        .file("after/new", "new")
        .dir("after/sub")
        .file("after/sub/new", "new")
        .file("after/.wh..wh..opq", "")
        .dir("both")
        .file("both/first", "first")
        .file("both/.wh..wh..opq", "")
        .file("both/second", "second")
        .dir("deep")
        .dir("deep/opaque")
        .file("deep/opaque/.wh..wh..opq", "")
        // A file of the layer below, added once more with a second name in another directory.
        .entry("etc/shadow", &owned(b'0', 0o640, 0, 42), b"secret")
        .dir("lib")
        .hard_link("lib/shadow", "etc/shadow");
    let top = Tar::default()
        .dir("gone")
        .file("gone/again", "again")
        .dir("etc")
        .file("etc/passwd", "new")
        .hard_link("etc/passwd-", "etc/passwd")
        .dir("bin")
        .file("bin/.wh.su", "")
        .dir("before")
        .file("before/top", "top")
        .dir("home")
        .entry("home/user", &owned(b'5', 0o711, 1001, 1002), b"");
    let image = Image { layers: vec![bottom, middle, top], touched: &["after/sub"] };
    equals_umocis(image, 35);
}

#[test]
fn names_and_sparse_files_are_as_umoci_has_them() {
    let component = "n".repeat(255);
    let long = format!("{0}/{0}/{1}", "d".repeat(120), "f".repeat(200));
    let parents = [&long[..120], &long[..241]];
    let gnu = format!("gnu/{}", "g".repeat(150));
    let target = "../".repeat(60) + &"t".repeat(200);
    let mut names = base();
    for parent in parents {
        names = names.pax(&[("path", parent)]).dir("x");
    }
    let names = names
        .pax(&[("path", &long)])
        .file("x", "long")
        .pax(&[("path", &component)])
        .file("x", "255 bytes")
        .dir("gnu")
        .gnu(b'L', &gnu)
        .file("gnu/cut", "long")
        .gnu(b'K', &target)
        .symlink("gnu/link", "cut")
        .pax(&[("linkpath", &target)])
        .symlink("pax-link", "cut")
        .pax(&[("linkpath", &long)])
        .hard_link("same-as-long", "cut")
        .dir("odd names")
        .file("odd names/ leading and trailing ", "")
        .file("odd names/new\nline", "")
        .file("odd names/back\\slash", "")
        .file("odd names/\u{fc}ml\u{e4}ut \u{1f980}", "")
        .file("odd names/-rf", "")
        .file("odd names/...", "")
        .dir("targets");
    let odd = ["/", "..", ".", "a//b/", "/no/such", "self", "new\nline", "\u{fc}", " ", "-rf"];
    let names = odd.iter().enumerate().fold(names, |tar, (n, to)| {
        let name = if *to == "self" { "targets/self".to_owned() } else { format!("targets/{n}") };
        tar.symlink(&name, to)
    });
    let map = "3\n0\n4\n1048576\n5\n3145728\n0\n";
    let size = (3 << 20).to_string();
    let sparse = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "sparse/new"),
        ("GNU.sparse.realsize", size.as_str()),
    ];
    let older = [
        ("GNU.sparse.size", size.as_str()),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.map", "4096,5,3145724,4"),
    ];
    let data = [format!("{map:\0<512}").as_bytes(), b"headhello"].concat();
    let holes = Tar::default()
        .dir("sparse")
        .pax(&sparse)
        .entry("sparse/GNUSparseFile.0/new", &Head::default(), &data)
        .pax(&older)
        .entry("sparse/older", &Head::default(), b"helloend.");
    let top = Tar::default()
        .pax(&[("path", parents[0])])
        .dir("x")
        .pax(&[("path", parents[1])])
        .dir("x")
        .pax(&[("path", &format!("{}/.wh.{}", parents[1], "f".repeat(200)))])
        .file("x", "");
    // An empty layer in between.
    equals_umocis(Image { layers: vec![names, holes, Tar::default(), top], touched: &[] }, 30);
}

#[test]
fn kinds_times_and_attributes_are_as_umoci_has_them() {
    // cap_net_raw=ep, as version 2: capabilities(7), struct vfs_cap_data.
    let caps = "\u{1}\0\0\u{2}\0\u{20}\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let timed = |tar: Tar, name: &str, time: &str| tar.pax(&[("mtime", time)]).file(name, time);
    let mut bottom = base()
        .dir("time")
        .pax(&[("SCHILY.xattr.security.capability", caps)])
        .entry("ping", &owned(b'0', 0o755, 0, 0), b"ping")
        .pax(&[("SCHILY.xattr.user.mime", "text/plain"), ("SCHILY.xattr.user.empty", "")])
        .file("described", "x")
        .pax(&[("SCHILY.xattr.user.of", "a directory")])
        .dir("described-dir");
    for (name, time) in [
        ("time/nanoseconds", "1234567890.123456789"),
        ("time/half", "1234567890.5"),
        ("time/zero", "0"),
        ("time/before", "-1"),
        ("time/long-before", "-86400.25"),
        ("time/after-2038", "4102444800.000000001"),
    ] {
        bottom = timed(bottom, name, time);
    }
    let bottom = bottom
        .pax(&[("mtime", "-1.5")])
        .symlink("time/link", "before")
        .file("file-to-dir", "file")
        .dir("dir-to-file")
        .file("dir-to-file/f", "f")
        .dir("dir-to-file/sub")
        .symlink("link-to-dir", "etc")
        .dir("dir-to-link")
        .file("dir-to-link/f", "f")
        .entry("fifo-to-file", &owned(b'6', 0o600, 0, 0), b"")
        .file("file-to-link", "file")
        .dir("there-and-back")
        .file("there-and-back/first", "first")
        .file("kept", "the same through all layers");
    let middle = Tar::default()
        .dir("file-to-dir")
        .file("file-to-dir/inside", "inside")
        .file("dir-to-file", "file")
        // What other tools write for a change of kind: a whiteout beside the new entry.
        .file(".wh.link-to-dir", "")
        .dir("link-to-dir")
        .file("link-to-dir/inside", "inside")
        .symlink("dir-to-link", "etc")
        .file("fifo-to-file", "file")
        .symlink("file-to-link", "kept")
        .file("there-and-back", "file")
        .pax(&[("SCHILY.xattr.security.capability", caps)])
        .entry("pong", &owned(b'0', 0o4755, 0, 0), b"pong")
        .hard_link("pong-again", "pong");
    let top = Tar::default()
        .dir("there-and-back")
        .file("there-and-back/second", "second")
        // Attributes go with the file that is replaced.
        .file("described", "y")
        .dir("described-dir");
    equals_umocis(Image { layers: vec![bottom, middle, top], touched: &[] }, 25);
}
