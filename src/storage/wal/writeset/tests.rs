//! Levels through the log's bytes, whole, cut into parts and damaged.

use proptest::prelude::*;

use super::*;
use crate::storage::delta::ColumnValues;
use crate::types::{ColumnId, DataType, Value};
use crate::vector::{ValueVector, Values, VectorBuffer};

const NODES: TableId = TableId(1);
const RELS: TableId = TableId(2);
const NAME: ColumnId = ColumnId(5);

/// Steps of transactions that make a level.
#[derive(Debug, Clone)]
enum Step {
    Born { first: u64, count: usize },
    Named { rows: Vec<u64> },
    Deleted { rows: Vec<u64> },
    Linked { first: u64, ends: Vec<(u64, u64)> },
    Unlinked { id: u64, source: u64, target: u64 },
    Keyed { key: Vec<u8>, offset: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = 0u64..200_000;
    let step = prop_oneof![
        (row.clone(), 1usize..300).prop_map(|(first, count)| Step::Born { first, count }),
        prop::collection::vec(row.clone(), 1..20).prop_map(|rows| Step::Named { rows }),
        prop::collection::vec(row.clone(), 1..20).prop_map(|rows| Step::Deleted { rows }),
        (row.clone(), prop::collection::vec((row.clone(), row.clone()), 1..20))
            .prop_map(|(first, ends)| Step::Linked { first, ends }),
        (row.clone(), row.clone(), row.clone()).prop_map(|(id, source, target)| Step::Unlinked {
            id,
            source,
            target
        }),
        (prop::collection::vec(any::<u8>(), 0..9), row).prop_map(|(key, offset)| Step::Keyed { key, offset }),
    ];
    prop::collection::vec(step, 0..20)
}

fn names(rows: usize, seed: u64) -> VectorBuffer {
    let mut names = VectorBuffer::new(DataType::String);
    for row in 0..rows as u64 {
        match (row + seed) % 5 {
            0 => names.push_null(),
            _ => names.push_str(&format!("name {}", row * seed)),
        }
    }
    names
}

fn apply(delta: &mut Delta, step: &Step) {
    match step {
        Step::Born { first, count } => {
            let names = names(*count, *first);
            let values = names.vector();
            let column = ColumnValues { column: NAME, data_type: &DataType::String, values };
            delta.table_mut(NODES).add_rows(*first, &[column], *count);
        }
        Step::Named { rows } => {
            let values = names(rows.len(), rows[0]);
            delta.table_mut(NODES).patch(NAME, &DataType::String, rows, &values.vector());
        }
        Step::Deleted { rows } => delta.table_mut(NODES).delete_rows(rows),
        Step::Linked { first, ends } => {
            let (sources, targets): (Vec<u64>, Vec<u64>) = ends.iter().copied().unzip();
            let weights: Vec<i64> = sources.iter().map(|source| *source as i64).collect();
            let values = ValueVector::flat(Values::I64(&weights));
            let column = ColumnValues { column: ColumnId(9), data_type: &DataType::Int64, values };
            delta.table_mut(RELS).add_rels(*first, &sources, &targets, &[column]).unwrap();
        }
        Step::Unlinked { id, source, target } => {
            delta.table_mut(RELS).remove_rels(&[*id], &[*source], &[*target]).unwrap();
        }
        Step::Keyed { key, offset } => delta.table_mut(NODES).add_key(KeyRef::Bytes(key), *offset),
    }
}

fn level(steps: &[Step]) -> Delta {
    level_from(0, steps)
}

fn level_from(start: u64, steps: &[Step]) -> Delta {
    let mut delta = Delta::default();
    for (at, step) in (0..).zip(steps) {
        // No offset is given twice.
        let place = |first: &u64| start + at * 10_000 + first % 9000;
        let step = match step.clone() {
            Step::Born { first, count } => Step::Born { first: place(&first), count },
            Step::Linked { first, ends } => Step::Linked { first: place(&first), ends },
            // No row is deleted twice, if the starts are far enough from each other.
            Step::Deleted { rows } => Step::Deleted { rows: rows.iter().map(|row| start + row).collect() },
            Step::Unlinked { id, source, target } => Step::Unlinked { id: start + id, source, target },
            step => step,
        };
        apply(&mut delta, &step);
    }
    delta
}

/// Everything that a level says, without how its parts are cut.
fn told(delta: &Delta) -> Vec<String> {
    let mut out = Vec::new();
    for (id, table) in delta.tables().filter(|(_, table)| !table.is_empty()) {
        out.push(format!("{id} {} {}", table.row_bound(), table.live_rows()));
        for (number, group) in table.groups().iter() {
            let mut births = Vec::new();
            for part in group.births().iter() {
                for position in 0..part.rows().len() {
                    let value = |(column, values): (ColumnId, &VectorBuffer)| {
                        let value = values.vector().value(position, values.data_type());
                        (!value.is_null()).then(|| format!("{column} {value:?}"))
                    };
                    let values: Vec<_> = part.columns().filter_map(value).collect();
                    births.push((part.rows().get(position), values));
                }
            }
            births.sort();
            let mut patches = std::collections::BTreeMap::new();
            for (column, parts) in group.patches() {
                for part in parts.iter() {
                    for (at, row) in part.rows().iter().enumerate() {
                        let value: Value = part.values().value(at, part.data_type());
                        patches.insert((column, *row), format!("{value:?}"));
                    }
                }
            }
            let deletions: Vec<u16> = group.deletions().iter().collect();
            out.push(format!("{number} {births:?} {patches:?} {deletions:?}"));
        }
        for direction in [table.forward(), table.backward()] {
            for (number, group) in direction.iter() {
                let mut sums = std::collections::BTreeMap::new();
                for entry in group.parts().iter().flat_map(|part| part.iter()) {
                    let sum = sums.entry((entry.node, entry.neighbour, entry.id)).or_insert(0);
                    *sum += if entry.removed { -1 } else { 1 };
                }
                out.push(format!("{number} {} {} {sums:?}", group.entries(), group.self_loops()));
            }
        }
        let keys: std::collections::BTreeMap<_, _> =
            table.keys().iter().flat_map(|part| part.iter()).collect();
        out.push(format!("{keys:?}"));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn levels_come_back(steps in steps(), version: u64, payload_bytes in 10usize..4000) {
        let delta = level(&steps);
        let payloads = Writeset::cut(&delta, None, payload_bytes).with_version(version).clone();
        assert!(payloads.iter().all(|payload| payload.len() <= payload_bytes));
        let read = CommittedLevel::decode(&payloads.concat()).unwrap();
        assert_eq!(read.version, version);
        assert_eq!(told(&read.delta), told(&delta));
    }

    #[test]
    fn many_writesets_make_one_level(commits in prop::collection::vec(steps(), 0..6)) {
        let (mut builder, mut linked) = (LevelBuilder::default(), Delta::default());
        for (version, steps) in (1u64..).zip(&commits) {
            // No offset is given twice, in no commit.
            let delta = level_from((version - 1) * 300_000, steps);
            let bytes = Writeset::encode(&delta).with_version(version).concat();
            assert_eq!(builder.take(&bytes).unwrap().version, version);
            linked.merge(&delta);
        }
        let (built, linked) = (told(&builder.finish().unwrap()), told(&linked));
        let differs = built.iter().zip(&linked).position(|(one, other)| one != other);
        assert!(differs.is_none() && built.len() == linked.len(), "line {differs:?}");
    }

    #[test]
    fn damaged_bytes_are_no_panics(steps in steps(), at: u64, flip: u8, cut: bool) {
        let mut bytes = Writeset::encode(&level(&steps)).with_version(1).concat();
        let place = at as usize % bytes.len();
        match cut {
            true => bytes.truncate(place),
            false => bytes[place] ^= flip.max(1),
        }
        let read = CommittedLevel::decode(&bytes);
        assert!(!cut || read.is_err(), "nothing may be missing");
    }
}

/// Rows of writers that took turns arrive in another order than that of their offsets, and some leave columns out.
#[test]
fn rows_of_several_writers_are_sorted() {
    let (mut builder, mut linked) = (LevelBuilder::default(), Delta::default());
    let number = |row: u64| row as i64 * 7;
    for (version, row) in (1u64..).zip([5u64, 9, 6, 8, 7, 4, 70_000]) {
        let mut delta = Delta::default();
        let (names, numbers) = (names(1, row), [number(row)]);
        let mut columns =
            vec![ColumnValues { column: NAME, data_type: &DataType::String, values: names.vector() }];
        if row % 3 != 0 {
            let values = ValueVector::flat(Values::I64(&numbers));
            columns.push(ColumnValues { column: ColumnId(9), data_type: &DataType::Int64, values });
        }
        delta.table_mut(NODES).add_rows(row, &columns, 1);
        builder.take(&Writeset::encode(&delta).with_version(version).concat()).unwrap();
        linked.merge(&delta);
    }
    let built = builder.finish().unwrap();
    assert_eq!(told(&built), told(&linked));
    let group = built.table(NODES).and_then(|table| table.group(0)).unwrap();
    assert_eq!(group.births().iter().count(), 1, "one part for all rows of a group");
}

#[test]
fn long_writesets_have_several_parts() {
    let step = |first: u64| Step::Born { first, count: 60_000 };
    let delta = level(&[step(0), step(60_000)]);
    let parts = Writeset::cut(&delta, None, 1 << 20);
    assert!(parts.sizes().count() > 1);
    assert_eq!(Writeset::encode(&delta).sizes().count(), 1);
}
