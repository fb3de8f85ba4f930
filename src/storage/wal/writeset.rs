//! What a transaction changed, as bytes of the log: its level, table by table and group by group. See
//! `specs/format/writeset.md`; `level_builder` reads it.

use super::level_builder::LevelBuilder;
use super::record::PAYLOAD_BYTES_MAX;
use super::values::{encode_type, encode_vector};
use crate::storage::column::bytes::{ByteWriter, Damaged};
use crate::storage::delta::{BirthPart, Delta, GroupDelta, KeyPart, PartRows, PatchPart, TableDelta};
use crate::storage::index::KeyRef;
use crate::types::{NODE_GROUP_ROWS, TableId};

/// The only version of writesets so far.
pub const WRITESET_FORMAT_VERSION: u8 = 1;
/// The bytes of the commit's version, which are filled in last.
pub(super) const VERSION_BYTES: usize = 8;
/// The bytes of an entry of a list.
pub(super) const ENTRY_BYTES: usize = 20;

pub(super) const RANGE: u8 = 0;
pub(super) const LIST: u8 = 1;
pub(super) const INTEGER_KEYS: u8 = 0;
pub(super) const BYTE_KEYS: u8 = 1;

/// A level as bytes, cut into payloads of records. Its version is not known yet.
#[derive(Debug)]
pub struct Writeset {
    payloads: Vec<Vec<u8>>,
}

/// A level that was read, and the version of its commit.
#[derive(Debug)]
pub struct CommittedLevel {
    pub version: u64,
    pub delta: Delta,
}

impl Writeset {
    /// The bytes of a level.
    pub fn encode(delta: &Delta) -> Writeset {
        Writeset::cut(delta, PAYLOAD_BYTES_MAX)
    }

    fn cut(delta: &Delta, payload_bytes: usize) -> Writeset {
        let mut out = ByteWriter::default();
        out.u64(0);
        out.u8(WRITESET_FORMAT_VERSION);
        let tables: Vec<_> = delta.tables().filter(|(_, table)| !table.is_empty()).collect();
        out.u32(tables.len() as u32);
        tables.into_iter().for_each(|(id, table)| encode_table(id, table, &mut out));
        let payloads = match out.bytes.len() <= payload_bytes {
            true => vec![out.bytes],
            false => out.bytes.chunks(payload_bytes).map(<[u8]>::to_vec).collect(),
        };
        Writeset { payloads }
    }

    /// The sizes of the records' payloads, in order.
    pub fn sizes(&self) -> impl Iterator<Item = usize> {
        self.payloads.iter().map(Vec::len)
    }

    /// The payloads, in order, of the commit that makes this version.
    pub fn with_version(mut self, version: u64) -> Vec<Vec<u8>> {
        if let Some(first) = self.payloads.first_mut().and_then(|first| first.first_chunk_mut()) {
            *first = version.to_le_bytes();
        }
        self.payloads
    }
}

impl CommittedLevel {
    /// Reads a writeset from its records' payloads, one behind the other.
    pub fn decode(bytes: &[u8]) -> Damaged<CommittedLevel> {
        let mut builder = LevelBuilder::default();
        let version = builder.take(bytes)?;
        Ok(CommittedLevel { version, delta: builder.finish()? })
    }
}

fn encode_table(id: TableId, table: &TableDelta, out: &mut ByteWriter) {
    out.u32(id.0);
    out.u32(table.groups().iter().count() as u32);
    for (group, changes) in table.groups().iter() {
        out.u32(group as u32);
        encode_group(changes, out);
    }
    encode_edges(table, out);
    out.u32(table.keys().iter().count() as u32);
    table.keys().iter().for_each(|part| encode_keys(part, out));
}

fn encode_group(changes: &GroupDelta, out: &mut ByteWriter) {
    out.u16(changes.births().iter().count() as u16);
    changes.births().iter().for_each(|part| encode_births(part, out));
    out.u16(changes.patches().count() as u16);
    for (column, parts) in changes.patches() {
        out.u32(column.0);
        out.u16(parts.iter().count() as u16);
        parts.iter().for_each(|part| encode_patch(part, out));
    }
    encode_rows(changes.deletions().iter(), changes.deletions().count(), out);
}

fn encode_rows(rows: impl Iterator<Item = u16>, count: u32, out: &mut ByteWriter) {
    out.u32(count);
    rows.for_each(|row| out.u16(row));
}

fn encode_births(part: &BirthPart, out: &mut ByteWriter) {
    let rows = part.rows();
    match rows {
        PartRows::Range(rows) => {
            out.u8(RANGE);
            out.u32(rows.start);
            out.u32(rows.len() as u32);
        }
        PartRows::List(rows) => {
            out.u8(LIST);
            encode_rows(rows.iter().copied(), rows.len() as u32, out);
        }
    }
    out.u16(part.columns().count() as u16);
    for (column, values) in part.columns() {
        out.u32(column.0);
        encode_type(values.data_type(), out);
        encode_vector(&values.vector(), values.data_type(), rows.len(), out);
    }
}

fn encode_patch(part: &PatchPart, out: &mut ByteWriter) {
    let rows = part.rows();
    encode_type(part.data_type(), out);
    encode_rows(rows.iter().copied(), rows.len() as u32, out);
    encode_vector(&part.values(), part.data_type(), rows.len(), out);
}

/// Relationships by source; the lists of targets follow from them.
fn encode_edges(table: &TableDelta, out: &mut ByteWriter) {
    let count: usize =
        table.forward().iter().flat_map(|(_, group)| group.parts().iter()).map(|part| part.len()).sum();
    out.u64(count as u64);
    for (group, changes) in table.forward().iter() {
        for entry in changes.parts().iter().flat_map(|part| part.iter()) {
            out.u64((group * NODE_GROUP_ROWS + u64::from(entry.node)) << 1 | u64::from(entry.removed));
            out.u32(entry.neighbour);
            out.u64(entry.id);
        }
    }
}

fn encode_keys(part: &KeyPart, out: &mut ByteWriter) {
    let is_integer = part.iter().next().is_some_and(|(key, _)| matches!(key, KeyRef::Integer(_)));
    out.u8(if is_integer { INTEGER_KEYS } else { BYTE_KEYS });
    out.u32(part.len() as u32);
    for (key, offset) in part.iter() {
        match key {
            KeyRef::Integer(key) => out.u64(key),
            KeyRef::Bytes(key) => out.short_bytes(key),
        }
        out.u64(offset);
    }
}

#[cfg(test)]
mod tests;
