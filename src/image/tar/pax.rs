//! PAX extended headers: `LENGTH KEY=VALUE\n` records; see tar(5), "Pax Interchange Format".

use super::Time;
use super::sparse::PaxSparse;

#[derive(Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<PaxSparse>,
}

pub(super) fn parse(mut bytes: &[u8]) -> Result<Records, String> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let (key, value, rest) = record(bytes).ok_or("a PAX header is malformed")?;
        records.set(key, value)?;
        bytes = rest;
    }
    Ok(records)
}

/// Splits the first record off.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(8).position(|b| *b == b' ')?;
    let digits = &bytes[..space];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    if len <= space + 1 || len > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(len);
    let body = record[space + 1..].strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    if equals == 0 {
        return None;
    }
    Some((&body[..equals], &body[equals + 1..], rest))
}

impl Records {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.get_or_insert_default().set(name, value);
        }
        let given = !value.is_empty();
        match key {
            // An empty value takes the extension back; the header's own field counts then.
            b"path" => self.path = given.then(|| value.to_vec()),
            b"linkpath" => self.link = given.then(|| value.to_vec()),
            b"size" => self.size = given.then(|| decimal(value, "size")).transpose()?,
            b"uid" => self.uid = given.then(|| decimal(value, "uid")).transpose()?,
            b"gid" => self.gid = given.then(|| decimal(value, "gid")).transpose()?,
            b"mtime" => self.mtime = given.then(|| time(value)).transpose()?,
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn decimal(value: &[u8], name: &str) -> Result<u64, String> {
    let number = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse::<i64>().ok());
    number
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| format!("the {name} in a PAX header is not a number that fits"))
}

/// Seconds with an optional fraction, perhaps negative.
fn time(value: &[u8]) -> Result<Time, String> {
    let bad = || "the mtime in a PAX header is not a number".to_owned();
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().map_err(|_| bad())?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().map_err(|_| bad())?;
    if whole.starts_with('-') && nanos > 0 {
        // -1.25 is a quarter second before -1.
        let secs = secs.checked_sub(1).ok_or_else(bad)?;
        return Ok(Time { secs, nanos: 1_000_000_000 - nanos });
    }
    Ok(Time { secs, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_records() {
        let records =
            parse(b"12 path=a=b\n19 mtime=-1.250000\n25 SCHILY.xattr.user.x=y\n").unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(records.mtime, Some(Time { secs: -2, nanos: 750_000_000 }));
        assert_eq!(records.xattrs, [(b"user.x".to_vec(), b"y".to_vec())]);
    }

    #[test]
    fn refuses_malformed_records() {
        for bad in [
            &b"x"[..],
            b"99 path=a\n",
            b"0 path=a\n",
            b"10 path=aa",
            b"+10 path=a\n",
            b"8 =abcd\n",
            b"99999999999999999999 a=b\n",
            b"10 size=-1\n",
            b"11 uid=0x10\n",
        ] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
