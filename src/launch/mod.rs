//! Starting the child, and staying beside it.

pub(crate) mod channel;
mod console;
pub(crate) mod report;
pub(crate) mod spawn;
pub(crate) mod supervise;
pub(crate) mod terminal;
pub(crate) mod timings;
pub(crate) mod trial;
