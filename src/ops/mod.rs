//! One file per verb.

mod archive;
mod ask;
mod commit;
mod diff;
mod doctor;
mod export;
mod filter;
mod history;
mod human;
mod images;
mod import;
mod inspect;
mod kept;
mod load;
mod login;
mod output;
mod profile;
mod progress;
mod ps;
mod pull;
mod push;
mod rm;
mod rmi;
mod run;
mod save;
mod system;
mod table;
mod tag;
mod template;
mod volume;
pub(crate) mod worker;

use crate::cli::Verb;
use crate::cli::image::ImageVerb;
use crate::error::Result;

/// Runs a verb; the value is the exit code.
pub(crate) fn dispatch(verb: Verb) -> Result<u8> {
    match verb {
        Verb::Commit(args) => commit::commit(&args),
        Verb::Diff(args) => diff::diff(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::History(args) => history::history(&args),
        Verb::Image(verb) => image(&verb),
        Verb::Images(args) => images::images(&args),
        Verb::Export(args) => export::export(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Inspect(args) => inspect::inspect(&args),
        Verb::Load(args) => load::run(&args),
        Verb::Login(args) => login::login(&args),
        Verb::Logout(args) => login::logout(&args),
        Verb::Profile(args) => profile::profile(&args.verb),
        Verb::Ps(args) => ps::ps(&args),
        Verb::Pull(args) => pull::run(&args),
        Verb::Push(args) => push::run(&args),
        Verb::Rm(args) => rm::rm(&args),
        Verb::Rmi(args) => rmi::rmi(&args),
        Verb::Run(args) => run::run(&args),
        Verb::System(args) => system::system(&args.verb),
        Verb::Tag(args) => tag::tag(&args),
        Verb::Untag(args) => tag::untag(&args),
        Verb::Volume(args) => volume::volume(&args.verb),
        Verb::Save(args) => save::save(&args),
    }
}

fn image(verb: &ImageVerb) -> Result<u8> {
    match verb {
        ImageVerb::History(args) => history::history(args),
        ImageVerb::Import(args) => import::run(args),
        ImageVerb::Inspect(args) => inspect::image(args),
        ImageVerb::Load(args) => load::run(args),
        ImageVerb::Ls(args) => images::images(args),
        ImageVerb::Prune(args) => rmi::prune(args),
        ImageVerb::Rm(args) => rmi::rmi(args),
        ImageVerb::Tag(args) => tag::tag(args),
        ImageVerb::Untag(args) => tag::untag(args),
    }
}
