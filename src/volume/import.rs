//! A tar's files into a volume: by a worker, which writes them with their owners.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use crate::error::Result;
use crate::image::layer;
use crate::userns::idmap::{IdMap, MoreIds};
use crate::userns::worker;

/// Unpacks an archive over what is in `data`; the value says what was left out.
pub(crate) fn run(
    map: &IdMap,
    more_ids: MoreIds,
    data: PathBuf,
    input: File,
    label: &str,
    progress: &dyn Fn(u64),
) -> Result<Option<String>> {
    let job = layer::Job::over(data, label, more_ids);
    let report: layer::Report = worker::run(map, layer::JOB, &job, Stdio::from(input), progress)?;
    Ok(report.counts.skipped())
}
