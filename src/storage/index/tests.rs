//! Trees, indexes and maps against the standard library's.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::storage::directory::{KeyTreeKind, TableKind, TableRecord};
use crate::storage::engine::{Engine, EngineOptions, WriteTurn};
use crate::types::{DataType, TableId, Value};
use crate::vector::{ValueVector, VectorBuffer};

fn turn() -> WriteTurn {
    let options = EngineOptions { buffer_pool_bytes: 8 << 20, ..EngineOptions::default() };
    Engine::in_memory(&options).unwrap().begin_write(None).unwrap()
}

fn layout(columns: &[DataType]) -> KeyLayout {
    KeyLayout::new(columns).unwrap()
}

fn index_of(layout: &KeyLayout, trees: Vec<crate::storage::directory::KeyTreeRef>) -> KeyIndex {
    let record = TableRecord { key_trees: trees, ..TableRecord::empty(TableId(0), TableKind::Node) };
    KeyIndex::open(&record, layout.clone(), "T").unwrap()
}

fn store_of(layout: &KeyLayout, keys: &[IndexKey]) -> KeyStore {
    let mut store = KeyStore::new(layout.clone());
    keys.iter().for_each(|key| store.push(KeyRef::of(key)));
    store
}

/// Puts the keys into an index, a batch at a time, in the order given.
fn build(turn: &WriteTurn, layout: &KeyLayout, batches: &[Vec<IndexKey>]) -> KeyIndex {
    let mut index = KeyIndex::empty(layout.clone());
    let mut first = 0;
    let mut worker = turn.engine().pool().worker().unwrap();
    for keys in batches {
        let store = store_of(layout, keys);
        let sorted = store.sorted();
        assert_eq!(index.find_common(&sorted, &mut worker.cursor()).unwrap(), None);
        let trees = index.append(&sorted, first, turn.batch().unwrap(), &mut worker.cursor()).unwrap();
        index = index_of(layout, trees);
        first += keys.len() as u64;
    }
    assert!(index.trees().len() <= TREES_MAX);
    index
}

fn check_index(layout: &KeyLayout, batches: &[Vec<IndexKey>], probes: &[IndexKey]) {
    let turn = turn();
    let index = build(&turn, layout, batches);
    let model: BTreeMap<&IndexKey, u64> = batches.iter().flatten().zip(0..).collect();
    assert_eq!(index.entries(), model.len() as u64);
    let mut worker = turn.engine().pool().worker().unwrap();
    let mut cursor = worker.cursor();
    for key in probes.iter().chain(batches.iter().flatten().take(300)) {
        assert_eq!(index.lookup(key, &mut cursor).unwrap(), model.get(key).copied(), "{key:?}");
        let mut candidates = Vec::new();
        index.candidates(key, &mut cursor, &mut candidates).unwrap();
        assert_eq!(candidates, model.get(key).copied().into_iter().collect::<Vec<_>>());
    }
    let mut range = |low: Bound<&IndexKey>, high: Bound<&IndexKey>, limit: usize| {
        let mut found = Vec::new();
        let visit = &mut |offset| {
            found.push(offset);
            if found.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        index.range(low, high, &mut cursor, visit).unwrap();
        found
    };
    let all: Vec<u64> = model.values().copied().collect();
    assert_eq!(range(Bound::Unbounded, Bound::Unbounded, usize::MAX), all);
    for pair in probes.chunks_exact(2) {
        let (low, high) = if pair[0] <= pair[1] { (&pair[0], &pair[1]) } else { (&pair[1], &pair[0]) };
        let expected: Vec<u64> = model.range::<&IndexKey, _>(low..=high).map(|(_, offset)| *offset).collect();
        assert_eq!(range(Bound::Included(low), Bound::Included(high), usize::MAX), expected);
        if low < high {
            let bounds = (Bound::Excluded(low), Bound::Excluded(high));
            let expected: Vec<u64> = model.range::<&IndexKey, _>(bounds).map(|(_, offset)| *offset).collect();
            assert_eq!(range(bounds.0, bounds.1, usize::MAX), expected);
        }
        let expected: Vec<u64> =
            model.range::<&IndexKey, _>(low..).map(|(_, offset)| *offset).take(3).collect();
        assert_eq!(range(Bound::Included(low), Bound::Unbounded, 3), expected);
    }
    check_map(layout, batches, probes, &index, &mut cursor);
}

fn check_map(
    layout: &KeyLayout,
    batches: &[Vec<IndexKey>],
    probes: &[IndexKey],
    index: &KeyIndex,
    cursor: &mut crate::storage::buffer_pool::Cursor<'_>,
) {
    let keys: Vec<IndexKey> = batches.iter().flatten().cloned().collect();
    let model: HashMap<&IndexKey, u64> = keys.iter().zip(0..).collect();
    let store = Arc::new(store_of(layout, &keys));
    let built = KeyMap::build(Arc::clone(&store), 0, 3).unwrap().unwrap();
    assert!(built.bytes() <= store.bytes() + KeyMap::bytes_to_build(keys.len() as u64));
    for map in [built, KeyMap::from_index(index, 2, cursor).unwrap()] {
        for key in probes.iter().chain(keys.iter().take(300)) {
            assert_eq!(map.get(KeyRef::of(key)), model.get(key).copied(), "{key:?}");
        }
    }
}

/// Numbers that are dense, spread, or both, each once, cut into batches.
fn integers() -> impl Strategy<Value = Vec<IndexKey>> {
    let key = prop_oneof![4 => 0..2000u64, 1 => any::<u64>(), 2 => (0..50u64).prop_map(|high| high << 40)];
    prop::collection::hash_set(key, 0..600).prop_map(|keys| keys.into_iter().map(IndexKey::Integer).collect())
}

fn texts() -> impl Strategy<Value = Vec<IndexKey>> {
    let key = prop_oneof![
        6 => "[ab]{0,9}".prop_map(String::into_bytes),
        2 => "https://example.org/[a-d]{1,5}".prop_map(String::into_bytes),
        1 => (0..40usize, 0..9u8).prop_map(|(length, end)| [vec![b'x'; length * 25], vec![end]].concat()),
    ];
    prop::collection::hash_set(key, 0..500).prop_map(|keys| keys.into_iter().map(IndexKey::Bytes).collect())
}

fn batches(keys: Vec<IndexKey>, cuts: &[usize]) -> (Vec<Vec<IndexKey>>, Vec<IndexKey>) {
    let probes: Vec<IndexKey> = keys.iter().rev().step_by(3).take(40).cloned().collect();
    let mut rest = keys.as_slice();
    let mut batches = Vec::new();
    for cut in cuts {
        let (batch, after) = rest.split_at(cut % (rest.len() + 1));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches.push(rest.to_vec());
    // Every third probe is in no batch.
    batches
        .iter_mut()
        .for_each(|batch| batch.retain(|key| probes.iter().skip(1).step_by(3).all(|probe| probe != key)));
    (batches, probes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn integer_indexes_are_ordered_maps(keys in integers(), cuts in prop::collection::vec(0..400usize, 0..8)) {
        let (batches, probes) = batches(keys, &cuts);
        check_index(&layout(&[DataType::Int64]), &batches, &probes);
    }

    #[test]
    fn byte_indexes_are_ordered_maps(keys in texts(), cuts in prop::collection::vec(0..400usize, 0..8)) {
        let (batches, probes) = batches(keys, &cuts);
        check_index(&layout(&[DataType::String]), &batches, &probes);
    }
}

/// Spreads numbers over all 64 bits.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

#[test]
fn trees_of_several_levels_and_extents_find_everything() {
    let integers: Vec<IndexKey> = (0..150_000).map(|at| IndexKey::Integer(scattered(at))).collect();
    let probes: Vec<IndexKey> = (149_990..150_004).map(|at| IndexKey::Integer(scattered(at))).collect();
    check_index(&layout(&[DataType::UInt64]), &[integers], &probes);
    let texts: Vec<IndexKey> = (0..25_000)
        .map(|at| IndexKey::Bytes(format!("{:x}/{}", scattered(at), "y".repeat(80)).into_bytes()))
        .collect();
    let probes: Vec<IndexKey> = texts.iter().rev().take(12).cloned().collect();
    let mut worst = texts[..15_000].to_vec();
    // Keys as long as they may be: three to a page at every level.
    worst.extend((0..300u64).map(|at| {
        let mut key = vec![b'z'; KEY_BYTES_MAX - 8];
        key.extend_from_slice(&scattered(at).to_be_bytes());
        IndexKey::Bytes(key)
    }));
    check_index(&layout(&[DataType::String]), &[worst, texts[15_000..].to_vec()], &probes);
}

#[test]
fn keys_that_count_up_take_next_to_nothing() {
    let turn = turn();
    let keys: Vec<IndexKey> = (0..500_000).map(|at| IndexKey::Integer(at + (1 << 63))).collect();
    let before = turn.batch().unwrap().page_count();
    let index = build(&turn, &layout(&[DataType::Int64]), &[keys]);
    assert!(turn.batch().unwrap().page_count() - before < 12);
    let mut worker = turn.engine().pool().worker().unwrap();
    let found = index.lookup_values(&[Value::Int16(77)], &mut worker.cursor()).unwrap();
    assert_eq!(found, Some(77));
    let map = KeyMap::from_index(&index, 1, &mut worker.cursor()).unwrap();
    assert_eq!(map.bytes(), 0);
}

#[test]
fn a_key_that_is_there_already_is_found_before_it_is_added() {
    let turn = turn();
    let layout = layout(&[DataType::Int64]);
    let keys = |range: std::ops::Range<u64>| -> Vec<IndexKey> {
        range.map(|at| IndexKey::Integer(at * 10)).collect()
    };
    let index = build(&turn, &layout, &[keys(0..100), keys(200..300)]);
    let mut worker = turn.engine().pool().worker().unwrap();
    let store = store_of(&layout, &[IndexKey::Integer(7), IndexKey::Integer(2010), IndexKey::Integer(5)]);
    assert_eq!(index.find_common(&store.sorted(), &mut worker.cursor()).unwrap(), Some((1, 101)));
}

#[test]
fn builders_refuse_what_is_not_sorted() {
    let turn = turn();
    let batch = turn.batch().unwrap();
    let mut builder = KeyTreeBuilder::new(batch, KeyTreeKind::Integer);
    builder.push_integer(5, 0).unwrap();
    assert!(builder.push_integer(5, 1).is_err());
    assert!(builder.push_bytes(b"a", 1).is_err());
    let mut builder = KeyTreeBuilder::new(batch, KeyTreeKind::Bytes);
    builder.push_bytes(b"", 0).unwrap();
    assert!(builder.push_bytes(b"", 1).is_err());
    assert!(builder.push_bytes(&[7; KEY_BYTES_MAX + 1], 1).is_err());
    assert_eq!(KeyTreeBuilder::new(batch, KeyTreeKind::Bytes).finish().unwrap(), None);
}

#[track_caller]
fn check_duplicate(keys: &[IndexKey], data_type: DataType, expected: (u64, u64)) {
    let store = Arc::new(store_of(&layout(&[data_type]), keys));
    for threads in 1..4 {
        let error = KeyMap::build(Arc::clone(&store), 9, threads).unwrap().unwrap_err();
        assert_eq!((error.first_row, error.second_row), expected, "{threads} threads");
    }
    let error = store.sorted().duplicate().unwrap();
    assert_eq!((error.first_row, error.second_row), expected, "sorted");
}

#[test]
fn duplicates_are_found_and_the_least_is_named_by_any_number_of_threads() {
    let mut keys: Vec<IndexKey> = (0..200_000).map(|at| IndexKey::Integer(scattered(at))).collect();
    keys[150_000] = keys[10].clone();
    keys[140_000] = keys[139_999].clone();
    keys[199_999] = keys[0].clone();
    check_duplicate(&keys, DataType::UInt64, (139_999, 140_000));
    let texts: Vec<IndexKey> = keys
        .iter()
        .map(|key| match key {
            IndexKey::Integer(key) => IndexKey::Bytes(key.to_string().into_bytes()),
            IndexKey::Bytes(key) => IndexKey::Bytes(key.clone()),
        })
        .collect();
    check_duplicate(&texts, DataType::String, (139_999, 140_000));
    let dense: Vec<IndexKey> = [5, 3, 4, 3, 5].map(IndexKey::Integer).to_vec();
    check_duplicate(&dense, DataType::Int64, (1, 3));
}

/// Columns become the same keys as single values do.
#[test]
fn keys_of_vectors_are_the_keys_of_their_values() {
    let rows: Vec<Vec<Value>> = (0..100i64)
        .map(|at| {
            let text = ["", "a", "a\0b", "\0"][at as usize % 4].to_owned() + &"k".repeat(at as usize * 13);
            let values = [Value::Int32(at as i32 - 50), Value::String(text), Value::Double(at as f64 / 4.0)];
            values.to_vec()
        })
        .collect();
    let types = [DataType::Int32, DataType::String, DataType::Double];
    for columns in [&[0usize][..], &[1], &[2], &[1, 0], &[0, 1, 2], &[2, 1]] {
        let layout = layout(&columns.iter().map(|at| types[*at].clone()).collect::<Vec<_>>());
        let mut buffers: Vec<VectorBuffer> =
            columns.iter().map(|at| VectorBuffer::new(types[*at].clone())).collect();
        for row in &rows {
            for (buffer, at) in buffers.iter_mut().zip(columns) {
                buffer.push_value(&row[*at]).unwrap();
            }
        }
        let vectors: Vec<ValueVector<'_>> = buffers.iter_mut().map(|buffer| buffer.vector()).collect();
        let mut store = KeyStore::new(layout.clone());
        store.append(&vectors, rows.len()).unwrap();
        for (row, values) in rows.iter().enumerate() {
            let picked: Vec<Value> = columns.iter().map(|at| values[*at].clone()).collect();
            let key = layout.key_of(&picked).unwrap();
            assert_eq!(store.key(row as u64), KeyRef::of(&key));
        }
        let unique = columns != [1];
        if unique {
            let map = KeyMap::build(Arc::new(store), 1000, 1).unwrap().unwrap();
            let mut offsets = Vec::new();
            map.lookup(&vectors, rows.len(), &mut Vec::new(), &mut offsets);
            assert_eq!(offsets, (1000..1100).collect::<Vec<u64>>());
        }
    }
}

#[test]
fn a_null_stops_the_load_and_is_absent_from_maps() {
    let mut buffer = VectorBuffer::new(DataType::Int64);
    buffer.push_value(&Value::Int64(7)).unwrap();
    buffer.push_null();
    buffer.push_value(&Value::Int64(9)).unwrap();
    let vector = buffer.vector();
    let layout = layout(&[DataType::Int64]);
    let mut store = KeyStore::new(layout.clone());
    assert_eq!(store.append(&[vector], 3), Err(NullKey { row: 1 }));
    assert_eq!(store.len(), 1);
    let map = KeyMap::build(Arc::new(store), 0, 1).unwrap().unwrap();
    let mut offsets = Vec::new();
    map.lookup(&[vector], 3, &mut Vec::new(), &mut offsets);
    assert_eq!(offsets, [0, KeyMap::ABSENT, KeyMap::ABSENT]);
}

#[test]
fn stores_of_several_producers_become_one() {
    for data_type in [DataType::Int64, DataType::String] {
        let layout = layout(std::slice::from_ref(&data_type));
        let key = |at: u64| match data_type {
            DataType::Int64 => IndexKey::Integer(at * 3),
            _ => IndexKey::Bytes(at.to_string().into_bytes()),
        };
        let parts: Vec<Vec<IndexKey>> =
            vec![(0..70_000).map(key).collect(), (70_000..70_010).map(key).collect()];
        let mut all = KeyStore::new(layout.clone());
        parts.iter().for_each(|part| all.append_store(&store_of(&layout, part)));
        assert_eq!(all.len(), 70_010);
        assert_eq!(all.key(70_003), KeyRef::of(&key(70_003)));
        let sorted = all.sorted();
        let ordered: Vec<KeyRef<'_>> = (0..sorted.len()).map(|position| sorted.get(position).0).collect();
        assert!(ordered.is_sorted());
    }
}

#[test]
fn a_load_checks_its_keys_before_it_writes() {
    let turn = turn();
    let layout = layout(&[DataType::Int64]);
    let mut worker = turn.engine().pool().worker().unwrap();
    let mut load = |keys: &[i64], index: &KeyIndex, first: u64| {
        let mut column = VectorBuffer::new(DataType::Int64);
        keys.iter().for_each(|key| column.push_value(&Value::Int64(*key)).unwrap());
        let mut load = KeyLoad::new(layout.clone());
        load.append(&[column.vector()], keys.len()).unwrap();
        load.finish(index, first, turn.batch().unwrap(), &mut worker).unwrap()
    };
    let trees = load(&[5, -3, 9], &KeyIndex::empty(layout.clone()), 100).unwrap();
    let index = index_of(&layout, trees);
    let pages = turn.batch().unwrap().page_count();
    assert_eq!(load(&[1, 7, 1], &index, 103), Err(KeyConflict::Duplicate { first_row: 0, second_row: 2 }));
    assert_eq!(load(&[1, -3], &index, 103), Err(KeyConflict::Exists { row: 1, offset: 101 }));
    assert_eq!(turn.batch().unwrap().page_count(), pages);
    let index = index_of(&layout, load(&[1, 2], &index, 103).unwrap());
    assert_eq!(index.lookup_values(&[Value::Int64(2)], &mut worker.cursor()).unwrap(), Some(104));
    assert_eq!(index.lookup_values(&[Value::Int64(9)], &mut worker.cursor()).unwrap(), Some(102));
}
