//! `sbx system`.

use clap::{Args, Subcommand};

/// Look after the store
#[derive(Debug, Args)]
pub(crate) struct SystemArgs {
    #[command(subcommand)]
    pub(crate) verb: SystemVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SystemVerb {
    Check(CheckArgs),
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
