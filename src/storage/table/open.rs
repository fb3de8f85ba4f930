//! From a snapshot to its tables, and from staged loads to the change that a commit makes.

use std::sync::{Arc, OnceLock};

use super::adjacency::{Adjacency, Direction};
use super::bulk::{StagedGroup, StagedRels, StagedRows};
use super::group_page::{GroupKind, GroupPage};
use super::node_table::{ColumnLayout, GroupCache, NodeTable, TableLayout};
use super::rel_table::{ImpliedIds, RelTable};
use crate::catalog::{ColumnSchema, ColumnStatistics, DirectionStatistics, Distribution, TableStatistics};
use crate::storage::column::statistics::{Bound, ChunkStatistics};
use crate::storage::directory::{IndexTree, TableChange, TableRecord};
use crate::storage::state::Snapshot;
use crate::storage::{StorageError, StorageResult};
use crate::types::{ColumnId, DataType, GlobalId, TableId, Value};

impl TableLayout {
    /// The layout of a table from its schema.
    pub fn new(id: TableId, name: &str, columns: &[ColumnSchema]) -> Arc<TableLayout> {
        let column = |column: &ColumnSchema| ColumnLayout {
            id: column.id,
            name: column.name.clone(),
            data_type: column.data_type.clone(),
        };
        Arc::new(TableLayout { id, name: name.to_owned(), columns: columns.iter().map(column).collect() })
    }
}

/// What all views of a table over one base share.
#[derive(Default)]
pub(super) struct SharedTable {
    layout: OnceLock<Arc<TableLayout>>,
    /// What messages call the groups' pages of rows and of lists.
    names: OnceLock<[Arc<str>; 2]>,
    /// Of a relationship table: which ids follow from which runs.
    pub(super) implied: OnceLock<Vec<ImpliedIds>>,
}

impl SharedTable {
    fn names(&self, table: &str) -> &[Arc<str>; 2] {
        let make = || [format!("table {table}").into(), format!("table {table}, adjacency").into()];
        self.names.get_or_init(make)
    }

    fn layout(&self, id: TableId, name: &str, columns: &[ColumnSchema]) -> Arc<TableLayout> {
        Arc::clone(self.layout.get_or_init(|| TableLayout::new(id, name, columns)))
    }
}

fn no_table(id: TableId) -> StorageError {
    StorageError::Limit { what: format!("table {id}, which the catalog does not have"), limit: 0 }
}

fn cache<G>(snapshot: &Snapshot, tree: &IndexTree, what: &Arc<str>) -> GroupCache<G> {
    GroupCache::Tree { tree: tree.clone(), what: Arc::clone(what), snapshot: snapshot.clone() }
}

fn rows_of(
    snapshot: &Snapshot,
    shared: &SharedTable,
    layout: Arc<TableLayout>,
    record: &TableRecord,
) -> Arc<NodeTable> {
    let [rows_name, _] = shared.names(&layout.name);
    let groups = cache(snapshot, &record.rows, rows_name);
    let (bound, count) = (record.row_bound, record.row_count);
    let levels = snapshot.levels().of_table(layout.id);
    Arc::new(NodeTable::over(layout, groups, bound, count, snapshot.pool().clone()).with_levels(levels))
}

/// A node table of a snapshot. Reads its record, nothing else; decoded groups are shared by all versions of the
/// table that have them.
pub fn open_node_table(snapshot: &Snapshot, table: TableId) -> StorageResult<Arc<NodeTable>> {
    let schema = snapshot.catalog().node_table_by_id(table).ok_or_else(|| no_table(table))?;
    let shared: Arc<SharedTable> = snapshot.shared(table);
    let layout = shared.layout(table, &schema.name, &schema.columns);
    Ok(rows_of(snapshot, &shared, layout, &*snapshot.table_record(table)?))
}

/// One FROM/TO pair of a relationship type of a snapshot.
pub fn open_rel_table(snapshot: &Snapshot, table: TableId) -> StorageResult<Arc<RelTable>> {
    let (schema, pair) = snapshot.catalog().rel_table_by_id(table).ok_or_else(|| no_table(table))?;
    let shared: Arc<SharedTable> = snapshot.shared(table);
    let layout = shared.layout(table, &schema.name, &schema.columns);
    let record = snapshot.table_record(table)?;
    let [_, lists_name] = shared.names(&layout.name);
    let adjacency = |direction, tree: &IndexTree| {
        let groups = cache(snapshot, tree, lists_name);
        let adjacency = Adjacency::over(direction, table, &layout.name, groups, snapshot.pool().clone());
        let levels = snapshot.levels().of_table(table);
        Arc::new(adjacency.with_levels(levels, pair.source == pair.target))
    };
    let forward = adjacency(Direction::Forward, &record.forward);
    let backward = adjacency(Direction::Backward, &record.backward);
    let rows = rows_of(snapshot, &shared, layout.clone(), &record);
    Ok(Arc::new(RelTable::sharing(shared, rows, forward, backward)))
}

/// The page of a group as it stands, for a load that adds a run to it or a checkpoint that writes it again.
pub fn existing_page(
    snapshot: &Snapshot,
    table: TableId,
    kind: GroupKind,
    group: u32,
) -> StorageResult<Option<GroupPage>> {
    let record = snapshot.table_record(table)?;
    let (tree, part) = match kind {
        GroupKind::Nodes | GroupKind::Relationships => (&record.rows, "rows"),
        GroupKind::Forward => (&record.forward, "forward"),
        GroupKind::Backward => (&record.backward, "backward"),
    };
    let (source, what) = (&**snapshot.page_file(), format!("table {table}, {part}"));
    let Some(extent) = tree.extent(u64::from(group), source, &what)? else { return Ok(None) };
    let bytes = source.read_extent(&extent, &what)?;
    GroupPage::decode(&bytes).map(Some).map_err(|damage| damage.at(&what, extent.first_page))
}

fn pages_of(groups: &[StagedGroup]) -> impl Iterator<Item = (u64, Option<crate::storage::page::ExtentRef>)> {
    groups.iter().map(|group| (u64::from(group.group), Some(group.page)))
}

impl StagedRows {
    /// Adds the rows to a table's change and statistics.
    pub fn apply(&self, layout: &TableLayout, change: &mut TableChange, statistics: &mut TableStatistics) {
        if self.row_count > 0 {
            change.row_bound = change.row_bound.max(self.first_offset + self.row_count);
            change.row_count += self.row_count;
            statistics.rows += self.row_count;
        }
        change.rows.extend(pages_of(&self.groups));
        for (column, found) in &self.statistics {
            let data_type = layout.column(*column).map_or(DataType::Null, |column| column.data_type.clone());
            let fresh = column_statistics(&data_type, found);
            let known = statistics.columns.remove(column);
            statistics.columns.insert(
                *column,
                known.map_or(fresh.clone(), |known| merged(known, fresh, found, &data_type)),
            );
        }
    }
}

impl StagedRels {
    /// Adds the relationships to a table's change and statistics.
    pub fn apply(&self, layout: &TableLayout, change: &mut TableChange, statistics: &mut TableStatistics) {
        self.rows.apply(layout, change, statistics);
        change.forward.extend(pages_of(&self.forward));
        change.backward.extend(pages_of(&self.backward));
        let loaded = self.rows.row_count;
        add_direction(&mut statistics.forward, &self.forward, loaded);
        add_direction(&mut statistics.backward, &self.backward, loaded);
    }
}

/// Widens what is known about columns by what some of their chunks hold, which may be known in part already: nulls
/// are not counted twice.
pub(super) fn widen_statistics(
    statistics: &mut TableStatistics,
    layout: &TableLayout,
    written: &[(ColumnId, ChunkStatistics)],
) {
    for (column, found) in written {
        let Some(data_type) = layout.column(*column).map(|column| column.data_type.clone()) else { continue };
        let fresh = column_statistics(&data_type, found);
        let widened = match statistics.columns.remove(column) {
            Some(mut known) => {
                make_room(&mut known, &fresh);
                merged(known, ColumnStatistics { null_count: 0, ..fresh }, found, &data_type)
            }
            None => fresh,
        };
        statistics.columns.insert(*column, widened);
    }
}

/// The rows of a chunk that was written again were part of what is known already.
fn make_room(known: &mut ColumnStatistics, fresh: &ColumnStatistics) {
    let (Some(spread), Some(again)) = (&mut known.distribution, &fresh.distribution) else { return };
    match spread.rows().saturating_sub(again.rows()) {
        rest if rest * 2 > again.rows() => spread.scale(rest),
        // Hardly anything else is there.
        _ => known.distribution = None,
    }
}

/// Lists of several loads may meet at one node, so that the sums are bounds, not counts.
fn add_direction(sum: &mut DirectionStatistics, groups: &[StagedGroup], loaded: u64) {
    for (at, group) in groups.iter().enumerate() {
        sum.degrees.merge(&group.degrees, sum.edges > 0 || at > 0);
    }
    sum.edges += loaded;
    sum.nodes_with_edges += groups.iter().map(|group| u64::from(group.touched_nodes)).sum::<u64>();
    sum.squares += groups.iter().map(|group| group.squares).sum::<u64>();
    sum.max_degree += groups.iter().map(|group| u64::from(group.max_degree)).max().unwrap_or(0);
}

/// The statistics of a load's column as the catalog keeps them.
fn column_statistics(data_type: &DataType, found: &ChunkStatistics) -> ColumnStatistics {
    let (min, max) = match &found.range {
        Some((low, high)) => (bound_value(data_type, low), bound_value(data_type, high)),
        None => (None, None),
    };
    let distinct = found.sketch.as_ref().map_or(u64::from(found.distinct), |sketch| sketch.estimate());
    ColumnStatistics {
        min,
        max,
        null_count: u64::from(found.null_count),
        distinct: if found.distinct < 1000 { distinct.min(u64::from(found.distinct)) } else { distinct },
        sketch: found.sketch.clone(),
        distribution: found.sample.as_ref().and_then(Distribution::of),
    }
}

/// What was known together with a further load.
fn merged(
    mut known: ColumnStatistics,
    fresh: ColumnStatistics,
    found: &ChunkStatistics,
    data_type: &DataType,
) -> ColumnStatistics {
    known.null_count += fresh.null_count;
    known.merge_distribution(fresh.distribution.as_ref());
    let bounds = |value: &Option<Value>| value.as_ref().and_then(|value| value_bound(data_type, value));
    let mut range = ChunkStatistics::default();
    if let (Some(low), Some(high)) = (bounds(&known.min), bounds(&known.max)) {
        range.range = Some((low, high));
    }
    range.merge(found);
    if let Some((low, high)) = &range.range {
        (known.min, known.max) = (bound_value(data_type, low), bound_value(data_type, high));
    }
    match (&mut known.sketch, &fresh.sketch) {
        (Some(sketch), Some(other)) => {
            sketch.merge(other);
            known.distinct = sketch.estimate();
        }
        _ => {
            known.distinct = known.distinct.max(fresh.distinct);
            known.sketch = known.sketch.or(fresh.sketch);
        }
    }
    known
}

/// A bound as a value of the column's type; none where the type has more to it than the bound says.
pub(super) fn bound_value(data_type: &DataType, bound: &Bound) -> Option<Value> {
    use DataType as T;
    let narrow = |number: &i128| i64::try_from(*number).ok();
    Some(match (data_type, bound) {
        (T::Bool, Bound::Integer(number)) => Value::Bool(*number != 0),
        (T::Int8, Bound::Integer(number)) => Value::Int8(i8::try_from(*number).ok()?),
        (T::Int16, Bound::Integer(number)) => Value::Int16(i16::try_from(*number).ok()?),
        (T::Int32, Bound::Integer(number)) => Value::Int32(i32::try_from(*number).ok()?),
        (T::Int64 | T::Serial, Bound::Integer(number)) => Value::Int64(narrow(number)?),
        (T::Int128, Bound::Integer(number)) => Value::Int128(*number),
        (T::UInt8, Bound::Integer(number)) => Value::UInt8(u8::try_from(*number).ok()?),
        (T::UInt16, Bound::Integer(number)) => Value::UInt16(u16::try_from(*number).ok()?),
        (T::UInt32, Bound::Integer(number)) => Value::UInt32(u32::try_from(*number).ok()?),
        (T::UInt64, Bound::Integer(number)) => Value::UInt64(u64::try_from(*number).ok()?),
        (T::Decimal { precision, scale }, Bound::Integer(number)) => {
            Value::Decimal(*number, *precision, *scale)
        }
        (T::Uuid, Bound::Integer(number)) => Value::Uuid(*number),
        (T::Date, Bound::Integer(number)) => Value::Date(narrow(number)?),
        (T::LocalTime, Bound::Integer(number)) => Value::LocalTime(narrow(number)?),
        (T::LocalDateTime, Bound::Integer(number)) => Value::LocalDateTime(*number),
        (T::Timestamp(unit), Bound::Integer(number)) => Value::Timestamp(*unit, narrow(number)?),
        (T::TimestampTz, Bound::Integer(number)) => Value::TimestampTz(narrow(number)?),
        (T::Id, Bound::Integer(number)) => Value::Id(GlobalId(u64::try_from(*number).ok()?)),
        (T::Float, Bound::Float(number)) => Value::Float(*number as f32),
        (T::Double, Bound::Float(number)) => Value::Double(*number),
        (T::String, Bound::Text { prefix, .. }) => {
            Value::String(String::from_utf8_lossy(prefix).into_owned())
        }
        (T::Blob, Bound::Text { prefix, .. }) => Value::Blob(prefix.clone()),
        _ => return None,
    })
}

fn value_bound(data_type: &DataType, value: &Value) -> Option<Bound> {
    match (data_type, value) {
        (_, Value::Float(number)) => Some(Bound::Float(f64::from(*number))),
        (_, Value::Double(number)) => Some(Bound::Float(*number)),
        (_, Value::String(text)) => Some(Bound::text(text.as_bytes())),
        (_, Value::Blob(bytes)) => Some(Bound::text(bytes)),
        (data_type, value) => {
            crate::storage::column::predicate::integer_key(value, data_type).map(Bound::Integer)
        }
    }
}
