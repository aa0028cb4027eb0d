//! `sbx profile`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Look at profiles: what a sandbox may do
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    pub(crate) verb: ProfileVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileVerb {
    Check(CheckArgs),
    Convert(ConvertArgs),
    Diff(DiffArgs),
    Ls(LsArgs),
    Schema(SchemaArgs),
    Show(ShowArgs),
    Test(TestArgs),
}

/// Check profiles: keys, words, system calls, contradictions, and what they extend
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        sbx profile check ./build.toml      a file\n  \
        sbx profile check build             one of yours\n\n\
        The exit code is 0 where all are right, and 1 otherwise.")]
pub(crate) struct CheckArgs {
    /// A built-in name, a name of yours, or a file
    #[arg(value_name = "PROFILE", required = true)]
    pub(crate) profiles: Vec<OsString>,
}

/// Convert a filter between TOML and JSON, to standard output
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        sbx profile convert /usr/share/containers/seccomp.json > podman.toml\n  \
        sbx profile convert ./mine.toml > mine.json              for Docker and podman\n  \
        sbx profile convert --to oci ./mine.toml                 linux.seccomp of a config.json")]
pub(crate) struct ConvertArgs {
    /// A profile, or a filter in Docker's, podman's or the runtime-spec's JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// To which format: docker from TOML, toml from JSON, unless it is given
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) to: Option<FilterFormat>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FilterFormat {
    Docker,
    Oci,
    Toml,
}

/// Show what two profiles say differently
#[derive(Debug, Args)]
#[command(
    after_help = "The exit code is 0 where there is no difference, and 1 where there is one."
)]
pub(crate) struct DiffArgs {
    /// A built-in name, a name of yours, or a file
    #[arg(value_name = "PROFILE")]
    pub(crate) from: OsString,
    /// Another
    #[arg(value_name = "PROFILE")]
    pub(crate) to: OsString,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the built-in profiles and yours
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Print names only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the JSON Schema of profiles, for editors
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        sbx profile schema > profile.schema.json\n\n\
        A first line `#:schema ./profile.schema.json` tells taplo and Even Better TOML of it.")]
pub(crate) struct SchemaArgs {}

/// Print a profile
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        sbx profile show strict                  the file, with its comments\n  \
        sbx profile show --resolved strict       every value, and which file brought it in\n  \
        sbx profile show --resolved dev ./my.toml  what --profile dev --profile ./my.toml means")]
pub(crate) struct ShowArgs {
    /// A built-in name, a name of yours, or a file; several only with --resolved
    #[arg(value_name = "PROFILE", required = true)]
    pub(crate) profiles: Vec<OsString>,
    /// Every value, also those of the profiles that it extends
    #[arg(long)]
    pub(crate) resolved: bool,
    /// With --resolved: as JSON
    #[arg(long, requires = "resolved")]
    pub(crate) json: bool,
}

/// Try system calls on the filter that a start would install, and say which group decides
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        sbx profile test default -- mount\n  \
        sbx profile test strict -- socket AF_INET SOCK_STREAM 0\n  \
        sbx profile test --cap-add SYS_ADMIN default -- clone CLONE_NEWUSER\n  \
        sbx profile test default <calls             one a line\n\n\
        Nothing is called: the filter is run on the numbers.")]
pub(crate) struct TestArgs {
    /// A built-in name, a name of yours, or a file
    #[arg(value_name = "PROFILE")]
    pub(crate) profile: OsString,
    /// With a capability beyond the profile's
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_add: Vec<String>,
    /// Without a capability of the profile's
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_drop: Vec<String>,
    /// Through which table of calls, such as x86 for those of 32-bit programs
    #[arg(long, value_name = "ARCHITECTURE")]
    pub(crate) arch: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// A system call and its arguments, as numbers or by name; from standard input without it
    #[arg(value_name = "SYSCALL [ARG]...", last = true, allow_hyphen_values = true)]
    pub(crate) call: Vec<String>,
}
