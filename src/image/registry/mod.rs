//! Images in a registry: the distribution-spec's protocol, spoken by oci-client.
//!
//! Its runtime is started here, by the verbs that talk to a registry, and by no other.

pub(crate) mod auth;
mod certs;
mod download;
mod errors;
pub(crate) mod upload;

use std::time::Duration;

use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use tokio::runtime::Runtime;

use super::digest::Digest;
use super::manifest;
use super::reference::Remote;
use super::source::{Fetch, Incoming};
use crate::error::{Context, Error, Result};

/// A request is tried this often where the failure may pass.
const ATTEMPTS: u32 = 5;

/// A repository of a registry.
pub(crate) struct Registry {
    runtime: Runtime,
    client: Client,
    auth: RegistryAuth,
    remote: Remote,
}

/// How a registry is reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// `user:password`, before what auth.json says.
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) auth_file: Option<std::path::PathBuf>,
    /// Off: certificates are not verified, and a registry without TLS will do.
    pub(crate) verify: bool,
}

impl Registry {
    pub(crate) fn connect(remote: &Remote, access: &Access) -> Result<Self> {
        let host = &remote.name.domain;
        if !access.verify && !is_loopback(host) {
            return Err(Error::new(
                format!("cannot use {host} with --tls-verify=false"),
                "it is not on this machine, and whoever is on the way could replace what it sends",
            )
            .fix(format!("put its CA into ~/.config/containers/certs.d/{host}/ca.crt")));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .what(|| "cannot start the network's threads")?;
        let auth = match &access.credentials {
            Some((user, password)) => RegistryAuth::Basic(user.clone(), password.clone()),
            None => auth::find(remote, access.auth_file.as_deref())?,
        };
        let extra = certs::of(host)?;
        let client = |protocol| {
            Client::new(ClientConfig {
                protocol,
                accept_invalid_certificates: !access.verify,
                extra_root_certificates: extra.clone(),
                connect_timeout: Some(Duration::from_secs(30)),
                read_timeout: Some(Duration::from_secs(60)),
                user_agent: concat!("sbx/", env!("CARGO_PKG_VERSION")),
                ..ClientConfig::default()
            })
        };
        let mut registry = Registry {
            runtime,
            client: client(ClientProtocol::Https),
            auth,
            remote: remote.clone(),
        };
        if !access.verify && registry.speaks_no_tls() {
            registry.client = client(ClientProtocol::Http);
        }
        Ok(registry)
    }

    /// Whether a request over TLS fails before there is an answer.
    fn speaks_no_tls(&self) -> bool {
        let reference = self.reference(None);
        let tried = self.runtime.block_on(self.client.auth(
            &reference,
            &RegistryAuth::Anonymous,
            RegistryOperation::Pull,
        ));
        matches!(tried, Err(OciDistributionError::RequestError(_)))
    }

    /// The image itself, or another manifest of its repository.
    fn reference(&self, digest: Option<&Digest>) -> Reference {
        let (registry, repository) =
            (self.remote.name.domain.clone(), self.remote.name.path.clone());
        match digest.or(self.remote.digest.as_ref()) {
            Some(digest) => Reference::with_digest(registry, repository, digest.to_string()),
            None => Reference::with_tag(registry, repository, self.remote.name.tag.clone()),
        }
    }

    fn label(&self) -> String {
        self.remote.to_string()
    }

    /// The digest of the image's manifest or index as it is now.
    pub(crate) fn digest(&self) -> Result<Digest> {
        let reference = self.reference(None);
        let found = self.with_retries(|| {
            self.runtime.block_on(self.client.fetch_manifest_digest(&reference, &self.auth))
        })?;
        Digest::parse(&found)
    }

    /// The manifest or index of the image: its bytes and their digest.
    pub(crate) fn top(&self) -> Result<(Vec<u8>, Digest)> {
        let bytes = self.manifest(&self.reference(None))?;
        let digest = Digest::of(&bytes);
        if let Some(wanted) = &self.remote.digest
            && *wanted != digest
        {
            let label = format!("the manifest of {}", self.label());
            return Err(super::layer::mismatch(&label, "digest", wanted, &digest));
        }
        Ok((bytes, digest))
    }

    fn manifest(&self, reference: &Reference) -> Result<Vec<u8>> {
        let (bytes, _) = self.with_retries(|| {
            self.runtime.block_on(self.client.pull_manifest_raw(
                reference,
                &self.auth,
                &manifest::ACCEPTED,
            ))
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
        mut request: impl FnMut() -> Result<T, OciDistributionError>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            match request() {
                Ok(value) => return Ok(value),
                Err(e) if attempt < ATTEMPTS && errors::may_pass(&e) => {
                    self.pause(attempt);
                    attempt += 1;
                }
                Err(e) => return Err(errors::explain(&self.remote, &e)),
            }
        }
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
