//! A hash table that never grows as a whole once it is large: it is split into parts by the hash, which grow one by one.
//! So no single row waits until millions have moved, which is longer than a statement may take to end, and the old and
//! the new form of a small part only stand side by side in memory.

use hashbrown::HashTable;

use crate::types::leave_if_stopped;

/// Entries from which on the table is split when it is full.
const SPLIT_FROM: usize = 1 << 17;
const PART_BITS: u32 = 6;
/// Tables take their own bits from both ends of a hash.
const PART_SHIFT: u32 = 56 - PART_BITS;

/// Entries by their hash, which whoever asks works out.
pub struct GrowingTable<T: Send + 'static> {
    parts: Vec<HashTable<T>>,
}

impl<T: Send + 'static> Drop for GrowingTable<T> {
    fn drop(&mut self) {
        leave_if_stopped(self.bytes(), &mut self.parts);
    }
}

impl<T: Send + 'static> GrowingTable<T> {
    /// An empty table.
    pub fn new() -> GrowingTable<T> {
        GrowingTable { parts: vec![HashTable::new()] }
    }

    #[inline]
    fn part_of(&self, hash: u64) -> usize {
        // The number of parts is a power of two.
        (hash >> PART_SHIFT) as usize & (self.parts.len() - 1)
    }

    /// The entry of this hash that is the one looked for.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts[self.part_of(hash)].find(hash, is_it)
    }

    /// The same; where it is not there it is made.
    #[inline]
    pub fn find_or_insert(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
        make: impl FnOnce() -> T,
        hash_of: impl Fn(&T) -> u64,
    ) -> &T {
        self.split_if_full(&hash_of);
        let at = self.part_of(hash);
        self.parts[at].entry(hash, is_it, hash_of).or_insert_with(make).into_mut()
    }

    /// Adds an entry that is not there.
    #[inline]
    pub fn insert_unique(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        self.split_if_full(&hash_of);
        let at = self.part_of(hash);
        self.parts[at].insert_unique(hash, entry, hash_of);
    }

    #[inline]
    fn split_if_full(&mut self, hash_of: impl Fn(&T) -> u64) {
        if let [only] = &self.parts[..]
            && only.len() >= SPLIT_FROM
            && only.len() == only.capacity()
        {
            self.split(0, hash_of);
        }
    }

    #[cold]
    fn split(&mut self, more: usize, hash_of: impl Fn(&T) -> u64) {
        let whole = std::mem::take(&mut self.parts);
        let entries: usize = whole.iter().map(HashTable::len).sum::<usize>() + more;
        // Parts are a little unequal.
        let each = (entries >> PART_BITS) + (entries >> (PART_BITS + 4));
        self.parts.resize_with(1 << PART_BITS, || HashTable::with_capacity(each));
        for entry in whole.into_iter().flatten() {
            let hash = hash_of(&entry);
            let at = self.part_of(hash);
            self.parts[at].insert_unique(hash, entry, &hash_of);
        }
    }

    /// Makes room for so many more entries.
    pub fn reserve(&mut self, more: usize, hash_of: impl Fn(&T) -> u64) {
        match &mut self.parts[..] {
            [only] if only.len() + more < SPLIT_FROM => only.reserve(more, hash_of),
            [_] => self.split(more, hash_of),
            parts => parts.iter_mut().for_each(|part| part.reserve(more >> PART_BITS, &hash_of)),
        }
    }

    /// The memory of the table; with that of a larger one where it is about to be made.
    pub fn bytes(&self) -> u64 {
        // A byte beside each entry, and an eighth of the places stays free.
        let width = size_of::<T>() as u64 * 8 / 7 + 1;
        let capacity: usize = self.parts.iter().map(HashTable::capacity).sum();
        let now = capacity as u64 * width;
        match &self.parts[..] {
            [only] if only.len() * 4 > capacity * 3 => 3 * now,
            [_] => now,
            // A part is replaced by one of twice its size.
            _ => now + 2 * now / (1 << PART_BITS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::hash_u64;

    #[test]
    fn a_large_table_grows_in_parts_and_finds_what_it_has() {
        let hash = |number: &u64| hash_u64(*number);
        let mut table = GrowingTable::new();
        let count = 5 * SPLIT_FROM as u64 / 2;
        for number in 0..count {
            match number % 2 {
                0 => table.insert_unique(hash(&number), number, hash),
                _ => {
                    table.find_or_insert(hash(&number), |other| *other == number, || number, hash);
                    table.find_or_insert(hash(&number), |other| *other == number, || panic!("there"), hash);
                }
            }
            let parts = if number < SPLIT_FROM as u64 { 1 } else { 1 << PART_BITS };
            assert!(table.parts.len() <= parts);
        }
        assert_eq!(table.parts.len(), 1 << PART_BITS);
        assert!((0..count).all(|number| table.find(hash(&number), |other| *other == number).is_some()));
        assert!(table.find(hash(&count), |other| *other == count).is_none());
        let most = table.parts.iter().map(HashTable::len).max().unwrap_or(0);
        assert!(most < (2 * count as usize) >> PART_BITS);
        assert!((8 * count..40 * count).contains(&table.bytes()), "{}", table.bytes());
        let mut reserved = GrowingTable::<u64>::new();
        reserved.reserve(2 * SPLIT_FROM, hash);
        assert_eq!(reserved.parts.len(), 1 << PART_BITS);
    }
}
