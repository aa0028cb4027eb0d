//! `sbx doctor`.

use clap::Args;

/// Try what a sandbox needs on this host, and say how to get what is missing
#[derive(Debug, Args)]
#[command(after_help = "The exit code is 0 when `sbx run` can work, and 1 when it cannot.")]
pub(crate) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
