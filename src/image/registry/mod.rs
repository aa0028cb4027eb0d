//! Images in a registry: the distribution-spec's protocol, spoken by oci-client.
//!
//! Its runtime is started here, by the verbs that talk to a registry, and by no other.

pub(crate) mod auth;
mod certs;
mod download;
mod errors;
mod realm;
mod session;
pub(crate) mod upload;

use std::sync::Arc;

use oci_client::Reference;
pub(crate) use oci_client::RegistryOperation as Operation;
use oci_client::client::Client;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use tokio::runtime::Runtime;

use self::session::Session;
use super::digest::Digest;
use super::manifest;
use super::reference::Remote;
use super::source::{Fetch, Incoming};
use crate::error::{Context, Error, Result};

/// A request is tried this often where the failure may pass.
const ATTEMPTS: u32 = 5;
/// What the session has given to oci-client counts, not what a request brings.
const NOTHING_NEW: RegistryAuth = RegistryAuth::Anonymous;

/// A repository of a registry.
pub(crate) struct Registry {
    runtime: Runtime,
    session: Arc<Session>,
}

/// How a registry is reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// `user:password`, before what auth.json says.
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) auth_file: Option<std::path::PathBuf>,
    /// Off: certificates are not verified, and a registry without TLS will do.
    pub(crate) verify: bool,
    /// Hosts beyond its own domain that may be sent the login: token servers.
    pub(crate) realms: Vec<String>,
}

/// Where an image may be had: at a mirror or at its own registry.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) remote: Remote,
    pub(crate) access: Access,
}

impl Registry {
    /// For pulling, or also for pushing.
    pub(crate) fn connect(remote: &Remote, access: &Access, to: Operation) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .what(|| NO_RUNTIME)?;
        let session = Arc::new(begin(&runtime, remote, access, to)?);
        Ok(Registry { runtime, session })
    }

    fn remote(&self) -> &Remote {
        &self.session.remote
    }

    fn reference(&self, digest: Option<&Digest>) -> Reference {
        reference(self.remote(), digest)
    }

    fn label(&self) -> String {
        self.remote().to_string()
    }

    /// The manifest or index of the image: its bytes and their digest.
    pub(crate) fn top(&self) -> Result<(Vec<u8>, Digest)> {
        let bytes = self.manifest(&self.reference(None))?;
        let digest = Digest::of(&bytes);
        if let Some(wanted) = &self.remote().digest
            && *wanted != digest
        {
            let label = format!("the manifest of {}", self.label());
            return Err(super::layer::mismatch(&label, "digest", wanted, &digest));
        }
        Ok((bytes, digest))
    }

    fn manifest(&self, reference: &Reference) -> Result<Vec<u8>> {
        let (bytes, _) = self.with_retries(|client| {
            let accepted = &manifest::ACCEPTED;
            self.runtime.block_on(client.pull_manifest_raw(reference, &NOTHING_NEW, accepted))
        })?;
        if bytes.len() as u64 > manifest::MAX_JSON {
            return Err(Error::new(
                format!("cannot use the manifest of {}", self.label()),
                format!("it is over the limit of {} bytes", manifest::MAX_JSON),
            ));
        }
        Ok(bytes.to_vec())
    }

    fn pause(&self, attempt: u32) {
        self.runtime.block_on(async { tokio::time::sleep(errors::pause(attempt)).await });
    }

    fn with_retries<T>(
        &self,
        mut request: impl FnMut(&Client) -> Result<T, OciDistributionError>,
    ) -> Result<T> {
        let (mut attempt, mut renewed) = (1, false);
        loop {
            let client = self.runtime.block_on(self.session.client())?;
            match request(client) {
                Ok(value) => return Ok(value),
                Err(e) if !renewed && errors::is_unauthorised(&e) && self.session.expire() => {
                    renewed = true;
                }
                Err(e) if attempt < ATTEMPTS && errors::may_pass(&e) => {
                    self.pause(attempt);
                    attempt += 1;
                }
                Err(e) => return Err(self.session.explain(&e)),
            }
        }
    }
}

const NO_RUNTIME: &str = "cannot start the network's threads";

/// The digest of the image's manifest or index as it is now, where the registry says it. For one short
/// question, threads take longer than the answer.
pub(crate) fn digest(remote: &Remote, access: &Access) -> Result<Option<Digest>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.what(|| NO_RUNTIME)?;
    let session = begin(&runtime, remote, access, Operation::Pull)?;
    let named = runtime.block_on(session.digest())?;
    named.map(|digest| Digest::parse(&digest)).transpose()
}

fn begin(runtime: &Runtime, remote: &Remote, access: &Access, to: Operation) -> Result<Session> {
    let host = &remote.name.domain;
    if !access.verify && !is_loopback(host) {
        return Err(Error::new(
            format!("cannot use {host} with --tls-verify=false"),
            "it is not on this machine, and whoever is on the way could replace what it sends",
        )
        .fix(format!("put its CA into ~/.config/containers/certs.d/{host}/ca.crt")));
    }
    let login = match &access.credentials {
        Some((user, password)) => RegistryAuth::Basic(user.clone(), password.clone()),
        None => auth::find(remote, access.auth_file.as_deref())?,
    };
    runtime.block_on(Session::begin(remote, reference(remote, None), login, access, to))
}

/// The image itself, or another manifest of its repository.
fn reference(remote: &Remote, digest: Option<&Digest>) -> Reference {
    let (registry, repository) = (remote.name.domain.clone(), remote.name.path.clone());
    match digest.or(remote.digest.as_ref()) {
        Some(digest) => Reference::with_digest(registry, repository, digest.to_string()),
        None => Reference::with_tag(registry, repository, remote.name.tag.clone()),
    }
}

impl Fetch for Registry {
    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>> {
        Registry::manifest(self, &self.reference(Some(digest)))
    }

    fn stream(&self, digest: &Digest, size: u64) -> Result<Incoming> {
        download::start(self, digest, size)
    }
}

/// `localhost` and the loopback addresses, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn tells_what_is_on_this_machine() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.3.2.1", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1", "example.com:5000", "[2001:db8::1]:1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
