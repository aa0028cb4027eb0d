//! `sbx commit`: a container's changes become an image.

use super::progress::Progress;
use super::{kept, output};
use crate::cli::changes::{CommitArgs, CommitFormat};
use crate::error::{Error, Result};
use crate::host::dirs::Dirs;
use crate::image::commit::{About, commit as make};
use crate::image::ingest::Ingest;
use crate::image::instruction::Instruction;
use crate::image::reference::{Name, Unqualified};
use crate::image::store::Store;

pub(crate) fn commit(args: &CommitArgs) -> Result<u8> {
    let name = args.name.as_deref().map(|n| Name::parse(n, Unqualified::Localhost)).transpose()?;
    let changes = instructions(&args.change)?;
    let dirs = Dirs::from_env()?;
    let store = Store::open(&dirs)?;
    let container = kept::get(&dirs.data, &store, &args.container)?;
    if container.found.running {
        let what = format!("cannot commit container {}", container.found.id);
        return Err(Error::new(what, "it is running, and its files change while they are read")
            .fix(format!("end it first; sbx export {} reads it as it is", args.container)));
    }
    let progress = if args.quiet { Progress::quiet() } else { Progress::new() };
    let ingest = Ingest::new(&store, &progress)?;
    let about = About {
        author: args.author.as_deref(),
        message: args.message.as_deref(),
        created_by: container.state.command.join(" "),
        changes: &changes,
        docker: args.format == CommitFormat::Docker,
    };
    let base = store.record(&container.image.digest.to_string())?;
    let id = make(&ingest, base, container.trees(None), &about, name.as_ref())?;
    drop(progress);
    output::print_line(id.as_str())?;
    Ok(0)
}

/// What was given with `--change`, before any work is done.
pub(super) fn instructions(texts: &[String]) -> Result<Vec<Instruction>> {
    texts.iter().map(|text| Instruction::parse(text)).collect()
}
