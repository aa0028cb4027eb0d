//! A connection to one repository of a registry, with what opens it.
//!
//! oci-client would send a login to whatever realm the registry names. It gets tokens, and a
//! password only where the registry itself asks for one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use reqwest::Url;
use serde::Deserialize;

use super::super::reference::Remote;
use super::realm::{self, Challenge};
use super::{ATTEMPTS, Access, certs, errors};
use crate::error::{Error, Result};

const USER_AGENT: &str = concat!("sbx/", env!("CARGO_PKG_VERSION"));
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
const READ_LIMIT: Duration = Duration::from_secs(60);
/// "Token Authentication Specification", expires_in: what holds where nothing is said.
const TOKEN_LIFE_S: u64 = 60;
/// Of a token's answer.
const MAX_TOKEN: usize = 1 << 20;

pub(super) struct Session {
    pub(super) client: Client,
    pub(super) remote: Remote,
    http: reqwest::Client,
    reference: Reference,
    /// May be sent to the registry, or to the realm.
    login: RegistryAuth,
    open: Open,
    operation: RegistryOperation,
    /// Until when the token that oci-client has is used.
    fresh_until: Mutex<Option<Instant>>,
}

/// What opens the registry.
enum Open {
    /// Nothing more: no login is wanted, or oci-client has it.
    Done,
    Token {
        realm: Url,
        service: Option<String>,
        anonymous: bool,
    },
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Session {
    /// Asks the registry how it wants to be asked.
    pub(super) async fn begin(
        remote: &Remote,
        reference: Reference,
        login: RegistryAuth,
        access: &Access,
        operation: RegistryOperation,
    ) -> Result<Self> {
        let http = http_client(&remote.name.domain, access)?;
        let (challenge, protocol) = greet(&http, remote, &reference, access).await?;
        let plain = matches!(protocol, ClientProtocol::Http);
        let client = oci_client(protocol, &remote.name.domain, access)?;
        let mut given = None;
        let open = match challenge {
            // What auth.json has is a token already.
            _ if matches!(login, RegistryAuth::Bearer(_)) => {
                given = Some(login.clone());
                Open::Done
            }
            Challenge::Bearer { realm, service } => {
                judge(remote, &realm, service, &login, access, plain)?
            }
            // A password goes to the registry where it asks for one. oci-client lets it ask again; what
            // it names then it could have told the password itself.
            Challenge::Basic if !matches!(login, RegistryAuth::Anonymous) => {
                given = Some(login.clone());
                Open::Done
            }
            Challenge::Basic | Challenge::Nothing => Open::Done,
        };
        let session = Session {
            client,
            remote: remote.clone(),
            http,
            reference,
            login,
            open,
            operation,
            fresh_until: Mutex::default(),
        };
        if let Some(given) = given {
            session.give(&given).await.map_err(|e| session.explain(&e))?;
        }
        Ok(session)
    }

    pub(super) fn explain(&self, error: &OciDistributionError) -> Error {
        errors::explain(&self.remote, error)
    }

    /// Sees to it that the token lasts for the next request.
    pub(super) async fn freshen(&self) -> Result<()> {
        let Open::Token { realm, service, anonymous } = &self.open else { return Ok(()) };
        let fresh = *self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let mut attempt = 1;
        let (token, life) = loop {
            match self.token(realm, service.as_deref(), *anonymous).await {
                Ok(token) => break token,
                Err(e) if attempt < ATTEMPTS && errors::may_pass(&e) => {
                    tokio::time::sleep(errors::pause(attempt)).await;
                    attempt += 1;
                }
                Err(e) => return Err(errors::no_token(&self.remote, realm, &e)),
            }
        };
        self.give(&RegistryAuth::Bearer(token)).await.map_err(|e| self.explain(&e))?;
        // Early enough for a request that takes a while.
        let until = Instant::now() + life * 3 / 4;
        *self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        Ok(())
    }

    /// The registry did not take the token; whether there may be a better one.
    pub(super) fn expire(&self) -> bool {
        *self.fresh_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        matches!(self.open, Open::Token { .. })
    }

    /// Of all that pushing needs, or all that pulling needs.
    async fn give(&self, auth: &RegistryAuth) -> Result<(), OciDistributionError> {
        self.client.auth(&self.reference, auth, RegistryOperation::Pull).await?;
        // Pushing looks for blobs with the same token.
        if self.operation == RegistryOperation::Push {
            self.client.auth(&self.reference, auth, RegistryOperation::Push).await?;
        }
        Ok(())
    }

    async fn token(
        &self,
        realm: &Url,
        service: Option<&str>,
        anonymous: bool,
    ) -> Result<(String, Duration), OciDistributionError> {
        let actions = match self.operation {
            RegistryOperation::Pull => "pull",
            RegistryOperation::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.reference.repository());
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.map(|service| ("service", service)));
        let mut request = self.http.get(realm.clone()).query(&query);
        if !anonymous && let RegistryAuth::Basic(user, password) = &self.login {
            request = request.basic_auth(user, Some(password));
        }
        let mut response = request.send().await?;
        let status = response.status();
        if !status.is_success() {
            response = response.error_for_status()?;
            let (url, code) = (realm.to_string(), status.as_u16());
            let message = response.status().canonical_reason().unwrap_or_default().to_owned();
            return Err(OciDistributionError::ServerError { code, url, message });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_TOKEN {
                return Err(undecodable("it is too long"));
            }
        }
        // Not serde's own words: they may have part of the token in them.
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|_| undecodable("it is not JSON as specified"))?;
        let life = Duration::from_secs(token.expires_in.unwrap_or(TOKEN_LIFE_S).min(86400));
        let text = token.token.or(token.access_token).ok_or_else(|| undecodable("it has none"))?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(undecodable("it has characters that no token has"));
        }
        Ok((text, life))
    }
}

fn undecodable(why: &str) -> OciDistributionError {
    OciDistributionError::RegistryTokenDecodeError(why.to_owned())
}

/// Whether this realm gets the login; without a login every realm over TLS will do.
fn judge(
    remote: &Remote,
    text: &str,
    service: Option<String>,
    login: &RegistryAuth,
    access: &Access,
    plain: bool,
) -> Result<Open> {
    let host = &remote.name.domain;
    let refused = |why: &str| {
        Error::new(
            format!("cannot log in for {remote} in registry {host}"),
            format!("the registry wants the login sent to {text}, and {why}"),
        )
    };
    let realm = realm::usable(text, plain).map_err(|why| {
        refused(&why).fix(format!("tell who runs {host}; its realm has to be an https:// URL"))
    })?;
    let anonymous = matches!(login, RegistryAuth::Anonymous);
    if !anonymous && !realm::may_have_login(&realm, host, &access.realms) {
        let place = realm::place(&realm);
        return Err(refused("that is another host").fix(format!(
            "sbx logout {host}, to go without a login; if that is its token server: [registries.realms] {host:?} = [{place:?}] in config.toml"
        )));
    }
    Ok(Open::Token { realm, service, anonymous })
}

/// The registry's answer to nobody in particular, and how it was reached.
async fn greet(
    http: &reqwest::Client,
    remote: &Remote,
    reference: &Reference,
    access: &Access,
) -> Result<(Challenge, ClientProtocol)> {
    let host = reference.resolve_registry();
    let mut attempt = 1;
    loop {
        let mut protocol = ClientProtocol::Https;
        let mut answer = http.get(format!("https://{host}/v2/")).send().await;
        if answer.is_err() && !access.verify {
            protocol = ClientProtocol::Http;
            answer = http.get(format!("http://{host}/v2/")).send().await;
        }
        let passing = |r: &reqwest::Response| r.status().is_server_error() || r.status() == 429;
        let error = match answer {
            Ok(response) if !passing(&response) => {
                return Ok((Challenge::of(response.headers()), protocol));
            }
            Ok(response) => match response.error_for_status() {
                Ok(_) => return Ok((Challenge::Nothing, protocol)),
                Err(e) => e,
            },
            Err(e) => e,
        };
        let error = OciDistributionError::from(error);
        if attempt == ATTEMPTS || !errors::may_pass(&error) {
            return Err(errors::explain(remote, &error));
        }
        tokio::time::sleep(errors::pause(attempt)).await;
        attempt += 1;
    }
}

fn http_client(host: &str, access: &Access) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(READ_LIMIT)
        .https_only(access.verify)
        .tls_danger_accept_invalid_certs(!access.verify)
        // Whoever was judged is asked, not whom he names.
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let same = attempt.previous().first().is_some_and(|first| {
                realm::place(first) == realm::place(attempt.url()) && attempt.previous().len() < 5
            });
            if same { attempt.follow() } else { attempt.stop() }
        }));
    let unusable = |e: reqwest::Error| Error::new(format!("cannot reach {host}"), e.to_string());
    let mut roots = Vec::new();
    for certificate in certs::of(host)? {
        roots.push(reqwest::Certificate::from_pem(&certificate.data).map_err(unusable)?);
    }
    builder = builder.tls_certs_merge(roots);
    builder.build().map_err(unusable)
}

fn oci_client(protocol: ClientProtocol, host: &str, access: &Access) -> Result<Client> {
    let mut config = ClientConfig {
        protocol,
        accept_invalid_certificates: !access.verify,
        extra_root_certificates: certs::of(host)?,
        connect_timeout: Some(CONNECT_LIMIT),
        read_timeout: Some(READ_LIMIT),
        user_agent: USER_AGENT,
        // When a token is renewed is decided here.
        default_token_expiration_secs: 86400,
        ..ClientConfig::default()
    };
    if access.verify {
        // A redirect may lead to http://, and oci-client has no say in it: what has no TLS goes by a
        // proxy that nobody can be. Naming one stops the environment's from being read.
        config.http_proxy = Some(errors::NOWHERE.to_owned());
        config.https_proxy = https_proxy(host);
    }
    Client::try_from(config).map_err(|e| Error::new(format!("cannot reach {host}"), e.to_string()))
}

/// The environment's proxy for this host, as curl(1) reads it. Exceptions count for the registry, and
/// then for all that it redirects to: given to oci-client they would be exceptions from TLS as well.
fn https_proxy(host: &str) -> Option<String> {
    let env = |names: [&str; 2]| {
        let set = names.iter().find_map(|name| std::env::var(name).ok());
        set.filter(|value| !value.is_empty())
    };
    let direct = env(["no_proxy", "NO_PROXY"]).unwrap_or_default();
    let name = realm::without_port(host);
    let is_direct =
        direct.split(',').map(|entry| entry.trim().trim_start_matches('.')).any(|entry| {
            let below =
                name.strip_suffix(entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            entry == "*" || (!entry.is_empty() && below)
        });
    let proxy = env(["https_proxy", "HTTPS_PROXY"]).or_else(|| env(["all_proxy", "ALL_PROXY"]));
    proxy.filter(|_| !is_direct)
}
