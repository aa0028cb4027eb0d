//! Names of entries, made to stay inside the tree.

use std::borrow::Cow;

/// The path relative to the tree, without empty and `.` parts; empty for the root. Absolute names
/// are taken from the root, as tar does; a `..` is refused, since no tool writes one.
pub(super) fn inside(path: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let parts = || path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
    if parts().any(|part| part == b"..") {
        return Err("its name has \"..\" in it".to_owned());
    }
    if let Some(long) = parts().find(|part| part.len() > 255) {
        return Err(format!("a part of its name is {} bytes long, the limit is 255", long.len()));
    }
    // Most names are clean but for the slash that ends a directory's.
    let trimmed = path.strip_prefix(b"./").unwrap_or(path);
    let trimmed = trimmed.strip_suffix(b"/").unwrap_or(trimmed);
    if trimmed.split(|b| *b == b'/').all(|part| !matches!(part, b"" | b".")) {
        return Ok(Cow::Borrowed(trimmed));
    }
    Ok(Cow::Owned(parts().collect::<Vec<_>>().join(&b'/')))
}

/// Directory and last part.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_names_inside() {
        for (name, clean) in [
            ("./", ""),
            (".", ""),
            ("/", ""),
            ("", ""),
            ("a", "a"),
            ("./a/b/", "a/b"),
            ("/etc/passwd", "etc/passwd"),
            ("//a//./b", "a/b"),
            ("a/...", "a/..."),
            ("././a", "a"),
        ] {
            assert_eq!(&*inside(name.as_bytes()).unwrap(), clean.as_bytes(), "{name}");
        }
        for name in ["..", "../a", "a/..", "/../a", "a/../b", "./.."] {
            assert!(inside(name.as_bytes()).is_err(), "{name}");
        }
        assert!(inside(&[b'a'; 256]).is_err());
    }

    #[test]
    fn splits() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
    }
}
