//! The temporary map of a load from key to row offset: for the end points of relationships, and to find duplicates.
//! Keys that count up need no memory, dense ones an array, the others a table of hashes beside the keys themselves.

use std::sync::Arc;
use std::thread;

use super::key_index::{KeyIndex, KeyRef};
use super::key_store::{KeyStore, visit_keys};
use crate::storage::StorageError;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::Cursor;
use crate::storage::directory::KeyTreeKind;
use crate::types::Helpers;
use crate::vector::ValueVector;

/// A dense array may have this many slots per key, and a few more.
const DENSE_SLOTS_PER_KEY: u64 = 4;
const DENSE_SLOTS_MIN: u64 = 1024;
/// Fewer rows are mapped by one thread.
const PARALLEL_ROWS: usize = 1 << 16;
const SHARD_BITS: u32 = 6;
const EMPTY: u64 = u64::MAX;
const NO_ROW: u32 = u32::MAX;

/// Two rows of a load have the same key. The second row is the least that repeats an earlier one, whatever the
/// number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateKey {
    pub first_row: u64,
    pub second_row: u64,
}

/// From keys to row offsets.
#[derive(Debug)]
pub struct KeyMap {
    form: Form,
    /// Where offsets are not counted up from the first.
    offsets: Offsets,
    store: Arc<KeyStore>,
}

#[derive(Debug)]
enum Form {
    /// Key `first + i` is row `i`.
    Sequence { first: u64, count: u64 },
    /// Key `first + i` is row `rows[i]`.
    Dense { first: u64, rows: Vec<u32> },
    /// Tables by the high bits of the hash; a slot has the hash in its high half and the row in its low half.
    Hash { shards: Vec<Vec<u64>> },
}

/// From a row of the map to the row's offset in its table.
#[derive(Debug)]
enum Offsets {
    From(u64),
    Listed(Vec<u64>),
}

impl KeyMap {
    /// What a lookup gives for a key that is not there.
    pub const ABSENT: u64 = u64::MAX;

    /// Maps row `r` of the store to offset `first_offset + r`. The outer error is a limit, the inner one the keys'.
    pub fn build(
        store: Arc<KeyStore>,
        first_offset: u64,
        threads: usize,
    ) -> StorageResult<Result<KeyMap, DuplicateKey>> {
        KeyMap::with_offsets(store, Offsets::From(first_offset), threads)
    }

    /// Maps row `r` of the store to `offsets[r]`.
    pub fn build_at(
        store: Arc<KeyStore>,
        offsets: Vec<u64>,
        threads: usize,
    ) -> StorageResult<Result<KeyMap, DuplicateKey>> {
        let first = offsets.first().copied().unwrap_or(0);
        let counts_up = offsets.iter().zip(first..).all(|(offset, expected)| *offset == expected);
        let offsets = if counts_up { Offsets::From(first) } else { Offsets::Listed(offsets) };
        KeyMap::with_offsets(store, offsets, threads)
    }

    /// Maps the keys that a table has.
    pub fn from_index(index: &KeyIndex, threads: usize, cursor: &mut Cursor<'_>) -> StorageResult<KeyMap> {
        let (mut store, mut offsets) = (KeyStore::new(index.layout().clone()), Vec::new());
        for tree in index.trees() {
            let mut scan = tree.scan();
            match index.layout().kind() {
                KeyTreeKind::Integer => {
                    while let Some((key, offset)) = scan.next_integer(cursor)? {
                        store.push(KeyRef::Integer(key));
                        offsets.push(offset);
                    }
                }
                KeyTreeKind::Bytes => {
                    while let Some((key, offset)) = scan.next_bytes(cursor)? {
                        store.push(KeyRef::Bytes(key));
                        offsets.push(offset);
                    }
                }
            }
        }
        KeyMap::build_at(Arc::new(store), offsets, threads)?.map_err(|duplicate| StorageError::Corrupt {
            file: crate::storage::page::FILE_NAME.to_owned(),
            page: index.trees().first().map_or_else(Default::default, |tree| {
                tree.reference().extents.first().map_or_else(Default::default, |extent| extent.first_page)
            }),
            what: "key index".to_owned(),
            detail: format!("one key in two trees ({duplicate:?})"),
        })
    }

    fn with_offsets(
        store: Arc<KeyStore>,
        offsets: Offsets,
        threads: usize,
    ) -> StorageResult<Result<KeyMap, DuplicateKey>> {
        if store.len() >= u64::from(NO_ROW) {
            let what = "the rows of one load".to_owned();
            return Err(StorageError::Limit { what, limit: u64::from(NO_ROW) });
        }
        let form = match dense_range(&store) {
            Some(Dense::Sequence { first }) => Ok(Form::Sequence { first, count: store.len() }),
            Some(Dense::Range { first, slots }) => build_dense(store.integers(), first, slots),
            None => build_hash(&store, threads.max(1)),
        };
        Ok(form.map(|form| {
            // Only the table of hashes looks at the keys again.
            let store = match form {
                Form::Hash { .. } => store,
                _ => Arc::new(KeyStore::new(store.layout().clone())),
            };
            KeyMap { form, offsets, store }
        }))
    }

    /// Bytes of memory that the map takes, the keys that it looks at included.
    pub fn bytes(&self) -> u64 {
        let form = match &self.form {
            Form::Sequence { .. } => 0,
            Form::Dense { rows, .. } => rows.capacity() as u64 * 4,
            Form::Hash { shards } => shards.iter().map(|shard| shard.capacity() as u64 * 8).sum(),
        };
        let offsets = match &self.offsets {
            Offsets::From(_) => 0,
            Offsets::Listed(list) => list.capacity() as u64 * 8,
        };
        form + offsets + self.store.bytes()
    }

    /// An upper bound of what `build` adds to the bytes of the store, to be reserved before.
    pub fn bytes_to_build(rows: u64) -> u64 {
        // A table is at most three quarters full and then doubled; the hashes are gone when it stands.
        rows * 4 + (rows * 8 * 8 / 3).max(DENSE_SLOTS_MIN * 4)
    }

    /// The offset of the row with this key.
    #[inline]
    pub fn get(&self, key: KeyRef<'_>) -> Option<u64> {
        let row = self.row(key)?;
        match &self.offsets {
            Offsets::From(first) => Some(first + row),
            Offsets::Listed(list) => list.get(row as usize).copied(),
        }
    }

    #[inline]
    fn row(&self, key: KeyRef<'_>) -> Option<u64> {
        match (&self.form, key) {
            (Form::Sequence { first, count }, KeyRef::Integer(key)) => {
                let row = key.wrapping_sub(*first);
                (row < *count).then_some(row)
            }
            (Form::Dense { first, rows }, KeyRef::Integer(key)) => {
                let row = *rows.get(usize::try_from(key.wrapping_sub(*first)).ok()?)?;
                (row != NO_ROW).then_some(u64::from(row))
            }
            (Form::Hash { shards }, key) => {
                let hash = hash_of(key);
                let shard = shards.get(shard_of(hash, shards.len()))?;
                find(shard, hash, |row| self.store.key(u64::from(row)) == key).ok().map(u64::from)
            }
            _ => None,
        }
    }

    /// Appends the offset of the row with each key to `out`; `ABSENT` where a column is null or no row has the key.
    /// The columns have the types of the key.
    pub fn lookup(
        &self,
        columns: &[ValueVector<'_>],
        length: usize,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u64>,
    ) {
        out.reserve(length);
        visit_keys(self.store.layout(), columns, length, scratch, |_, key| {
            out.push(key.and_then(|key| self.get(key)).unwrap_or(KeyMap::ABSENT));
        });
    }
}

enum Dense {
    Sequence { first: u64 },
    Range { first: u64, slots: usize },
}

/// How integer keys lie close together, if they do.
fn dense_range(store: &KeyStore) -> Option<Dense> {
    let keys = store.integers();
    let (first, last) = (*keys.iter().min()?, *keys.iter().max()?);
    let span = last - first;
    if span >= (keys.len() as u64 * DENSE_SLOTS_PER_KEY).max(DENSE_SLOTS_MIN) {
        return None;
    }
    let counts_up = span == keys.len() as u64 - 1
        && keys.iter().zip(first..=last).all(|(key, expected)| *key == expected);
    Some(match counts_up {
        true => Dense::Sequence { first },
        false => Dense::Range { first, slots: span as usize + 1 },
    })
}

fn build_dense(keys: &[u64], first: u64, slots: usize) -> Result<Form, DuplicateKey> {
    let mut rows = vec![NO_ROW; slots];
    for (key, row) in keys.iter().zip(0u32..) {
        let slot = &mut rows[(key - first) as usize];
        if *slot != NO_ROW {
            return Err(DuplicateKey { first_row: u64::from(*slot), second_row: u64::from(row) });
        }
        *slot = row;
    }
    Ok(Form::Dense { first, rows })
}

/// A hash that depends on every bit; 32 bits are enough beside the comparison that follows.
#[inline]
fn hash_of(key: KeyRef<'_>) -> u32 {
    let wide = match key {
        KeyRef::Integer(key) => key.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        KeyRef::Bytes(key) => {
            use std::hash::Hasher;
            let mut hasher = rustc_hash::FxHasher::default();
            hasher.write(key);
            hasher.finish().wrapping_mul(0x9E37_79B9_7F4A_7C15)
        }
    };
    ((wide ^ (wide >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32) as u32
}

#[inline]
fn shard_of(hash: u32, shards: usize) -> usize {
    if shards == 1 { 0 } else { (hash >> (32 - SHARD_BITS)) as usize }
}

/// The row whose key is meant, or the free slot where it would stand. Tables are never full.
#[inline]
fn find(table: &[u64], hash: u32, is_key: impl Fn(u32) -> bool) -> Result<u32, usize> {
    let mask = table.len() - 1;
    let mut at = hash as usize & mask;
    loop {
        let slot = table[at];
        if slot == EMPTY {
            return Err(at);
        }
        if (slot >> 32) as u32 == hash && is_key(slot as u32) {
            return Ok(slot as u32);
        }
        at = (at + 1) & mask;
    }
}

fn build_hash(store: &KeyStore, threads: usize) -> Result<Form, DuplicateKey> {
    let rows = store.len() as usize;
    let threads = if rows < PARALLEL_ROWS { 1 } else { threads };
    let shards = if rows < PARALLEL_ROWS { 1 } else { 1 << SHARD_BITS };
    let hashes = hash_rows(store, threads);
    let mut built: Vec<Result<Vec<u64>, DuplicateKey>> = Vec::with_capacity(shards);
    if threads == 1 {
        built.extend((0..shards).map(|shard| build_shard(store, &hashes, shard, shards)));
    } else {
        let per_thread = shards.div_ceil(threads);
        let work = |first: usize| {
            let shards_of_thread = first..(first + per_thread).min(shards);
            shards_of_thread.map(|shard| build_shard(store, &hashes, shard, shards)).collect::<Vec<_>>()
        };
        let helpers = Helpers::of_this_thread();
        thread::scope(|scope| {
            let start = |first| scope.spawn(helpers.help(move || work(first)));
            let running: Vec<_> = (0..shards).step_by(per_thread).map(start).collect();
            helpers.wait();
            for thread in running {
                match thread.join() {
                    Ok(tables) => built.extend(tables),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }
    let first_duplicate =
        built.iter().filter_map(|table| table.as_ref().err()).min_by_key(|found| found.second_row);
    if let Some(duplicate) = first_duplicate {
        return Err(*duplicate);
    }
    Ok(Form::Hash { shards: built.into_iter().flatten().collect() })
}

fn hash_rows(store: &KeyStore, threads: usize) -> Vec<u32> {
    let mut hashes = vec![0u32; store.len() as usize];
    let piece = hashes.len().div_ceil(threads).max(1);
    let helpers = Helpers::of_this_thread();
    thread::scope(|scope| {
        for (first, piece) in (0u64..).step_by(piece).zip(hashes.chunks_mut(piece)) {
            let work = move || {
                for (row, hash) in (first..).zip(piece) {
                    *hash = hash_of(store.key(row));
                }
            };
            if threads == 1 {
                work();
            } else {
                scope.spawn(helpers.help(work));
            }
        }
        helpers.wait();
    });
    hashes
}

/// The table of one shard. Rows come in order, so the first duplicate found is the least.
fn build_shard(
    store: &KeyStore,
    hashes: &[u32],
    shard: usize,
    shards: usize,
) -> Result<Vec<u64>, DuplicateKey> {
    let ours = |hash: &u32| shard_of(*hash, shards) == shard;
    let count = hashes.iter().filter(|hash| ours(hash)).count();
    let mut table = vec![EMPTY; (count + count / 3 + 1).next_power_of_two()];
    for (hash, row) in hashes.iter().zip(0u32..) {
        if !ours(hash) {
            continue;
        }
        match find(&table, *hash, |other| store.key(u64::from(other)) == store.key(u64::from(row))) {
            Err(free) => table[free] = u64::from(*hash) << 32 | u64::from(row),
            Ok(first) => {
                return Err(DuplicateKey { first_row: u64::from(first), second_row: u64::from(row) });
            }
        }
    }
    Ok(table)
}
