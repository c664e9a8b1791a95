//! Files packed with a model: a zip archive behind the flatbuffer, as TFLite's metadata tools append it.

use crate::{Bytes, Error, error::Fault};

/// A file of the package.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub data: Bytes,
}

const END_OF_DIRECTORY: [u8; 4] = *b"PK\x05\x06";
const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
/// Deflate makes nothing smaller than by about this factor.
const MAX_RATIO: usize = 1032;

/// The files packed into a model's file (`bytes` is the whole file): labels, vocabularies. Empty for most models.
///
/// # Errors
///
/// When an archive is there but damaged, or a file in it is neither stored nor deflated.
pub fn packed_files(bytes: &Bytes) -> Result<Vec<PackedFile>, Error> {
    let Some(end) = find_end(bytes) else { return Ok(Vec::new()) };
    read_directory(bytes, end).map_err(Fault::in_file)
}

/// The place of the archive's end record: in the last 64 KiB, since a comment may follow.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last).rev().find(|&at| {
        let comment = u16_at(bytes, at + 20).map(usize::from);
        has_signature(bytes, at, END_OF_DIRECTORY) && comment.is_ok_and(|len| at + END_BYTES + len == bytes.len())
    })
}

fn read_directory(bytes: &Bytes, end: usize) -> Result<Vec<PackedFile>, Fault> {
    let count = u16_at(bytes, end + 10)?;
    let (size, offset) = (u32_at(bytes, end + 12)?, u32_at(bytes, end + 16)?);
    // Offsets count from the archive's beginning, which some tools take to be that of the file.
    let missing = || Fault::new("packed files", format!("a directory of {size} bytes at {offset}"), "one in the file");
    let directory = end.checked_sub(size).ok_or_else(missing)?;
    let base = directory.checked_sub(offset).ok_or_else(missing)?;
    let mut files = Vec::new();
    let mut at = directory;
    for _ in 0..count {
        if !has_signature(bytes, at, DIRECTORY_ENTRY) {
            return Err(damaged("directory entry", at));
        }
        let name_bytes = usize::from(u16_at(bytes, at + 28)?);
        let name = slice(bytes, at + ENTRY_BYTES, name_bytes)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let local = base.checked_add(u32_at(bytes, at + 42)?).ok_or_else(|| damaged("local header", at))?;
        let entry = Entry {
            method: u16_at(bytes, at + 10)?,
            packed: u32_at(bytes, at + 20)?,
            size: u32_at(bytes, at + 24)?,
            crc: u32_at(bytes, at + 16)?,
        };
        if !name.ends_with('/') {
            let data = entry.read(bytes, local).map_err(|f| Fault { part: format!("packed file {name:?}"), ..f })?;
            files.push(PackedFile { name, data });
        }
        let variable = usize::from(u16_at(bytes, at + 30)?) + usize::from(u16_at(bytes, at + 32)?);
        at += ENTRY_BYTES + name_bytes + variable;
    }
    Ok(files)
}

/// What the directory says of a file.
struct Entry {
    method: u16,
    packed: usize,
    size: usize,
    crc: usize,
}

impl Entry {
    fn read(&self, bytes: &Bytes, local: usize) -> Result<Bytes, Fault> {
        if !has_signature(bytes, local, LOCAL_HEADER) {
            return Err(damaged("local header", local));
        }
        let skip = usize::from(u16_at(bytes, local + 26)?) + usize::from(u16_at(bytes, local + 28)?);
        let packed = slice(bytes, local + LOCAL_BYTES + skip, self.packed)?;
        let data = match self.method {
            0 => packed,
            8 if self.size <= self.packed.saturating_mul(MAX_RATIO).saturating_add(64) => {
                let data = miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, self.size)
                    .map_err(|error| Fault::new("", error.status as i32, "deflated data"))?;
                Bytes::from(data)
            }
            8 => return Err(Fault::new("", format!("{} bytes from {}", self.size, self.packed), "deflated data")),
            method => return Err(Fault::new("", format!("method {method}"), "0 (stored) or 8 (deflated)")),
        };
        if data.len() != self.size || crc32(&data) as usize != self.crc {
            return Err(Fault::new("", format!("{} bytes of another checksum", data.len()), "the directory's"));
        }
        Ok(data)
    }
}

/// CRC-32 as in zip and PNG.
fn crc32(data: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|i| {
        (0..8).fold(u32::try_from(i).unwrap_or(0), |c, _| if c & 1 == 0 { c >> 1 } else { 0xedb8_8320 ^ (c >> 1) })
    });
    !data.iter().fold(!0, |crc, &byte| (crc >> 8) ^ table[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

fn damaged(part: &str, at: usize) -> Fault {
    Fault::new("packed files", format!("no {part} at byte {at}"), "one")
}

fn has_signature(bytes: &[u8], at: usize, signature: [u8; 4]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(&signature))
}

fn slice(bytes: &Bytes, at: usize, len: usize) -> Result<Bytes, Fault> {
    bytes.slice(at, len).ok_or_else(|| Fault::new("packed files", format!("{len} bytes at {at}"), "a part of the file"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Fault> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map(|&b| u16::from_le_bytes(b)).ok_or_else(|| damaged("field", at))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map(|&b| u32::from_le_bytes(b) as usize).ok_or_else(|| damaged("field", at))
}
