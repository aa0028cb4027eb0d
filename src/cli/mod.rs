//! The command line: clap structs and nothing else.

pub(crate) mod archive;
pub(crate) mod changes;
pub(crate) mod containers;
pub(crate) mod doctor;
pub(crate) mod image;
pub(crate) mod profile;
pub(crate) mod registry;
pub(crate) mod run;
pub(crate) mod system;
pub(crate) mod volume;

use std::ffi::OsString;

use clap::{Args as _, FromArgMatches as _, Parser, Subcommand};

const MAX_WIDTH: usize = 100;

/// A rootless, user-mode container sandbox.
#[derive(Debug, Parser)]
#[command(name = "sbx", version, max_term_width = MAX_WIDTH, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Commit(changes::CommitArgs),
    Diff(changes::DiffArgs),
    Doctor(doctor::DoctorArgs),
    History(image::HistoryArgs),
    /// Work with images
    #[command(subcommand)]
    Image(image::ImageVerb),
    Images(image::ImagesArgs),
    Export(archive::ExportArgs),
    Import(image::ImportArgs),
    Inspect(image::InspectArgs),
    Load(image::LoadArgs),
    Login(registry::LoginArgs),
    Logout(registry::LogoutArgs),
    Profile(profile::ProfileArgs),
    Ps(containers::PsArgs),
    Pull(registry::PullArgs),
    Push(registry::PushArgs),
    Rm(containers::RmArgs),
    Rmi(image::RmiArgs),
    Run(Box<run::RunArgs>),
    System(system::SystemArgs),
    Tag(image::TagArgs),
    Untag(image::UntagArgs),
    Volume(volume::VolumeArgs),
    Save(archive::SaveArgs),
}

/// Reads the command line. Clap puts together what every verb of a command takes before it looks at the
/// first word; a start does not wait for that.
pub(crate) fn parse() -> Result<Verb, clap::Error> {
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|verb| verb == "run") {
        let command = clap::Command::new("run").bin_name("sbx run").max_term_width(MAX_WIDTH);
        let found = run::RunArgs::augment_args(command).try_get_matches_from(&args[1..])?;
        return run::RunArgs::from_arg_matches(&found).map(|args| Verb::Run(Box::new(args)));
    }
    Cli::try_parse_from(args).map(|cli| cli.verb)
}

/// Flags that users know from podman and docker and that do not work yet: refused by name.
pub(crate) const LATER: [&str; 27] = [
    "-d",
    "--detach",
    "--name",
    "-p",
    "--publish",
    "--dns",
    "--dns-search",
    "--memory",
    "-m",
    "--memory-swap",
    "--cpus",
    "--cpu-shares",
    "--cpuset-cpus",
    "--pids-limit",
    "--label",
    "-l",
    "--annotation",
    "--cidfile",
    "--log-driver",
    "--log-opt",
    "--restart",
    "--privileged",
    "--ip",
    "--allow",
    "--cgroups",
    "--replace",
    "--systemd",
];
