//! Certificates of registries, where podman and docker look for them: `HOST/*.crt`, see
//! containers-certs.d(5).

use std::path::PathBuf;

use oci_client::client::{Certificate, CertificateEncoding};

use crate::error::{Context, Result};

pub(super) fn of(host: &str) -> Result<Vec<Certificate>> {
    let mut dirs = Vec::new();
    if let Some(base) = directories::BaseDirs::new() {
        dirs.push(base.config_dir().join("containers/certs.d"));
    }
    dirs.extend(["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from));
    let mut found = Vec::new();
    for dir in dirs.into_iter().map(|dir| dir.join(host)) {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "crt") {
                let data =
                    std::fs::read(&path).what(|| format!("cannot read {}", path.display()))?;
                found.push(Certificate { encoding: CertificateEncoding::Pem, data });
            }
        }
    }
    Ok(found)
}
