//! `sbx profile test`.

use std::io::{IsTerminal as _, Read as _};

use serde_json::{Value, json};

use super::output;
use crate::cli::profile::TestArgs;
use crate::error::{Context as _, Error, Result};
use crate::host::dirs::Dirs;
use crate::plan::caps;
use crate::profile::trial::{Answer, By, Trial};
use crate::profile::{Arch, Profile};

pub(super) fn test(args: &TestArgs, dirs: &Dirs) -> Result<u8> {
    let profile = Profile::load(std::slice::from_ref(&args.profile), dirs)?;
    let caps = caps::granted(profile.settings.capabilities, &args.cap_add, &args.cap_drop)?;
    let trial = Trial::new(&profile, caps, dirs)?;
    let arch = args.arch.as_deref().unwrap_or(std::env::consts::ARCH);
    let arch = Arch::parse(arch).ok_or_else(|| {
        Error::new(format!("cannot use --arch {arch}"), "no such architecture is known")
            .fix("--arch x86, for calls of 32-bit programs")
    })?;
    let answers: Vec<Answer> =
        calls(args)?.iter().map(|words| trial.call(arch, words)).collect::<Result<_>>()?;
    if args.json {
        let list: Vec<Value> = answers.iter().map(as_json).collect();
        output::print(&format!("{:#}\n", json!(list)))?;
        return Ok(0);
    }
    for answer in &answers {
        let args: Vec<String> = answer.args.iter().map(|value| format!("{value:#x}")).collect();
        let (call, arch) = (format!("{}({})", answer.call, args.join(", ")), answer.arch);
        output::print_line(&format!("{call} on {arch}: {}, by {}", answer.action, answer.by))?;
    }
    Ok(0)
}

/// One of the command line, or one of each line of standard input, where `#` begins a comment.
fn calls(args: &TestArgs) -> Result<Vec<Vec<String>>> {
    if !args.call.is_empty() {
        return Ok(vec![args.call.clone()]);
    }
    if std::io::stdin().is_terminal() {
        return Err(Error::new("cannot try a call", "there is none")
            .fix("sbx profile test default -- mount"));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).what(|| "cannot read standard input")?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Ok(lines.map(words).filter(|words| !words.is_empty()).collect())
}

fn as_json(answer: &Answer) -> Value {
    let (action, errno) = match answer.action.split_once(' ') {
        Some((action, errno)) => (action, Some(errno)),
        None => (&answer.action[..], None),
    };
    let mut out = json!({
        "Call": answer.call,
        "Number": answer.number,
        "Arch": answer.arch,
        "Args": answer.args,
        "Action": action,
        "Errno": errno,
        "By": answer.by.to_string(),
        "Instructions": answer.instructions,
    });
    if let By::Group { name, place } = &answer.by {
        out["Group"] = json!(name);
        out["Place"] = json!(place);
    }
    out
}
