//! `--add-host`.

use std::net::IpAddr;

use crate::error::{Error, Result};

/// A line of `/etc/hosts`; see `hosts(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostLine {
    pub(crate) address: IpAddr,
    pub(crate) name: String,
}

pub(crate) fn parse(text: &str) -> Result<HostLine> {
    let bad =
        |why: &str| Error::new(format!("--add-host {text}"), why).fix("--add-host db:192.0.2.7");
    let (name, address) = text.split_once(':').ok_or_else(|| bad("no ':' in it"))?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().map_err(|_| bad("the part after ':' is not an IP address"))?;
    let proper = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !proper {
        return Err(bad("the part before ':' is not a host name"));
    }
    Ok(HostLine { address, name: name.to_owned() })
}
