//! Small values: sizes, times, limits, signals.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{Error, Result};
use crate::profile::{Resource, Rlimit};

/// `64m`, `1g`, `1024`, `10KiB`: bytes, with powers of 1024 as podman counts them.
pub(crate) fn size_bytes(flag: &str, text: &str) -> Result<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = lower.split_at(digits);
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => 64,
    };
    let value = number.parse::<u64>().ok().and_then(|n| n.checked_mul(1u64.checked_shl(shift)?));
    value.filter(|_| shift < 64).ok_or_else(|| {
        Error::new(format!("{flag} {text}"), "not a size in bytes")
            .fix(format!("{flag} 64m (suffixes: b, k, m, g, t)"))
    })
}

/// `90`, `90s`, `5m`, `1h`, `250ms`.
pub(crate) fn duration(flag: &str, text: &str) -> Result<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let value = number.parse::<u64>().ok().zip(millis).and_then(|(n, ms)| n.checked_mul(ms));
    value.map(Duration::from_millis).ok_or_else(|| {
        Error::new(format!("{flag} {text}"), "not a time")
            .fix(format!("{flag} 90s (units: ms, s, m, h; none is seconds)"))
    })
}

/// `TERM`, `SIGTERM`, `15`.
pub(crate) fn signal(flag: &str, text: &str) -> Result<Signal> {
    let upper = text.to_ascii_uppercase();
    let number = text.parse::<i32>().ok().and_then(|n| Signal::try_from(n).ok());
    let named = || upper.parse().ok().or_else(|| format!("SIG{upper}").parse().ok());
    number.or_else(named).ok_or_else(|| {
        Error::new(format!("{flag} {text}"), "no such signal").fix(format!("{flag} SIGTERM"))
    })
}

/// An octal mask, `022`.
pub(crate) fn umask(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o777).ok_or_else(|| {
        Error::new(format!("--umask {text}"), "not an octal mask up to 0777").fix("--umask 0022")
    })
}

/// `nofile=1024:2048`, `core=0`, `nproc=-1`.
pub(crate) fn ulimit(text: &str) -> Result<Rlimit> {
    let bad = |why: &str| {
        Error::new(format!("--ulimit {text}"), why).fix("--ulimit nofile=1024:2048 (soft:hard)")
    };
    let (name, value) = text.split_once('=').ok_or_else(|| bad("no '=' in it"))?;
    let Some(kind) = Resource::parse(&name.to_ascii_lowercase()) else {
        let names: Vec<_> = Resource::EVERY.iter().map(|r| r.name()).collect();
        return Err(Error::new(format!("--ulimit {text}"), format!("no limit is called {name}"))
            .fix(format!("use one of {}", names.join(", "))));
    };
    let number = |text: &str| match text {
        "-1" | "unlimited" => Some(None),
        n => n.parse().ok().map(Some),
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    let soft = number(soft).ok_or_else(|| bad("the soft limit is not a number"))?;
    let hard = number(hard).ok_or_else(|| bad("the hard limit is not a number"))?;
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(bad("the soft limit is above the hard one"));
    }
    Ok(Rlimit { kind, soft, hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size_bytes("--x", "64m").unwrap(), 64 << 20);
        assert_eq!(size_bytes("--x", "1024").unwrap(), 1024);
        assert!(size_bytes("--x", "99999999999t").is_err());
        assert!(size_bytes("--x", "1x").is_err());
        assert!(size_bytes("--x", "-1").is_err());
        assert!(size_bytes("--x", "").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(duration("--x", "90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("--x", "250ms").unwrap(), Duration::from_millis(250));
        assert!(duration("--x", "5d").is_err());
    }

    #[test]
    fn signals() {
        assert_eq!(signal("--x", "term").unwrap(), Signal::SIGTERM);
        assert_eq!(signal("--x", "SIGINT").unwrap(), Signal::SIGINT);
        assert_eq!(signal("--x", "9").unwrap(), Signal::SIGKILL);
        assert!(signal("--x", "99").is_err());
    }

    #[test]
    fn limits() {
        let limit = ulimit("nofile=10:20").unwrap();
        assert_eq!((limit.soft, limit.hard), (Some(10), Some(20)));
        assert!(ulimit("nofile=20:10").is_err());
        assert!(ulimit("files=1").is_err());
    }
}
