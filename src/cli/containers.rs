//! `sbx ps` and `sbx rm`.

use clap::Args;

/// List containers that were kept: those run without --rm
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// Those that have ended, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Remove containers, with everything that was changed in them
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Containers that have ended, by the beginning of their id
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub(crate) ids: Vec<String>,
    /// All that have ended
    #[arg(short, long, conflicts_with = "ids")]
    pub(crate) all: bool,
}
