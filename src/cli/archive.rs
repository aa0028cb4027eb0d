//! `save` and `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::image::ProgressArgs;

/// Save images to an archive or a directory, for sbx load, podman, docker or skopeo
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sbx save -o app.tar app                              for sbx load, podman load, docker load\n  \
    sbx save app db | ssh host sbx load                  several images, shared layers once\n  \
    sbx save --format oci-archive -o app.oci.tar app:1   layers as they are stored")]
pub(crate) struct SaveArgs {
    /// Where to; standard output without it
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) output: Option<PathBuf>,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    pub(crate) format: SaveFormat,
    /// Compress layers with gzip where they are not compressed; for a directory
    #[arg(long)]
    pub(crate) compress: bool,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
    /// Names or digests
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
}

/// Write a container's whole file system as a tar archive
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Where to; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// A kept container, by the beginning of its id
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SaveFormat {
    /// What docker save writes; layers as plain tars
    DockerArchive,
    /// The tar of an OCI image layout
    OciArchive,
    /// An OCI image layout
    OciDir,
    /// One image as Docker's manifest and its blobs (dir: of skopeo)
    DockerDir,
    /// The same with every digest as it is stored: what sbx push writes to dir:
    #[value(skip)]
    Dir,
}

impl SaveFormat {
    pub(crate) fn is_directory(self) -> bool {
        matches!(self, SaveFormat::OciDir | SaveFormat::DockerDir | SaveFormat::Dir)
    }
}
