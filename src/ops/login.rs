//! `sbx login` and `sbx logout`.

use std::io::{IsTerminal as _, Read as _, Write as _};

use super::output::print_line;
use crate::cli::registry::{LoginArgs, LogoutArgs};
use crate::config::ConfigFile;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::image::reference::{Remote, ShortNames};
use crate::image::registry::{Access, Operation, Registry, auth};

pub(crate) fn login(args: &LoginArgs) -> Result<u8> {
    let host = args.registry.trim_end_matches('/');
    let what = || format!("cannot log in to {host}");
    if args.get_login {
        let user = auth::user(host, args.authfile.as_deref())?;
        let user = user.ok_or_else(|| {
            Error::new(what(), "nobody is logged in").fix(format!("sbx login {host}"))
        })?;
        print_line(&user)?;
        return Ok(0);
    }
    let user = match &args.username {
        Some(user) => user.clone(),
        None => ask(host, "User: ")?,
    };
    let password = if args.password_stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).what(|| "cannot read the password")?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        let _quiet = Quiet::enter()?;
        let password = ask(host, "Password: ")?;
        eprintln!();
        password
    };
    // A repository that nobody has: what counts is whether the answer is about it or about the login.
    let remote =
        Remote::parse(&format!("{host}/login/check"), &ShortNames::default()).map_err(|_| {
            Error::new(what(), "that is not the name of a registry").fix("sbx login HOST[:PORT]")
        })?;
    let registries = ConfigFile::read(&Dirs::from_env()?)?.registries;
    let access = Access {
        credentials: Some((user.clone(), password.clone())),
        auth_file: None,
        verify: args.tls_verify && registries.verifies(host),
        realms: registries.realms_of(host),
    };
    Registry::connect(&remote, &access, Operation::Pull)?
        .check_login()
        .map_err(|e| Error { what: what(), ..e })?;
    let file = auth::path(args.authfile.as_deref())?;
    auth::store(host, &user, &password, &file)?;
    print_line(&format!("Logged in to {host}; the login is in {}", file.display()))?;
    Ok(0)
}

pub(crate) fn logout(args: &LogoutArgs) -> Result<u8> {
    let host = args.registry.trim_end_matches('/');
    let file = auth::path(args.authfile.as_deref())?;
    let some = auth::forget((!args.all).then_some(host), &file)?;
    if !some && !args.all {
        return Err(Error::new(
            format!("cannot log out of {host}"),
            format!("{} has no login for it", file.display()),
        )
        .fix("--authfile FILE, if it is in another file"));
    }
    Ok(0)
}

fn ask(host: &str, prompt: &str) -> Result<String> {
    let what = || format!("cannot log in to {host}");
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(what(), "standard input is no terminal to ask at")
            .fix(format!("sbx login -u USER --password-stdin {host} <FILE")));
    }
    eprint!("{prompt}");
    std::io::stderr().flush().what(what)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).what(what)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// No echo on the terminal until dropped.
struct Quiet(Option<rustix::termios::Termios>);

impl Quiet {
    fn enter() -> Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = rustix::stdio::stdin();
        let Ok(saved) = tcgetattr(stdin) else { return Ok(Quiet(None)) };
        let mut quiet = saved.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin, OptionalActions::Flush, &quiet).what(|| "cannot switch the echo off")?;
        Ok(Quiet(Some(saved)))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(saved) = &self.0 {
            use rustix::termios::{OptionalActions, tcsetattr};
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, saved);
        }
    }
}
