//! What a transaction changed, as bytes of the log: its level, table by table and group by group. Reading builds the
//! level again through the same calls that built it first, so commit and recovery end in the same link step. See
//! `specs/format/writeset.md`.

use super::record::PAYLOAD_BYTES_MAX;
use super::values::{decode_type, decode_vector, encode_type, encode_vector};
use crate::storage::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::storage::delta::{
    BirthPart, ColumnValues, Delta, GroupDelta, KeyPart, PartRows, PatchPart, TableDelta,
};
use crate::storage::index::KeyRef;
use crate::types::{ColumnId, DataType, GlobalId, NODE_GROUP_ROWS, TableId};
use crate::vector::VectorBuffer;

/// The only version of writesets so far.
pub const WRITESET_FORMAT_VERSION: u8 = 1;
/// The bytes of the commit's version, which are filled in last.
const VERSION_BYTES: usize = 8;

const RANGE: u8 = 0;
const LIST: u8 = 1;
const INTEGER_KEYS: u8 = 0;
const BYTE_KEYS: u8 = 1;

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
        let mut delta = Delta::default();
        let version = CommittedLevel::decode_over(&mut delta, bytes)?;
        Ok(CommittedLevel { version, delta })
    }

    /// Reads a writeset on top of a level, as merging it would; gives its version. After an error the level has a part
    /// of it.
    pub fn decode_over(delta: &mut Delta, bytes: &[u8]) -> Damaged<u64> {
        let mut reader = ByteReader::new(bytes);
        let version = u64::from_le_bytes(*reader.array::<VERSION_BYTES>()?);
        if reader.u8()? != WRITESET_FORMAT_VERSION {
            return Err(Damage("a writeset is of an unknown version"));
        }
        for _ in 0..reader.u32()? {
            let table = TableId(reader.u32()?);
            decode_table(&mut reader, delta.table_mut(table))?;
        }
        match reader.remaining() {
            0 => Ok(version),
            _ => Err(Damage("a writeset has bytes behind its end")),
        }
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

fn decode_table(reader: &mut ByteReader<'_>, table: &mut TableDelta) -> Damaged<()> {
    for _ in 0..reader.u32()? {
        let group = u64::from(reader.u32()?);
        decode_group(reader, group * NODE_GROUP_ROWS, table)?;
    }
    decode_edges(reader, table)?;
    for _ in 0..reader.u32()? {
        decode_keys(reader, table)?;
    }
    Ok(())
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

fn decode_group(reader: &mut ByteReader<'_>, first: u64, table: &mut TableDelta) -> Damaged<()> {
    for _ in 0..reader.u16()? {
        decode_births(reader, first, table)?;
    }
    for _ in 0..reader.u16()? {
        let column = ColumnId(reader.u32()?);
        for _ in 0..reader.u16()? {
            decode_patch(reader, first, column, table)?;
        }
    }
    table.delete_rows(&decode_rows(reader, first)?);
    Ok(())
}

fn encode_rows(rows: impl Iterator<Item = u16>, count: u32, out: &mut ByteWriter) {
    out.u32(count);
    rows.for_each(|row| out.u16(row));
}

/// The offsets of rising row numbers in the group that begins at `first`.
fn decode_rows(reader: &mut ByteReader<'_>, first: u64) -> Damaged<Vec<u64>> {
    let count = reader.u32()?;
    if u64::from(count) > NODE_GROUP_ROWS {
        return Err(Damage("a group has more rows than it can"));
    }
    let bytes = reader.take(count as usize * 2)?;
    let row = |bytes: &[u8; 2]| first + u64::from(u16::from_le_bytes(*bytes));
    let rows: Vec<u64> = bytes.as_chunks::<2>().0.iter().map(row).collect();
    match rows.is_sorted_by(|a, b| a < b) {
        true => Ok(rows),
        false => Err(Damage("row numbers do not rise")),
    }
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

fn decode_births(reader: &mut ByteReader<'_>, first: u64, table: &mut TableDelta) -> Damaged<()> {
    let rows: Vec<u64> = match reader.u8()? {
        RANGE => {
            let (start, count) = (u64::from(reader.u32()?), u64::from(reader.u32()?));
            if start + count > NODE_GROUP_ROWS {
                return Err(Damage("a group has more rows than it can"));
            }
            (first + start..first + start + count).collect()
        }
        LIST => decode_rows(reader, first)?,
        _ => return Err(Damage("the kind of a list of rows is unknown")),
    };
    let mut columns = Vec::new();
    for _ in 0..reader.u16()? {
        let column = ColumnId(reader.u32()?);
        let mut values = VectorBuffer::new(decode_type(reader)?);
        decode_vector(reader, &mut values, rows.len())?;
        columns.push((column, values));
    }
    if let (Some(offset), true) = (rows.first(), rows.is_sorted_by(|a, b| a + 1 == *b)) {
        table.add_row_buffers(*offset, columns, rows.len());
        return Ok(());
    }
    let mut done = 0;
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        let part: Vec<ColumnValues<'_>> = columns
            .iter()
            .map(|(column, values)| ColumnValues {
                column: *column,
                data_type: values.data_type(),
                values: values.vector().slice_from(done),
            })
            .collect();
        table.add_rows(run[0], &part, run.len());
        done += run.len();
    }
    Ok(())
}

fn encode_patch(part: &PatchPart, out: &mut ByteWriter) {
    let rows = part.rows();
    encode_type(part.data_type(), out);
    encode_rows(rows.iter().copied(), rows.len() as u32, out);
    encode_vector(&part.values(), part.data_type(), rows.len(), out);
}

fn decode_patch(
    reader: &mut ByteReader<'_>,
    first: u64,
    column: ColumnId,
    table: &mut TableDelta,
) -> Damaged<()> {
    let data_type: DataType = decode_type(reader)?;
    let rows = decode_rows(reader, first)?;
    let mut values = VectorBuffer::new(data_type.clone());
    decode_vector(reader, &mut values, rows.len())?;
    table.patch(column, &data_type, &rows, &values.vector());
    Ok(())
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

fn decode_edges(reader: &mut ByteReader<'_>, table: &mut TableDelta) -> Damaged<()> {
    const BYTES: usize = 20;
    let count = usize::try_from(reader.u64()?).ok().and_then(|count| count.checked_mul(BYTES));
    let bytes = reader.take(count.ok_or(Damage("a table has too many relationships"))?)?;
    for removed in [false, true] {
        let (mut ids, mut sources, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for entry in bytes.as_chunks::<BYTES>().0 {
            let mut entry = ByteReader::new(entry);
            let (source, target, id) = (entry.u64()?, entry.u32()?, entry.u64()?);
            if source >> 1 > GlobalId::OFFSET_MAX || id > GlobalId::OFFSET_MAX {
                return Err(Damage("an offset is beyond every table"));
            }
            if (source & 1 == 1) == removed {
                ids.push(id);
                sources.push(source >> 1);
                targets.push(u64::from(target));
            }
        }
        let changed = table.change_edges(&ids, &sources, &targets, removed);
        changed.map_err(|_| Damage("a node is beyond every table"))?;
    }
    Ok(())
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

fn decode_keys(reader: &mut ByteReader<'_>, table: &mut TableDelta) -> Damaged<()> {
    let kind = reader.u8()?;
    let mut keys = Vec::new();
    for _ in 0..reader.u32()? {
        let key = match kind {
            INTEGER_KEYS => KeyRef::Integer(reader.u64()?),
            BYTE_KEYS => KeyRef::Bytes(reader.short_bytes()?),
            _ => return Err(Damage("the kind of keys is unknown")),
        };
        keys.push((key, reader.u64()?));
    }
    table.add_keys(&mut keys);
    Ok(())
}

#[cfg(test)]
mod tests;
