//! `import` and `load`.

use std::path::PathBuf;

use clap::Args;

/// Make an image from the tar of a root file system.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The tar, plain or compressed with gzip or zstd; - reads standard input
    #[arg(value_name = "TAR")]
    pub(crate) tar: PathBuf,

    /// What to call the image; localhost/ and :latest are added where they are missing
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Load images from an archive or an OCI layout.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// An OCI archive, a docker archive, or the directory of an OCI layout, with :NAME for one image
    /// of several; standard input without it
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) input: Option<PathBuf>,
}
