//! Dates as image configurations have them.

/// Seconds since 1970 of an RFC 3339 date, whose fraction is dropped.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(|n| n.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let mut time = time.split('.').next()?.splitn(3, ':').map(|n| n.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    let fits = (0..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    fits.then(|| days(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60 + second)
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| d.as_secs().cast_signed())
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_written() {
        for secs in [0, 951_782_400, 1_709_251_199, 1_735_689_600, 253_402_300_799] {
            let text = super::super::import::rfc3339(secs);
            assert_eq!(seconds(&text), Some(secs.cast_signed()), "{text}");
        }
    }

    #[test]
    fn zones_and_fractions() {
        assert_eq!(seconds("1970-01-01T01:30:00.123456789+01:30"), Some(0));
        assert_eq!(seconds("1969-12-31T23:00:00-01:00"), Some(0));
        assert_eq!(seconds("1969-12-31T23:59:59Z"), Some(-1));
        for bad in [
            "",
            "1970",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "x-1-1T0:0:0Z",
            "1970-01-01T00:00:00",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
