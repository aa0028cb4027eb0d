//! Standard output, which belongs to sbx in its listings only.

use std::io::Write as _;

use crate::error::{Context as _, Result, printable};

/// Text as it is.
pub(super) fn print(text: &str) -> Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).what(|| "cannot write to standard output")
}

/// A line that may hold names from elsewhere.
pub(super) fn print_line(text: &str) -> Result<()> {
    print(&format!("{}\n", printable(text)))
}
