//! Tables over extents in memory: what was loaded is what scans, gathers and lists give back.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::bulk::{NodeBulkLoad, StagedGroup};
use super::group_page::ExtentSink;
use super::*;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::BufferPool;
use crate::storage::column::EncodingKind;
use crate::storage::column::chunk_writer::WriteOptions;
use crate::storage::page::{ExtentRef, PAGE_SIZE, PageId, PageRef, PageSource, REFS_PER_PAGE, pages_for};
use crate::types::*;
use crate::vector::VectorBuffer;

/// Extents in memory, with reference pages as on disk.
#[derive(Default)]
pub struct MemoryExtents {
    pages: Mutex<Vec<[u8; PAGE_SIZE]>>,
}

impl MemoryExtents {
    fn push_pages(&self, bytes: &[u8]) -> Vec<PageRef> {
        let mut pages = self.pages.lock();
        let mut references = Vec::new();
        for chunk in bytes.chunks(PAGE_SIZE) {
            let mut page = [0; PAGE_SIZE];
            page[..chunk.len()].copy_from_slice(chunk);
            references.push(PageRef { page: PageId(pages.len() as u64), ..PageRef::default() });
            pages.push(page);
        }
        references
    }

    pub fn read_extent(&self, extent: &ExtentRef) -> Vec<u8> {
        let pages = self.pages.lock();
        let first = extent.first_page.0 as usize;
        let all: Vec<u8> = pages[first..first + extent.page_count() as usize].concat();
        all[..extent.byte_length as usize].to_vec()
    }
}

impl ExtentSink for MemoryExtents {
    fn write_extent(&self, bytes: &[u8]) -> StorageResult<ExtentRef> {
        assert!(pages_for(bytes.len() as u64) < 1 << 17);
        let mut references = self.push_pages(bytes);
        let first_page = references.first().map_or(PageId(0), |reference| reference.page);
        let mut depth = 0;
        while references.len() > 1 {
            let encoded: Vec<u8> = references.iter().flat_map(PageRef::encode).collect();
            assert_eq!(REFS_PER_PAGE * PageRef::SIZE, PAGE_SIZE);
            references = self.push_pages(&encoded);
            depth += 1;
        }
        let root = references.first().copied().unwrap_or_default();
        Ok(ExtentRef { root, first_page, depth, byte_length: bytes.len() as u64 })
    }
}

pub struct SharedExtents(pub Arc<MemoryExtents>);

impl PageSource for SharedExtents {
    fn read_pages(&self, references: &[PageRef], _: &str, out: &mut [u8]) -> StorageResult<()> {
        let pages = self.0.pages.lock();
        for (reference, out) in references.iter().zip(out.chunks_mut(PAGE_SIZE)) {
            out.copy_from_slice(&pages[reference.page.0 as usize]);
        }
        Ok(())
    }
}

/// Group pages by number.
pub struct MemoryGroups {
    pub extents: Arc<MemoryExtents>,
    pub groups: BTreeMap<u64, ExtentRef>,
}

impl GroupPages for MemoryGroups {
    fn group_count(&self) -> u64 {
        self.groups.last_key_value().map_or(0, |(group, _)| group + 1)
    }
    fn read_page(&self, group: u64) -> StorageResult<Option<(ExtentRef, Vec<u8>)>> {
        Ok(self.groups.get(&group).map(|extent| (*extent, self.extents.read_extent(extent))))
    }
}

pub fn memory_groups(extents: &Arc<MemoryExtents>, staged: &[StagedGroup]) -> Arc<MemoryGroups> {
    let groups = staged.iter().map(|group| (u64::from(group.group), group.page)).collect();
    Arc::new(MemoryGroups { extents: extents.clone(), groups })
}

pub fn pool_over(extents: &Arc<MemoryExtents>) -> BufferPool {
    BufferPool::new(64 << 20, Arc::new(SharedExtents(extents.clone())))
}

pub fn layout(columns: &[(&str, DataType)]) -> Arc<TableLayout> {
    let column = |(id, (name, data_type)): (usize, &(&str, DataType))| ColumnLayout {
        id: ColumnId(id as u32),
        name: (*name).to_owned(),
        data_type: data_type.clone(),
    };
    Arc::new(TableLayout {
        id: TableId(7),
        name: "Thing".to_owned(),
        columns: columns.iter().enumerate().map(column).collect(),
    })
}

pub fn columns() -> Vec<(&'static str, DataType)> {
    vec![
        ("id", DataType::Int64),
        ("name", DataType::String),
        ("kind", DataType::String),
        ("score", DataType::Double),
        ("flag", DataType::Bool),
        ("tags", DataType::list(DataType::String)),
        ("empty", DataType::Int32),
        ("late", DataType::DateTime),
    ]
}

pub fn row(i: u64) -> Vec<Value> {
    let some = |value: Value, nulls: u64| if i.is_multiple_of(nulls) { Value::Null } else { value };
    vec![
        Value::Int64(i as i64 * 3 - 1000),
        some(Value::String(format!("name of the row {}", i * 2654435761 % 100_000)), 11),
        some(Value::String(["red", "green", "blue", "a longer colour name"][i as usize % 4].to_owned()), 13),
        some(Value::Double(i as f64 * 0.37), 17),
        some(Value::Bool(i.is_multiple_of(3)), 5),
        some(Value::List((0..i % 4).map(|n| Value::String(format!("tag {n}"))).collect()), 19),
        Value::Null,
        some(
            Value::DateTime(Zoned { nanos: i128::from(i) << 40, offset_seconds: 3600, zone: ZoneId::NONE }),
            7,
        ),
    ]
}

fn load(extents: &Arc<MemoryExtents>, rows: u64, force_encoding: Option<EncodingKind>) -> Arc<NodeTable> {
    let pages = stage(extents, rows, force_encoding);
    Arc::new(NodeTable::new(layout(&columns()), pages, rows, rows, pool_over(extents)))
}

pub fn stage(
    extents: &Arc<MemoryExtents>,
    rows: u64,
    force_encoding: Option<EncodingKind>,
) -> Arc<MemoryGroups> {
    let layout = layout(&columns());
    let bulk = NodeBulkLoad::begin(extents.as_ref(), layout.clone(), 0, WriteOptions { force_encoding });
    let mut buffers: Vec<VectorBuffer> =
        layout.columns.iter().map(|column| VectorBuffer::new(column.data_type.clone())).collect();
    let mut at = 0;
    while at < rows {
        let count = (rows - at).min(5000);
        buffers.iter_mut().for_each(VectorBuffer::clear);
        for i in at..at + count {
            for (buffer, value) in buffers.iter_mut().zip(row(i)) {
                buffer.push_value(&value).unwrap();
            }
        }
        let vectors: Vec<_> = buffers.iter().map(VectorBuffer::vector).collect();
        assert_eq!(bulk.append(&vectors, count as usize).unwrap(), at);
        at += count;
    }
    let staged = bulk.finish().unwrap();
    assert_eq!(staged.row_count, rows);
    memory_groups(extents, &staged.groups)
}

impl MemoryExtents {
    /// Changes one byte of one page.
    fn damage(&self, salt: u64) {
        let mut pages = self.pages.lock();
        let page = salt as usize % pages.len();
        pages[page][(salt >> 20) as usize % PAGE_SIZE] ^= (salt >> 40) as u8;
    }
}

/// Scans and gives (offset, values) of the rows that pass.
pub fn scan(
    table: &Arc<NodeTable>,
    wanted: &[u32],
    predicates: &[ColumnPredicate],
    vector_size: usize,
    morsel: u32,
) -> (Vec<(u64, Vec<Value>)>, ScanCounters) {
    let columns: Vec<ColumnId> = wanted.iter().map(|id| ColumnId(*id)).collect();
    let mut scanner = table.scanner(&columns, predicates, &ScanOptions { vector_size }).unwrap();
    let mut worker = table.pool().worker().unwrap();
    let mut out = Vec::new();
    for group in 0..table.group_count() {
        for start in (0..NODE_GROUP_ROWS as u32).step_by(morsel as usize) {
            scanner.open(group, start..start + morsel).unwrap();
            while let Some(batch) = scanner.next(&mut worker).unwrap() {
                for row in 0..batch.length {
                    if batch.selection.contains(row) {
                        let value = |(vector, id): (&crate::vector::ValueVector<'_>, &ColumnId)| {
                            vector.value(row, &table.data_type(*id))
                        };
                        let values = batch.columns.iter().zip(&columns).map(value).collect();
                        out.push((batch.first_offset + row as u64, values));
                    }
                }
            }
        }
    }
    (out, scanner.counters())
}

fn check_scan(table: &Arc<NodeTable>, rows: u64, vector_size: usize, morsel: u32) {
    let wanted: Vec<u32> = (0..columns().len() as u32).collect();
    let (found, _) = scan(table, &wanted, &[], vector_size, morsel);
    assert_eq!(found.len() as u64, rows);
    for (i, (offset, values)) in found.iter().enumerate() {
        assert_eq!(*offset, i as u64);
        assert_eq!(*values, row(*offset));
    }
}

#[test]
fn scans_give_back_what_was_loaded() {
    let extents = Arc::new(MemoryExtents::default());
    let rows = NODE_GROUP_ROWS + 3000;
    let table = load(&extents, rows, None);
    check_scan(&table, rows, 2048, 1 << 16);
    check_scan(&table, rows, 1000, 30_000);
}

#[test]
fn tiny_vectors_and_every_encoding_scan_alike() {
    use EncodingKind::*;
    for force_encoding in [None, Some(Plain), Some(BitPacked), Some(Dictionary), Some(RunLength)] {
        let extents = Arc::new(MemoryExtents::default());
        let table = load(&extents, 3000, force_encoding);
        check_scan(&table, 3000, 3, 1 << 16);
        check_scan(&table, 3000, 1024, 700);
    }
}

#[test]
fn gathers_give_the_rows_in_the_order_asked() {
    use EncodingKind::*;
    for force_encoding in [None, Some(Plain), Some(BitPacked), Some(Dictionary), Some(RunLength)] {
        let rows = if force_encoding.is_none() { NODE_GROUP_ROWS + 300 } else { 5000 };
        let extents = Arc::new(MemoryExtents::default());
        let table = load(&extents, rows, force_encoding);
        let mut worker = table.pool().worker().unwrap();
        for count in [1u64, 3, 700] {
            let offsets: Vec<u64> = (0..count).map(|i| (i * 7919 + 65_000) % rows).collect();
            for column in &table.layout().columns {
                let mut out = VectorBuffer::new(column.data_type.clone());
                table.gather(column.id, &offsets, &mut worker, &mut out).unwrap();
                for (position, offset) in offsets.iter().enumerate() {
                    let found = out.vector().value(position, &column.data_type);
                    assert_eq!(
                        found,
                        row(*offset)[column.id.0 as usize],
                        "{} {force_encoding:?}",
                        column.name
                    );
                }
            }
        }
        let mut out = VectorBuffer::new(DataType::Int64);
        assert!(table.gather(ColumnId(0), &[rows + 1], &mut worker, &mut out).is_err());
    }
}

#[test]
fn predicates_select_the_rows_that_pass() {
    use PredicateOp::*;
    let text = |text: &str| Value::String(text.to_owned());
    let cases: Vec<(u32, PredicateOp, Vec<Value>)> = vec![
        (0, Lt, vec![Value::Int64(500)]),
        (0, Between, vec![Value::Int64(2000), Value::Int64(2100)]),
        (0, In, vec![Value::Int64(-1000), Value::Int64(8), Value::Int64(9), Value::Null]),
        (0, Eq, vec![Value::Null]),
        (1, StartsWith, vec![text("name of the row 12")]),
        (2, Eq, vec![text("green")]),
        (2, Ne, vec![text("green")]),
        (2, Ge, vec![text("blue")]),
        (3, Gt, vec![Value::Double(300.5)]),
        (4, Eq, vec![Value::Bool(true)]),
        (5, IsNull, vec![]),
        (6, IsNull, vec![]),
        (6, IsNotNull, vec![]),
        (1, IsNotNull, vec![]),
    ];
    let rows = 4000;
    for force_encoding in
        [None, Some(EncodingKind::Plain), Some(EncodingKind::Dictionary), Some(EncodingKind::RunLength)]
    {
        let extents = Arc::new(MemoryExtents::default());
        let table = load(&extents, rows, force_encoding);
        for (column, op, values) in &cases {
            let predicate = ColumnPredicate { column: ColumnId(*column), op: *op, values: values.clone() };
            let expected: Vec<u64> =
                (0..rows).filter(|i| passes(&row(*i)[*column as usize], *op, values)).collect();
            for vector_size in [3, 1000, 2048] {
                let (found, counters) =
                    scan(&table, &[0], std::slice::from_ref(&predicate), vector_size, 1 << 16);
                let offsets: Vec<u64> = found.iter().map(|(offset, _)| *offset).collect();
                assert_eq!(offsets, expected, "{predicate:?} {force_encoding:?} {vector_size}");
                assert_eq!(counters.rows_passed as usize, expected.len());
                assert!(found.iter().all(|(offset, values)| values[0] == row(*offset)[0]));
            }
        }
    }
}

pub fn passes(value: &Value, op: PredicateOp, constants: &[Value]) -> bool {
    use PredicateOp::*;
    let order = |constant: &Value| match (value, constant) {
        (Value::Int64(a), Value::Int64(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let first = constants.first().and_then(order);
    match op {
        IsNull => value.is_null(),
        IsNotNull => !value.is_null(),
        Eq => first.is_some_and(|order| order.is_eq()),
        Ne => first.is_some_and(|order| order.is_ne()),
        Lt => first.is_some_and(|order| order.is_lt()),
        Le => first.is_some_and(|order| order.is_le()),
        Gt => first.is_some_and(|order| order.is_gt()),
        Ge => first.is_some_and(|order| order.is_ge()),
        In => constants.iter().any(|constant| order(constant).is_some_and(|order| order.is_eq())),
        Between => {
            first.is_some_and(|order| order.is_ge())
                && order(&constants[1]).is_some_and(|order| order.is_le())
        }
        StartsWith => match (value, &constants[0]) {
            (Value::String(text), Value::String(prefix)) => text.starts_with(prefix.as_str()),
            _ => false,
        },
    }
}

#[test]
fn zone_maps_skip_groups() {
    let extents = Arc::new(MemoryExtents::default());
    let table = load(&extents, NODE_GROUP_ROWS * 2, None);
    let predicate = ColumnPredicate::new(ColumnId(0), PredicateOp::Eq, Value::Int64(3 * 70_000 - 1000));
    let (found, counters) = scan(&table, &[0], &[predicate], 2048, 1 << 16);
    assert_eq!(found.len(), 1);
    assert_eq!((counters.groups_read, counters.groups_skipped), (1, 1));
}

#[test]
fn damage_behind_right_checksums_is_an_error_at_most() {
    let extents = Arc::new(MemoryExtents::default());
    let table = load(&extents, 2000, None);
    for seed in 0..150u64 {
        let copy = Arc::new(MemoryExtents { pages: Mutex::new(extents.pages.lock().clone()) });
        (0..3).for_each(|n| copy.damage(crate::storage::column::encoding::choose::mix(seed * 3 + n)));
        // The group page was written last.
        let last = copy.pages.lock().len() as u64;
        let groups = (0..last).rev().find_map(|page| {
            let extent = ExtentRef {
                root: PageRef { page: PageId(page), ..PageRef::default() },
                first_page: PageId(page),
                depth: 0,
                byte_length: PAGE_SIZE as u64,
            };
            copy.read_extent(&extent).starts_with(b"QGRP").then_some(extent)
        });
        let Some(extent) = groups else { continue };
        let pages = MemoryGroups { extents: copy.clone(), groups: BTreeMap::from([(0, extent)]) };
        let layout = table.layout().clone();
        let broken = Arc::new(NodeTable::new(layout, Arc::new(pages), 2000, 2000, pool_over(&copy)));
        let mut worker = broken.pool().worker().unwrap();
        for column in table.layout().columns.iter().map(|column| column.id) {
            let mut out = VectorBuffer::new(table.data_type(column));
            let _ = broken.gather(column, &[5, 1999, 700, 3], &mut worker, &mut out);
            let Ok(mut scanner) = broken.scanner(&[column], &[], &ScanOptions { vector_size: 2048 }) else {
                continue;
            };
            if scanner.open(0, 0..1 << 16).is_ok() {
                while let Ok(Some(batch)) = scanner.next(&mut worker) {
                    let data_type = table.data_type(column);
                    (0..batch.length).for_each(|row| drop(batch.columns[0].value(row, &data_type)));
                }
            }
        }
    }
}

#[test]
fn the_smallest_pool_is_enough() {
    let extents = Arc::new(MemoryExtents::default());
    let rows = NODE_GROUP_ROWS;
    let large = load(&extents, rows, Some(EncodingKind::Plain));
    let page = |group: u64| large.group(group as usize).unwrap();
    assert_eq!(u64::from(page(0).rows()), rows);
    let first = extents.pages.lock().iter().rposition(|page| page.starts_with(b"QGRP")).unwrap() as u64;
    let extent = ExtentRef {
        root: PageRef { page: PageId(first), ..PageRef::default() },
        first_page: PageId(first),
        depth: 0,
        byte_length: PAGE_SIZE as u64,
    };
    let groups = MemoryGroups { extents: extents.clone(), groups: BTreeMap::from([(0, extent)]) };
    let pool = BufferPool::new(BufferPool::bytes_min(1), Arc::new(SharedExtents(extents.clone())));
    let small = Arc::new(NodeTable::new(large.layout().clone(), Arc::new(groups), rows, rows, pool));
    check_scan(&small, rows, 2048, 1 << 16);
}
