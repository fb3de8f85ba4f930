//! Keys that a level gave to rows. Entries are only added: a hit is a candidate, and counts if its row is visible and
//! still carries the key. Of two entries for one key the newer counts, since a key is given to a row only after
//! the one that carried it before has lost it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::parts::{Part, merge_pairwise};
use crate::storage::index::KeyRef;

/// Keys in order, with the offsets of their rows.
#[derive(Debug, Clone, Default)]
pub struct KeyPart {
    /// Of keys that are numbers.
    integers: Vec<u64>,
    /// Of keys that are bytes: key `i` ends at `ends[i]`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
    offsets: Vec<u64>,
}

/// Bytes of keys that one part holds at most.
const PART_BYTES_MAX: usize = u32::MAX as usize;

impl KeyPart {
    /// The number of keys.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The memory in use.
    pub fn bytes(&self) -> usize {
        self.integers.len() * 8 + self.ends.len() * 4 + self.bytes.len() + self.offsets.len() * 8
    }

    /// The key at a position, and its row.
    pub fn get(&self, at: usize) -> (KeyRef<'_>, u64) {
        let key = match self.integers.get(at) {
            Some(key) => KeyRef::Integer(*key),
            None => {
                let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
                KeyRef::Bytes(&self.bytes[start..self.ends[at] as usize])
            }
        };
        (key, self.offsets[at])
    }

    /// All keys in order.
    pub fn iter(&self) -> impl Iterator<Item = (KeyRef<'_>, u64)> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The row that was given the key.
    pub fn find(&self, key: KeyRef<'_>) -> Option<u64> {
        // Keys that count up are beyond all parts before them.
        let last = self.len().checked_sub(1)?;
        if self.get(last).0 < key || self.get(0).0 > key {
            return None;
        }
        if let KeyRef::Integer(key) = key {
            return self.integers.binary_search(&key).ok().and_then(|at| self.offsets.get(at)).copied();
        }
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).0.cmp(&key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(self.offsets[middle]),
            }
        }
        None
    }

    /// Makes room for these keys, and no more.
    pub(super) fn reserve(&mut self, keys: &[(KeyRef<'_>, u64)]) {
        match keys.first() {
            Some((KeyRef::Integer(_), _)) => self.integers.reserve_exact(keys.len()),
            Some((KeyRef::Bytes(_), _)) => self.ends.reserve_exact(keys.len()),
            None => {}
        }
        self.offsets.reserve_exact(keys.len());
    }

    /// Appends a key that is greater than all so far, or replaces the last one's row.
    pub(super) fn push(&mut self, key: KeyRef<'_>, offset: u64) {
        if let Some(last) = self.len().checked_sub(1)
            && self.get(last).0 == key
        {
            self.offsets[last] = offset;
            return;
        }
        match key {
            KeyRef::Integer(key) => self.integers.push(key),
            KeyRef::Bytes(key) => {
                self.bytes.extend_from_slice(key);
                self.ends.push(self.bytes.len() as u32);
            }
        }
        self.offsets.push(offset);
    }

    /// Two parts of numbers as one. Stretches of one part that lie between two keys of the other are copied at once.
    fn merged_integers(older: &KeyPart, newer: &KeyPart) -> KeyPart {
        let mut out = KeyPart::default();
        out.integers.reserve_exact(older.len() + newer.len());
        out.offsets.reserve_exact(older.len() + newer.len());
        let (mut old, mut new) = (0, 0);
        while new < newer.len() {
            let first = newer.integers[new];
            let below = old + stretch(&older.integers[old..], first);
            out.extend_integers(older, old..below);
            // The newer part's row replaces that of the same key.
            old = below + usize::from(older.integers.get(below) == Some(&first));
            let end = match older.integers.get(old) {
                Some(next) => new + stretch(&newer.integers[new..], *next),
                None => newer.len(),
            };
            out.extend_integers(newer, new..end);
            new = end;
        }
        out.extend_integers(older, old..older.len());
        out
    }

    fn extend_integers(&mut self, from: &KeyPart, range: std::ops::Range<usize>) {
        self.integers.extend_from_slice(&from.integers[range.clone()]);
        self.offsets.extend_from_slice(&from.offsets[range]);
    }

    /// Whether further bytes have room.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.bytes.len() + more <= PART_BYTES_MAX
    }
}

/// How many of the rising keys are below one; found in steps that grow, since it is mostly few.
fn stretch(keys: &[u64], bound: u64) -> usize {
    let mut step = 1;
    while step < keys.len() && keys[step - 1] < bound {
        step *= 2;
    }
    let (low, high) = (step / 2, step.min(keys.len()));
    low + keys[low..high].partition_point(|key| *key < bound)
}

/// Keys in so many parts are sorted anew rather than merged two by two.
const SORTED_MAX: usize = 64;

impl Part for KeyPart {
    fn size(&self) -> usize {
        self.len()
    }

    fn merge_all(parts: &[Arc<Self>]) -> Option<Arc<Self>> {
        let count: usize = parts.iter().map(|part| part.len()).sum();
        if parts.len() < 3 || count > SORTED_MAX {
            return merge_pairwise(parts);
        }
        let mut keys: Vec<(KeyRef<'_>, u64)> = parts.iter().flat_map(|part| part.iter()).collect();
        // Stable, so that of equal keys the newest comes last, which counts.
        keys.sort_by_key(|(key, _)| *key);
        let mut out = KeyPart::default();
        let is_integer = parts.first().is_some_and(|part| part.ends.is_empty());
        out.offsets.reserve_exact(count);
        if is_integer {
            out.integers.reserve_exact(count)
        } else {
            out.ends.reserve_exact(count)
        }
        keys.into_iter().for_each(|(key, offset)| out.push(key, offset));
        Some(Arc::new(out))
    }

    fn merge(older: &Self, newer: &Self) -> Self {
        if older.ends.is_empty() && newer.ends.is_empty() {
            return KeyPart::merged_integers(older, newer);
        }
        let mut out = KeyPart::default();
        let (mut old, mut new) = (0, 0);
        while old < older.len() || new < newer.len() {
            let order = match (old < older.len(), new < newer.len()) {
                (true, true) => older.get(old).0.cmp(&newer.get(new).0),
                (true, false) => Ordering::Less,
                _ => Ordering::Greater,
            };
            let (key, offset) = if order == Ordering::Less { older.get(old) } else { newer.get(new) };
            out.push(key, offset);
            old += usize::from(order != Ordering::Greater);
            new += usize::from(order != Ordering::Less);
        }
        out
    }
}
