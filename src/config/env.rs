//! The environment inside: clean, but for what is asked for.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Context, Error, Result};
use crate::profile::Settings;

/// A variable that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The variables of the profile, `--env-host`, `--env-file` and `-e`, in that order, later ones winning.
pub(crate) fn collect(
    profile: &Settings,
    host: bool,
    files: &[PathBuf],
    flags: &[OsString],
) -> Result<Vec<Variable>> {
    let caller = |name: &String| {
        std::env::var(name).ok().map(|value| Variable { name: name.clone(), value })
    };
    let mut out: Vec<Variable> = profile.env_pass.iter().filter_map(caller).collect();
    let set = profile.env_set.iter().cloned();
    out.extend(set.map(|(name, value)| Variable { name, value }));
    if host {
        // What is not UTF-8 cannot be expressed in a runtime configuration.
        out.extend(std::env::vars_os().filter_map(|(name, value)| {
            Some(Variable { name: name.into_string().ok()?, value: value.into_string().ok()? })
        }));
    }
    for path in files {
        let text = std::fs::read_to_string(path)
            .what(|| format!("cannot read --env-file {}", path.display()))?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let origin = format!("{}:{}", path.display(), number + 1);
            out.extend(parse(line, &origin)?);
        }
    }
    for flag in flags {
        let text = flag
            .to_str()
            .ok_or_else(|| Error::new(format!("--env {}", flag.display()), "not valid UTF-8"))?;
        out.extend(parse(text, "--env")?);
    }
    Ok(out)
}

/// `NAME=VALUE`; `NAME` alone takes the caller's value, and nothing where the caller has none.
fn parse(text: &str, origin: &str) -> Result<Option<Variable>> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || name.contains(['\0', ' ', '\t']) {
        return Err(Error::new(format!("{origin} {text}"), "the variable has no proper name")
            .fix("NAME=VALUE"));
    }
    let value = value.or_else(|| std::env::var(name).ok());
    Ok(value.map(|value| Variable { name: name.to_owned(), value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_equal_signs() {
        let v = parse("A=b=c", "--env").unwrap().unwrap();
        assert_eq!((v.name.as_str(), v.value.as_str()), ("A", "b=c"));
        assert!(parse("=x", "--env").is_err());
        assert_eq!(parse("SBX_SURELY_UNSET", "--env").unwrap(), None);
    }
}
