//! One level from many writesets. What small commits say is gathered as it is read, rows behind rows and keys behind
//! keys, and put into the level in large parts, so that recovery does not link commit by commit. The level is the one
//! that linking them would make. See `specs/format/writeset.md`.

use std::collections::BTreeMap;

use super::values::{decode_type, decode_vector};
use super::writeset::{BYTE_KEYS, CommitHead, ENTRY_BYTES, INTEGER_KEYS, LIST, RANGE};
use crate::storage::column::bytes::{ByteReader, Damage, Damaged};
use crate::storage::delta::{Delta, TableDelta};
use crate::storage::index::KeyRef;
use crate::types::{ColumnId, GlobalId, NODE_GROUP_ROWS, TableId};
use crate::vector::VectorBuffer;

/// So many rows, entries or keys are gathered before they are put into the level.
const GATHERED_MAX: usize = 1 << 18;

/// Reads writesets, in the order of their versions, into one level.
#[derive(Default)]
pub struct LevelBuilder {
    delta: Delta,
    gathered: BTreeMap<TableId, GatheredTable>,
}

/// What was read of a table and is not in the level yet. The kinds do not depend on each other; within one the order
/// is kept where it matters.
#[derive(Default)]
struct GatheredTable {
    births: GatheredBirths,
    patches: Vec<GatheredPatches>,
    deleted: Vec<u64>,
    added: GatheredEdges,
    removed: GatheredEdges,
    keys: GatheredKeys,
}

/// Rows of one group, in the order of the commits.
#[derive(Default)]
struct GatheredBirths {
    group: u64,
    rows: Vec<u16>,
    /// Sorted by column; all have as many values as there are rows.
    columns: Vec<(ColumnId, VectorBuffer)>,
}

/// New values of a column, the newest last.
struct GatheredPatches {
    column: ColumnId,
    rows: Vec<u64>,
    values: VectorBuffer,
}

#[derive(Default)]
struct GatheredEdges {
    ids: Vec<u64>,
    sources: Vec<u64>,
    targets: Vec<u64>,
}

/// Keys, the newest last: numbers, or bytes of which key `i` ends at `ends[i]`.
#[derive(Default)]
struct GatheredKeys {
    integers: Vec<u64>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
    offsets: Vec<u64>,
}

impl LevelBuilder {
    /// Reads a writeset from its records' payloads, one behind the other; gives its version and root. After an error the
    /// level has a part of it.
    pub fn take(&mut self, bytes: &[u8]) -> Damaged<CommitHead> {
        let mut reader = ByteReader::new(bytes);
        let head = CommitHead::read(&mut reader)?;
        for _ in 0..reader.u32()? {
            let id = TableId(reader.u32()?);
            let gathered = self.gathered.entry(id).or_default();
            gathered.read(&mut reader, id, &mut self.delta)?;
        }
        match reader.remaining() {
            0 => Ok(head),
            _ => Err(Damage("a writeset has bytes behind its end")),
        }
    }

    /// The level of all that was read.
    pub fn finish(mut self) -> Damaged<Delta> {
        for (id, mut gathered) in self.gathered {
            gathered.link(self.delta.table_mut(id))?;
        }
        Ok(self.delta)
    }
}

impl GatheredTable {
    fn read(&mut self, reader: &mut ByteReader<'_>, id: TableId, delta: &mut Delta) -> Damaged<()> {
        for _ in 0..reader.u32()? {
            let group = u64::from(reader.u32()?);
            self.read_group(reader, group, id, delta)?;
        }
        self.read_edges(reader)?;
        for _ in 0..reader.u32()? {
            self.keys.read(reader)?;
        }
        if self.is_large() {
            self.link_all_but_births(delta.table_mut(id))?;
        }
        Ok(())
    }

    fn read_group(
        &mut self,
        reader: &mut ByteReader<'_>,
        group: u64,
        id: TableId,
        delta: &mut Delta,
    ) -> Damaged<()> {
        for _ in 0..reader.u16()? {
            if self.births.group != group || self.births.rows.len() >= NODE_GROUP_ROWS as usize {
                self.births.link(delta.table_mut(id));
                self.births.group = group;
            }
            self.births.read(reader)?;
        }
        let first = group * NODE_GROUP_ROWS;
        for _ in 0..reader.u16()? {
            let column = ColumnId(reader.u32()?);
            for _ in 0..reader.u16()? {
                self.read_patch(reader, first, column)?;
            }
        }
        read_rows(reader, |row| self.deleted.push(first + u64::from(row)))
    }

    fn read_patch(&mut self, reader: &mut ByteReader<'_>, first: u64, column: ColumnId) -> Damaged<()> {
        let data_type = decode_type(reader)?;
        let at = self.patches.iter().position(|patches| patches.column == column).unwrap_or_else(|| {
            let values = VectorBuffer::new(data_type.clone());
            self.patches.push(GatheredPatches { column, rows: Vec::new(), values });
            self.patches.len() - 1
        });
        let patches = &mut self.patches[at];
        if *patches.values.data_type() != data_type {
            return Err(OTHER_TYPE);
        }
        let before = patches.rows.len();
        read_rows(reader, |row| patches.rows.push(first + u64::from(row)))?;
        decode_vector(reader, &mut patches.values, patches.rows.len() - before)
    }

    fn read_edges(&mut self, reader: &mut ByteReader<'_>) -> Damaged<()> {
        let count = usize::try_from(reader.u64()?).ok().and_then(|count| count.checked_mul(ENTRY_BYTES));
        let bytes = reader.take(count.ok_or(Damage("a table has too many relationships"))?)?;
        for entry in bytes.as_chunks::<ENTRY_BYTES>().0 {
            let mut entry = ByteReader::new(entry);
            let (source, target, id) = (entry.u64()?, entry.u32()?, entry.u64()?);
            if source >> 1 > GlobalId::OFFSET_MAX || id > GlobalId::OFFSET_MAX {
                return Err(Damage("an offset is beyond every table"));
            }
            let edges = if source & 1 == 1 { &mut self.removed } else { &mut self.added };
            edges.ids.push(id);
            edges.sources.push(source >> 1);
            edges.targets.push(u64::from(target));
        }
        Ok(())
    }

    fn is_large(&self) -> bool {
        let patched: usize = self.patches.iter().map(|patches| patches.rows.len()).sum();
        let edges = self.added.ids.len() + self.removed.ids.len();
        patched.max(self.deleted.len()).max(edges).max(self.keys.offsets.len()) >= GATHERED_MAX
    }

    fn link(&mut self, table: &mut TableDelta) -> Damaged<()> {
        self.births.link(table);
        self.link_all_but_births(table)
    }

    fn link_all_but_births(&mut self, table: &mut TableDelta) -> Damaged<()> {
        for GatheredPatches { column, rows, values } in
            self.patches.drain(..).filter(|new| !new.rows.is_empty())
        {
            table.patch(column, values.data_type(), &rows, &values.vector());
        }
        table.delete_rows(&std::mem::take(&mut self.deleted));
        for (edges, removed) in [(&mut self.added, false), (&mut self.removed, true)] {
            let GatheredEdges { ids, sources, targets } = std::mem::take(edges);
            let changed = table.change_edges(&ids, &sources, &targets, removed);
            changed.map_err(|_| Damage("a node is beyond every table"))?;
        }
        std::mem::take(&mut self.keys).link(table);
        Ok(())
    }
}

const OTHER_TYPE: Damage = Damage("a column is of two types");

impl GatheredBirths {
    fn read(&mut self, reader: &mut ByteReader<'_>) -> Damaged<()> {
        let before = self.rows.len();
        match reader.u8()? {
            RANGE => {
                let (start, count) = (u64::from(reader.u32()?), u64::from(reader.u32()?));
                if start + count > NODE_GROUP_ROWS {
                    return Err(TOO_MANY_ROWS);
                }
                self.rows.extend((start..start + count).map(|row| row as u16));
            }
            LIST => read_rows(reader, |row| self.rows.push(row))?,
            _ => return Err(Damage("the kind of a list of rows is unknown")),
        }
        let all = self.rows.len();
        for _ in 0..reader.u16()? {
            let column = ColumnId(reader.u32()?);
            let data_type = decode_type(reader)?;
            let at = match self.columns.binary_search_by_key(&column, |(known, _)| *known) {
                Ok(at) => at,
                Err(at) => {
                    self.columns.insert(at, (column, VectorBuffer::new(data_type.clone())));
                    at
                }
            };
            let values = &mut self.columns[at].1;
            if *values.data_type() != data_type {
                return Err(OTHER_TYPE);
            }
            // Rows of commits that left the column out.
            values.push_nulls(before.saturating_sub(values.len()));
            decode_vector(reader, values, all - before)?;
            if values.len() != all {
                return Err(Damage("rows have two values of a column"));
            }
        }
        Ok(())
    }

    /// Puts the rows into the level as one part.
    fn link(&mut self, table: &mut TableDelta) {
        let (rows, mut columns) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.columns));
        if rows.is_empty() {
            return;
        }
        columns.iter_mut().for_each(|(_, values)| values.push_nulls(rows.len() - values.len()));
        if rows.is_sorted_by(|a, b| a < b) {
            return table.add_births(self.group, rows, columns);
        }
        // Of equal rows the last stays, though no row is born twice.
        let mut order: Vec<u32> = (0..rows.len() as u32).rev().collect();
        order.sort_by_key(|at| rows[*at as usize]);
        order.dedup_by_key(|at| rows[*at as usize]);
        for (_, values) in &mut columns {
            let mut sorted = VectorBuffer::new(values.data_type().clone());
            sorted.append_rows(&values.vector(), &order);
            *values = sorted;
        }
        table.add_births(self.group, order.iter().map(|at| rows[*at as usize]).collect(), columns);
    }
}

impl GatheredKeys {
    fn read(&mut self, reader: &mut ByteReader<'_>) -> Damaged<()> {
        let kind = reader.u8()?;
        for _ in 0..reader.u32()? {
            match kind {
                INTEGER_KEYS if self.ends.is_empty() => self.integers.push(reader.u64()?),
                BYTE_KEYS if self.integers.is_empty() => {
                    self.bytes.extend_from_slice(reader.short_bytes()?);
                    self.ends.push(self.bytes.len());
                }
                _ => return Err(Damage("the kind of keys is unknown")),
            }
            self.offsets.push(reader.u64()?);
        }
        Ok(())
    }

    fn link(self, table: &mut TableDelta) {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let texts = starts.zip(&self.ends).map(|(start, end)| KeyRef::Bytes(&self.bytes[start..*end]));
        let keys = self.integers.iter().map(|key| KeyRef::Integer(*key)).chain(texts);
        let mut keys: Vec<(KeyRef<'_>, u64)> = keys.zip(self.offsets.iter().copied()).collect();
        if !keys.is_empty() {
            table.add_keys(&mut keys);
        }
    }
}

const TOO_MANY_ROWS: Damage = Damage("a group has more rows than it can");

/// Reads rising row numbers.
fn read_rows(reader: &mut ByteReader<'_>, mut take: impl FnMut(u16)) -> Damaged<()> {
    let count = reader.u32()?;
    if u64::from(count) > NODE_GROUP_ROWS {
        return Err(TOO_MANY_ROWS);
    }
    let mut before = None;
    for bytes in reader.take(count as usize * 2)?.as_chunks::<2>().0 {
        let row = u16::from_le_bytes(*bytes);
        if before.is_some_and(|before| before >= row) {
            return Err(Damage("row numbers do not rise"));
        }
        before = Some(row);
        take(row);
    }
    Ok(())
}
