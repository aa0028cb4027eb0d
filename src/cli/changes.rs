//! `diff` and `commit`.

use clap::{Args, ValueEnum};

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

/// Make an image of a container's image and of what was changed in the container
///
/// The image's configuration stays but for --change. Prints the image's id.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    sbx commit -c 'CMD [\"/app\"]' -c 'ENV MODE=prod' -m 'with the app' 3fa2 app:2")]
pub(crate) struct CommitArgs {
    /// Who made the image
    #[arg(short, long, value_name = "AUTHOR")]
    pub(crate) author: Option<String>,
    /// A comment for the image's history
    #[arg(short, long, value_name = "MESSAGE")]
    pub(crate) message: Option<String>,
    /// Set something in the image's configuration, as in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE,
    /// LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// Which media types the image has
    #[arg(short, long, value_name = "FORMAT", default_value = "oci")]
    pub(crate) format: CommitFormat,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// A container that has ended, by the beginning of its id
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    /// What to call the image; localhost/ and :latest are added where they are missing
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CommitFormat {
    Oci,
    Docker,
}
