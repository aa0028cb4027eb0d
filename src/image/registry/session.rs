//! A connection to one repository of a registry, with what opens it.
//!
//! oci-client would send a login to whatever realm the registry names. It gets tokens, and a
//! password only where the registry itself asks for one.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use reqwest::Url;
use serde::Deserialize;

use super::super::manifest;
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
    /// Made when it is needed: that alone takes as long as to ask for a digest.
    client: OnceLock<Client>,
    protocol: ClientProtocol,
    access: Access,
    pub(super) remote: Remote,
    http: reqwest::Client,
    reference: Reference,
    /// May be sent to the registry, or to the realm.
    login: RegistryAuth,
    open: Open,
    operation: RegistryOperation,
    token: Mutex<Option<HeldToken>>,
}

/// A token, and what became of it.
#[derive(Clone)]
struct HeldToken {
    text: String,
    /// Until when it is used: early enough for a request that takes a while.
    until: Instant,
    /// Whether oci-client has it.
    given: bool,
}

/// What opens the registry.
enum Open {
    /// No login is wanted, or there is none.
    Nothing,
    /// What the login is.
    Login,
    Token(Wanted),
}

/// A token that has to be fetched.
struct Wanted {
    realm: Url,
    service: Option<String>,
    anonymous: bool,
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
        let open = match challenge {
            // What auth.json has is a token already.
            _ if matches!(login, RegistryAuth::Bearer(_)) => Open::Login,
            Challenge::Bearer { realm, service } => {
                judge(remote, &realm, service, &login, access, plain)?
            }
            // A password goes to the registry where it asks for one. oci-client lets it ask again; what
            // it names then it could have told the password itself.
            Challenge::Basic if !matches!(login, RegistryAuth::Anonymous) => Open::Login,
            Challenge::Basic | Challenge::Nothing => Open::Nothing,
        };
        Ok(Session {
            client: OnceLock::new(),
            protocol,
            access: access.clone(),
            remote: remote.clone(),
            http,
            reference,
            login,
            open,
            operation,
            token: Mutex::default(),
        })
    }

    pub(super) fn explain(&self, error: &OciDistributionError) -> Error {
        errors::explain(&self.remote, error)
    }

    /// oci-client, with a token or a login that lasts for the next request.
    pub(super) async fn client(&self) -> Result<&Client> {
        let (client, new) = match self.client.get() {
            Some(client) => (client, false),
            None => {
                let host = &self.remote.name.domain;
                let made = oci_client(&self.protocol, host, &self.access)?;
                (self.client.get_or_init(|| made), true)
            }
        };
        let given = match &self.open {
            Open::Nothing => None,
            Open::Login => new.then(|| self.login.clone()),
            Open::Token(wanted) => {
                let held = self.fresh_token(wanted).await?;
                (!held.given).then_some(RegistryAuth::Bearer(held.text))
            }
        };
        if let Some(given) = given {
            self.give(client, &given).await.map_err(|e| self.explain(&e))?;
            if let Some(held) = &mut *self.held() {
                held.given = true;
            }
        }
        Ok(client)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<HeldToken>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, renewed where it will not last.
    async fn fresh_token(&self, wanted: &Wanted) -> Result<HeldToken> {
        let held = self.held().clone();
        if let Some(held) = held.filter(|held| Instant::now() < held.until) {
            return Ok(held);
        }
        let (text, life) = self.new_token(wanted).await?;
        let held = HeldToken { text, until: Instant::now() + life * 3 / 4, given: false };
        *self.held() = Some(held.clone());
        Ok(held)
    }

    async fn new_token(&self, wanted: &Wanted) -> Result<(String, Duration)> {
        let mut attempt = 1;
        loop {
            match self.token(wanted).await {
                Ok(token) => return Ok(token),
                Err(e) if attempt < ATTEMPTS && errors::may_pass(&e) => {
                    tokio::time::sleep(errors::pause(attempt)).await;
                    attempt += 1;
                }
                Err(e) => return Err(errors::no_token(&self.remote, &wanted.realm, &e)),
            }
        }
    }

    /// The registry did not take the token; whether there may be a better one.
    pub(super) fn expire(&self) -> bool {
        *self.held() = None;
        matches!(self.open, Open::Token(_))
    }

    /// Of all that pushing needs, or all that pulling needs.
    async fn give(&self, client: &Client, auth: &RegistryAuth) -> Result<(), OciDistributionError> {
        client.auth(&self.reference, auth, RegistryOperation::Pull).await?;
        // Pushing looks for blobs with the same token.
        if self.operation == RegistryOperation::Push {
            client.auth(&self.reference, auth, RegistryOperation::Push).await?;
        }
        Ok(())
    }

    /// The digest that the registry names for the image. `None` where it does not answer with one:
    /// what is wrong then is told by whoever asks for the image itself.
    pub(super) async fn digest(&self) -> Result<Option<String>> {
        let scheme = if matches!(self.protocol, ClientProtocol::Http) { "http" } else { "https" };
        let (host, path) = (self.reference.resolve_registry(), self.reference.repository());
        let tag = self.reference.digest().or_else(|| self.reference.tag()).unwrap_or("latest");
        let mut request = self
            .http
            .head(format!("{scheme}://{host}/v2/{path}/manifests/{tag}"))
            .header(reqwest::header::ACCEPT, manifest::ACCEPTED.join(", "));
        request = match (&self.open, &self.login) {
            (Open::Token(wanted), _) => request.bearer_auth(self.fresh_token(wanted).await?.text),
            (Open::Login, RegistryAuth::Bearer(token)) => request.bearer_auth(token),
            (Open::Login, RegistryAuth::Basic(user, password)) => {
                request.basic_auth(user, Some(password))
            }
            _ => request,
        };
        let Ok(answer) = request.send().await else { return Ok(None) };
        let digest = answer.headers().get("docker-content-digest");
        let digest = digest.filter(|_| answer.status().is_success());
        Ok(digest.and_then(|digest| digest.to_str().ok()).map(str::to_owned))
    }

    async fn token(&self, wanted: &Wanted) -> Result<(String, Duration), OciDistributionError> {
        let Wanted { realm, service, anonymous } = wanted;
        let actions = match self.operation {
            RegistryOperation::Pull => "pull",
            RegistryOperation::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.reference.repository());
        let mut query = vec![("scope", scope.as_str())];
        query.extend(service.as_deref().map(|service| ("service", service)));
        let mut request = self.http.get(realm.clone()).query(&query);
        if !*anonymous && let RegistryAuth::Basic(user, password) = &self.login {
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
    Ok(Open::Token(Wanted { realm, service, anonymous }))
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
        // On this machine without TLS first: to get TLS ready takes many times as long as to ask. A
        // server that has it answers with 400, or with a redirect.
        if !access.verify
            && let Ok(response) = http.get(format!("http://{host}/v2/")).send().await
            && (response.status().is_success() || response.status() == 401)
        {
            return Ok((Challenge::of(response.headers()), ClientProtocol::Http));
        }
        let mut answer = http.get(format!("https://{host}/v2/")).send().await;
        let mut protocol = ClientProtocol::Https;
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

fn oci_client(protocol: &ClientProtocol, host: &str, access: &Access) -> Result<Client> {
    let mut config = ClientConfig {
        protocol: protocol.clone(),
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
