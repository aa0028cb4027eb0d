//! What a registry asks for before it answers, and who may be sent a login for it.
//!
//! A registry names its token server itself: `WWW-Authenticate: Bearer realm="https://…"`, see
//! "Token Authentication Specification" of distribution. Whoever can change that header would get
//! passwords sent to where he likes, which is what CVE-2020-15157 was with a layer's urls.

use http_auth::{ChallengeParser, ChallengeRef};
use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use super::is_loopback;

/// How a registry wants to be asked.
#[derive(Debug)]
pub(super) enum Challenge {
    Nothing,
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// A token is asked for where both would do: it may do less than a password.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut found = Challenge::Nothing;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = value.to_str() else { continue };
            for challenge in ChallengeParser::new(text).flatten() {
                let param = |name| param(&challenge, name);
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    found = Challenge::Basic;
                } else if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = param("realm")
                {
                    return Challenge::Bearer { realm, service: param("service") };
                }
            }
        }
        found
    }
}

fn param(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_unescaped())
}

/// A realm that may be asked: over TLS, or on this machine where the registry has none either.
pub(super) fn usable(realm: &str, plain: bool) -> Result<Url, String> {
    let url = Url::parse(realm).map_err(|e| format!("it is no URL: {e}"))?;
    let place = place(&url);
    match url.scheme() {
        "https" => {}
        "http" if plain && is_loopback(&place) => {}
        _ => return Err("it is not reached over TLS".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a login of its own in it".to_owned());
    }
    Ok(url)
}

/// Whether the login for `registry` may be sent to this realm: to the registry's own host, to one
/// below it, to one in the same domain, as `auth.docker.io` for `docker.io` and `gitlab.com` for
/// `registry.gitlab.com` are, or to one that the user has named.
///
/// What has a name is one host whatever the port, since certificates are for names. On this machine
/// every port may be somebody else's.
pub(super) fn may_have_login(realm: &Url, registry: &str, named: &[String]) -> bool {
    let there = place(realm);
    let (host, own) = (without_port(&there), without_port(registry));
    if named.iter().any(|name| *name == there || *name == host) {
        return true;
    }
    if is_loopback(registry) || is_loopback(&there) {
        return there == registry;
    }
    let below = |domain: &str| {
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !is_address(own) && (below(own) || domain(own).is_some_and(below)) || host == own
}

/// The domain of a host of three labels or more. Without the list of public suffixes a domain that
/// looks like one (`co.uk`, `com.au`) is taken for one.
fn domain(host: &str) -> Option<&str> {
    let (_, parent) = host.split_once('.')?;
    let (rest, top) = parent.rsplit_once('.')?;
    let second = rest.rsplit('.').next().unwrap_or(rest);
    let public = !rest.contains('.') && top.len() == 2 && second.len() <= 3;
    (!public).then_some(parent)
}

/// `host` or `host:port`, as registries are written.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

pub(super) fn without_port(place: &str) -> &str {
    match place.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => place,
    }
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(registry: &str, realm: &str) -> bool {
        may_have_login(&Url::parse(realm).unwrap(), registry, &[])
    }

    #[test]
    fn a_login_goes_to_the_registrys_own_domain() {
        for (registry, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("registry-1.docker.io", "https://auth.docker.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("registry.example.com", "https://gitlab.example.com/jwt/auth"),
            ("quay.io", "https://quay.io/v2/auth"),
            ("git.example.com:5050", "https://git.example.com/jwt/auth"),
            ("10.0.0.1:5000", "https://10.0.0.1/token"),
            ("localhost:5000", "http://localhost:5000/token"),
            ("registry.dev.example.co.uk", "https://auth.dev.example.co.uk/"),
        ] {
            assert!(trusted(registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn and_nowhere_else() {
        for (registry, realm) in [
            ("docker.io", "https://auth.docker.io.evil.example/token"),
            ("docker.io", "https://evildocker.io/token"),
            ("registry.example.com", "https://evil.com/"),
            ("registry.example.com", "https://evilexample.com/"),
            ("example.com", "https://other.com/"),
            ("example.co.uk", "https://other.co.uk/"),
            ("10.0.0.1:5000", "https://20.0.0.1/"),
            ("10.0.0.1", "https://2.10.0.0.1.example/"),
            ("localhost:5000", "http://localhost:5001/token"),
            ("localhost:5000", "http://127.0.0.1:5000/token"),
            ("registry.example.com", "https://localhost/token"),
        ] {
            assert!(!trusted(registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn a_named_realm_is_as_good() {
        let realm = Url::parse("https://api.other.example/token").unwrap();
        for (named, is) in [("api.other.example", true), ("other.example", false)] {
            assert_eq!(may_have_login(&realm, "registry.example", &[named.to_owned()]), is);
        }
    }

    #[test]
    fn a_realm_is_reached_over_tls() {
        assert!(usable("https://a.example/token", false).is_ok());
        assert!(usable("http://localhost:1/token", true).is_ok());
        for bad in ["http://a.example/token", "file:///etc/passwd", "/token", "https://u:p@a/"] {
            assert!(usable(bad, true).is_err(), "{bad}");
        }
        assert!(usable("http://localhost:1/token", false).is_err());
    }

    #[test]
    fn challenges_are_read() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            format!("{:?}", Challenge::of(&headers))
        };
        assert_eq!(of(&[]), "Nothing");
        assert_eq!(of(&["Basic realm=\"x\""]), "Basic");
        let both = of(&["Basic realm=\"x\"", "Bearer realm=\"https://a/\",service=\"s\""]);
        assert!(both.contains("https://a/") && both.contains("\"s\""), "{both}");
        assert_eq!(of(&["Bearer service=\"s\""]), "Nothing");
    }
}
