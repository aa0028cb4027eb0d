//! A real registry on loopback: Debian's docker-registry, for as long as the value lives.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Sbx, World, process};

/// `ana` with the password `se:cret`; htpasswd(1), bcrypt.
const HTPASSWD: &str = "ana:$2y$05$oSHg24L05DepoL4nVZaxkuqfJxhWeIjlw3beTbUu02Ek4bv7vU5Ni\n";

pub(crate) const PLAIN: &str = "--tls-verify=false";

/// sbx with an empty store beside the world's own.
pub(crate) fn elsewhere<'w>(world: &'w World, dir: &Path, args: &[&str]) -> Sbx<'w> {
    world.sbx(args).env("XDG_DATA_HOME", dir)
}

/// Of the manifests in a store.
pub(crate) fn digests(store: &Path) -> Vec<String> {
    let index = std::fs::read_to_string(store.join("sbx/images/index.json")).expect("an index");
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    let all = index["manifests"].as_array().expect("manifests").iter();
    all.map(|m| m["digest"].as_str().expect("a digest").to_owned()).collect()
}

/// What a registry with TLS shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// For localhost, of an authority of its own.
    #[default]
    Good,
    Expired,
    /// For another name.
    OtherName,
    /// An authority's own: what `openssl req -x509` makes where nothing else is said.
    Authority,
    /// Its own authority, and a server's all the same.
    SelfSigned,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) login: bool,
    pub(crate) tls: bool,
    pub(crate) certificate: Certificate,
    /// Blobs are elsewhere: below this URL, under the path that they have in [`Registry::store`].
    pub(crate) redirect: Option<String>,
    /// The part of the configuration that says who may do what.
    pub(crate) auth: Option<String>,
}

pub(crate) struct Registry {
    child: Child,
    /// `localhost:PORT`.
    pub(crate) host: String,
    dir: PathBuf,
}

impl Registry {
    pub(crate) fn start(world: &World, options: &Options) -> Self {
        Registry::serve(world.folder(), options)
    }

    /// The same content, served otherwise and at another port.
    pub(crate) fn again(mut self, options: &Options) -> Self {
        Registry::serve(std::mem::take(&mut self.dir), options)
    }

    fn serve(dir: PathBuf, options: &Options) -> Self {
        let program = std::env::var_os("SBX_REGISTRY").map(PathBuf::from);
        let program = program.unwrap_or_else(|| "docker-registry".into());
        let port = free_port();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nvalidation: {{disabled: true}}\nstorage:\n  delete: {{enabled: true}}\n  filesystem:\n    rootdirectory: {}/store\nhttp:\n  addr: 127.0.0.1:{port}\n",
            dir.display()
        );
        if options.tls {
            if !dir.join("own.crt").exists() {
                certificate(&dir, options.certificate);
            }
            config += &format!(
                "  tls:\n    certificate: {0}/own.crt\n    key: {0}/own.key\n",
                dir.display()
            );
        }
        if options.login {
            std::fs::write(dir.join("htpasswd"), HTPASSWD).expect("write htpasswd");
            config += &format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}/htpasswd\n",
                dir.display()
            );
        }
        config += options.auth.as_deref().unwrap_or_default();
        if let Some(url) = &options.redirect {
            config += &format!(
                "middleware:\n  storage:\n  - name: redirect\n    options: {{baseurl: {url:?}}}\n"
            );
        }
        let file = dir.join("config.yml");
        std::fs::write(&file, config).expect("write the registry's configuration");
        let mut child = Command::new(program)
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start docker-registry. Fix: make test");
        process::until("the registry listens", || {
            assert!(child.try_wait().expect("look at the registry").is_none(), "it ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Registry { child, host: format!("localhost:{port}"), dir }
    }

    /// sbx takes its certificate from now on.
    pub(crate) fn trust(&self, world: &World) {
        let dir = world.path("config/containers/certs.d").join(&self.host);
        std::fs::create_dir_all(&dir).expect("make certs.d");
        std::fs::copy(self.certificate(), dir.join("ca.crt")).expect("copy the certificate");
    }

    /// The certificate of its own authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// What is in the registry.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// The bytes of a blob, where the registry keeps them.
    pub(crate) fn blob(&self, hex: &str) -> PathBuf {
        let blobs = self.store().join("docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Puts a manifest or index there that no client would.
    pub(crate) fn put(&self, world: &World, place: &str, media_type: &str, document: &str) {
        let status = Command::new("curl")
            .args(["-sf", "-X", "PUT", "-H", &format!("Content-Type: {media_type}")])
            .arg("--data-binary")
            .arg(format!("@{}", world.file(document).display()))
            .arg(format!("http://{}/v2/{place}", self.host))
            .stdout(Stdio::null())
            .status()
            .expect("run curl");
        assert!(status.success(), "the registry does not take {place}");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// `ca.crt`, which a client has to trust, and the server's own.
fn certificate(dir: &Path, kind: Certificate) {
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = ["req", "-x509", "-subj", "/CN=an authority", "-days", "2"];
    let own = ["-keyout", "own.key", "-out"];
    let name = if kind == Certificate::OtherName { "other.example" } else { "localhost" };
    let subject = ["-subj", "/CN=localhost", "-addext"];
    let names = format!("subjectAltName=DNS:{name}");
    match kind {
        Certificate::Authority | Certificate::SelfSigned => {
            let mut args = vec!["req", "-x509", "-days", "2"];
            args.extend(new.iter().chain(&subject).chain(&[names.as_str()]));
            if kind == Certificate::SelfSigned {
                args.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
            }
            args.extend(own.iter().chain(&["own.crt"]));
            openssl(dir, &args);
            std::fs::copy(dir.join("own.crt"), dir.join("ca.crt")).expect("copy a certificate");
        }
        Certificate::Good | Certificate::Expired | Certificate::OtherName => {
            let mut args = authority.to_vec();
            args.extend(new.iter().chain(&["-keyout", "ca.key", "-out", "ca.crt"]));
            openssl(dir, &args);
            let mut args = vec!["req", "-new", "-subj", "/CN=localhost"];
            args.extend(new.iter().chain(&own).chain(&["own.csr"]));
            openssl(dir, &args);
            let config = format!(
                "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nrand_serial=yes\nnew_certs_dir=.\n\
                 default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\n\
                 basicConstraints=critical,CA:FALSE\n{names}\n"
            );
            std::fs::write(dir.join("ca.cnf"), config).expect("write ca.cnf");
            std::fs::write(dir.join("index.txt"), "").expect("write index.txt");
            let mut args = vec!["ca", "-config", "ca.cnf", "-batch", "-notext"];
            args.extend([
                "-cert", "ca.crt", "-keyfile", "ca.key", "-in", "own.csr", "-out", "own.crt",
            ]);
            args.extend(["-startdate", "20200101000000Z", "-enddate"]);
            args.push(if kind == Certificate::Expired {
                "20210101000000Z"
            } else {
                "20490101000000Z"
            });
            openssl(dir, &args);
        }
    }
}

fn openssl(dir: &Path, args: &[&str]) {
    let output = Command::new("openssl").args(args).current_dir(dir).output().expect("run openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {said}");
}

/// Between a client and a registry: cuts the first long answers short.
pub(crate) struct Cutter {
    pub(crate) host: String,
    pub(crate) cuts: Arc<AtomicUsize>,
}

impl Cutter {
    /// The first `times` connections on which over `after` bytes come back end there.
    pub(crate) fn before(registry: &Registry, times: usize, after: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = format!("localhost:{}", listener.local_addr().expect("its number").port());
        let (target, cuts) = (registry.host.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&cuts);
        // The threads end with the connections, the last one with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&target) else { continue };
                let count = Arc::clone(&count);
                std::thread::spawn(move || relay(client, server, &count, times, after));
            }
        });
        Cutter { host, cuts }
    }
}

fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    cuts: &AtomicUsize,
    times: usize,
    after: u64,
) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut passed, mut buffer) = (0, [0; 16 << 10]);
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        passed += n as u64;
        if passed > after && cuts.fetch_add(1, Ordering::SeqCst) < times {
            break;
        }
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = server.shutdown(std::net::Shutdown::Both);
}
