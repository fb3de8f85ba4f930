//! Levels against a plain model: random changes over several merges.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::storage::index::KeyRef;
use crate::types::{ColumnId, DST_COLUMN, DataType, SRC_COLUMN};
use crate::vector::{ValueVector, VectorBuffer};

const NUMBER: ColumnId = ColumnId(3);
const TEXT: ColumnId = ColumnId(7);
const TABLE: TableId = TableId(5);

#[derive(Debug, Clone)]
enum Change {
    Add {
        gap: u64,
        count: usize,
        text: bool,
    },
    Patch {
        rows: Vec<u16>,
        seed: i64,
    },
    Delete {
        rows: Vec<u16>,
    },
    Keys {
        rows: Vec<u16>,
    },
    /// The level goes into the one below, and a new one begins.
    Commit,
}

#[derive(Debug, Clone)]
enum EdgeChange {
    Add(Vec<(u32, u32)>),
    Remove(Vec<u16>),
    Commit,
}

/// A row: the number, and the text.
type Row = (Option<i64>, Option<String>);

fn change() -> impl Strategy<Value = Change> {
    let rows = || prop::collection::vec(any::<u16>(), 1..20);
    prop_oneof![
        (prop_oneof![Just(0u64), 0..70_000u64], 1..40usize, any::<bool>())
            .prop_map(|(gap, count, text)| Change::Add { gap, count, text }),
        (rows(), any::<i64>()).prop_map(|(rows, seed)| Change::Patch { rows, seed }),
        rows().prop_map(|rows| Change::Delete { rows }),
        rows().prop_map(|rows| Change::Keys { rows }),
        Just(Change::Commit),
    ]
}

fn edge_change() -> impl Strategy<Value = EdgeChange> {
    let node = || prop_oneof![0..40u32, 65_500..65_580u32];
    prop_oneof![
        prop::collection::vec((node(), node()), 1..30).prop_map(EdgeChange::Add),
        prop::collection::vec(any::<u16>(), 1..20).prop_map(EdgeChange::Remove),
        Just(EdgeChange::Commit),
    ]
}

fn number_of(offset: u64) -> Option<i64> {
    (!offset.is_multiple_of(7)).then_some(offset as i64 * 3)
}

fn add(level: &mut TableDelta, model: &mut BTreeMap<u64, Row>, first: u64, count: usize, text: bool) {
    let (mut numbers, mut texts) = (VectorBuffer::new(DataType::Int64), VectorBuffer::new(DataType::String));
    for offset in first..first + count as u64 {
        match number_of(offset) {
            Some(number) => numbers.push(number),
            None => numbers.push_null(),
        }
        texts.push_str(&format!("row {offset}"));
        model.insert(offset, (number_of(offset), text.then(|| format!("row {offset}"))));
    }
    let text_values = if text { texts.vector() } else { ValueVector::null() };
    let columns = [
        ColumnValues { column: TEXT, data_type: &DataType::String, values: text_values },
        ColumnValues { column: NUMBER, data_type: &DataType::Int64, values: numbers.vector() },
    ];
    level.add_rows(first, &columns, count);
}

fn patch(level: &mut TableDelta, model: &mut BTreeMap<u64, Row>, rows: &[u64], seed: i64) {
    let mut texts = VectorBuffer::new(DataType::String);
    for (at, row) in rows.iter().enumerate() {
        let value = (at % 4 != 3).then(|| format!("{seed}-{at}"));
        match &value {
            Some(text) => texts.push_str(text),
            None => texts.push_null(),
        }
        if let Some(row) = model.get_mut(row) {
            row.1 = value;
        }
    }
    level.patch(TEXT, &DataType::String, rows, &texts.vector());
}

fn picked(model: &BTreeMap<u64, Row>, picks: &[u16]) -> Vec<u64> {
    let rows: Vec<u64> = model.keys().copied().collect();
    if rows.is_empty() {
        return Vec::new();
    }
    picks.iter().map(|pick| rows[usize::from(*pick) % rows.len()]).collect()
}

/// The value of a row in a stack of levels without a base.
fn read(levels: &[&TableDelta], offset: u64) -> Option<Row> {
    let (group, row) = (offset >> 16, (offset & 0xFFFF) as u16);
    let groups: Vec<_> = levels.iter().rev().filter_map(|level| level.group(group)).collect();
    if groups.iter().any(|group| group.deletions().contains(row)) {
        return None;
    }
    let born = groups.iter().find(|group| group.born().contains(row))?;
    let (part, at) =
        born.births().iter().rev().find_map(|part| Some((part, part.rows().find(row.into())?)))?;
    let number = part.column(NUMBER).and_then(|values| {
        let vector = values.vector();
        (!vector.is_null(at)).then(|| vector.slice_of::<i64>().unwrap()[at])
    });
    let text = |vector: ValueVector<'_>, at: usize| vector.text_at(at).map(str::to_owned);
    let patched = groups.iter().find_map(|group| {
        group.patches_of(TEXT)?.iter().rev().find_map(|part| {
            let at = part.rows().binary_search(&row).ok()?;
            Some(text(part.values(), at))
        })
    });
    let born_text = || part.column(TEXT).and_then(|values| text(values.vector(), at));
    Some((number, patched.unwrap_or_else(born_text)))
}

/// Seven as they came, and three of each power of four.
fn assert_few<P: Part>(parts: &Parts<P>) {
    let sizes: Vec<usize> = parts.iter().map(Part::size).collect();
    let tiers = sizes.iter().max().map_or(0, |size| size.ilog(4) as usize + 1);
    assert!(sizes.len() <= 7 + 3 * tiers && sizes.iter().all(|size| *size > 0), "{sizes:?}");
}

fn check_rows(changes: &[Change]) {
    let (mut base, mut top) = (Delta::default(), Delta::default());
    let (mut model, mut keys, mut next) = (BTreeMap::new(), BTreeMap::new(), 65_500u64);
    let mut earlier: Vec<(Delta, BTreeMap<u64, Row>)> = Vec::new();
    for change in changes {
        let level = top.table_mut(TABLE);
        match change {
            Change::Add { gap, count, text } => {
                add(level, &mut model, next + gap, *count, *text);
                next += gap + *count as u64;
            }
            Change::Patch { rows, seed } => {
                let rows = picked(&model, rows);
                patch(level, &mut model, &rows, *seed);
            }
            Change::Delete { rows } => {
                let rows = picked(&model, rows);
                level.delete_rows(&rows);
                rows.iter().for_each(|row| {
                    model.remove(row);
                });
            }
            Change::Keys { rows } => {
                for row in picked(&model, rows) {
                    level.add_key(KeyRef::Bytes((row % 50).to_string().as_bytes()), row);
                    keys.insert(row % 50, row);
                }
            }
            Change::Commit => {
                base.merge(&top);
                top = Delta::default();
                earlier.push((base.clone(), model.clone()));
            }
        }
    }
    let mut merged = base.clone();
    merged.merge(&top);
    earlier.push((merged.clone(), model.clone()));
    for (delta, model) in &earlier {
        let empty = Arc::default();
        let table = delta.table(TABLE).unwrap_or(&empty);
        assert_eq!(table.live_rows(), model.len() as i64);
        assert!(table.row_bound() > model.keys().last().copied().unwrap_or(0) || model.is_empty());
        for offset in (65_490..table.row_bound() + 3).filter(|offset| offset % 5 < 4) {
            assert_eq!(read(&[table], offset).as_ref(), model.get(&offset), "row {offset}");
        }
        for (_, group) in table.groups().iter() {
            assert_few(group.births());
            group.patches().for_each(|(_, parts)| assert_few(parts));
        }
        assert_few(table.keys());
    }
    let stack: Vec<&TableDelta> =
        [&base, &top].into_iter().filter_map(|delta| Some(&**delta.table(TABLE)?)).collect();
    for offset in model.keys() {
        assert_eq!(read(&stack, *offset).as_ref(), model.get(offset));
    }
    if let Some(table) = merged.table(TABLE) {
        for key in 0..50u64 {
            let found = table.find_key(KeyRef::Bytes(key.to_string().as_bytes()));
            assert_eq!(found, keys.get(&key).copied(), "key {key}");
        }
    }
}

fn lists_of(map: &SharedMap<AdjacencyDelta>) -> BTreeMap<(u64, u64, u64), i32> {
    let mut sums = BTreeMap::new();
    for (group, delta) in map.iter() {
        assert_few(delta.parts());
        let mut count = 0;
        for part in delta.parts().iter() {
            assert!(part.iter().map(|entry| (entry.node, entry.neighbour, entry.id)).is_sorted());
            for entry in part.iter() {
                assert!(delta.touched().contains(entry.node));
                let sign = if entry.removed { -1 } else { 1 };
                count += i64::from(sign);
                let key = (group << 16 | u64::from(entry.node), u64::from(entry.neighbour), entry.id);
                *sums.entry(key).or_insert(0) += sign;
            }
            for node in [0, 1, 39, 65_500] {
                let of_node: Vec<Entry> = part.of_node(node).collect();
                assert!(part.iter().filter(|entry| entry.node == node).eq(of_node));
            }
        }
        assert_eq!(count, delta.entries());
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn check_edges(changes: &[EdgeChange]) {
    let (mut base, mut top) = (Delta::default(), Delta::default());
    let mut model: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut next = 10;
    for change in changes {
        let level = top.table_mut(TABLE);
        match change {
            EdgeChange::Add(edges) => {
                let ends = |end: fn(&(u32, u32)) -> u32| edges.iter().map(move |edge| u64::from(end(edge)));
                let (sources, targets): (Vec<u64>, Vec<u64>) =
                    (ends(|edge| edge.0).collect(), ends(|edge| edge.1).collect());
                level.add_rels(next, &sources, &targets, &[]).unwrap();
                for (source, target) in sources.iter().zip(&targets) {
                    model.insert(next, (*source, *target));
                    next += 1;
                }
            }
            EdgeChange::Remove(picks) => {
                let known: Vec<u64> = model.keys().copied().collect();
                for pick in picks.iter().filter(|_| !known.is_empty()) {
                    let id = known[usize::from(*pick) % known.len()];
                    if let Some((source, target)) = model.remove(&id) {
                        level.remove_rels(&[id], &[source], &[target]).unwrap();
                    }
                }
            }
            EdgeChange::Commit => {
                base.merge(&top);
                top = Delta::default();
            }
        }
    }
    base.merge(&top);
    let empty = Arc::default();
    let table = base.table(TABLE).unwrap_or(&empty);
    assert_eq!(table.live_rows(), model.len() as i64);
    let forward = model.iter().map(|(id, (source, target))| ((*source, *target, *id), 1)).collect();
    let backward = model.iter().map(|(id, (source, target))| ((*target, *source, *id), 1)).collect();
    assert_eq!(lists_of(table.forward()), forward);
    assert_eq!(lists_of(table.backward()), backward);
    let loops = model.values().filter(|(source, target)| source == target).count() as i64;
    assert_eq!(table.forward().iter().map(|(_, group)| group.self_loops()).sum::<i64>(), loops);
    for (id, (source, target)) in &model {
        let group = table.group(id >> 16).unwrap();
        let part =
            group.births().iter().find(|part| part.rows().find((id & 0xFFFF) as u32).is_some()).unwrap();
        let at = part.rows().find((id & 0xFFFF) as u32).unwrap();
        let end = |column| part.column(column).unwrap().vector().u64_at(at);
        assert_eq!((end(SRC_COLUMN), end(DST_COLUMN)), (Some(*source), Some(*target)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rows_agree_with_a_model(changes in prop::collection::vec(change(), 1..40)) {
        check_rows(&changes);
    }

    #[test]
    fn edges_agree_with_a_model(changes in prop::collection::vec(edge_change(), 1..40)) {
        check_edges(&changes);
    }
}

#[test]
fn later_values_of_a_row_win_within_a_patch() {
    let mut table = TableDelta::default();
    let mut values = VectorBuffer::new(DataType::Int64);
    values.extend(&[1i64, 2, 3, 4]);
    table.patch(NUMBER, &DataType::Int64, &[9, 70_000, 9, 8], &values.vector());
    let of = |group: u64| {
        let parts = table.group(group).unwrap().patches_of(NUMBER).unwrap();
        let part = parts.iter_shared().next().unwrap().clone();
        (part.rows().to_vec(), part.values().slice_of::<i64>().unwrap().to_vec())
    };
    assert_eq!(of(0), (vec![8, 9], vec![4, 3]));
    assert_eq!(of(1), (vec![4464], vec![2]));
}

#[test]
fn a_node_offset_that_no_list_can_hold_is_an_error() {
    let mut table = TableDelta::default();
    assert!(table.add_rels(0, &[1], &[1 << 32], &[]).is_err());
}

/// Single rows put on top of a large level are not copied each time.
#[test]
fn many_small_commits_cost_little_each() {
    let mut base = Delta::default();
    let started = std::time::Instant::now();
    let mut model = BTreeMap::new();
    for offset in 0..6_000u64 {
        let mut own = Delta::default();
        add(own.table_mut(TABLE), &mut model, offset, 1, true);
        base.merge(&own);
    }
    let table = base.table(TABLE).unwrap();
    assert_eq!(table.live_rows(), 6_000);
    let parts = table.group(0).unwrap().births();
    assert!(parts.iter().count() <= 25, "{} parts", parts.iter().count());
    // Some ten times what it takes without optimization; quadratic copying takes far longer.
    assert!(started.elapsed().as_secs() < 30);
}
