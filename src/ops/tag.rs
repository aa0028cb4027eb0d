//! `sbx tag` and `sbx untag`.

use super::output;
use crate::cli::image::{TagArgs, UntagArgs};
use crate::error::Result;
use crate::host::dirs::Dirs;
use crate::image::reference::{Name, Unqualified};
use crate::image::store::Store;

pub(crate) fn tag(args: &TagArgs) -> Result<u8> {
    let names: Vec<Name> = args
        .names
        .iter()
        .map(|name| Name::parse(name, Unqualified::Localhost))
        .collect::<Result<_>>()?;
    Store::open(&Dirs::from_env()?)?.tag(&args.image, &names)?;
    Ok(0)
}

pub(crate) fn untag(args: &UntagArgs) -> Result<u8> {
    let taken = Store::open(&Dirs::from_env()?)?.untag(&args.image, &args.names)?;
    for name in taken {
        output::print_line(&format!("Untagged: {name}"))?;
    }
    Ok(0)
}
