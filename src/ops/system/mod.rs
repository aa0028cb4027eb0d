//! `sbx system`: one file for each of its verbs.

mod check;
mod df;
mod prune;
mod usage;

use crate::cli::system::SystemVerb;
use crate::error::Result;

pub(crate) fn system(verb: &SystemVerb) -> Result<u8> {
    match verb {
        SystemVerb::Check(args) => check::check(args),
        SystemVerb::Df(args) => df::df(args),
        SystemVerb::Prune(args) => prune::prune(args),
    }
}
