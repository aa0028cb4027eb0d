//! Archives written byte by byte, and a place to take them into.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest as _, Sha256};

/// A tar in the making.
#[derive(Clone, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

/// Fields of a header that tests vary.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: u64,
    pub(crate) size: u64,
    pub(crate) link: String,
}

impl Default for Head {
    fn default() -> Self {
        let link = String::new();
        Head { flag: b'0', mode: 0o644, uid: 0, gid: 0, mtime: 1_000_000_000, size: 0, link }
    }
}

impl Tar {
    pub(crate) fn entry(mut self, name: &str, head: &Head, data: &[u8]) -> Self {
        let mut block = [0_u8; 512];
        assert!(name.len() <= 100 && head.link.len() <= 100);
        block[..name.len()].copy_from_slice(name.as_bytes());
        let mut octal = |range: std::ops::Range<usize>, value: u64| {
            let width = range.len() - 1;
            let text = format!("{value:0width$o}\0");
            block[range].copy_from_slice(text.as_bytes());
        };
        octal(100..108, head.mode.into());
        octal(108..116, head.uid);
        octal(116..124, head.gid);
        octal(124..136, head.size.max(data.len() as u64));
        octal(136..148, head.mtime);
        octal(329..337, 1);
        octal(337..345, 3);
        block[156] = head.flag;
        block[157..157 + head.link.len()].copy_from_slice(head.link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(block);
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, data: &str) -> Self {
        self.entry(name, &Head::default(), data.as_bytes())
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(name, &Head { flag: b'5', mode: 0o755, ..Head::default() }, b"")
    }

    pub(crate) fn symlink(self, name: &str, to: &str) -> Self {
        self.entry(name, &Head { flag: b'2', mode: 0o777, link: to.into(), ..Head::default() }, b"")
    }

    pub(crate) fn hard_link(self, name: &str, to: &str) -> Self {
        self.entry(name, &Head { flag: b'1', link: to.into(), ..Head::default() }, b"")
    }

    /// A PAX header for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut data = String::new();
        for (key, value) in records {
            let body = format!(" {key}={value}\n");
            let mut len = body.len() + 1;
            while len != body.len() + len.to_string().len() {
                len = body.len() + len.to_string().len();
            }
            data += &format!("{len}{body}");
        }
        self.entry("pax", &Head { flag: b'x', ..Head::default() }, data.as_bytes())
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

pub(crate) fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).unwrap()
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An OCI layout in the making; `manifest` and `config` are what goes into the files.
pub(crate) struct Layout {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) config: serde_json::Value,
    pub(crate) manifest: serde_json::Value,
}

impl Layout {
    /// Layers with their media types, from plain tars.
    pub(crate) fn new(layers: &[(&str, Vec<u8>)]) -> Self {
        let mut blobs = BTreeMap::new();
        let mut diff_ids = Vec::new();
        let mut descriptors = Vec::new();
        for (media_type, tar) in layers {
            let blob = match media_type.rsplit_once('+') {
                Some((_, "gzip")) => gzip(tar),
                Some((_, "zstd")) => zstd(tar),
                _ => tar.clone(),
            };
            diff_ids.push(sha256(tar));
            descriptors.push(serde_json::json!({
                "mediaType": media_type, "digest": sha256(&blob), "size": blob.len(),
            }));
            blobs.insert(sha256(&blob), blob);
        }
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": null, "layers": descriptors,
        });
        Layout { blobs, config, manifest }
    }

    /// Writes it as `dir` with the image called `name`.
    pub(crate) fn write(mut self, dir: &Path, name: &str) {
        let config = self.config.to_string().into_bytes();
        if self.manifest["config"].is_null() {
            self.manifest["config"] = serde_json::json!({
                "mediaType": CONFIG, "digest": sha256(&config), "size": config.len(),
            });
        }
        self.blobs.insert(sha256(&config), config);
        let manifest = self.manifest.to_string().into_bytes();
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": MANIFEST, "digest": sha256(&manifest), "size": manifest.len(),
                "annotations": { "org.opencontainers.image.ref.name": name },
            }],
        });
        self.blobs.insert(sha256(&manifest), manifest);
        write_layout(dir, &self.blobs, &index);
    }
}

pub(crate) fn write_layout(
    dir: &Path,
    blobs: &BTreeMap<String, Vec<u8>>,
    index: &serde_json::Value,
) {
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    for (digest, bytes) in blobs {
        fs::write(dir.join("blobs/sha256").join(hex(digest)), bytes).unwrap();
    }
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
}

/// A store of its own beside a canary.
pub(crate) struct Place {
    dir: PathBuf,
    canary: Vec<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("sbx-image-").tempdir().unwrap().keep();
        let canary = dir.join("canary");
        fs::create_dir_all(canary.join("sub")).unwrap();
        fs::write(canary.join("file"), "canary").unwrap();
        fs::write(canary.join("sub/file"), "canary").unwrap();
        fs::write(dir.join("target"), "canary").unwrap();
        let canary = listing(&canary);
        Place { dir, canary }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data/sbx")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        // As in the other tests: what `make test` built, or what cargo did.
        let binary = std::env::var_os("SBX_BIN");
        let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_sbx").into()));
        command
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", &self.dir)
            .env("XDG_DATA_HOME", self.dir.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what must succeed; returns standard output and standard error.
    pub(crate) fn succeed(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "sbx {args:?}: {err}");
        (out, err)
    }

    /// Runs what must succeed and say nothing beside its output, which is returned.
    pub(crate) fn out(&self, args: &[&str]) -> String {
        let (out, err) = self.succeed(args);
        assert_eq!(err, "", "{args:?}");
        out
    }

    /// Runs what must fail with exit code 125 and leave nothing behind; returns standard error.
    pub(crate) fn fail(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(125), "sbx {args:?}: {err}");
        assert!(err.starts_with("sbx: cannot "), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        self.check_clean();
        err
    }

    /// Imports a tar given as bytes, and returns its tree and standard error.
    pub(crate) fn import(&self, tar: &[u8]) -> (PathBuf, String) {
        fs::write(self.path("in.tar"), tar).unwrap();
        let (_, err) = self.succeed(&["import", "in.tar", "x"]);
        self.check_clean();
        (self.layer(tar), err)
    }

    pub(crate) fn import_fails(&self, tar: &[u8]) -> String {
        fs::write(self.path("in.tar"), tar).unwrap();
        let err = self.fail(&["import", "in.tar", "x"]);
        assert_eq!(self.layers(), 0, "{err}");
        err
    }

    /// The tree of a layer, by the plain tar that it is made of.
    pub(crate) fn layer(&self, tar: &[u8]) -> PathBuf {
        self.data().join("layers").join(hex(&sha256(tar)))
    }

    pub(crate) fn layers(&self) -> usize {
        fs::read_dir(self.data().join("layers")).map_or(0, Iterator::count)
    }

    /// Nothing is left of what was staged, and nothing happened outside of the store.
    pub(crate) fn check_clean(&self) {
        assert_eq!(listing(&self.path("canary")), self.canary);
        assert_eq!(fs::read_to_string(self.path("target")).unwrap(), "canary");
        if let Ok(entries) = fs::read_dir(self.data().join("tmp")) {
            let left: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
            assert!(left.iter().all(|name| name == ".lock"), "left behind: {left:?}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = inside("rm").arg("-rf").arg(&self.dir).status();
    }
}

/// A command that sees ids as the store's user namespace does.
pub(crate) fn inside(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-auto", "--", program]);
    command
}

/// All that a tree's files are, but for what is random, a line each.
pub(crate) fn listing(dir: &Path) -> Vec<String> {
    let output = inside("find")
        .arg(dir)
        .args(["-printf", "%P %y %m %U:%G %T@ %n %s -> %l\n"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        // Directories' sizes are the file system's business.
        .map(|line| match line.split_once(" d ") {
            Some((path, rest)) => {
                let fields: Vec<&str> = rest.split(' ').take(3).collect();
                format!("{path} d {}", fields.join(" "))
            }
            None => line.to_owned(),
        })
        .collect();
    lines.sort_unstable();
    lines
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode()
}

pub(crate) fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.mode() & 0o170_000 == 0o020_000 && m.rdev() == 0)
}

pub(crate) fn is_opaque(path: &Path) -> bool {
    xattr(path, "user.overlay.opaque").as_deref() == Some(b"y")
}

pub(crate) fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let n = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(n);
    Some(value)
}
