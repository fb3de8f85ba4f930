//! What a level changed in one table, and how it is built: offsets are decided before, rows and edges are cut at the
//! groups' borders here.

use std::sync::Arc;

use super::adjacency::{AdjacencyDelta, Entry};
use super::group::{BirthPart, GroupDelta, PatchPart};
use super::keys::KeyPart;
use super::parts::Parts;
use super::shared_map::SharedMap;
use crate::storage::index::KeyRef;
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, DST_COLUMN, DataType, NODE_GROUP_ROWS, SRC_COLUMN};
use crate::vector::{ValueVector, Values, VectorBuffer};

/// What a level changed in a node or relationship table.
#[derive(Debug, Clone, Default)]
pub struct TableDelta {
    row_bound: u64,
    live_rows: i64,
    groups: SharedMap<GroupDelta>,
    forward: SharedMap<AdjacencyDelta>,
    backward: SharedMap<AdjacencyDelta>,
    keys: Parts<KeyPart>,
    bytes: u64,
}

/// Values of one column. A vector of nulls only needs no values of the type.
#[derive(Debug, Clone, Copy)]
pub struct ColumnValues<'v> {
    pub column: ColumnId,
    pub data_type: &'v DataType,
    pub values: ValueVector<'v>,
}

/// What a part costs beside its rows; most are merged into others soon.
const PART_BYTES: u64 = 32;

/// What values take, without the room that their buffer keeps for more: parts are merged, and then there is none.
fn content_bytes(values: &VectorBuffer) -> u64 {
    match values.values() {
        Values::Str(strings) => {
            let long = strings.views.iter().filter(|view| !view.is_inline());
            long.map(|view| view.len() as u64).sum::<u64>() + size_of_val(strings.views) as u64
        }
        _ => values.bytes() as u64,
    }
}

impl TableDelta {
    /// Births lie below this offset; 0 without births.
    pub fn row_bound(&self) -> u64 {
        self.row_bound
    }

    /// Rows added less rows deleted.
    pub fn live_rows(&self) -> i64 {
        self.live_rows
    }

    /// The rows of a group.
    pub fn group(&self, group: u64) -> Option<&Arc<GroupDelta>> {
        self.groups.get(group)
    }

    /// All groups whose rows changed.
    pub fn groups(&self) -> &SharedMap<GroupDelta> {
        &self.groups
    }

    /// The changed lists of sources.
    pub fn forward(&self) -> &SharedMap<AdjacencyDelta> {
        &self.forward
    }

    /// The changed lists of destinations.
    pub fn backward(&self) -> &SharedMap<AdjacencyDelta> {
        &self.backward
    }

    /// The keys that were given to rows.
    pub fn keys(&self) -> &Parts<KeyPart> {
        &self.keys
    }

    /// The row that was last given a key; it counts if it is visible and still carries the key.
    pub fn find_key(&self, key: KeyRef<'_>) -> Option<u64> {
        self.keys.iter().rev().find_map(|part| part.find(key))
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.forward.is_empty() && self.backward.is_empty() && self.keys.is_empty()
    }

    /// The memory that was put in, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds `count` rows at consecutive offsets that nobody has.
    pub fn add_rows(&mut self, first_offset: u64, columns: &[ColumnValues<'_>], count: usize) {
        let mut sorted: Vec<&ColumnValues<'_>> =
            columns.iter().filter(|column| !column.values.is_all_null()).collect();
        sorted.sort_by_key(|column| column.column);
        let mut done = 0;
        while done < count {
            let offset = first_offset + done as u64;
            let row = (offset % NODE_GROUP_ROWS) as u32;
            let length = (count - done).min((NODE_GROUP_ROWS as u32 - row) as usize);
            let mut buffers = Vec::with_capacity(sorted.len());
            for column in &sorted {
                let mut buffer = VectorBuffer::new(column.data_type.clone());
                buffer.append_range(&column.values, done, length);
                self.bytes += content_bytes(&buffer);
                buffers.push((column.column, buffer));
            }
            let part = BirthPart::new(row..row + length as u32, buffers);
            let group = self.groups.get_mut(offset / NODE_GROUP_ROWS);
            let before = group.set_bytes();
            group.add_births(part);
            self.bytes += group.set_bytes() - before + PART_BYTES;
            done += length;
        }
        self.row_bound = self.row_bound.max(first_offset + count as u64);
        self.live_rows += count as i64;
    }

    /// Adds rows of one group, by rising numbers, with values that are given away.
    pub fn add_births(&mut self, group: u64, rows: Vec<u16>, mut columns: Vec<(ColumnId, VectorBuffer)>) {
        let Some(last) = rows.last() else { return };
        columns.retain(|(_, values)| !values.vector().is_all_null());
        self.row_bound = self.row_bound.max(group * NODE_GROUP_ROWS + u64::from(*last) + 1);
        self.live_rows += rows.len() as i64;
        self.bytes += columns.iter().map(|(_, values)| content_bytes(values)).sum::<u64>() + PART_BYTES;
        let group = self.groups.get_mut(group);
        let before = group.set_bytes();
        group.add_births(BirthPart::of(rows, columns));
        self.bytes += group.set_bytes() - before;
    }

    /// Adds relationships with consecutive ids: their rows, with the ends as columns, and their entries in both
    /// directions.
    pub fn add_rels(
        &mut self,
        first_id: u64,
        sources: &[u64],
        targets: &[u64],
        columns: &[ColumnValues<'_>],
    ) -> StorageResult<()> {
        let count = sources.len();
        self.add_edges(first_id, sources, targets)?;
        let mut all = columns.to_vec();
        let ends = [(SRC_COLUMN, sources), (DST_COLUMN, targets)];
        all.extend(ends.map(|(column, offsets)| ColumnValues {
            column,
            data_type: &DataType::UInt64,
            values: ValueVector::flat(Values::U64(offsets)),
        }));
        self.add_rows(first_id, &all, count);
        Ok(())
    }

    /// Adds entries for relationships with consecutive ids to the lists of both ends.
    pub fn add_edges(&mut self, first_id: u64, sources: &[u64], targets: &[u64]) -> StorageResult<()> {
        let ids: Vec<u64> = (first_id..).take(sources.len()).collect();
        self.change_edges(&ids, sources, targets, false)
    }

    /// Takes relationships from the lists of both ends.
    pub fn remove_edges(&mut self, ids: &[u64], sources: &[u64], targets: &[u64]) -> StorageResult<()> {
        self.change_edges(ids, sources, targets, true)
    }

    /// Takes relationships away: their rows and their entries in both directions.
    pub fn remove_rels(&mut self, ids: &[u64], sources: &[u64], targets: &[u64]) -> StorageResult<()> {
        self.remove_edges(ids, sources, targets)?;
        self.delete_rows(ids);
        Ok(())
    }

    /// Adds or takes away entries at both ends.
    pub fn change_edges(
        &mut self,
        ids: &[u64],
        sources: &[u64],
        targets: &[u64],
        removed: bool,
    ) -> StorageResult<()> {
        let forward = sorted_entries(ids, sources, targets, removed)?;
        let backward = sorted_entries(ids, targets, sources, removed)?;
        for (map, sorted) in [(&mut self.forward, forward), (&mut self.backward, backward)] {
            for (group, entries) in sorted {
                let lists = map.get_mut(group);
                let before = lists.touched().bytes();
                lists.add(group * NODE_GROUP_ROWS, &entries);
                self.bytes += lists.touched().bytes() - before + entries.len() as u64 * 16 + PART_BYTES;
            }
        }
        Ok(())
    }

    /// Gives rows new values of a column: row `i` gets value `i`, of several for one row the last counts.
    pub fn patch(&mut self, column: ColumnId, data_type: &DataType, rows: &[u64], values: &ValueVector<'_>) {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by_key(|at| rows[*at as usize]);
        // Of equal rows the last stays.
        let last_of_row =
            |at: usize| order.get(at + 1).is_none_or(|next| rows[*next as usize] != rows[order[at] as usize]);
        let kept: Vec<u32> = (0..order.len()).filter(|at| last_of_row(*at)).map(|at| order[at]).collect();
        let group_of = |at: &u32| rows[*at as usize] / NODE_GROUP_ROWS;
        for same in kept.chunk_by(|a, b| group_of(a) == group_of(b)) {
            let mut buffer = VectorBuffer::new(data_type.clone());
            buffer.append_rows(values, same);
            let numbers = same.iter().map(|at| (rows[*at as usize] % NODE_GROUP_ROWS) as u16).collect();
            self.bytes += content_bytes(&buffer) + same.len() as u64 * 2 + PART_BYTES;
            self.groups.get_mut(group_of(&same[0])).add_patch(column, PatchPart::new(numbers, buffer));
        }
    }

    /// Deletes rows. Nothing is deleted twice.
    pub fn delete_rows(&mut self, rows: &[u64]) {
        for same in rows.chunk_by(|a, b| a / NODE_GROUP_ROWS == b / NODE_GROUP_ROWS) {
            let group = self.groups.get_mut(same[0] / NODE_GROUP_ROWS);
            let before = group.set_bytes();
            let fresh = same.iter().filter(|row| group.delete((*row % NODE_GROUP_ROWS) as u16)).count();
            self.live_rows -= fresh as i64;
            self.bytes += group.set_bytes() - before;
        }
    }

    /// Notes that a row carries a key from now on.
    pub fn add_key(&mut self, key: KeyRef<'_>, offset: u64) {
        self.add_keys(&mut [(key, offset)]);
    }

    /// Notes that rows carry keys from now on, in any order; of several for one key the last counts.
    pub fn add_keys(&mut self, keys: &mut [(KeyRef<'_>, u64)]) {
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        let mut part = KeyPart::default();
        part.reserve(keys);
        for (key, offset) in keys.iter() {
            let length = if let KeyRef::Bytes(bytes) = key { bytes.len() } else { 0 };
            if !part.has_room(length) {
                self.push_keys(std::mem::take(&mut part));
            }
            part.push(*key, *offset);
        }
        self.push_keys(part);
    }

    fn push_keys(&mut self, part: KeyPart) {
        self.bytes += part.bytes() as u64;
        self.keys.push(Arc::new(part));
    }

    /// Puts the changes of a newer level on top.
    pub fn merge(&mut self, newer: &TableDelta) {
        self.row_bound = self.row_bound.max(newer.row_bound);
        self.live_rows += newer.live_rows;
        self.bytes += newer.bytes;
        let mut freed = 0;
        for (group, changes) in newer.groups.iter() {
            freed += merge_into(&mut self.groups, group, changes, GroupDelta::merge);
        }
        for (group, changes) in newer.forward.iter() {
            freed += merge_into(&mut self.forward, group, changes, AdjacencyDelta::merge);
        }
        for (group, changes) in newer.backward.iter() {
            freed += merge_into(&mut self.backward, group, changes, AdjacencyDelta::merge);
        }
        self.bytes = self.bytes.saturating_sub(freed);
        self.keys.merge(&newer.keys);
    }
}

/// Gives the bytes that both had and one needs no more.
fn merge_into<T: Clone + Default>(
    map: &mut SharedMap<T>,
    group: u64,
    changes: &Arc<T>,
    merge: impl FnOnce(&mut T, &T) -> u64,
) -> u64 {
    match map.get(group) {
        None => {
            map.insert(group, Arc::clone(changes));
            0
        }
        Some(_) => merge(map.get_mut(group), changes),
    }
}

/// The entries of relationships at their `near` ends, by group, each group's sorted.
fn sorted_entries(
    ids: &[u64],
    near: &[u64],
    far: &[u64],
    removed: bool,
) -> StorageResult<Vec<(u64, Vec<Entry>)>> {
    let mut entries: Vec<(u64, Entry)> = Vec::with_capacity(ids.len());
    for ((id, near), far) in ids.iter().zip(near).zip(far) {
        let limit = || StorageError::Limit {
            what: format!("the node offset {far} at the end of a relationship"),
            limit: u64::from(u32::MAX),
        };
        let neighbour = u32::try_from(*far).map_err(|_| limit())?;
        let node = (near % NODE_GROUP_ROWS) as u16;
        entries.push((near / NODE_GROUP_ROWS, Entry { node, neighbour, id: *id, removed }));
    }
    entries.sort_unstable();
    let same_group = |a: &(u64, Entry), b: &(u64, Entry)| a.0 == b.0;
    let group = |same: &[(u64, Entry)]| (same[0].0, same.iter().map(|(_, entry)| *entry).collect());
    Ok(entries.chunk_by(same_group).map(group).collect())
}
