//! `sbx import` and `sbx load`, on the built binary.

mod archive;
mod formats;
mod hostile;
mod inspect;
mod listing;
mod reference_tools;
mod removal;
mod save;
mod store;
mod umoci;
mod unpacking;
