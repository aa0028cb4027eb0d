//! The contents of /etc/hosts, /etc/hostname and /etc/resolv.conf.

use std::fmt::Write as _;
use std::path::Path;

use super::SuppliedFile;
use crate::config::{MountRequest, Network, Request, Root};
use crate::error::{Error, Result};

/// A file over which the caller mounts something, or over a directory above it, is the caller's.
pub(crate) fn supplied(request: &Request, hostname: &str) -> Result<Vec<SuppliedFile>> {
    let mut files = Vec::new();
    let host_root = request.root == Root::Host;
    let host_net = request.network.value == Network::Host;
    // A root that is a plain directory is not written to, not even to make a place to mount on.
    let optional = matches!(request.root, Root::Host | Root::Directory { overlay: false, .. });
    let mut add = |path: &Path, content: Vec<u8>, optional: bool| {
        if covering(request, path).is_none() {
            files.push(SuppliedFile { path: path.to_owned(), content, optional });
        }
    };
    add(Path::new("/etc/hostname"), format!("{hostname}\n").into_bytes(), optional);
    let hosts_path = Path::new("/etc/hosts");
    if let (Some(line), Some(mount)) = (request.add_hosts.first(), covering(request, hosts_path)) {
        let what = format!("--add-host {}:{}", line.name, line.address);
        return Err(Error::new(what, format!("{} covers /etc/hosts", mount.text))
            .fix("leave --add-host out and write the line into what is mounted there"));
    }
    if !request.no_hosts {
        let text = hosts(request, hostname, host_root || host_net).into_bytes();
        add(hosts_path, text, optional && request.add_hosts.is_empty());
    }
    // The host's own file may be a link to below /run, which is not there inside.
    let resolv = Path::new("/etc/resolv.conf");
    if host_net {
        if let Ok(content) = std::fs::read(resolv) {
            add(resolv, content, optional);
        }
    } else if !host_root {
        add(resolv, Vec::new(), optional);
    }
    Ok(files)
}

fn covering<'r>(request: &'r Request, path: &Path) -> Option<&'r MountRequest> {
    request.mounts.iter().find(|m| path.starts_with(&m.target))
}

fn hosts(request: &Request, hostname: &str, from_host: bool) -> String {
    let mut text = match std::fs::read_to_string("/etc/hosts") {
        Ok(text) if from_host => text,
        _ => "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let _ = writeln!(text, "127.0.0.1\t{hostname}");
    for line in &request.add_hosts {
        let _ = writeln!(text, "{}\t{}", line.address, line.name);
    }
    text
}
