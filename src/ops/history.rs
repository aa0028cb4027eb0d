//! `sbx history`.

use serde_json::{Value, json};

use super::images::{id, since};
use super::{human, output, table};
use crate::cli::image::HistoryArgs;
use crate::error::Result;
use crate::host::dirs::Dirs;
use crate::image::date;
use crate::image::store::{Details, Listed, Store};

/// What other tools write where an image no longer knows what was built between.
const MISSING: &str = "<missing>";
/// As much of a command as podman shows.
const COMMAND_MAX: usize = 45;

const HEADINGS: [(&str, &str); 1] = [("CreatedSince", "CREATED")];

pub(crate) fn history(args: &HistoryArgs) -> Result<u8> {
    let (listed, _) = Store::open(&Dirs::from_env()?)?.get(&args.image)?;
    let Listed { names, details, .. } = listed;
    let details = details?;
    let steps = steps(&details, &names);
    let text = if args.quiet {
        steps.iter().map(|step| step.id(args.no_trunc) + "\n").collect()
    } else {
        let json = args.output.is_json();
        let values: Vec<Value> = steps
            .iter()
            .map(|step| if json { step.as_json() } else { step.fields(args.no_trunc) })
            .collect();
        output::formatted(&args.output, &values, &HEADINGS)?.unwrap_or_else(|| {
            let columns = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
            table::of_fields(&columns, &HEADINGS, &values)
        })
    };
    output::print(&text)?;
    Ok(0)
}

/// A step of the build.
struct Step<'a> {
    /// Of the image, for the newest.
    of: Option<&'a Details>,
    names: &'a [String],
    entry: &'a Value,
    /// Of its layer.
    size: u64,
}

/// Newest first.
fn steps<'a>(details: &'a Details, names: &'a [String]) -> Vec<Step<'a>> {
    let mut sizes = details.manifest.layers.iter().map(|layer| layer.size);
    let mut steps: Vec<Step<'_>> = details
        .history()
        .iter()
        .map(|entry| {
            let empty = entry["empty_layer"].as_bool().unwrap_or(false);
            let size = if empty { 0 } else { sizes.next().unwrap_or(0) };
            Step { of: None, names: &[], entry, size }
        })
        .collect();
    // Of layers that no step is written down for nothing else is known.
    steps.extend(sizes.map(|size| Step { of: None, names: &[], entry: &Value::Null, size }));
    if let Some(newest) = steps.last_mut() {
        (newest.of, newest.names) = (Some(details), names);
    }
    steps.reverse();
    steps
}

impl Step<'_> {
    fn text(&self, key: &str) -> &str {
        self.entry[key].as_str().unwrap_or_default()
    }

    fn id(&self, whole: bool) -> String {
        self.of.map_or_else(|| MISSING.to_owned(), |details| id(&details.id, whole))
    }

    /// What templates and tables show.
    fn fields(&self, whole: bool) -> Value {
        let mut command = self.text("created_by").to_owned();
        if !whole && command.chars().count() > COMMAND_MAX {
            command = command.chars().take(COMMAND_MAX - 3).collect::<String>() + "...";
        }
        let created = date::seconds(self.text("created"));
        json!({
            "ID": self.id(whole),
            "Created": created,
            "CreatedAt": self.text("created"),
            "CreatedSince": since(created),
            "CreatedBy": command,
            "Size": human::size(self.size),
            "Comment": self.text("comment"),
            "Tags": self.names,
        })
    }

    fn as_json(&self) -> Value {
        json!({
            "id": self.of.map_or(MISSING, |details| details.id.hex()),
            "created": self.entry["created"],
            "CreatedBy": self.text("created_by"),
            "size": self.size,
            "comment": self.text("comment"),
            "tags": self.names,
        })
    }
}
