//! `sbx volume`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Manage volumes: directories that outlive the containers they are mounted in
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "A volume is mounted with sbx run -v NAME:/path, which makes it where it does not exist."
)]
pub(crate) struct VolumeArgs {
    #[command(subcommand)]
    pub(crate) verb: VolumeVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VolumeVerb {
    Create(CreateArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    Inspect(InspectArgs),
    Ls(LsArgs),
    Prune(PruneArgs),
    Rm(RmArgs),
}

/// Make a volume and print its name
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Letters, digits, '_', '.' and '-' [default: a random name]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Note something beside it
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// Do not fail where the volume exists
    #[arg(long)]
    pub(crate) ignore: bool,
}

/// List volumes
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Names only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only those with name=PART, label=KEY[=VALUE] or dangling=BOOL; of several filters all must hold
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print what is known of volumes, as JSON
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Volumes
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}

/// Remove volumes, with everything in them
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Volumes that no container uses
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub(crate) names: Vec<String>,
    /// All that no container uses
    #[arg(short, long, conflicts_with = "names")]
    pub(crate) all: bool,
    /// Also those of containers that have ended and were kept; a missing volume is no error
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Remove all volumes that no container uses
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Unpack a tar into a volume, over what is there
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The volume, which exists
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The tar, plain or compressed with gzip or zstd; - reads standard input
    #[arg(value_name = "TAR")]
    pub(crate) tar: PathBuf,
}

/// Write a volume's files as a tar
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The volume
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Where to [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
