//! `sbx system`.

use clap::{Args, Subcommand};

use super::image::Output;

/// Look after the store
#[derive(Debug, Args)]
pub(crate) struct SystemArgs {
    #[command(subcommand)]
    pub(crate) verb: SystemVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SystemVerb {
    Check(CheckArgs),
    Df(DfArgs),
    Prune(PruneArgs),
}

/// Verify every digest of the store and every unpacked layer
#[derive(Debug, Args)]
#[command(
    after_help = "The exit code is 0 where all is whole or was mended, and 1 where damage is left."
)]
pub(crate) struct CheckArgs {
    /// Mend what can be mended: unpack damaged layers again, and pull what is damaged or missing
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what images, containers and volumes take on disk
#[derive(Debug, Args)]
#[command(
    after_help = "What images share counts once; their archives and their unpacked layers both count.\n\
    RECLAIMABLE is what sbx system prune --all --volumes would free."
)]
pub(crate) struct DfArgs {
    /// List each image, container and volume
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Remove containers that have ended and images that have no name
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// All images that no container uses
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Volumes that no container uses, too
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only what has label=KEY[=VALUE] or is older than until=TIME, which is a date or an age such as
    /// 24h; of several filters all must hold
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}
