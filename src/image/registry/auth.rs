//! Credentials in auth.json, as podman and docker write and read it: containers-auth.json(5).

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::reference::Remote;
use crate::error::{Context, Error, Result};

/// What docker calls its own registry in there.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, Default, Serialize, Deserialize)]
struct AuthFile {
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    auths: Map<String, Value>,
    #[serde(default, rename = "credHelpers", skip_serializing_if = "Map::is_empty")]
    helpers: Map<String, Value>,
    #[serde(default, rename = "credsStore", skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FromHelper {
    username: String,
    secret: String,
}

/// Where a login is written to: what was given, `REGISTRY_AUTH_FILE`, or podman's place.
pub(crate) fn path(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os("REGISTRY_AUTH_FILE") {
        return Ok(path.into());
    }
    let base = directories::BaseDirs::new().ok_or_else(|| {
        Error::new("cannot find a home directory", "HOME is not set").fix("export HOME=/home/USER")
    })?;
    Ok(match base.runtime_dir() {
        Some(dir) => dir.join("containers/auth.json"),
        None => base.config_dir().join("containers/auth.json"),
    })
}

/// All files that may know, in podman's order.
fn places(given: Option<&Path>) -> Result<Vec<PathBuf>> {
    let first = path(given)?;
    if given.is_some() {
        return Ok(vec![first]);
    }
    let mut all = vec![first];
    if let Some(base) = directories::BaseDirs::new() {
        all.push(base.config_dir().join("containers/auth.json"));
        let docker = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        all.push(docker.unwrap_or_else(|| base.home_dir().join(".docker")).join("config.json"));
    }
    all.dedup();
    Ok(all)
}

pub(super) fn find(remote: &Remote, given: Option<&Path>) -> Result<RegistryAuth> {
    for place in places(given)? {
        let file = read(&place)?;
        if let Some(found) = file.find(&remote.name.domain, &remote.name.path, &place)? {
            return Ok(found);
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// The name of whoever is logged in.
pub(crate) fn user(host: &str, given: Option<&Path>) -> Result<Option<String>> {
    for place in places(given)? {
        if let Some(RegistryAuth::Basic(user, _)) = read(&place)?.find(host, "", &place)? {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

/// Writes a login down.
pub(crate) fn store(host: &str, user: &str, password: &str, file: &Path) -> Result<()> {
    let mut auth = read(file)?;
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    auth.auths.insert(host.to_owned(), json!({ "auth": encoded }));
    auth.write(file)
}

/// Takes a login away, or all; whether there was one.
pub(crate) fn forget(host: Option<&str>, file: &Path) -> Result<bool> {
    let mut auth = read(file)?;
    let before = auth.auths.len();
    match host {
        Some(host) => auth.auths.retain(|key, _| !is_for(key, host)),
        None => auth.auths.clear(),
    }
    let some = auth.auths.len() < before;
    if some {
        auth.write(file)?;
    }
    Ok(some)
}

fn read(path: &Path) -> Result<AuthFile> {
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(AuthFile::default()),
        other => other.what(|| format!("cannot read {}", path.display()))?,
    };
    serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(format!("cannot use {}", path.display()), e.to_string())
            .fix(format!("mend it, or mv {0} {0}.old", path.display()))
    })
}

/// Whether a key of the file names this host.
fn is_for(key: &str, host: &str) -> bool {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://");
    let key_host = bare.split('/').next().unwrap_or_default();
    key_host == host || (host == "docker.io" && key == DOCKER_HUB)
}

impl AuthFile {
    fn find(&self, host: &str, repository: &str, file: &Path) -> Result<Option<RegistryAuth>> {
        // The most specific first: host/a/b, host/a, host.
        let mut path = format!("{host}/{repository}");
        loop {
            if let Some(entry) = self.auths.get(path.trim_end_matches('/')) {
                return decode(entry, host, file);
            }
            match path.rfind('/') {
                Some(slash) => path.truncate(slash),
                None => break,
            }
        }
        if let Some(helper) = self.helpers.get(host).and_then(Value::as_str) {
            return ask(helper, host);
        }
        let old = self.auths.iter().find(|(key, _)| {
            // Keys of old docker versions are URLs.
            key.contains("://") && is_for(key, host)
        });
        if let Some((_, entry)) = old.filter(|(_, entry)| entry.get("auth").is_some()) {
            return decode(entry, host, file);
        }
        let known = old.is_some() || self.auths.keys().any(|key| is_for(key, host));
        match &self.store {
            Some(store) if known => ask(store, if host == "docker.io" { DOCKER_HUB } else { host }),
            _ => Ok(None),
        }
    }

    /// Only the caller may read it.
    fn write(&self, path: &Path) -> Result<()> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        let what = || format!("cannot write {}", path.display());
        if let Some(dir) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).what(what)?;
        }
        let bytes =
            serde_json::to_vec_pretty(self).map_err(|e| Error::new(what(), e.to_string()))?;
        let new = path.with_extension(format!("new.{}", std::process::id()));
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .what(what)?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        written.and_then(|()| std::fs::rename(&new, path)).what(what).inspect_err(|_| {
            let _ = std::fs::remove_file(&new);
        })
    }
}

fn decode(entry: &Value, host: &str, file: &Path) -> Result<Option<RegistryAuth>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    if let Some(token) = text("registrytoken") {
        return Ok(Some(RegistryAuth::Bearer(token.to_owned())));
    }
    if let Some((user, password)) = text("username").zip(text("password")) {
        return Ok(Some(RegistryAuth::Basic(user.to_owned(), password.to_owned())));
    }
    let Some(encoded) = text("auth") else { return Ok(None) };
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // Never the text itself: it is a secret.
    let pair = decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(|| {
        Error::new(
            format!("cannot use the login for {host} in {}", file.display()),
            "it is not base64 of user:password",
        )
        .fix(format!("sbx login {host}"))
    })?;
    Ok(Some(RegistryAuth::Basic(pair.0.to_owned(), pair.1.trim_end_matches('\0').to_owned())))
}

/// docker-credential-helpers: the server on standard input, JSON on standard output.
fn ask(helper: &str, server: &str) -> Result<Option<RegistryAuth>> {
    let program = format!("docker-credential-{helper}");
    let what = || format!("cannot get a login for {server} from {program}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .what(what)?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().what(what)?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("credentials not found") {
        return Ok(None);
    }
    if !output.status.success() {
        return Err(Error::new(what(), said.trim().to_owned()));
    }
    let found: FromHelper =
        serde_json::from_str(&said).map_err(|e| Error::new(what(), e.to_string()))?;
    Ok(Some(RegistryAuth::Basic(found.username, found.secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> AuthFile {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_most_specific_entry_counts() {
        let file = file(
            r#"{"auths":{"r.example":{"auth":"YTpiCg=="},"r.example/team":{"auth":"Yzpk"}},"x":1}"#,
        );
        let find = |repository| file.find("r.example", repository, Path::new("f")).unwrap();
        assert_eq!(find("team/app"), Some(RegistryAuth::Basic("c".into(), "d".into())));
        assert_eq!(find("other"), Some(RegistryAuth::Basic("a".into(), "b\n".into())));
        assert_eq!(file.find("other.example", "x", Path::new("f")).unwrap(), None);
    }

    #[test]
    fn dockers_own_key_is_known() {
        let file = file(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}"#);
        let found = file.find("docker.io", "library/x", Path::new("f")).unwrap();
        assert_eq!(found, Some(RegistryAuth::Basic("a".into(), "b".into())));
    }

    #[test]
    fn a_broken_entry_is_named_without_its_text() {
        let file = file(r#"{"auths":{"r":{"auth":"secret!"}}}"#);
        let said = file.find("r", "", Path::new("f")).unwrap_err().to_string();
        assert!(said.contains("login for r") && !said.contains("secret!"), "{said}");
    }
}
