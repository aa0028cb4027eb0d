//! `sbx ps`.

use std::fmt::Write as _;

use serde_json::json;

use super::output;
use crate::cli::containers::PsArgs;
use crate::error::{Result, printable};
use crate::host::dirs::Dirs;
use crate::state::{self, Container, Found};

pub(crate) fn ps(args: &PsArgs) -> Result<u8> {
    let found: Vec<_> = state::list(&Dirs::from_env()?.data)?
        .into_iter()
        .filter(|f| args.all || f.running)
        .collect();
    let text = if args.json {
        let list: Vec<_> = found.iter().map(as_json).collect();
        format!("{:#}\n", json!(list))
    } else if args.quiet {
        found.iter().fold(String::new(), |mut out, f| {
            let _ = writeln!(out, "{}", short(&f.id));
            out
        })
    } else {
        as_table(&found)
    };
    output::print(&text)?;
    Ok(0)
}

pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

pub(super) fn status(f: &Found, state: &Container) -> String {
    match (f.running, state.exit_code) {
        (true, _) => "running".to_owned(),
        (false, Some(code)) => format!("exited ({code})"),
        (false, None) => "died with its monitor".to_owned(),
    }
}

fn as_table(found: &[Found]) -> String {
    let mut out = format!("{:12}  {:24}  {:30}  STATUS\n", "ID", "IMAGE", "COMMAND");
    for f in found {
        let _ = match &f.state {
            Ok(state) => {
                let command: String = state.command.join(" ").chars().take(30).collect();
                let (image, command) = (printable(&state.image), printable(&command));
                writeln!(out, "{:12}  {image:24}  {command:30}  {}", short(&f.id), status(f, state))
            }
            Err(e) => writeln!(out, "{:12}  damaged: {e}", short(&f.id)),
        };
    }
    out
}

fn as_json(f: &Found) -> serde_json::Value {
    match &f.state {
        Ok(state) => json!({
            "id": f.id,
            "image": state.image,
            "command": state.command,
            "created": state.created,
            "running": f.running,
            "exitCode": state.exit_code,
            "status": status(f, state),
        }),
        Err(e) => json!({"id": f.id, "running": f.running, "damaged": e.to_string()}),
    }
}
