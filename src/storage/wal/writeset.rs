//! What a transaction changed, as bytes of the log: its level, table by table and group by group. See
//! `specs/format/writeset.md`; `level_builder` reads it. A commit that wrote pages names the root that leads to them
//! before its level.

use super::level_builder::LevelBuilder;
use super::record::PAYLOAD_BYTES_MAX;
use super::values::{encode_type, encode_vector};
use crate::storage::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::storage::delta::{BirthPart, Delta, GroupDelta, KeyPart, PartRows, PatchPart, TableDelta};
use crate::storage::index::KeyRef;
use crate::storage::page::{LoggedRoot, PageId, PageRun, ROOT_SIZE, Root};
use crate::types::{NODE_GROUP_ROWS, TableId};

/// The version of writesets without pages.
pub const WRITESET_FORMAT_VERSION: u8 = 1;
/// The version of writesets that name a root and its pages.
pub const WRITESET_WITH_ROOT_VERSION: u8 = 2;
/// The bytes of the commit's version, which are filled in last.
const VERSION_BYTES: usize = 8;
/// The room that a writeset begins with, beside that for what its level holds.
const WRITESET_BYTES: usize = 256;
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
    /// The root that the level stands over, if the commit wrote pages.
    pub root: Option<LoggedRoot>,
    pub delta: Delta,
}

/// What a writeset says beside its level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitHead {
    pub version: u64,
    /// The root that the level stands over, if the commit wrote pages.
    pub root: Option<LoggedRoot>,
}

impl Writeset {
    /// The bytes of a level.
    pub fn encode(delta: &Delta) -> Writeset {
        Writeset::cut(delta, None, PAYLOAD_BYTES_MAX)
    }

    /// The bytes of a level over a new root.
    pub fn encode_over(root: &LoggedRoot, delta: &Delta) -> Writeset {
        Writeset::cut(delta, Some(root), PAYLOAD_BYTES_MAX)
    }

    fn cut(delta: &Delta, root: Option<&LoggedRoot>, payload_bytes: usize) -> Writeset {
        // Most writesets are small; a buffer that need not grow is worth an allocation or three to each.
        let room = WRITESET_BYTES.saturating_add(delta.bytes() as usize).min(payload_bytes);
        let mut out = ByteWriter { bytes: Vec::with_capacity(room) };
        out.u64(0);
        match root {
            None => out.u8(WRITESET_FORMAT_VERSION),
            Some(root) => {
                out.u8(WRITESET_WITH_ROOT_VERSION);
                encode_root(root, &mut out);
            }
        }
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
    pub fn with_version(&mut self, version: u64) -> &mut Vec<Vec<u8>> {
        if let Some(first) = self.payloads.first_mut().and_then(|first| first.first_chunk_mut()) {
            *first = version.to_le_bytes();
        }
        &mut self.payloads
    }
}

impl CommittedLevel {
    /// Reads a writeset from its records' payloads, one behind the other.
    pub fn decode(bytes: &[u8]) -> Damaged<CommittedLevel> {
        let mut builder = LevelBuilder::default();
        let CommitHead { version, root } = builder.take(bytes)?;
        Ok(CommittedLevel { version, root, delta: builder.finish()? })
    }
}

impl CommitHead {
    /// Reads what stands before the level.
    pub(super) fn read(reader: &mut ByteReader<'_>) -> Damaged<CommitHead> {
        let version = u64::from_le_bytes(*reader.array::<VERSION_BYTES>()?);
        let root = match reader.u8()? {
            WRITESET_FORMAT_VERSION => None,
            WRITESET_WITH_ROOT_VERSION => Some(decode_root(reader, version)?),
            _ => return Err(Damage("a writeset is of an unknown version")),
        };
        Ok(CommitHead { version, root })
    }
}

fn encode_root(logged: &LoggedRoot, out: &mut ByteWriter) {
    // The commit's version is not known yet, and stands at the front.
    out.bytes.extend_from_slice(&Root { commit_version: 0, ..logged.root }.encode());
    for runs in [&logged.added, &logged.retired] {
        out.u32(runs.len() as u32);
        for run in runs {
            out.u64(run.first.0);
            out.u64(run.count);
        }
    }
}

fn decode_root(reader: &mut ByteReader<'_>, version: u64) -> Damaged<LoggedRoot> {
    let root =
        Root::decode(reader.array::<ROOT_SIZE>()?).map_err(|_| Damage("the root of a commit is none"))?;
    let root = Root { commit_version: version, ..root };
    Ok(LoggedRoot { root, added: decode_runs(reader)?, retired: decode_runs(reader)? })
}

fn decode_runs(reader: &mut ByteReader<'_>) -> Damaged<Vec<PageRun>> {
    /// Page numbers have 48 bits.
    const LIMIT: u64 = 1 << 48;
    let mut runs = Vec::new();
    for _ in 0..reader.u32()? {
        let (first, count) = (reader.u64()?, reader.u64()?);
        if first >= LIMIT || count >= LIMIT || count == 0 || first + count > LIMIT {
            return Err(Damage("pages are beyond every file"));
        }
        runs.push(PageRun { first: PageId(first), count });
    }
    Ok(runs)
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
