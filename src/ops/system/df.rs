//! `sbx system df`.

use serde_json::{Value, json};

use super::usage::{Container, Image, Place, Sum, Usage, Volume};
use crate::cli::system::DfArgs;
use crate::error::Result;
use crate::image::import::rfc3339;
use crate::image::store::Details;
use crate::ops::images::{date, id, since, split};
use crate::ops::{human, output, ps, table};

const NONE: &str = "<none>";
const COLUMNS: [&str; 5] = ["Type", "Total", "Active", "Size", "Reclaimable"];
const HEADINGS: [(&str, &str); 2] = [("ImageID", "IMAGE ID"), ("ContainerID", "CONTAINER ID")];

pub(super) fn df(args: &DfArgs) -> Result<u8> {
    let usage = Usage::read(&Place::open()?)?;
    output::print(&if args.verbose { details(args, &usage) } else { sums(args, &usage)? })?;
    Ok(0)
}

fn sums(args: &DfArgs, usage: &Usage) -> Result<String> {
    let values = [
        sum("Images", &usage.image_sum),
        sum("Containers", &usage.container_sum()),
        sum("Local Volumes", &usage.volume_sum()),
    ];
    Ok(match output::formatted(&args.output, &values, &HEADINGS)? {
        Some(text) => text,
        None => table::of_fields(&COLUMNS, &HEADINGS, &values),
    })
}

fn sum(kind: &str, sum: &Sum) -> Value {
    let percent = (sum.reclaimable * 100).checked_div(sum.bytes).unwrap_or(0);
    json!({
        "Type": kind,
        "Total": sum.total,
        "Active": sum.active,
        "Size": human::size(sum.bytes),
        "RawSize": sum.bytes,
        "Reclaimable": format!("{} ({percent}%)", human::size(sum.reclaimable)),
        "RawReclaimable": sum.reclaimable,
    })
}

fn details(args: &DfArgs, usage: &Usage) -> String {
    let images: Vec<Value> = usage.images.iter().flat_map(image).collect();
    let containers: Vec<Value> = usage.containers.iter().map(container).collect();
    let volumes: Vec<Value> = usage.volumes.iter().map(volume).collect();
    if args.output.is_json() {
        let all = json!({ "Images": images, "Containers": containers, "Volumes": volumes });
        return format!("{all:#}\n");
    }
    let tables = [
        (
            "Images",
            &[
                "Repository",
                "Tag",
                "ImageID",
                "Created",
                "Size",
                "SharedSize",
                "UniqueSize",
                "Containers",
            ][..],
            images,
        ),
        (
            "Containers",
            &["ContainerID", "Image", "Command", "Size", "Created", "Status"],
            containers,
        ),
        ("Local volumes", &["Name", "Links", "Size"], volumes),
    ];
    let text = |(title, columns, values): (&str, &[&str], Vec<Value>)| {
        format!("{title}:\n\n{}", table::of_fields(columns, &HEADINGS, &values))
    };
    tables.map(text).join("\n")
}

/// One for each name.
fn image(image: &Image) -> Vec<Value> {
    let Image { listed, containers, shared, unique } = image;
    let names = match listed.names.as_slice() {
        [] => vec![(NONE, NONE)],
        names => names.iter().map(|name| split(name)).collect(),
    };
    let details = listed.details.as_ref();
    let created = details.ok().and_then(Details::created);
    let row = |(repository, tag)| {
        json!({
            "Repository": repository,
            "Tag": tag,
            "ImageID": details.map_or_else(|_| "damaged".to_owned(), |d| id(&d.id, false)),
            "Created": since(created),
            "CreatedAt": created.and_then(date),
            "Size": human::size(shared + unique),
            "RawSize": shared + unique,
            "SharedSize": human::size(*shared),
            "RawSharedSize": shared,
            "UniqueSize": human::size(*unique),
            "RawUniqueSize": unique,
            "Containers": containers,
        })
    };
    names.into_iter().map(row).collect()
}

fn container(container: &Container) -> Value {
    let Container { found, bytes } = container;
    let state = found.state.as_ref().ok();
    json!({
        "ContainerID": ps::short(&found.id),
        "Image": state.map_or("", |s| s.image_name()),
        "Command": state.map_or_else(String::new, |s| s.command.join(" ").chars().take(30).collect()),
        "Size": human::size(*bytes),
        "RawSize": bytes,
        "Created": since(state.map(|s| s.created.cast_signed())),
        "CreatedAt": state.map(|s| rfc3339(s.created)),
        "Status": state.map_or_else(|| "damaged".to_owned(), |s| ps::status(found, s)),
    })
}

fn volume(volume: &Volume) -> Value {
    json!({
        "Name": volume.found.name,
        "Links": volume.links,
        "Size": human::size(volume.bytes),
        "RawSize": volume.bytes,
    })
}
