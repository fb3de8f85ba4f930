//! A table under levels against a plain model: what was loaded, added, changed and deleted, through scans with and
//! without predicates, and gathers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::tests::*;
use super::*;
use crate::storage::delta::{ColumnValues, TableDelta};
use crate::types::*;
use crate::vector::VectorBuffer;

const BASE_ROWS: u64 = 2500;

#[derive(Debug, Clone)]
enum Change {
    Add { gap: u64, count: usize, seed: u64 },
    Patch { column: u32, picks: Vec<u16>, stretch: u16, seed: u64 },
    Delete { picks: Vec<u16>, stretch: u16 },
    NextLevel,
    Merge,
}

fn change() -> impl Strategy<Value = Change> {
    let picks = || prop::collection::vec(any::<u16>(), 1..6);
    prop_oneof![
        3 => (prop_oneof![4 => 0..3u64, 1 => 60_000..70_000u64], 1..120usize, 0..1000u64)
            .prop_map(|(gap, count, seed)| Change::Add { gap, count, seed }),
        4 => (0..8u32, picks(), 1..60u16, 0..5000u64)
            .prop_map(|(column, picks, stretch, seed)| Change::Patch { column, picks, stretch, seed }),
        2 => (picks(), 1..40u16).prop_map(|(picks, stretch)| Change::Delete { picks, stretch }),
        1 => Just(Change::NextLevel),
        1 => Just(Change::Merge),
    ]
}

type Model = BTreeMap<u64, Vec<Value>>;

struct Base {
    extents: Arc<MemoryExtents>,
    pages: Arc<MemoryGroups>,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let extents = Arc::new(MemoryExtents::default());
        let pages = stage(&extents, BASE_ROWS, None);
        Base { extents, pages }
    })
}

/// The offsets of stretches of existing rows.
fn picked(model: &Model, picks: &[u16], stretch: u16) -> Vec<u64> {
    let rows: Vec<u64> = model.keys().copied().collect();
    let starts = picks.iter().map(|pick| usize::from(*pick) * 7 % rows.len().max(1));
    let mut found: Vec<u64> =
        starts.flat_map(|start| rows[start.min(rows.len())..].iter().take(stretch.into())).copied().collect();
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|row| seen.insert(*row));
    found
}

fn buffer_of(column: usize, values: &[Value]) -> VectorBuffer {
    let mut buffer = VectorBuffer::new(columns()[column].1.clone());
    values.iter().for_each(|value| buffer.push_value(value).unwrap());
    buffer
}

fn add(level: &mut TableDelta, model: &mut Model, first: u64, count: usize, seed: u64) {
    let rows: Vec<Vec<Value>> = (0..count as u64).map(|at| row(at * 31 + seed)).collect();
    let layout = layout(&columns());
    let buffers: Vec<VectorBuffer> = (0..layout.columns.len())
        .map(|column| buffer_of(column, &rows.iter().map(|row| row[column].clone()).collect::<Vec<_>>()))
        .collect();
    let values: Vec<ColumnValues<'_>> = layout
        .columns
        .iter()
        .zip(&buffers)
        // One column is left out now and then.
        .filter(|(column, _)| u64::from(column.id.0) != seed % 20)
        .map(|(column, buffer)| ColumnValues {
            column: column.id,
            data_type: &column.data_type,
            values: buffer.vector(),
        })
        .collect();
    level.add_rows(first, &values, count);
    for (at, mut row) in rows.into_iter().enumerate() {
        if let Some(value) = row.get_mut(seed as usize % 20) {
            *value = Value::Null;
        }
        model.insert(first + at as u64, row);
    }
}

fn patch(level: &mut TableDelta, model: &mut Model, column: u32, rows: &[u64], seed: u64) {
    let values: Vec<Value> =
        rows.iter().enumerate().map(|(at, _)| row(at as u64 * 17 + seed)[column as usize].clone()).collect();
    let buffer = buffer_of(column as usize, &values);
    level.patch(ColumnId(column), &columns()[column as usize].1, rows, &buffer.vector());
    for (offset, value) in rows.iter().zip(values) {
        if let Some(row) = model.get_mut(offset) {
            row[column as usize] = value;
        }
    }
}

fn check(changes: &[Change]) {
    let mut model: Model = (0..BASE_ROWS).map(|offset| (offset, row(offset))).collect();
    let (mut levels, mut next) = (vec![TableDelta::default()], BASE_ROWS);
    for change in changes {
        let mut level = levels.pop().unwrap_or_default();
        match change {
            Change::Add { gap, count, seed } => {
                add(&mut level, &mut model, next + gap, *count, *seed);
                next += gap + *count as u64;
            }
            Change::Patch { column, picks, stretch, seed } => {
                let rows = picked(&model, picks, *stretch);
                patch(&mut level, &mut model, *column, &rows, *seed);
            }
            Change::Delete { picks, stretch } => {
                let rows = picked(&model, picks, *stretch);
                level.delete_rows(&rows);
                rows.iter().for_each(|row| {
                    model.remove(row);
                });
            }
            Change::NextLevel if levels.len() < 2 => levels.push(std::mem::take(&mut level)),
            Change::NextLevel => {}
            Change::Merge => {
                if let Some(mut below) = levels.pop() {
                    below.merge(&level);
                    level = below;
                }
            }
        }
        levels.push(level);
    }
    let Base { extents, pages } = base();
    let table = NodeTable::new(layout(&columns()), pages.clone(), BASE_ROWS, BASE_ROWS, pool_over(extents));
    let table = Arc::new(table.with_levels(levels.into_iter().map(Arc::new).collect()));
    assert_eq!(table.row_count(), model.len() as u64);
    assert_eq!(table.row_bound(), next);
    check_scans(&table, &model);
    check_gathers(&table, &model);
}

fn check_scans(table: &Arc<NodeTable>, model: &Model) {
    let all: Vec<u32> = (0..columns().len() as u32).collect();
    for (vector_size, morsel) in [(2048, 1 << 16), (100, 1000)] {
        let (mut found, counters) = scan(table, &all, &[], vector_size, morsel);
        found.sort_by_key(|(offset, _)| *offset);
        assert!(found.iter().map(|(offset, values)| (offset, values)).eq(model.iter()));
        assert_eq!(counters.rows_passed, model.len() as u64);
    }
    use PredicateOp::*;
    let text = |text: &str| Value::String(text.to_owned());
    let cases: Vec<(u32, PredicateOp, Vec<Value>)> = vec![
        (0, Lt, vec![Value::Int64(500)]),
        (0, Between, vec![Value::Int64(20_000), Value::Int64(90_000)]),
        (1, StartsWith, vec![text("name of the row 1")]),
        (2, Ne, vec![text("green")]),
        (3, Gt, vec![Value::Double(300.5)]),
        (4, Eq, vec![Value::Bool(true)]),
        (5, IsNull, vec![]),
        (6, IsNull, vec![]),
        (7, IsNotNull, vec![]),
    ];
    for (column, op, values) in &cases {
        let predicate = ColumnPredicate { column: ColumnId(*column), op: *op, values: values.clone() };
        let second = ColumnPredicate { column: ColumnId(3), op: IsNotNull, values: vec![] };
        let (mut found, _) = scan(table, &[2, 0], &[predicate, second], 500, 1 << 16);
        found.sort_by_key(|(offset, _)| *offset);
        let expected: Vec<(u64, Vec<Value>)> = model
            .iter()
            .filter(|(_, row)| passes(&row[*column as usize], *op, values) && !row[3].is_null())
            .map(|(offset, row)| (*offset, vec![row[2].clone(), row[0].clone()]))
            .collect();
        assert_eq!(found, expected, "column {column} {op:?}");
    }
}

fn check_gathers(table: &Arc<NodeTable>, model: &Model) {
    let mut worker = table.pool().worker().unwrap();
    let offsets: Vec<u64> = model.keys().copied().collect();
    let mixed: Vec<u64> = (0..offsets.len().min(400)).map(|at| offsets[at * 7919 % offsets.len()]).collect();
    let tail = offsets[offsets.len().saturating_sub(300)..].to_vec();
    for wanted in [mixed, tail] {
        for column in &table.layout().columns {
            let mut out = VectorBuffer::new(column.data_type.clone());
            table.gather(column.id, &wanted, &mut worker, &mut out).unwrap();
            for (at, offset) in wanted.iter().enumerate() {
                let value = out.vector().value(at, &column.data_type);
                assert_eq!(value, model[offset][column.id.0 as usize], "{} of {offset}", column.name);
            }
        }
    }
    for offset in (0..table.row_bound() + 2).step_by(37) {
        assert_eq!(table.is_visible(offset, &mut worker).unwrap(), model.contains_key(&offset), "{offset}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_table_under_levels_agrees_with_a_model(changes in prop::collection::vec(change(), 1..14)) {
        check(&changes);
    }
}

#[test]
fn zone_maps_are_not_believed_where_values_are_new() {
    let Base { extents, pages } = base();
    let table =
        || NodeTable::new(layout(&columns()), pages.clone(), BASE_ROWS, BASE_ROWS, pool_over(extents));
    let far = ColumnPredicate::new(ColumnId(0), PredicateOp::Eq, Value::Int64(1 << 40));
    let mut model = Model::new();
    let mut changed = TableDelta::default();
    patch(&mut changed, &mut model, 3, &[5], 1);
    let look = |level: &TableDelta| {
        scan(
            &Arc::new(table().with_levels(vec![Arc::new(level.clone())])),
            &[0],
            std::slice::from_ref(&far),
            2048,
            1 << 16,
        )
    };
    // Another column is changed: the group is still skipped.
    let (found, counters) = look(&changed);
    assert_eq!((found.len(), counters.groups_skipped, counters.groups_with_levels), (0, 1, 1));
    let mut buffer = VectorBuffer::new(DataType::Int64);
    buffer.push(1i64 << 40);
    changed.patch(ColumnId(0), &DataType::Int64, &[2001], &buffer.vector());
    let (found, counters) = look(&changed);
    assert_eq!(found, [(2001, vec![Value::Int64(1 << 40)])]);
    assert!(counters.groups_skipped == 0 && counters.batches_patched == 1);
}
