//! The contents of /etc/hosts, /etc/hostname and /etc/resolv.conf.

use std::fmt::Write as _;
use std::path::Path;

use super::SuppliedFile;
use crate::config::{Network, Request, Root};

pub(crate) fn supplied(request: &Request, hostname: &str) -> Vec<SuppliedFile> {
    let mut files = Vec::new();
    let host_root = request.root == Root::Host;
    let host_net = request.network.value == Network::Host;
    // A root that is a plain directory is not written to, not even to make a place to mount on.
    let optional = matches!(request.root, Root::Host | Root::Directory { overlay: false, .. });
    let mut add = |path: &Path, content: Vec<u8>, optional: bool| {
        files.push(SuppliedFile { path: path.to_owned(), content, optional });
    };
    add(Path::new("/etc/hostname"), format!("{hostname}\n").into_bytes(), optional);
    if !request.no_hosts {
        let text = hosts(request, hostname, host_root || host_net).into_bytes();
        add(Path::new("/etc/hosts"), text, optional && request.add_hosts.is_empty());
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
    files
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
