//! Capabilities as the runtime-spec has them, and as bits.

use oci_spec::runtime::Capabilities;

use crate::error::{Error, Result};
use crate::profile::CapSet;

pub(crate) fn to_oci(set: CapSet) -> Capabilities {
    set.names().filter_map(|name| name.parse().ok()).collect()
}

pub(crate) fn from_oci(set: &Capabilities) -> CapSet {
    set.iter().filter_map(|c| CapSet::parse(&c.to_string())).fold(CapSet::EMPTY, CapSet::union)
}

/// The profile's, less what `--cap-drop` names, and what `--cap-add` names.
pub(crate) fn granted(profile: CapSet, add: &[String], drop: &[String]) -> Result<CapSet> {
    let parse = |flag: &str, name: &String| {
        CapSet::parse(name).ok_or_else(|| {
            let known: Vec<_> = CapSet::all_names().collect();
            Error::new(format!("{flag} {name}"), "there is no such capability")
                .fix(format!("use ALL or one of {}", known.join(", ")))
        })
    };
    let mut set = profile;
    for name in drop {
        set = set.without(parse("--cap-drop", name)?);
    }
    for name in add {
        set = set.union(parse("--cap-add", name)?);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_survives_the_way_through_the_spec() {
        assert_eq!(from_oci(&to_oci(CapSet::ALL)), CapSet::ALL);
    }

    #[test]
    fn adding_wins_over_dropping_all() {
        let set = granted(CapSet::ALL, &["cap_net_raw".into()], &["ALL".into()]).unwrap();
        assert_eq!(set, CapSet::parse("NET_RAW").unwrap());
        assert!(granted(CapSet::ALL, &["NET_RWA".into()], &[]).is_err());
    }
}
