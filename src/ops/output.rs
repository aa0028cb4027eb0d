//! Standard output, which belongs to sbx in its listings only.

use std::io::Write as _;

use serde_json::Value;

use super::template::Template;
use crate::cli::image::Output;
use crate::error::{Context as _, Result, printable};

/// Text as it is.
pub(super) fn print(text: &str) -> Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).what(|| "cannot write to standard output")
}

/// A line that may hold names from elsewhere.
pub(super) fn print_line(text: &str) -> Result<()> {
    print(&format!("{}\n", printable(text)))
}

/// The values of a listing as JSON or by a template; `None` where it is to be a table.
pub(super) fn formatted(
    output: &Output,
    values: &[Value],
    headings: &[(&str, &str)],
) -> Result<Option<String>> {
    if output.is_json() {
        return Ok(Some(format!("{:#}\n", Value::from(values))));
    }
    match output.format.as_deref() {
        None | Some("table") => Ok(None),
        Some(text) => {
            let text = Template::parse(text)?.render(values, headings)?;
            Ok(Some(printable(&text)))
        }
    }
}
