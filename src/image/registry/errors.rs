//! What went wrong, with the registry, the reference and what to do.

use std::error::Error as _;
use std::time::Duration;

use oci_client::errors::{OciDistributionError, OciErrorCode};
use reqwest::Url;

use super::super::reference::Remote;
use crate::error::Error;

/// A proxy that nobody can be: there is no port 0.
pub(super) const NOWHERE: &str = "http://127.0.0.1:0";

/// Whether the same request may succeed a little later.
pub(super) fn may_pass(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RequestError(e) => match e.status() {
            Some(status) => status.is_server_error(),
            None => e.is_timeout() || (!e.is_connect() && !is_tls(e)),
        },
        OciDistributionError::ServerError { code, .. } => *code >= 500 || *code == 429,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|e| matches!(e.code, OciErrorCode::Toomanyrequests))
        }
        OciDistributionError::IoError(_) => true,
        _ => false,
    }
}

/// Whether the registry does not take a token, or has had none.
pub(super) fn is_unauthorised(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::ServerError { code: 401, .. } => true,
        OciDistributionError::RequestError(e) => e.status().is_some_and(|status| status == 401),
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|e| matches!(e.code, OciErrorCode::Unauthorized))
        }
        _ => false,
    }
}

/// Longer each time: 0.2 s, 0.4 s, 0.8 s and so on.
pub(super) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(100) * 2u32.saturating_pow(attempt.min(6))
}

fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).to_ascii_lowercase().contains("certificate")
}

/// Whether a redirect led to where [`NOWHERE`] keeps from. Which connection failed is in hyper's
/// debug text alone.
fn leads_out_of_tls(error: &reqwest::Error) -> bool {
    let nowhere = NOWHERE.trim_start_matches("http://");
    error.is_connect() && format!("{error:?}").contains(&format!("{nowhere},"))
}

/// An error with its causes: reqwest's own text names the URL only.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        if text.to_ascii_lowercase().contains("certificate") {
            break;
        }
        cause = inner.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

/// A token server's refusal, or its absence.
pub(super) fn no_token(remote: &Remote, realm: &Url, error: &OciDistributionError) -> Error {
    let (host, server) = (&remote.name.domain, super::realm::place(realm));
    let what = format!("cannot get a token for {remote} from {server}, the token server of {host}");
    match error {
        OciDistributionError::RequestError(e) => match e.status().map(|status| status.as_u16()) {
            Some(401 | 403) => unauthorised(what, host),
            Some(code) => Error::new(what, format!("it answers {code}")).fix("try again later"),
            None => Error::new(what, chain(e)).fix(format!("see whether {server} is up")),
        },
        OciDistributionError::ServerError { code, message, .. } => {
            Error::new(what, format!("it answers {code} {message}"))
                .fix(format!("tell who runs {host}"))
        }
        OciDistributionError::RegistryTokenDecodeError(why) => {
            Error::new(what, format!("that is no token: {why}"))
                .fix(format!("tell who runs {host}"))
        }
        other => Error::new(what, other.to_string()).fix("try again later"),
    }
}

pub(super) fn explain(remote: &Remote, error: &OciDistributionError) -> Error {
    let host = &remote.name.domain;
    let what = format!("cannot reach {remote} in registry {host}");
    match error {
        OciDistributionError::RequestError(e) if e.status().is_some() => {
            match e.status().map_or(0, |status| status.as_u16()) {
                401 | 403 => unauthorised(what, host),
                404 => unknown(what, remote),
                code => Error::new(what, format!("it answers {code}")).fix("try again later"),
            }
        }
        OciDistributionError::RequestError(e) if leads_out_of_tls(e) => Error::new(
            what,
            "it redirects to a place without TLS, where whoever is on the way could replace what comes",
        )
        .fix(format!("tell who runs {host}")),
        OciDistributionError::RequestError(e) if is_tls(e) => certificate(what, host, chain(e)),
        OciDistributionError::RequestError(e) if chain(e).contains("InvalidContentType") => {
            Error::new(what, "it does not answer with TLS").fix(format!(
                "--tls-verify=false, or insecure = [{host:?}] below [registries] in config.toml, if it is on this machine"
            ))
        }
        OciDistributionError::RequestError(e) => {
            Error::new(what, chain(e)).fix(format!("see whether {host} is up: curl https://{host}/v2/"))
        }
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => unauthorised(what, host),
        OciDistributionError::ImageManifestNotFoundError(_) => unknown(what, remote),
        OciDistributionError::ServerError { code: 401 | 403, .. } => unauthorised(what, host),
        OciDistributionError::ServerError { code: 404, .. } => unknown(what, remote),
        OciDistributionError::ServerError { code, message, .. } => {
            Error::new(what, format!("it answers {code}: {}", message.trim())).fix("try again later")
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let Some(first) = envelope.errors.first() else {
                return Error::new(what, "it refuses without a reason").fix("try again later");
            };
            match first.code {
                OciErrorCode::Unauthorized | OciErrorCode::Denied => unauthorised(what, host),
                OciErrorCode::ManifestUnknown
                | OciErrorCode::NameUnknown
                | OciErrorCode::BlobUnknown
                | OciErrorCode::NotFound => unknown(what, remote),
                OciErrorCode::Toomanyrequests => Error::new(what, "it has had too many requests")
                    .fix(format!("sbx login {host}, or try again later")),
                _ => Error::new(what, format!("it says {:?}: {}", first.code, first.message)),
            }
        }
        other => Error::new(what, other.to_string()),
    }
}

/// What is wrong with a certificate, in rustls' words: of the reasons behind them there is no type.
fn certificate(what: String, host: &str, why: String) -> Error {
    let name = super::realm::without_port(host);
    if why.contains("CaUsedAsEndEntity") {
        return Error::new(
            what,
            "its certificate is an authority's (CA:TRUE), as openssl req -x509 makes them, and no server's",
        )
        .fix(format!(
            "make it with openssl req -x509 -addext basicConstraints=critical,CA:FALSE \
             -addext subjectAltName=DNS:{name} and more; on this machine, --tls-verify=false"
        ));
    }
    let fix = if why.contains("not valid for name") {
        format!(
            "call the registry by a name in its certificate, or have {name} added to its subjectAltName"
        )
    } else if why.contains("expired") {
        format!(
            "have whoever runs {host} renew the certificate, and look at the clock of this machine: date"
        )
    } else {
        format!(
            "put the registry's CA into ~/.config/containers/certs.d/{host}/ca.crt; on this machine, --tls-verify=false"
        )
    };
    Error::new(what, why).fix(fix)
}

fn unauthorised(what: String, host: &str) -> Error {
    Error::new(what, "it wants a login, or this one may not do that")
        .fix(format!("sbx login {host}"))
}

fn unknown(what: String, remote: &Remote) -> Error {
    Error::new(what, "it has no such image or tag")
        .fix(format!("see what it has: skopeo list-tags docker://{}", remote.name.repository()))
}
