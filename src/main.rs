//! sbx: a rootless, user-mode container sandbox.

mod cli;
mod config;
mod error;
mod host;
mod image;
mod launch;
mod ops;
mod plan;
mod profile;
mod stage;
mod state;
mod sys;
mod userns;
mod volume;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

fn main() -> ExitCode {
    // getauxval(3), AT_SECURE: the kernel gave this process more than its caller has. Nothing here
    // needs that, and everything here trusts the caller's environment.
    if sys::is_privileged_by_exec() {
        let why = "its file has a setuid or setgid bit, or capabilities";
        let refusal = error::Error::new("sbx refuses to run", why);
        return fail(&refusal.fix("chmod ug-s SBX; setcap -r SBX (with the path of sbx)"));
    }
    if std::env::args_os().next().is_some_and(|name| name == userns::worker::ARGV0) {
        return ExitCode::from(ops::worker::main());
    }
    let verb = match cli::parse() {
        Ok(verb) => verb,
        Err(e) => return usage(&e),
    };
    match ops::dispatch(verb) {
        Ok(code) => ExitCode::from(code),
        Err(e) => fail(&e),
    }
}

fn fail(e: &error::Error) -> ExitCode {
    eprintln!("sbx: {e}");
    ExitCode::from(e.kind.exit_code())
}

fn usage(e: &clap::Error) -> ExitCode {
    if let Some(ContextValue::String(flag)) = e.get(ContextKind::InvalidArg)
        && let Some(later) = cli::LATER.iter().find(|later| flag.split('=').next() == Some(**later))
    {
        let refusal = error::Error::new(*later, "this flag is not available yet");
        return fail(&refusal.fix("leave it out: sbx run --help lists what there is"));
    }
    let _ = e.print();
    // Help and version are answers; anything else is sbx failing to understand.
    ExitCode::from(if e.use_stderr() { error::Kind::Failed.exit_code() } else { 0 })
}
