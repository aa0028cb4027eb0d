use std::io::Cursor;

use super::*;

/// A ustar header with a right checksum.
fn header(name: &str, flag: u8, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sign(&mut block);
    block
}

fn sign(block: &mut [u8; BLOCK]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    out.resize(data.len().next_multiple_of(BLOCK), 0);
    out
}

fn reader(bytes: Vec<u8>) -> Reader<Cursor<Vec<u8>>> {
    Reader::new(Cursor::new(bytes), "x.tar")
}

fn entry(reader: &mut Reader<Cursor<Vec<u8>>>) -> Entry {
    match reader.next().unwrap() {
        Next::Entry(entry) => entry,
        Next::End { .. } => panic!("the archive ended"),
    }
}

fn why(bytes: Vec<u8>) -> String {
    let mut reader = reader(bytes);
    loop {
        match reader.next() {
            Ok(Next::Entry(_)) => {}
            Ok(Next::End { .. }) => panic!("the archive was taken"),
            Err(e) => return e.to_string(),
        }
    }
}

fn pax(records: &[u8]) -> Vec<u8> {
    [header("pax", b'x', records.len() as u64).to_vec(), padded(records)].concat()
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let body = format!(" {key}={value}\n");
    let mut len = body.len() + 1;
    while len != body.len() + len.to_string().len() {
        len = body.len() + len.to_string().len();
    }
    format!("{len}{body}").into_bytes()
}

#[test]
fn reads_files_and_the_end() {
    let bytes = [
        header("a", b'0', 3).to_vec(),
        padded(b"abc"),
        header("b", b'0', 0).to_vec(),
        vec![0; 1024],
    ]
    .concat();
    let mut reader = reader(bytes);
    assert_eq!(entry(&mut reader).path, b"a");
    assert_eq!(reader.data().unwrap(), b"abc");
    assert_eq!(entry(&mut reader).path, b"b");
    assert!(matches!(reader.next().unwrap(), Next::End { marked: true }));
}

#[test]
fn names_truncation_wherever_it_strikes() {
    let whole = [header("a", b'0', 600).to_vec(), padded(&[1; 600]), vec![0; 1024]].concat();
    for len in [1, 511, 513, 1000, 1300, 1535] {
        assert!(why(whole[..len].to_vec()).contains("truncated"), "{len}");
    }
}

#[test]
fn refuses_wrong_checksums_and_trailing_entries() {
    let mut block = header("a", b'0', 0);
    block[0] = b'b';
    assert!(why(block.to_vec()).contains("checksum"));
    let late = [vec![0; 512], header("a", b'0', 0).to_vec()].concat();
    assert!(why(late).contains("behind its end mark"));
}

#[test]
fn refuses_giant_extensions() {
    for flag in [b'x', b'g', b'L', b'K'] {
        assert!(why(header("a", flag, 1 << 30).to_vec()).contains("limit"));
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let mut block = header("a", b'0', 0);
    // Base-256 with a bit above the 64 that fit: the tar crate would call this size 0.
    block[124..136].copy_from_slice(&[0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    sign(&mut block);
    assert!(why(block.to_vec()).contains("size"));
    block[124..136].copy_from_slice(&[0xff; 12]);
    sign(&mut block);
    assert!(why(block.to_vec()).contains("negative"));
}

#[test]
fn links_have_no_data_whatever_they_say() {
    let bytes = [header("l", b'1', 4096).to_vec(), header("b", b'0', 0).to_vec()].concat();
    let mut reader = reader(bytes);
    assert_eq!(entry(&mut reader).kind, Kind::HardLink);
    assert_eq!(entry(&mut reader).path, b"b");
}

#[test]
fn pax_overrides_the_header() {
    let long = "d/".repeat(200) + "f";
    let records = [record("path", &long), record("size", "5"), record("mtime", "7.5")].concat();
    let mut file = header("short", b'0', 0).to_vec();
    file.extend(padded(b"hello"));
    let mut reader = reader([pax(&records), file].concat());
    let entry = entry(&mut reader);
    assert_eq!(entry.path, long.as_bytes());
    assert_eq!(entry.size, 5);
    assert_eq!(entry.mtime, Time { secs: 7, nanos: 500_000_000 });
    assert_eq!(reader.data().unwrap(), b"hello");
}

#[test]
fn reads_every_sparse_format() {
    let want = [Segment { offset: 512, len: 3 }, Segment { offset: 4096, len: 2 }];
    let mut gnu = header("s", b'S', 5);
    gnu[257..265].copy_from_slice(b"ustar  \0");
    for (i, n) in [512, 3, 4096, 2].into_iter().enumerate() {
        gnu[386 + 12 * i..397 + 12 * i].copy_from_slice(format!("{n:011o}").as_bytes());
    }
    gnu[483..494].copy_from_slice(format!("{:011o}", 8192).as_bytes());
    sign(&mut gnu);
    let v00 = [
        record("GNU.sparse.size", "8192"),
        record("GNU.sparse.offset", "512"),
        record("GNU.sparse.numbytes", "3"),
        record("GNU.sparse.offset", "4096"),
        record("GNU.sparse.numbytes", "2"),
    ]
    .concat();
    let v01 =
        [record("GNU.sparse.size", "8192"), record("GNU.sparse.map", "512,3,4096,2")].concat();
    let v10 = [
        record("GNU.sparse.major", "1"),
        record("GNU.sparse.minor", "0"),
        record("GNU.sparse.name", "s"),
        record("GNU.sparse.realsize", "8192"),
    ]
    .concat();
    let mut map = padded(b"2\n512\n3\n4096\n2\n");
    map.extend(b"abcde");
    for bytes in [
        [gnu.to_vec(), padded(b"abcde")].concat(),
        [pax(&v00), header("s", b'0', 5).to_vec(), padded(b"abcde")].concat(),
        [pax(&v01), header("s", b'0', 5).to_vec(), padded(b"abcde")].concat(),
        [pax(&v10), header("GNUSparseFile.1/s", b'0', 517).to_vec(), padded(&map)].concat(),
    ] {
        let mut reader = reader(bytes);
        let entry = entry(&mut reader);
        assert_eq!(entry.path, b"s");
        assert_eq!(entry.size, 8192);
        assert_eq!(entry.sparse.as_deref(), Some(&want[..]));
        assert_eq!(reader.data().unwrap(), b"abcde");
        assert!(matches!(reader.next().unwrap(), Next::End { .. }));
    }
}

#[test]
fn refuses_sparse_maps_that_lie() {
    for map in ["512,3,0,2", "0,5,8190,5", "0,4", "0,18446744073709551615", "1,2,3"] {
        let records = [record("GNU.sparse.size", "8192"), record("GNU.sparse.map", map)].concat();
        let bytes = [pax(&records), header("s", b'0', 5).to_vec(), padded(b"abcde")].concat();
        assert!(why(bytes).contains("cannot unpack"), "{map}");
    }
}
