//! `sbx import` and `sbx load`, on the built binary.

mod archive;
mod formats;
mod hostile;
mod inspect;
mod listing;
#[allow(dead_code, reason = "nothing here runs a container with it")]
#[path = "../common/podman.rs"]
mod podman;
mod reference_tools;
mod removal;
mod save;
mod store;
mod transports;
mod umoci;
mod unpacking;
