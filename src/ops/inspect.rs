//! `sbx inspect`: all that is known of images and containers.

use std::path::Path;

use serde_json::{Value, json};

use super::images::{date, repo_digests};
use super::output;
use super::template::Template;
use crate::cli::image::{ImageInspectArgs, InspectArgs, ObjectType};
use crate::error::{Error, Result, printable};
use crate::host::dirs::Dirs;
use crate::image::store::{Listed, Store};
use crate::state::{self, Found};

pub(crate) fn inspect(args: &InspectArgs) -> Result<u8> {
    objects(&args.names, args.object_type, args.format.as_deref())
}

pub(crate) fn image(args: &ImageInspectArgs) -> Result<u8> {
    objects(&args.names, ObjectType::Image, args.format.as_deref())
}

/// What is found is printed, whatever else is not.
fn objects(names: &[String], object_type: ObjectType, format: Option<&str>) -> Result<u8> {
    let template = match format {
        None | Some("json") => None,
        Some(text) => Some(Template::parse(text)?),
    };
    let dirs = Dirs::from_env()?;
    let store = Store::open(&dirs)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match object(name, object_type, &dirs.data, &store) {
            Ok(value) => found.push(value),
            Err(e) => failures.push(e),
        }
    }
    let text = match template {
        Some(template) => printable(&template.render(&found, &[])?),
        None => format!("{:#}\n", Value::from(found)),
    };
    output::print(&text)?;
    let Some(last) = failures.pop() else { return Ok(0) };
    for failure in failures {
        eprintln!("sbx: {failure}");
    }
    Err(last)
}

fn object(name: &str, object_type: ObjectType, data: &Path, store: &Store) -> Result<Value> {
    match object_type {
        ObjectType::Image => image_value(store.get(name)?.0),
        ObjectType::Container => container_value(&state::find(data, name)?, store),
        // As podman does it: a container before an image.
        ObjectType::All => {
            if state::list(data)?.iter().any(|found| found.id.starts_with(name)) {
                container_value(&state::find(data, name)?, store)
            } else if store.has(name)? {
                image_value(store.get(name)?.0)
            } else {
                let why = "there is no container with this id, and no image of this name or id";
                Err(Error::new(format!("cannot inspect {name:?}"), why)
                    .fix("sbx ps -a, or sbx images --all"))
            }
        }
    }
}

fn image_value(listed: Listed) -> Result<Value> {
    let repo_digests = repo_digests(&listed);
    let Listed { digest, names, details } = listed;
    let details = details?;
    let text = |key: &str| details.config[key].as_str().unwrap_or_default();
    let inner = &details.config["config"];
    let history = details.history();
    let comment = history.last().and_then(|step| step["comment"].as_str()).unwrap_or_default();
    let size = details.size();
    Ok(json!({
        "Id": details.id.hex(),
        "Digest": digest,
        "RepoTags": names,
        "RepoDigests": repo_digests,
        "Parent": "",
        "Comment": comment,
        "Created": details.config["created"],
        "Config": if inner.is_object() { inner.clone() } else { json!({}) },
        "Version": "",
        "Author": text("author"),
        "Architecture": text("architecture"),
        "Os": text("os"),
        "Size": size,
        "VirtualSize": size,
        "RootFS": { "Type": "layers", "Layers": details.diff_ids() },
        "Labels": inner["Labels"],
        "Annotations": details.annotations,
        "ManifestType": details.media_type,
        "User": inner["User"].as_str().unwrap_or_default(),
        "History": history,
        "NamesHistory": names,
    }))
}

fn container_value(found: &Found, store: &Store) -> Result<Value> {
    let state = found.state.as_ref().map_err(Clone::clone)?;
    let status = match (found.running, state.exit_code) {
        (true, _) => "running",
        (false, Some(_)) => "exited",
        (false, None) => "dead",
    };
    let path = |name: &str| found.dir.join(name).display().to_string();
    let lower: Vec<String> = state.layers.iter().rev().map(|l| l.display().to_string()).collect();
    Ok(json!({
        "Id": found.id,
        "Created": date(state.created.cast_signed()),
        "Path": state.command.first(),
        "Args": state.command.get(1..).unwrap_or_default(),
        "State": {
            "Status": status,
            "Running": found.running,
            "ExitCode": state.exit_code,
        },
        "Image": store.id_of(state.image_digest()).map(|id| id.hex().to_owned()),
        "ImageName": state.image_name(),
        "ImageDigest": state.image_digest(),
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": lower.join(":"),
                "UpperDir": path("upper"),
                "WorkDir": path("work"),
            },
        },
    }))
}
