//! One 512-byte header; see tar(5), "Pre-POSIX", "POSIX ustar" and "GNU tar Archives".

use super::BLOCK;

pub(super) struct Head {
    pub(super) flag: u8,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
}

pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Head, String> {
    check_sum(block)?;
    let mut path = text(&block[..100]).to_vec();
    // GNU's magic is "ustar  ": it keeps times and sparse maps where ustar has the prefix.
    if &block[257..263] == b"ustar\0" {
        let prefix = text(&block[345..500]);
        if !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
    }
    let size = number(&block[124..136], "size")?;
    Ok(Head {
        flag: block[156],
        path,
        link: text(&block[157..257]).to_vec(),
        mode: (number(&block[100..108], "mode")? & 0o7777) as u32,
        uid: unsigned(number(&block[108..116], "uid")?, "uid")?,
        gid: unsigned(number(&block[116..124], "gid")?, "gid")?,
        size: unsigned(size, "size")?,
        mtime: number(&block[136..148], "mtime")?,
    })
}

/// The sum of all bytes with the field itself as spaces; old writers summed signed bytes.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), String> {
    let stored = number(&block[148..156], "checksum").ok();
    let bytes =
        || block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { b' ' } else { *b });
    let plain: i64 = bytes().map(i64::from).sum();
    let signed = || -> i64 { bytes().map(|b| i64::from(b.cast_signed())).sum() };
    if stored == Some(plain) || stored == Some(signed()) {
        return Ok(());
    }
    Err("it is not a tar archive, or damaged: the checksum of a header is wrong".to_owned())
}

fn text(field: &[u8]) -> &[u8] {
    field.iter().position(|b| *b == 0).map_or(field, |end| &field[..end])
}

/// Octal digits, or GNU's base-256 where the first bit is set.
pub(super) fn number(field: &[u8], name: &str) -> Result<i64, String> {
    let bad = || format!("the {name} in a header is not a number that fits");
    if field[0] & 0x80 != 0 {
        // Two's complement over the whole field but its first bit.
        let negative = field[0] & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (i, byte) in field.iter().enumerate() {
            let byte = match (i, negative) {
                (0, true) => *byte,
                (0, false) => byte & 0x7f,
                _ => *byte,
            };
            value = (value << 8) | i128::from(byte);
        }
        return i64::try_from(value).map_err(|_| bad());
    }
    let digits = text(field).trim_ascii();
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
    if digits.starts_with(['+', '-']) {
        return Err(bad());
    }
    i64::from_str_radix(digits, 8).map_err(|_| bad())
}

pub(super) fn unsigned(value: i64, name: &str) -> Result<u64, String> {
    u64::try_from(value).map_err(|_| format!("the {name} in a header is negative"))
}
