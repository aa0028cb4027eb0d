//! A question before something is removed.

use std::io::{IsTerminal as _, Write as _};

use crate::error::{Context as _, Error, Result};

/// Whether somebody at the terminal said yes; an error where nobody is there.
pub(super) fn agreed(question: &str, what: &str, fix: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        let why = "it asks before it removes, and standard input is no terminal";
        return Err(Error::new(what, why).fix(fix));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().what(|| "cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).what(|| "cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
