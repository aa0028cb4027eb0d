//! `--security-opt`.

use std::ffi::OsString;

use super::request::said;
use super::{Source, Sourced};
use crate::error::{Error, Result};
use crate::profile::Profile;

#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    pub(crate) seccomp: Option<OsString>,
    /// Its label, or `unconfined`.
    pub(crate) apparmor: Option<String>,
    pub(crate) no_new_privileges: Option<bool>,
    pub(crate) mask: Vec<String>,
    pub(crate) unmask: Vec<String>,
    pub(crate) unmask_all: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct AppArmor {
    pub(crate) label: String,
    /// Start without it where it cannot be had.
    pub(crate) best_effort: bool,
}

pub(super) fn parse(options: &[String]) -> Result<Security> {
    let mut out = Security::default();
    for option in options {
        // podman takes both separators.
        let (key, value) = option
            .split_once(['=', ':'])
            .map_or((option.as_str(), None), |(key, value)| (key, Some(value)));
        match (key, value) {
            ("seccomp", Some(file)) => out.seccomp = Some(file.into()),
            ("no-new-privileges", None | Some("true")) => out.no_new_privileges = Some(true),
            ("no-new-privileges", Some("false")) => out.no_new_privileges = Some(false),
            ("mask", Some(paths)) => out.mask.extend(paths.split(':').map(str::to_owned)),
            ("unmask", Some("ALL" | "all")) => out.unmask_all = true,
            ("unmask", Some(paths)) => out.unmask.extend(paths.split(':').map(str::to_owned)),
            ("apparmor", Some(label)) => out.apparmor = Some(apparmor_label(label)?),
            ("label" | "proc-opts", _) => {
                return Err(Error::new(
                    format!("--security-opt {option}"),
                    format!("{key} is not available yet"),
                )
                .fix("leave it out"));
            }
            _ => {
                return Err(Error::new(format!("--security-opt {option}"), "no such option").fix(
                    "use seccomp=FILE|unconfined, apparmor=LABEL|unconfined, no-new-privileges[=false], mask=PATH or unmask=PATH",
                ));
            }
        }
    }
    for path in out.mask.iter().chain(&out.unmask) {
        if !path.starts_with('/') {
            return Err(Error::new(format!("--security-opt: {path}"), "not an absolute path")
                .fix("mask=/proc/kcore"));
        }
    }
    Ok(out)
}

fn apparmor_label(label: &str) -> Result<String> {
    if label.is_empty() || label.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let what = format!("--security-opt apparmor={}", label.escape_default());
        return Err(Error::new(what, "that is no AppArmor profile's name")
            .fix("--security-opt apparmor=sbx-default"));
    }
    Ok(label.to_owned())
}

/// The AppArmor label, where one is asked for. What a flag asks for is required.
pub(super) fn apparmor(security: &Security, profile: &Profile) -> Option<Sourced<AppArmor>> {
    let settings = &profile.settings;
    let own = said(profile, &settings.apparmor_label).map(|label| Sourced {
        value: AppArmor {
            label: label.value,
            best_effort: settings.apparmor_best_effort.unwrap_or(false),
        },
        source: label.source,
    });
    let flag = security.apparmor.clone().map(|label| Sourced {
        value: AppArmor { label, best_effort: false },
        source: Source::Flag("--security-opt"),
    });
    flag.or(own).filter(|wanted| wanted.value.label != "unconfined")
}
