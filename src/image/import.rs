//! An image of one layer, from the tar of a root file system.

use std::fs::File;

use serde_json::json;

use super::digest::Digest;
use super::ingest::Ingest;
use super::instruction::{self, Instruction};
use super::load::write_manifest;
use super::manifest::{Descriptor, OCI_CONFIG};
use super::platform;
use super::reference::Name;
use crate::error::{Context, Error, Result};

/// Imports what `input` holds; the value is the digest of the configuration, the image id.
pub(crate) fn import(
    ingest: &Ingest<'_>,
    input: File,
    label: &str,
    changes: &[Instruction],
    message: Option<&str>,
    name: Option<&Name>,
) -> Result<Digest> {
    let created = created()?;
    let report = ingest.unknown(input, label)?;
    let mut own = serde_json::Map::new();
    instruction::apply(changes, &mut own);
    let mut history = json!({ "created": created, "created_by": "sbx import" });
    if let Some(message) = message {
        history["comment"] = json!(message);
    }
    let config = json!({
        "created": created,
        "architecture": platform::host_architecture(),
        "os": "linux",
        "config": own,
        "rootfs": { "type": "layers", "diff_ids": [report.diff_id] },
        "history": [history],
    });
    let bytes = serde_json::to_vec(&config)
        .map_err(|e| Error::new("cannot write an image configuration", e.to_string()))?;
    let (id, size) = ingest.store.put(&bytes)?;
    let layer = Descriptor::new(report.compression.media_type(), report.digest, report.size);
    let config = Descriptor::new(OCI_CONFIG, id.clone(), size);
    let descriptor = write_manifest(ingest, config, vec![layer])?;
    ingest.store.add(descriptor, name.map(ToString::to_string).as_deref())?;
    Ok(id)
}

/// Now, or what SOURCE_DATE_EPOCH says, so that the same input gives the same image; see
/// reproducible-builds.org, "SOURCE_DATE_EPOCH".
pub(super) fn created() -> Result<String> {
    const VARIABLE: &str = "SOURCE_DATE_EPOCH";
    let secs = match std::env::var_os(VARIABLE) {
        Some(text) => text.to_str().and_then(|t| t.parse().ok()).ok_or_else(|| {
            Error::new(format!("cannot use {VARIABLE}"), "it is not a number of seconds")
                .fix(format!("unset {VARIABLE}"))
        })?,
        None => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_err(std::io::Error::other)
            .what(|| "cannot tell the time")?
            .as_secs(),
    };
    // The year 9999, where RFC 3339 ends.
    if secs > 253_402_300_799 {
        return Err(Error::new(format!("cannot use {VARIABLE}"), "it is past the year 9999"));
    }
    Ok(rfc3339(secs))
}

/// Days to a date by Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day
/// comes last.
pub(crate) fn rfc3339(secs: u64) -> String {
    let (days, rest) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn writes_dates() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(secs), text);
        }
    }
}
