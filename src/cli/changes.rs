//! `diff`.

use clap::Args;

/// List what a container changed, or what an image's last layer did
///
/// Each line is a path after A (added), C (changed) or D (deleted); a changed directory may be one in which
/// something changed.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A kept container, by the beginning of its id, or an image
    #[arg(value_name = "CONTAINER|IMAGE")]
    pub(crate) what: String,
    /// Compare with this image instead of with what lies below
    #[arg(value_name = "IMAGE2")]
    pub(crate) with: Option<String>,
    /// As JSON: {"added": [...], "changed": [...], "deleted": [...]}
    #[arg(long)]
    pub(crate) json: bool,
}
