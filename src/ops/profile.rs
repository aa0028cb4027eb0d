//! `sbx profile`.

mod trial;

use std::ffi::OsString;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{output, table};
use crate::cli::profile::{
    CheckArgs, ConvertArgs, DiffArgs, FilterFormat, LsArgs, ProfileVerb, ShowArgs,
};
use crate::config;
use crate::error::{Error, Result, printable};
use crate::host::dirs::Dirs;
use crate::profile::Profile;
use crate::profile::catalog::{self, Known};
use crate::profile::convert;
use crate::profile::json_schema;
use crate::profile::rows::Row;

pub(crate) fn profile(verb: &ProfileVerb) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    match verb {
        ProfileVerb::Check(args) => check(args, &dirs),
        ProfileVerb::Convert(args) => convert_filter(args),
        ProfileVerb::Diff(args) => diff(args, &dirs),
        ProfileVerb::Ls(args) => ls(args, &dirs),
        ProfileVerb::Schema(_) => {
            output::print(&format!("{:#}\n", json_schema::schema()))?;
            Ok(0)
        }
        ProfileVerb::Show(args) => show(args, &dirs),
        ProfileVerb::Test(args) => trial::test(args, &dirs),
    }
}

fn ls(args: &LsArgs, dirs: &Dirs) -> Result<u8> {
    let all = catalog::all(dirs);
    if args.json {
        let list: Vec<Value> = all.iter().map(as_json).collect();
        output::print(&format!("{:#}\n", json!(list)))?;
        return Ok(0);
    }
    if args.quiet {
        output::print(&all.iter().fold(String::new(), |out, known| out + &known.name + "\n"))?;
        return Ok(0);
    }
    let mut rows = vec![["NAME", "EXTENDS", "DESCRIPTION"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|known| {
        let (extends, description) = match &known.said {
            Ok((description, extends)) => (extends.clone(), description.clone()),
            Err(e) => (None, Some(format!("damaged: {e}"))),
        };
        let text = |value: Option<String>| value.unwrap_or_default();
        vec![known.name.clone(), text(extends), text(description)]
    }));
    output::print(&table::render(&rows))?;
    Ok(0)
}

fn as_json(known: &Known) -> Value {
    let mut out = json!({"Name": known.name, "BuiltIn": known.file.is_none(), "File": known.file});
    match &known.said {
        Ok((description, extends)) => {
            out["Description"] = json!(description);
            out["Extends"] = json!(extends);
        }
        Err(e) => out["Damaged"] = json!(e.to_string()),
    }
    out
}

fn show(args: &ShowArgs, dirs: &Dirs) -> Result<u8> {
    if !args.resolved {
        let [profile] = &args.profiles[..] else {
            return Err(Error::new("cannot show several profiles at once", "each is a file")
                .fix("add --resolved, to see what they say together"));
        };
        output::print(&catalog::text(profile, dirs)?)?;
        return Ok(0);
    }
    // As a start would: it says what is wrong.
    check_one(&args.profiles, dirs)?;
    let rows = catalog::resolved(&args.profiles, dirs)?;
    if args.json {
        let list: Vec<Value> = rows
            .iter()
            .map(|(row, by)| json!({"key": row.key, "value": row.value, "origin": by}))
            .collect();
        output::print(&format!("{:#}\n", json!(list)))?;
        return Ok(0);
    }
    let width = rows.iter().map(|(row, _)| row.key.len()).max().unwrap_or(0);
    let text = rows.iter().fold(String::new(), |mut out, (row, by)| {
        let _ = writeln!(out, "{:width$}  {}  [{by}]", row.key, printable(&row.value));
        out
    });
    output::print(&text)?;
    Ok(0)
}

fn diff(args: &DiffArgs, dirs: &Dirs) -> Result<u8> {
    let rows = |choice: &OsString| -> Result<Vec<Row>> {
        let choices = std::slice::from_ref(choice);
        check_one(choices, dirs)?;
        Ok(catalog::resolved(choices, dirs)?.into_iter().map(|(row, _)| row).collect())
    };
    let (from, to) = (rows(&args.from)?, rows(&args.to)?);
    let gone = from.iter().filter(|row| !to.contains(row)).map(|row| ('-', row));
    let new = to.iter().filter(|row| !from.contains(row)).map(|row| ('+', row));
    let mut changes: Vec<(char, &Row)> = gone.chain(new).collect();
    // What became of a key stands together, the old value first.
    changes.sort_by(|(a, x), (b, y)| (&x.key, b, &x.value).cmp(&(&y.key, a, &y.value)));
    if args.json {
        let list: Vec<Value> = changes
            .iter()
            .map(|(sign, row)| {
                let side = if *sign == '-' { "from" } else { "to" };
                json!({"key": row.key, "value": row.value, "in": side})
            })
            .collect();
        output::print(&format!("{:#}\n", json!(list)))?;
    } else {
        let text = changes.iter().fold(String::new(), |mut out, (sign, row)| {
            let _ = writeln!(out, "{sign} {} = {}", row.key, printable(&row.value));
            out
        });
        output::print(&text)?;
    }
    Ok(u8::from(!changes.is_empty()))
}

fn check(args: &CheckArgs, dirs: &Dirs) -> Result<u8> {
    let (mut wrong, mut out) = (false, String::new());
    for choice in &args.profiles {
        match check_one(std::slice::from_ref(choice), dirs) {
            Ok(unknown) => {
                out += &format!("{}: ok", printable(&choice.to_string_lossy()));
                if !unknown.is_empty() {
                    out += &format!(", without calls that libseccomp does not know: {unknown}");
                }
                out.push('\n');
            }
            Err(e) => {
                eprintln!("sbx: {e}");
                wrong = true;
            }
        }
    }
    output::print(&out)?;
    Ok(u8::from(wrong))
}

fn convert_filter(args: &ConvertArgs) -> Result<u8> {
    let to = args.to.map(|to| match to {
        FilterFormat::Docker => convert::Format::Docker,
        FilterFormat::Oci => convert::Format::Oci,
        FilterFormat::Toml => convert::Format::Toml,
    });
    let converted = convert::convert(&args.file, to)?;
    for note in converted.notes {
        eprintln!("sbx: {}: {}", printable(&args.file.to_string_lossy()), printable(&note));
    }
    output::print(&converted.text)?;
    Ok(0)
}

/// All that a start would find wrong, whatever the command line adds. The calls that the filter goes
/// without.
fn check_one(choices: &[OsString], dirs: &Dirs) -> Result<String> {
    let profile = Profile::load(choices, dirs)?;
    config::check(&profile)?;
    profile.filter(profile.settings.capabilities, dirs)?;
    Ok(profile.unknown_calls().join(", "))
}
