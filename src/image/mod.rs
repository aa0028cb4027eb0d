//! The image store: an OCI image layout, and the trees that its layers unpack to.

mod changes;
pub(crate) mod check;
pub(crate) mod commit;
pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod date;
pub(crate) mod diff;
pub(crate) mod digest;
pub(crate) mod import;
mod inflate;
pub(crate) mod ingest;
pub(crate) mod instruction;
pub(crate) mod layer;
pub(crate) mod load;
pub(crate) mod manifest;
pub(crate) mod merged;
mod mountpoints;
pub(crate) mod pack;
mod pipe;
pub(crate) mod platform;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod reference;
pub(crate) mod registry;
pub(crate) mod save;
pub(crate) mod source;
pub(crate) mod staging;
pub(crate) mod store;
mod tally;
pub(crate) mod tar;
pub(crate) mod transport;
pub(crate) mod unpack;
pub(crate) mod usage;
pub(crate) mod view;
mod words;

pub(crate) use store::Image;
