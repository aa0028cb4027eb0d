//! Numbers for people, as podman and docker write them.

/// How long ago, in one unit.
pub(super) fn ago(seconds: i64) -> String {
    let several = |n: i64, unit: &str| format!("{n} {unit} ago");
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        ..1 => "Less than a second ago".to_owned(),
        1 => "1 second ago".to_owned(),
        2..60 => several(seconds, "seconds"),
        60..120 => "About a minute ago".to_owned(),
        120..3600 => several(minutes, "minutes"),
        3600..7200 => "About an hour ago".to_owned(),
        _ if hours < 48 => several(hours, "hours"),
        _ if days < 14 => several(days, "days"),
        _ if days < 60 => several(days / 7, "weeks"),
        _ if days < 730 => several(days / 30, "months"),
        _ => several(days / 365, "years"),
    }
}

/// Bytes in decimal units with three digits that matter.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    // 999.5 would be rounded to four digits.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        v if v >= 99.95 || unit == 0 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (1_987_655, "1.99 MB"),
            (99_960_000, "100 MB"),
            (12_340_000, "12.3 MB"),
            (999_999, "1 MB"),
            (120_000_000_000, "120 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn ages() {
        for (seconds, text) in [
            (-5, "Less than a second ago"),
            (59, "59 seconds ago"),
            (119, "About a minute ago"),
            (7200, "2 hours ago"),
            (86_400 * 3, "3 days ago"),
            (86_400 * 800, "2 years ago"),
        ] {
            assert_eq!(ago(seconds), text);
        }
    }
}
