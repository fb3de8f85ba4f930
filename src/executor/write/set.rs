//! SET and REMOVE. Rows are taken together as long as none of them reads, or in an order that matters writes, an entity
//! that an earlier one of them has written; such a row waits until these are written.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::chunks::Chunk;
use super::super::entities::EntityReader;
use super::super::error::ExecutionResult;
use super::super::rows::Rows;
use super::rows::{id_at, taken};
use super::{WriteFault, Writing};
use crate::planner::physical_plan::{PhysicalChange, PhysicalSet, PhysicalSetItem, SetGroup};
use crate::types::{ColumnId, DataType, GlobalId, TableId, Value};
use crate::vector::VectorBuffer;

/// The entities that the rows of a run have to do with.
#[derive(Default)]
struct Touched {
    read: FxHashSet<u64>,
    written: FxHashSet<u64>,
}

/// Where a property is written: the column of each table, with its type.
type Places = [(TableId, ColumnId, DataType)];

impl Writing<'_> {
    /// Sets what the set that `choose` names for a row says. The rows are given back.
    pub(super) fn set(
        &mut self,
        sets: &[&PhysicalSet],
        choose: &dyn Fn(usize) -> usize,
        mut rows: Chunk,
    ) -> ExecutionResult<Chunk> {
        if sets.iter().all(|set| set.groups.is_empty()) {
            return Ok(rows);
        }
        let active = sets.iter().filter(|set| !set.groups.is_empty()).count();
        // With several groups or sets the order of writes is not that of the rows.
        let ordered = active > 1 || sets.iter().any(|set| set.groups.len() > 1);
        let reading = sets.iter().any(|set| set.row_by_row || !set.reads.is_empty());
        if !ordered && !reading {
            let count = rows.rows;
            return self.set_run(sets, choose, 0..count, rows);
        }
        let mut touched = Touched::default();
        let mut first = 0;
        for row in 0..rows.rows {
            let Some(set) = sets.get(choose(row)).filter(|set| !set.groups.is_empty()) else { continue };
            if row > first && (set.row_by_row || touched.meets(set, &rows, row, ordered)) {
                rows = self.set_run(sets, choose, first..row, rows)?;
                touched = Touched::default();
                first = row;
            }
            touched.add(set, &rows, row);
        }
        let end = rows.rows;
        self.set_run(sets, choose, first..end, rows)
    }

    /// Sets for rows that do not see each other.
    fn set_run(
        &mut self,
        sets: &[&PhysicalSet],
        choose: &dyn Fn(usize) -> usize,
        run: std::ops::Range<usize>,
        mut rows: Chunk,
    ) -> ExecutionResult<Chunk> {
        self.query.check()?;
        for (at, set) in sets.iter().enumerate() {
            if set.groups.is_empty() {
                continue;
            }
            let chosen: Vec<u32> =
                run.clone().filter(|row| choose(*row) == at).map(|row| row as u32).collect();
            if chosen.is_empty() {
                continue;
            }
            let whole = chosen.len() == rows.rows;
            let mut part =
                if whole { std::mem::replace(&mut rows, Chunk::empty()) } else { taken(&rows, &chosen) };
            for group in &set.groups {
                self.fresh();
                part = self.set_group(group, part, &chosen)?;
            }
            if whole {
                rows = part;
            }
        }
        Ok(rows)
    }

    fn set_group(&mut self, group: &SetGroup, rows: Chunk, places: &[u32]) -> ExecutionResult<Chunk> {
        let (values, rows) = self.over(&group.values, rows)?;
        for PhysicalSetItem { target, change } in &group.items {
            let Some(targets) = rows.columns.get(*target) else { continue };
            match change {
                PhysicalChange::Property { name, columns, value } => {
                    if let Some(values) = values.columns.get(*value) {
                        self.set_property(targets, (name, columns), values, places)?;
                    }
                }
                PhysicalChange::Map { value, replace } => {
                    if let Some(values) = values.columns.get(*value) {
                        self.set_maps(targets, values, *replace, places)?;
                    }
                }
            }
        }
        Ok(rows)
    }

    fn set_property(
        &mut self,
        targets: &VectorBuffer,
        (name, columns): (&str, &Places),
        values: &VectorBuffer,
        places: &[u32],
    ) -> ExecutionResult<()> {
        // Usually one table.
        let mut by_table: Vec<(TableId, Vec<u32>)> = Vec::new();
        for (row, place) in (0..targets.len()).zip(places) {
            let Some(id) = id_at(targets, row) else { continue };
            self.check_not_deleted(id, *place)?;
            let table = GlobalId(id).table();
            match by_table.iter_mut().find(|(known, _)| *known == table) {
                Some((_, rows)) => rows.push(row as u32),
                None => by_table.push((table, vec![row as u32])),
            }
        }
        for (table, rows) in by_table {
            let place = columns.iter().find(|(known, ..)| TableId(known.0 & 0xFFFF) == table);
            let Some((table, column, _)) = place else {
                let vector = values.vector();
                if let Some(row) = rows.iter().find(|row| !vector.is_null(**row as usize)) {
                    let fault =
                        WriteFault::NoProperty { table: self.table_name(table), name: name.to_owned() };
                    return Err(self.fault(places[*row as usize] as usize, fault));
                }
                continue;
            };
            let offset = |row: &u32| id_at(targets, *row as usize).map_or(0, |id| GlobalId(id).offset());
            let offsets: Vec<u64> = rows.iter().map(offset).collect();
            let chosen = super::rows::taken_column(values, &rows);
            let places: Vec<u32> = rows.iter().map(|row| places[*row as usize]).collect();
            self.write_values((*table, *column, name), offsets, chosen, &places)?;
        }
        Ok(())
    }

    /// Writes values of one column. Where a row comes several times, its last value stays.
    fn write_values(
        &mut self,
        (table, column, name): (TableId, ColumnId, &str),
        mut offsets: Vec<u64>,
        mut values: VectorBuffer,
        places: &[u32],
    ) -> ExecutionResult<()> {
        let Some(wanted) = self.columns(table).iter().find(|stored| stored.id == column) else {
            return Ok(());
        };
        let wanted = wanted.data_type.clone();
        let place = |at: usize| places.get(at).map_or(at, |place| *place as usize);
        values = self.cast(&values, (table, name, &wanted), &place)?.into_owned();
        self.check_nulls(&values, (table, name), &place, &offsets)?;
        self.counts.properties_set += (values.len() - values.null_count()) as u64;
        let mut kept_places = places.to_vec();
        let last: FxHashMap<u64, u32> = offsets.iter().zip(0..).map(|(offset, at)| (*offset, at)).collect();
        if last.len() < offsets.len() {
            let kept: Vec<u32> =
                (0..offsets.len() as u32).filter(|at| last[&offsets[*at as usize]] == *at).collect();
            values = super::rows::taken_column(&values, &kept);
            offsets = kept.iter().map(|at| offsets[*at as usize]).collect();
            kept_places = kept.iter().map(|at| places[*at as usize]).collect();
        }
        if values.null_count() > 0 {
            self.counts.properties_set += self.count_removed(table, column, &offsets, &values)?;
        }
        let written = self.writer.update(table, column, &offsets, &values.vector());
        written.map_err(|error| self.refused(error, &kept_places))?;
        let numbers = kept_places.iter().map(|place| self.row + u64::from(*place));
        self.checks.touch(table, Some(column), offsets.iter().copied().zip(numbers));
        self.stale = true;
        Ok(())
    }

    /// How many of the values that become null were something.
    fn count_removed(
        &mut self,
        table: TableId,
        column: ColumnId,
        offsets: &[u64],
        values: &VectorBuffer,
    ) -> ExecutionResult<u64> {
        self.fresh();
        let vector = values.vector();
        let removed = offsets.iter().enumerate().filter(|(at, _)| vector.is_null(*at));
        let removed: Vec<u64> = removed.map(|(_, offset)| *offset).collect();
        let rows = Rows::open(table, self.query)?;
        let mut before = VectorBuffer::new(rows.table().data_type(column));
        rows.gather(column, &removed, &mut self.query.transaction.worker()?, &mut before)?;
        Ok((before.len() - before.null_count()) as u64)
    }

    /// `= map` and `+= map` with keys that are known only now.
    fn set_maps(
        &mut self,
        targets: &VectorBuffer,
        values: &VectorBuffer,
        replace: bool,
        places: &[u32],
    ) -> ExecutionResult<()> {
        let vector = values.vector();
        let mut maps: Vec<Value> =
            (0..targets.len()).map(|row| vector.value(row, values.data_type())).collect();
        EntityReader::of(self.query).complete(&mut maps)?;
        // The values of each column, in the order of the rows.
        type Written = (Vec<u64>, Vec<u32>, Vec<Value>);
        let mut written: Vec<((TableId, ColumnId), Written)> = Vec::new();
        for (row, map) in maps.into_iter().enumerate() {
            let Some(id) = id_at(targets, row) else { continue };
            self.check_not_deleted(id, places[row])?;
            let place = places[row];
            let entries = self.entries_of(map, place)?;
            let (table, offset) = (GlobalId(id).table(), GlobalId(id).offset());
            for (name, value) in &entries {
                let known = self.columns(table).iter().any(|column| column.name == *name);
                if !known && !value.is_null() {
                    let fault = WriteFault::NoProperty { table: self.table_name(table), name: name.clone() };
                    return Err(self.fault(place as usize, fault));
                }
            }
            for column in self.columns(table) {
                let value = match entries.iter().rev().find(|(name, _)| *name == column.name) {
                    Some((_, value)) => {
                        self.assigned(value, (table, &column.name, &column.data_type), place as usize)?
                    }
                    None if replace && column.data_type != DataType::Serial => Value::Null,
                    None => continue,
                };
                let key = (table, column.id);
                let at = written.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                    written.push((key, Written::default()));
                    written.len() - 1
                });
                let (offsets, rows, values) = &mut written[at].1;
                offsets.push(offset);
                rows.push(place);
                values.push(value);
            }
        }
        for ((table, column), (offsets, rows, values)) in written {
            let Some(stored) = self.columns(table).iter().find(|stored| stored.id == column).cloned() else {
                continue;
            };
            let mut buffer = VectorBuffer::new(stored.data_type.clone());
            for value in &values {
                buffer.push_value(value)?;
            }
            self.write_values((table, column, &stored.name), offsets, buffer, &rows)?;
        }
        Ok(())
    }

    /// The keys and values of a map; NULL has none.
    fn entries_of(&self, map: Value, place: u32) -> ExecutionResult<Vec<(String, Value)>> {
        match map {
            Value::Null => Ok(Vec::new()),
            Value::Struct(fields) => Ok(fields),
            Value::Node(node) => Ok(node.properties),
            Value::Rel(rel) => Ok(rel.properties),
            Value::Map(entries) => Ok(entries
                .into_iter()
                .map(|(key, value)| match key {
                    Value::String(key) => (key, value),
                    other => (other.to_string(), value),
                })
                .collect()),
            other => Err(self.fault(place as usize, WriteFault::NoMap { value: other.to_string() })),
        }
    }

    fn check_not_deleted(&self, id: u64, place: u32) -> ExecutionResult<()> {
        if !self.is_deleted(id) {
            return Ok(());
        }
        Err(self.fault(place as usize, WriteFault::Deleted { what: "node or relationship" }))
    }
}

impl Touched {
    /// Whether a row has to wait for the rows before it.
    fn meets(&self, set: &PhysicalSet, rows: &Chunk, row: usize, ordered: bool) -> bool {
        let ids = |columns: &[usize]| -> Vec<u64> {
            columns
                .iter()
                .filter_map(|at| rows.columns.get(*at).and_then(|column| id_at(column, row)))
                .collect()
        };
        if ids(&set.reads).iter().any(|id| self.written.contains(id)) {
            return true;
        }
        ordered && ids(&set.writes).iter().any(|id| self.written.contains(id) || self.read.contains(id))
    }

    fn add(&mut self, set: &PhysicalSet, rows: &Chunk, row: usize) {
        let ids = |columns: &[usize]| -> Vec<u64> {
            columns
                .iter()
                .filter_map(|at| rows.columns.get(*at).and_then(|column| id_at(column, row)))
                .collect()
        };
        self.read.extend(ids(&set.reads));
        self.written.extend(ids(&set.writes));
    }
}
