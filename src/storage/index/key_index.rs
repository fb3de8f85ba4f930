//! The key index of a table: its trees, newest last, behind the trait that all indexes answer to.

use std::ops::{Bound, ControlFlow};

use super::key::{IndexKey, KeyLayout};
use super::key_store::SortedKeys;
use super::tree::{KeyTree, KeyTreeBuilder, TreeScan};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Cursor, SegmentOwner};
use crate::storage::directory::{KeyTreeRef, TableRecord};
use crate::storage::page::{FILE_NAME, WriteBatch};
use crate::types::Value;

/// Trees of one table; a load that would make another folds all into one.
pub const TREES_MAX: usize = 4;

/// A tree of a checkpoint stays apart from those behind it while it is so many times as large as they are together.
const TREE_RATIO: u64 = 4;

/// Entries of a merge that are looked at together.
const MERGE_KEYS: usize = 2048;

/// Drops entries that need not stay.
pub type KeepEntries<'f> = dyn FnMut(&mut Vec<(IndexKey, u64)>) -> StorageResult<()> + 'f;

/// What every index can be asked. It yields candidates: a hit counts if the row is visible and still has the key.
pub trait KeyLookup {
    /// The row that carries the key, if there is one.
    fn lookup(&self, key: &IndexKey, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>>;

    /// Appends all rows that may carry the key.
    fn candidates(&self, key: &IndexKey, cursor: &mut Cursor<'_>, out: &mut Vec<u64>) -> StorageResult<()>;

    /// Calls `visit` with the rows of all keys within the bounds, in order of the keys, until it breaks.
    fn range(
        &self,
        low: Bound<&IndexKey>,
        high: Bound<&IndexKey>,
        cursor: &mut Cursor<'_>,
        visit: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> StorageResult<()>;
}

/// The index over a table's primary key in one version of the database.
#[derive(Clone)]
pub struct KeyIndex {
    layout: KeyLayout,
    trees: Vec<KeyTree>,
}

impl KeyIndex {
    /// The index that a table's record names. `table` is its name, for errors.
    pub fn open(record: &TableRecord, layout: KeyLayout, table: &str) -> StorageResult<KeyIndex> {
        let owner = SegmentOwner::new(FILE_NAME, table, "key index");
        let trees =
            record.key_trees.iter().map(|tree| KeyTree::open(tree, &owner)).collect::<Result<_, _>>()?;
        Ok(KeyIndex { layout, trees })
    }

    /// An index without keys.
    pub fn empty(layout: KeyLayout) -> KeyIndex {
        KeyIndex { layout, trees: Vec::new() }
    }

    /// The key's columns.
    pub fn layout(&self) -> &KeyLayout {
        &self.layout
    }

    /// The trees, oldest first.
    pub fn trees(&self) -> &[KeyTree] {
        &self.trees
    }

    /// Keys in all trees.
    pub fn entries(&self) -> u64 {
        self.trees.iter().map(KeyTree::entries).sum()
    }

    /// The row with these key values, cast where that loses nothing.
    pub fn lookup_values(&self, values: &[Value], cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        match self.layout.key_of(values) {
            Some(key) => self.lookup(&key, cursor),
            None => Ok(None),
        }
    }

    /// The first of the new rows whose key is in the index already: its row among the new ones and the
    /// offset of the row that has it.
    pub fn find_common(
        &self,
        new: &SortedKeys<'_>,
        cursor: &mut Cursor<'_>,
    ) -> StorageResult<Option<(u64, u64)>> {
        let mut first: Option<(u64, u64)> = None;
        for position in 0..new.len() {
            let (key, row) = new.get(position);
            if first.is_none_or(|(least, _)| row < least)
                && let Some(offset) = self.lookup_ref(key, cursor)?
            {
                first = Some((row, offset));
            }
        }
        Ok(first)
    }

    /// Writes a tree of the new keys and gives the table's new list of trees: one more, or all folded into one. Row
    /// `r` of the new keys is at offset `first_offset + r`. None of the keys may be in the index already.
    pub fn append(
        &self,
        new: &SortedKeys<'_>,
        first_offset: u64,
        batch: &WriteBatch,
        cursor: &mut Cursor<'_>,
    ) -> StorageResult<Vec<KeyTreeRef>> {
        if new.is_empty() {
            return Ok(self.trees.iter().map(|tree| tree.reference().clone()).collect());
        }
        let entry = |position: usize| {
            let (key, row) = new.get(position as u64);
            (key, first_offset + row)
        };
        let kept = if self.trees.len() < TREES_MAX { self.trees.len() } else { 0 };
        self.append_to(kept, (new.len() as usize, &entry), &mut |_| Ok(()), batch, cursor)
    }

    /// Writes a tree of `count` new keys, which `entry` gives in their order with the offsets of their rows, together
    /// with the trees that are not much larger than what follows them. A key that is in the index already belongs to
    /// its new row from now on. `keep` drops from the entries of trees that are merged, and the new ones with them,
    /// those that need not stay.
    pub fn append_sorted<'k>(
        &self,
        count: usize,
        entry: &dyn Fn(usize) -> (KeyRef<'k>, u64),
        keep: &mut KeepEntries<'_>,
        batch: &WriteBatch,
        cursor: &mut Cursor<'_>,
    ) -> StorageResult<Vec<KeyTreeRef>> {
        let (mut kept, mut rest) = (self.trees.len(), count as u64);
        while let Some(last) = kept.checked_sub(1)
            && (kept >= TREES_MAX || self.trees[last].entries() < rest.saturating_mul(TREE_RATIO))
        {
            rest += self.trees[last].entries();
            kept = last;
        }
        self.append_to(kept, (count, entry), keep, batch, cursor)
    }

    /// Writes one tree of all entries; of one key the newest stays.
    pub fn folded(&self, batch: &WriteBatch, cursor: &mut Cursor<'_>) -> StorageResult<Vec<KeyTreeRef>> {
        let nothing = |_: usize| (KeyRef::Integer(0), 0);
        self.append_to(0, (0, &nothing), &mut |_| Ok(()), batch, cursor)
    }

    /// Keeps the oldest `kept` trees and makes one of the others and the new keys.
    fn append_to<'k>(
        &self,
        kept: usize,
        (count, entry): (usize, &dyn Fn(usize) -> (KeyRef<'k>, u64)),
        keep: &mut KeepEntries<'_>,
        batch: &WriteBatch,
        cursor: &mut Cursor<'_>,
    ) -> StorageResult<Vec<KeyTreeRef>> {
        let mut builder = KeyTreeBuilder::new(batch, self.layout.kind());
        let (old, merged) = self.trees.split_at(kept.min(self.trees.len()));
        if merged.is_empty() {
            for position in 0..count {
                let (key, offset) = entry(position);
                push(&mut builder, key, offset)?;
            }
        } else {
            let mut entries = Vec::with_capacity(MERGE_KEYS);
            let mut write = |entries: &mut Vec<(IndexKey, u64)>| {
                keep(entries)?;
                entries.drain(..).try_for_each(|(key, offset)| push(&mut builder, KeyRef::of(&key), offset))
            };
            merge(merged, count, entry, cursor, &mut |key, offset| {
                entries.push((key, offset));
                if entries.len() < MERGE_KEYS { Ok(()) } else { write(&mut entries) }
            })?;
            cursor.rest();
            write(&mut entries)?;
        }
        Ok(old.iter().map(|tree| tree.reference().clone()).chain(builder.finish()?).collect())
    }

    /// The row that carries the key, which need not be owned.
    pub fn lookup_ref(&self, key: KeyRef<'_>, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        for tree in self.trees.iter().rev() {
            let found = lookup_in(tree, key, cursor)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// All rows that may carry the key, the newest entry's first.
    pub fn candidates_of(&self, key: KeyRef<'_>, cursor: &mut Cursor<'_>) -> StorageResult<Vec<u64>> {
        let found = self.trees.iter().rev().map(|tree| lookup_in(tree, key, cursor));
        found.filter_map(StorageResult::transpose).collect()
    }
}

/// A key that is not owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRef<'k> {
    Integer(u64),
    Bytes(&'k [u8]),
}

impl KeyRef<'_> {
    /// The key, owned.
    pub fn to_owned(self) -> IndexKey {
        match self {
            KeyRef::Integer(key) => IndexKey::Integer(key),
            KeyRef::Bytes(key) => IndexKey::Bytes(key.to_vec()),
        }
    }

    /// The key, borrowed.
    pub fn of(key: &IndexKey) -> KeyRef<'_> {
        match key {
            IndexKey::Integer(key) => KeyRef::Integer(*key),
            IndexKey::Bytes(key) => KeyRef::Bytes(key),
        }
    }
}

fn lookup_in(tree: &KeyTree, key: KeyRef<'_>, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
    match key {
        KeyRef::Integer(key) => tree.lookup_integer(key, cursor),
        KeyRef::Bytes(key) => tree.lookup_bytes(key, cursor),
    }
}

/// Merges trees, oldest first, and new keys. Of one key the newest entry stays.
fn merge<'k>(
    trees: &[KeyTree],
    count: usize,
    entry: &dyn Fn(usize) -> (KeyRef<'k>, u64),
    cursor: &mut Cursor<'_>,
    emit: &mut dyn FnMut(IndexKey, u64) -> StorageResult<()>,
) -> StorageResult<()> {
    let mut scans: Vec<TreeScan<'_>> = trees.iter().map(KeyTree::scan).collect();
    let mut heads = Vec::with_capacity(scans.len());
    for scan in &mut scans {
        heads.push(scan.next(cursor)?);
    }
    let (mut position, mut emitted) = (0, 0);
    loop {
        let fresh = (position < count).then(|| entry(position));
        let known = heads.iter().flatten().map(|(key, _)| KeyRef::of(key));
        let Some(least) = known.chain(fresh.map(|(key, _)| key)).min() else { return Ok(()) };
        let least = least.to_owned();
        let mut newest = 0;
        for (head, scan) in heads.iter_mut().zip(&mut scans) {
            if let Some((_, offset)) = head.as_ref().filter(|(key, _)| *key == least) {
                newest = *offset;
                *head = scan.next(cursor)?;
            }
        }
        if let Some((_, offset)) = fresh.filter(|(key, _)| *key == KeyRef::of(&least)) {
            newest = offset;
            position += 1;
        }
        emitted += 1;
        if emitted % MERGE_KEYS == 0 {
            // Whoever takes so many looks into the table, and may have to wait for frames.
            cursor.rest();
        }
        emit(least, newest)?;
    }
}

fn push(builder: &mut KeyTreeBuilder<'_>, key: KeyRef<'_>, offset: u64) -> StorageResult<()> {
    match key {
        KeyRef::Integer(key) => builder.push_integer(key, offset),
        KeyRef::Bytes(key) => builder.push_bytes(key, offset),
    }
}

impl KeyLookup for KeyIndex {
    fn lookup(&self, key: &IndexKey, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        self.lookup_ref(KeyRef::of(key), cursor)
    }

    fn candidates(&self, key: &IndexKey, cursor: &mut Cursor<'_>, out: &mut Vec<u64>) -> StorageResult<()> {
        out.extend(self.candidates_of(KeyRef::of(key), cursor)?);
        Ok(())
    }

    fn range(
        &self,
        low: Bound<&IndexKey>,
        high: Bound<&IndexKey>,
        cursor: &mut Cursor<'_>,
        visit: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> StorageResult<()> {
        if let [tree] = self.trees.as_slice() {
            return tree.range(low, high, cursor, &mut |_, offset| visit(offset));
        }
        let mut found: Vec<(IndexKey, u64)> = Vec::new();
        for tree in &self.trees {
            tree.range(low, high, cursor, &mut |key, offset| {
                found.push((key.clone(), offset));
                ControlFlow::Continue(())
            })?;
        }
        found.sort_unstable();
        for (_, offset) in found {
            if visit(offset).is_break() {
                break;
            }
        }
        Ok(())
    }
}
