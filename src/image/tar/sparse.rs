//! Sparse files: GNU's own format and the three that it wrote into PAX headers; see the GNU tar
//! manual, "Storing Sparse Files".

use std::io::BufRead;

use super::header::{number, unsigned};
use super::pax::{Records, decimal};
use super::{BLOCK, Reader};
use crate::error::Result;

/// A run of data in the file; between runs it has holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// The map is held in memory.
const MAX_SEGMENTS: usize = 1 << 17;

/// What a PAX header says about a sparse file.
#[derive(Default)]
pub(super) struct PaxSparse {
    major: u64,
    real_size: Option<u64>,
    name: Option<Vec<u8>>,
    offset: Option<u64>,
    segments: Vec<Segment>,
}

impl PaxSparse {
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match key {
            b"major" => self.major = decimal(value, "GNU.sparse.major")?,
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.real_size = Some(decimal(value, "GNU.sparse.size")?),
            // Version 0.0 repeats the pair of keys, 0.1 has them in one list.
            b"offset" => self.offset = Some(decimal(value, "GNU.sparse.offset")?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or("GNU.sparse.numbytes lacks its offset")?;
                self.segments.push(Segment { offset, len: decimal(value, "GNU.sparse.numbytes")? });
            }
            b"map" => {
                let mut numbers = value.split(|b| *b == b',');
                while let Some(offset) = numbers.next() {
                    let offset = decimal(offset, "GNU.sparse.map")?;
                    let len = numbers.next().ok_or("GNU.sparse.map has an odd number of values")?;
                    self.segments.push(Segment { offset, len: decimal(len, "GNU.sparse.map")? });
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Runs must be in order, inside the file, and as long together as the data in the archive.
pub(super) fn check(map: &[Segment], real_size: u64, stored: u64) -> Result<(), String> {
    let mut end = 0;
    let mut sum = 0;
    for segment in map {
        let next = segment.offset.checked_add(segment.len);
        if segment.offset < end || next.is_none_or(|next| next > real_size) {
            return Err("the map of a sparse file is out of order".to_owned());
        }
        end = segment.offset + segment.len;
        sum += segment.len;
    }
    if sum != stored {
        return Err("the map of a sparse file does not fit its data".to_owned());
    }
    Ok(())
}

impl<R: BufRead> Reader<R> {
    /// The map in a header of type `S` and in the blocks that continue it.
    pub(super) fn gnu_sparse(&mut self, block: &[u8; BLOCK]) -> Result<(Vec<Segment>, u64)> {
        let mut map = Vec::new();
        let real = number(&block[483..495], "real size")
            .and_then(|n| unsigned(n, "real size"))
            .map_err(|why| self.error(why))?;
        self.gnu_segments(&block[386..482], &mut map)?;
        let mut more = block[482] != 0;
        while more {
            let mut block = [0; BLOCK];
            self.fill(&mut block, false)?;
            self.gnu_segments(&block[..504], &mut map)?;
            more = block[504] != 0;
        }
        Ok((map, real))
    }

    fn gnu_segments(&self, fields: &[u8], map: &mut Vec<Segment>) -> Result<()> {
        for field in fields.chunks_exact(24) {
            if field[0] == 0 {
                break;
            }
            let value = |field: &[u8]| {
                number(field, "sparse map")
                    .and_then(|n| unsigned(n, "sparse map"))
                    .map_err(|why| self.error(why))
            };
            self.push(map, Segment { offset: value(&field[..12])?, len: value(&field[12..])? })?;
        }
        Ok(())
    }

    fn push(&self, map: &mut Vec<Segment>, segment: Segment) -> Result<()> {
        if map.len() == MAX_SEGMENTS {
            return Err(self.error(format!("a sparse file has over {MAX_SEGMENTS} parts")));
        }
        map.push(segment);
        Ok(())
    }

    /// The map of a PAX sparse file; version 1.0 keeps it before the data.
    pub(super) fn pax_sparse(&mut self, pax: &mut Records) -> Result<(Vec<Segment>, u64)> {
        let sparse = pax.sparse.take().unwrap_or_default();
        let real =
            sparse.real_size.ok_or_else(|| self.error("a sparse file lacks its real size"))?;
        if let Some(name) = sparse.name {
            pax.path = Some(name);
        }
        if sparse.segments.len() > MAX_SEGMENTS {
            return Err(self.error(format!("a sparse file has over {MAX_SEGMENTS} parts")));
        }
        if sparse.major == 0 {
            return Ok((sparse.segments, real));
        }
        if sparse.major != 1 {
            return Err(self.error(format!("sparse format {} is not known", sparse.major)));
        }
        let mut map = Vec::new();
        let before = self.data;
        let count = self.map_line()?;
        for _ in 0..count {
            let segment = Segment { offset: self.map_line()?, len: self.map_line()? };
            self.push(&mut map, segment)?;
        }
        // The map is padded to a whole block.
        let mut rest = super::padding(before - self.data);
        while rest > 0 {
            let n = self.data()?.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
            if n == 0 {
                return Err(self.error("the map of a sparse file is cut short"));
            }
            self.consume(n);
            rest -= n as u64;
        }
        Ok((map, real))
    }

    /// A decimal number and a newline.
    fn map_line(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            let byte = self.data()?.first().copied();
            match byte {
                Some(b'\n') => {
                    self.consume(1);
                    break;
                }
                Some(b) if b.is_ascii_digit() && digits.len() < 20 => {
                    digits.push(b);
                    self.consume(1);
                }
                _ => return Err(self.error("the map of a sparse file is malformed")),
            }
        }
        if digits.is_empty() {
            return Err(self.error("the map of a sparse file is malformed"));
        }
        decimal(&digits, "sparse map").map_err(|why| self.error(why))
    }
}
