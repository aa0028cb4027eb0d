//! A token server for a real registry: "Token Authentication Specification" of distribution. The tokens
//! are signed by openssl(1), and the registry verifies them.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::World;
use super::scripted::{Answer, Request, Scripted};

/// `ana:se:cret`, as HTTP sends it.
pub(crate) const BASIC: &str = "Basic YW5hOnNlOmNyZXQ=";

/// How long tokens hold, and how long the server says that they do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Of the first one, from now on; the others hold for five minutes.
    pub(crate) first_s: i64,
    pub(crate) said_s: i64,
}

impl Default for Life {
    fn default() -> Self {
        Life { first_s: 300, said_s: 300 }
    }
}

pub(crate) struct Tokens {
    pub(crate) server: Scripted,
    dir: PathBuf,
}

impl Tokens {
    /// Everybody may pull, `ana` may push as well.
    pub(crate) fn start(world: &World, life: Life) -> Self {
        let dir = world.folder();
        openssl(
            &dir,
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=tokens",
                "-keyout",
                "key.pem",
                "-out",
                "crt.pem",
            ],
            b"",
        );
        let (place, given) = (dir.clone(), AtomicUsize::new(0));
        let server = Scripted::start(move |request| {
            let allowed: &[&str] = match request.authorization() {
                None => &["pull"],
                Some(BASIC) => &["pull", "push"],
                Some(_) => return Answer::new(401),
            };
            let first = given.fetch_add(1, Ordering::SeqCst) == 0;
            let life_s = if first { life.first_s } else { 300 };
            let token = token(&place, &query(request), allowed, life_s);
            let body = json!({"token": token, "expires_in": life.said_s});
            Answer::new(200).body(body.to_string())
        });
        Tokens { server, dir }
    }

    /// For the registry's configuration.
    pub(crate) fn config(&self) -> String {
        format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: a registry\n    issuer: an issuer\n    rootcertbundle: {}/crt.pem\n",
            self.server.host,
            self.dir.display()
        )
    }

    /// The scopes that were asked for, and whether with the login.
    pub(crate) fn asked(&self) -> Vec<(String, bool)> {
        let seen = self.server.seen();
        let scope = |request: &Request| query(request).remove("scope").unwrap_or_default();
        seen.iter().map(|r| (scope(r), r.authorization() == Some(BASIC))).collect()
    }
}

fn token(dir: &Path, query: &HashMap<String, String>, allowed: &[&str], life_s: i64) -> String {
    let scope = &query["scope"];
    let mut parts = scope.splitn(3, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (kind, name, wanted) = (part(), part(), part());
    let actions: Vec<&str> = wanted.split(',').filter(|action| allowed.contains(action)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let now = i64::try_from(now).expect("a time");
    let pem = std::fs::read_to_string(dir.join("crt.pem")).expect("a certificate");
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]});
    let claims = json!({
        "iss": "an issuer", "sub": "", "aud": query["service"], "jti": "1",
        "exp": now + life_s, "nbf": now - 600, "iat": now - 600,
        "access": [{"type": kind, "name": name, "actions": actions}],
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = openssl(dir, &["dgst", "-sha256", "-sign", "key.pem"], signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn query(request: &Request) -> HashMap<String, String> {
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect()
}

/// `application/x-www-form-urlencoded`.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().replace('+', " ");
    for part in parts {
        let code = u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits");
        plain.push(char::from(code));
        plain += &part[2..].replace('+', " ");
    }
    plain
}

fn openssl(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("run openssl");
    child.stdin.take().expect("a pipe").write_all(input).expect("write to openssl");
    let output = child.wait_with_output().expect("wait for openssl");
    assert!(output.status.success(), "openssl {args:?} failed");
    output.stdout
}
