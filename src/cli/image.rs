//! Images.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Make an image from the tar of a root file system.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The tar, plain or compressed with gzip or zstd; - reads standard input
    #[arg(value_name = "TAR")]
    pub(crate) tar: PathBuf,

    /// What to call the image; localhost/ and :latest are added where they are missing
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Set something in the image's configuration, as in a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE,
    /// LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,

    /// A comment for the image's history
    #[arg(short, long, value_name = "MESSAGE")]
    pub(crate) message: Option<String>,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// Load images from an archive, an OCI layout or a directory of skopeo's.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// An OCI archive, a docker archive, the directory of an OCI layout, with :NAME for one image of
    /// several, or what skopeo writes to dir:; standard input without it
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) input: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

/// How progress is shown.
#[derive(Debug, Args)]
pub(crate) struct ProgressArgs {
    /// How progress is shown on standard error
    ///
    /// A line of json is {"event": "progress" | "layer", "bytes": N, "total": N | null, "layers": N,
    /// "layersTotal": N}: "layer" after each layer, "progress" several times a second. Other events are
    /// "pulling" and "pushing" with an "image", and "warning" with a "text". An error is no JSON: it is
    /// the last line, and begins with "sbx: ".
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, after a second
    Auto,
    /// Lines of JSON
    Json,
    /// Not at all
    None,
}

/// How a listing is written.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// As JSON
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// json, or a template such as '{{.ID}} {{.Size}}' or 'table {{.ID}}\t{{.Size}}'
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) format: Option<String>,
}

impl Output {
    pub(crate) fn is_json(&self) -> bool {
        self.json || self.format.as_deref() == Some("json")
    }
}

/// List images
#[derive(Debug, Args)]
#[command(
    after_help = "SIZE is that of the image's layers as they are stored, most of them compressed."
)]
pub(crate) struct ImagesArgs {
    /// Only images of this name, which may have * and ?, or with this id
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Those that have no name and that another image is built on, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Ids only
    #[arg(short, long, conflicts_with_all = ["json", "format", "digests"])]
    pub(crate) quiet: bool,
    /// The digests of manifests, too
    #[arg(long, conflicts_with_all = ["json", "format"])]
    pub(crate) digests: bool,
    /// Whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// reference=GLOB, dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE or until=TIME, which
    /// is a date or an age such as 24h
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
    /// What comes first: the newest, or the least of another field
    #[arg(long, value_name = "FIELD", default_value = "created")]
    pub(crate) sort: Sort,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Created,
    Id,
    Repository,
    Size,
    Tag,
}

/// Give an image more names
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// A name or an id
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// New names; localhost/ and :latest are added where they are missing
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}

/// Take names from an image, which stays
#[derive(Debug, Args)]
pub(crate) struct UntagArgs {
    /// A name or an id
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Names to take away; all that the image has without any
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Remove images, or names of images that have several
#[derive(Debug, Args)]
pub(crate) struct RmiArgs {
    /// Names or ids
    #[arg(value_name = "IMAGE", required_unless_present = "all")]
    pub(crate) images: Vec<String>,
    /// All images
    #[arg(short, long, conflicts_with = "images")]
    pub(crate) all: bool,
    /// Also an image that is in use, whose files then stay, and by its id one of several names
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Show all that is known of containers and images, as JSON
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Ids of containers, names or ids of images
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// What to look for; all looks for a container first
    #[arg(long = "type", value_name = "TYPE", default_value = "all")]
    pub(crate) object_type: ObjectType,
    /// A template such as '{{.Id}}' or '{{json .Config}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) format: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectType {
    All,
    Container,
    Image,
}

/// Show all that is known of images, as JSON
#[derive(Debug, Args)]
pub(crate) struct ImageInspectArgs {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) names: Vec<String>,
    /// A template such as '{{.Id}}' or '{{json .Config}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) format: Option<String>,
}

/// Show the steps that an image was built in, newest first
#[derive(Debug, Args)]
#[command(after_help = "SIZE is that of the step's layer as it is stored, mostly compressed.")]
pub(crate) struct HistoryArgs {
    /// A name or an id
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Whole ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Ids only
    #[arg(short, long, conflicts_with_all = ["json", "format"])]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Remove images that have no name, and what interrupted runs left
#[derive(Debug, Args)]
pub(crate) struct ImagePruneArgs {
    /// All images that no container uses
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Work with images
#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    History(HistoryArgs),
    Import(ImportArgs),
    Inspect(ImageInspectArgs),
    Load(LoadArgs),
    #[command(visible_alias = "list")]
    Ls(ImagesArgs),
    Prune(ImagePruneArgs),
    #[command(visible_alias = "remove")]
    Rm(RmiArgs),
    Tag(TagArgs),
    Untag(UntagArgs),
}
