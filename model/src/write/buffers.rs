//! The file's buffers: constants and metadata.

use std::collections::HashMap;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::{Bytes, Data, Program, generated::schema};

use super::DATA_ALIGNMENT;

/// Every distinct range of bytes of a program, in the order of first use. Buffer 0 is the empty one of all tensors
/// without data.
pub(super) struct Buffers<'a> {
    list: Vec<&'a Bytes>,
    index: HashMap<(usize, usize), u32>,
}

/// What makes two ranges the same: they are alive at the same time, so address and length do.
fn key(bytes: &Bytes) -> (usize, usize) {
    (bytes.as_ptr().addr(), bytes.len())
}

impl<'a> Buffers<'a> {
    pub(super) fn of(program: &'a Program) -> Self {
        let mut buffers = Self { list: Vec::new(), index: HashMap::new() };
        for tensor in program.subgraphs.iter().flat_map(|g| &g.tensors) {
            if let Data::Constant(bytes) = &tensor.data {
                buffers.add(bytes);
            }
        }
        for entry in &program.metadata {
            buffers.add(&entry.data);
        }
        buffers
    }

    fn add(&mut self, bytes: &'a Bytes) {
        if !bytes.is_empty() && !self.index.contains_key(&key(bytes)) {
            self.list.push(bytes);
            self.index.insert(key(bytes), u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        }
    }

    /// Bytes of all buffers, each rounded up to the alignment.
    pub(super) fn size(&self) -> usize {
        self.list.iter().map(|bytes| bytes.len().next_multiple_of(DATA_ALIGNMENT)).sum()
    }

    /// Position of a range in the file's list of buffers.
    pub(super) fn index(&self, bytes: &Bytes) -> u32 {
        if bytes.is_empty() { 0 } else { self.index.get(&key(bytes)).copied().unwrap_or(0) }
    }

    /// Writes the list, with the data in it or with their places from offset `outside` of the file on.
    pub(super) fn write<'b>(
        &self,
        b: &mut FlatBufferBuilder<'b>,
        outside: Option<usize>,
    ) -> WIPOffset<Vector<'b, ForwardsUOffset<schema::Buffer<'b>>>> {
        let mut tables = vec![schema::Buffer::create(b, &schema::BufferArgs::default())];
        let mut offset = outside;
        for bytes in &self.list {
            let args = match &mut offset {
                Some(offset) => {
                    let args = schema::BufferArgs { data: None, offset: *offset as u64, size: bytes.len() as u64 };
                    *offset += bytes.len().next_multiple_of(DATA_ALIGNMENT);
                    args
                }
                None => {
                    pad(b, bytes.len());
                    let data = Some(b.create_vector(bytes));
                    schema::BufferArgs { data, ..Default::default() }
                }
            };
            tables.push(schema::Buffer::create(b, &args));
        }
        b.create_vector(&tables)
    }

    /// Puts the data behind a flatbuffer.
    pub(super) fn append(&self, file: &mut Vec<u8>) {
        for bytes in &self.list {
            file.resize(file.len().next_multiple_of(DATA_ALIGNMENT), 0);
            file.extend_from_slice(bytes);
        }
    }
}

/// Writes zeros until what begins `len` bytes further on, counted from the end, is aligned. A flatbuffer is written
/// from its end, whose place is known only when all is written, and then padded in the same way.
pub(super) fn pad(b: &mut FlatBufferBuilder<'_>, len: usize) {
    let end = b.unfinished_data().len().saturating_add(len);
    for _ in end..end.next_multiple_of(DATA_ALIGNMENT) {
        b.push(0u8);
    }
}
