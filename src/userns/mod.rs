//! The user namespace: which ids it maps, how they are written, and work done inside it.

mod defaults;
mod helper;
pub(crate) mod idmap;
pub(crate) mod worker;
pub(crate) mod write;
