//! `pull`, `push`, `login` and `logout`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::image::ProgressArgs;

/// How a registry is reached.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// Log in with USER[:PASSWORD], this once
    #[arg(long, value_name = "USER:PASSWORD")]
    pub(crate) creds: Option<String>,
    /// Logins are in this file [default: $XDG_RUNTIME_DIR/containers/auth.json, then podman's and
    /// docker's other places]
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Whether certificates are verified; false is for registries on this machine, also without TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub(crate) tls_verify: bool,
}

/// Take images in from a registry, or from files
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sbx pull debian:12                              a short name belongs to docker.io\n  \
    sbx pull registry.example/team/app@sha256:...   exactly this one\n  \
    sbx pull --platform linux/arm64 debian:12       for another machine\n  \
    sbx pull --tls-verify=false localhost:5000/app  a registry on this machine\n  \
    sbx pull oci-archive:app.tar                    as sbx load -i app.tar\n  \
    sbx pull dir:app                                what skopeo copy ... dir:app wrote")]
pub(crate) struct PullArgs {
    /// [docker://][REGISTRY/]NAME[:TAG][@DIGEST], oci:DIR[:NAME], oci-archive:FILE[:NAME],
    /// docker-archive:FILE[:NAME] or dir:DIR; what is in files is always loaded
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
    /// Which image is wanted: the registry's, or the store's if it has one
    #[arg(long, value_name = "WHEN", default_value = "always")]
    pub(crate) policy: Pull,
    /// Which image of several, where it is not the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
    /// Print the image ids only
    #[arg(short, long, conflicts_with = "progress")]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// When a registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pull {
    /// What the registry has now
    Always,
    /// Where the store has no such image
    Missing,
    /// The registry's if it is another than the store's and can be had
    Newer,
    /// The store's, or nothing
    Never,
}

/// Hand an image out to a registry, or to files
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sbx push registry.example/team/app:1.0\n  \
    sbx push app registry.example/team/app:1.0      under another name\n  \
    sbx push app oci:images:app                     into an OCI layout, beside what it holds\n  \
    sbx push app dir:app                            a directory for skopeo, every digest kept")]
pub(crate) struct PushArgs {
    /// An image in the store
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Where to: [docker://]REGISTRY/NAME[:TAG], oci:DIR[:NAME], oci-archive:FILE[:NAME],
    /// docker-archive:FILE[:NAME] or dir:DIR; the image's own name without it
    #[arg(value_name = "DESTINATION")]
    pub(crate) destination: Option<String>,
    /// Print nothing
    #[arg(short, long, conflicts_with = "progress")]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    /// Write the digest of what was pushed to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) digestfile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// Write a login for a registry down, for sbx, podman and docker
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry [default: docker.io]
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub(crate) registry: String,
    /// User name; asked for without it
    #[arg(short, long)]
    pub(crate) username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Print who is logged in
    #[arg(long)]
    pub(crate) get_login: bool,
    /// The file to write to [default: $XDG_RUNTIME_DIR/containers/auth.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
    /// Whether certificates are verified; false is for registries on this machine, also without TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub(crate) tls_verify: bool,
}

/// Take a login away
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry [default: docker.io]
    #[arg(value_name = "REGISTRY", default_value = "docker.io", conflicts_with = "all")]
    pub(crate) registry: String,
    /// All logins of the file
    #[arg(short, long)]
    pub(crate) all: bool,
    /// The file [default: $XDG_RUNTIME_DIR/containers/auth.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) authfile: Option<PathBuf>,
}
