//! A sorted map from group numbers to values whose clones share all but what was changed since: a clone costs one
//! counted reference per 64 entries.

use std::sync::Arc;

/// Entries of one chunk at most.
const CHUNK_ENTRIES: usize = 64;

type Chunk<T> = Vec<(u64, Arc<T>)>;

/// Values by number.
#[derive(Debug)]
pub struct SharedMap<T> {
    /// None is empty; all keys of one are below those of the next.
    chunks: Vec<Arc<Chunk<T>>>,
}

impl<T> Clone for SharedMap<T> {
    fn clone(&self) -> Self {
        SharedMap { chunks: self.chunks.clone() }
    }
}

impl<T> Default for SharedMap<T> {
    fn default() -> Self {
        SharedMap { chunks: Vec::new() }
    }
}

impl<T> SharedMap<T> {
    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: u64) -> Option<&Arc<T>> {
        let chunk = self.chunks.get(self.chunk_of(key)?)?;
        let at = chunk.binary_search_by_key(&key, |(known, _)| *known).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// The last chunk whose first key is not greater.
    fn chunk_of(&self, key: u64) -> Option<usize> {
        let first = |chunk: &Arc<Chunk<T>>| chunk.first().map_or(0, |(known, _)| *known);
        self.chunks.partition_point(|chunk| first(chunk) <= key).checked_sub(1)
    }

    /// The entries by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Arc<T>)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (*key, value)))
    }

    /// The greatest key.
    pub fn last_key(&self) -> Option<u64> {
        self.chunks.last()?.last().map(|(key, _)| *key)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: u64, value: Arc<T>) {
        let Some(at) = self.chunk_of(key) else {
            match self.chunks.first_mut() {
                Some(first) => Arc::make_mut(first).insert(0, (key, value)),
                None => self.chunks.push(Arc::new(vec![(key, value)])),
            }
            return self.split(0);
        };
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        match chunk.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(place) => chunk[place].1 = value,
            Err(place) => chunk.insert(place, (key, value)),
        }
        self.split(at);
    }

    fn split(&mut self, at: usize) {
        if self.chunks[at].len() > CHUNK_ENTRIES {
            // Groups are mostly added at the end: then the first part stays full.
            let keep = if at + 1 == self.chunks.len() { CHUNK_ENTRIES } else { CHUNK_ENTRIES / 2 };
            let rest = Arc::make_mut(&mut self.chunks[at]).split_off(keep);
            self.chunks.insert(at + 1, Arc::new(rest));
        }
    }
}

impl<T: Clone + Default> SharedMap<T> {
    /// The value of a key for changing; a default one where there was none.
    pub fn get_mut(&mut self, key: u64) -> &mut T {
        if self.get(key).is_none() {
            self.insert(key, Arc::default());
        }
        // The key is there: it was found or inserted above.
        let at = self.chunk_of(key).unwrap_or(0);
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        let place = chunk.partition_point(|(known, _)| *known < key);
        Arc::make_mut(&mut chunk[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_map_agrees_with_an_ordered_one_and_clones_stay() {
        let (mut map, mut model) = (SharedMap::<u64>::default(), BTreeMap::new());
        let mut before = map.clone();
        let mut key = 7u64;
        for step in 0..1000u64 {
            key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = if step % 3 == 0 { 10_000 + step } else { key % 700 };
            *map.get_mut(at) += step;
            *model.entry(at).or_insert(0) += step;
            if step == 500 {
                before = map.clone();
            }
        }
        assert!(map.iter().map(|(key, value)| (key, **value)).eq(model.clone()));
        assert_eq!(map.last_key(), model.keys().last().copied());
        assert!((0..11_000).all(|key| map.get(key).map(|value| **value) == model.get(&key).copied()));
        assert!(before.last_key() == Some(10_498) && before.iter().count() < map.iter().count());
    }
}
