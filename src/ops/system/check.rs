//! `sbx system check`.

use serde_json::json;

use crate::cli::registry::Pull;
use crate::cli::system::CheckArgs;
use crate::config::ConfigFile;
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;
use crate::image::check::{self, Checked, Damage};
use crate::image::ingest::Ingest;
use crate::image::platform::Platform;
use crate::image::store::Store;
use crate::ops::output;
use crate::ops::progress::Progress;

pub(crate) fn check(args: &CheckArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let store = Store::open(&dirs)?;
    let progress = Progress::new();
    let ingest = Ingest::new(&store, &progress)?;
    let mut checked = check::check(&ingest, args.repair)?;
    let mut failures = Vec::new();
    if args.repair {
        let config = ConfigFile::read(&dirs)?;
        for damage in checked.damage.iter_mut().filter(|damage| !damage.mended) {
            match fetch_again(damage, &ingest, &dirs, &config) {
                Ok(()) => damage.mended = true,
                Err(e) => failures.push(e),
            }
        }
    }
    drop(progress);
    output::print(&if args.json { as_json(&checked) } else { as_text(&checked) })?;
    for failure in failures {
        eprintln!("sbx: {failure}");
    }
    Ok(u8::from(checked.damage.iter().any(|damage| !damage.mended)))
}

/// Of the images that the damage concerns, one that a registry has brings it back.
fn fetch_again(
    damage: &Damage,
    ingest: &Ingest<'_>,
    dirs: &Dirs,
    config: &ConfigFile,
) -> Result<()> {
    // The same one, not this machine's.
    let platforms: Vec<_> = damage.images.iter().map(|i| platform_of(ingest.store, i)).collect();
    damage.clear(ingest)?;
    let mut failed = None;
    for (image, platform) in damage.images.iter().zip(&platforms) {
        match crate::ops::pull::for_run(image, Pull::Always, platform.as_ref(), dirs, config) {
            Ok(_) if damage.is_back(ingest) => return Ok(()),
            Ok(_) => {}
            Err(e) => failed = Some(e),
        }
    }
    Err(failed.unwrap_or_else(|| {
        let why = format!("{} came from no registry", damage.images.join(", "));
        Error::new("cannot fetch what is damaged again", why).fix("load or import it again")
    }))
}

fn platform_of(store: &Store, image: &str) -> Option<Platform> {
    let details = store.get(image).ok()?.0.details.ok()?;
    Platform::of(&serde_json::from_value(details.config).ok()?)
}

fn as_text(checked: &Checked) -> String {
    let mut text = format!(
        "{} images, {} blobs, {} unpacked layers: ",
        checked.images, checked.blobs, checked.layers
    );
    if checked.damage.is_empty() {
        return text + "all whole\n";
    }
    text += &format!("{} damaged\n", checked.damage.len());
    for damage in &checked.damage {
        let state = if damage.mended { "mended" } else { "damaged" };
        let images = damage.images.join(", ");
        text += &format!("{state}: {}: {} (in {images})\n", damage.what, damage.why);
    }
    if checked.damage.iter().any(|damage| !damage.mended) {
        text += "Fix: sbx system check --repair, or load what is damaged again\n";
    }
    text
}

fn as_json(checked: &Checked) -> String {
    let damage: Vec<_> = checked
        .damage
        .iter()
        .map(|d| json!({"what": d.what, "why": d.why, "images": d.images, "mended": d.mended}))
        .collect();
    let all = json!({
        "images": checked.images,
        "blobs": checked.blobs,
        "layers": checked.layers,
        "damage": damage,
    });
    format!("{all:#}\n")
}
