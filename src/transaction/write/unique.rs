//! UNIQUE columns: whether a value is free in the own view, and that nobody else takes it meanwhile. An index in memory
//! says which rows may have a value (see `storage::engine::UniqueIndexes`); the own view says which of them do.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::keys::{digest, owned};
use super::{Reserved, WriteError, WriteResult, WriteTransaction};
use crate::catalog::ColumnSchema;
use crate::storage::delta::ColumnValues;
use crate::storage::engine::{Hold, Intent, UniqueIndex, UniqueValues};
use crate::storage::index::{IndexKey, KeyLayout, KeyRef, visit_keys};
use crate::storage::table::{NodeTable, ScanOptions};
use crate::transaction::ReadTransaction;
use crate::types::{ColumnId, NODE_GROUP_ROWS, TableId, VECTOR_SIZE};
use crate::vector::{ValueVector, VectorBuffer};

/// The rows that get values.
#[derive(Clone, Copy)]
pub(super) enum Rows<'r> {
    /// New ones, from this offset on.
    New(u64),
    /// Rows of the view; what they had before does not count.
    Changed(&'r [u64]),
}

impl Rows<'_> {
    fn offset(&self, row: usize) -> u64 {
        match self {
            Rows::New(first) => first + row as u64,
            Rows::Changed(rows) => rows[row],
        }
    }
}

/// The values that a write wants, each with its row of the call.
type Wanted = FxHashMap<IndexKey, usize>;

/// A row of the call whose value another row has.
struct Taken {
    row: usize,
    /// The other one, unless that is a row of the same call.
    by: Option<u64>,
}

/// A UNIQUE column of a table.
struct Column<'c> {
    table: TableId,
    schema: &'c ColumnSchema,
    layout: KeyLayout,
}

impl Column<'_> {
    fn digest(&self, key: KeyRef<'_>) -> u128 {
        digest(self.schema.id.0 + 1, key)
    }

    fn rows(&self, view: &ReadTransaction) -> WriteResult<Arc<NodeTable>> {
        Ok(match view.catalog().node_table_by_id(self.table) {
            Some(_) => view.node_table(self.table)?,
            None => Arc::clone(view.rel_table(self.table)?.rows()),
        })
    }
}

impl WriteTransaction {
    /// Announces the values of UNIQUE columns and looks for others that have them.
    pub(super) fn check_unique(
        &mut self,
        (name, table): (&str, TableId),
        schema: &[ColumnSchema],
        given: &[ColumnValues<'_>],
        count: usize,
        rows: Rows<'_>,
    ) -> WriteResult<()> {
        for schema in schema.iter().filter(|column| column.unique) {
            let Some(values) = given.iter().find(|values| values.column == schema.id) else { continue };
            let Some(layout) = KeyLayout::new(std::slice::from_ref(&schema.data_type)) else { continue };
            let column = Column { table, schema, layout };
            let found = match wanted(&column.layout, &values.values, count) {
                Ok(wanted) => self.claim_values(&column, &wanted, rows)?,
                Err(repeated) => Some(Taken { row: repeated, by: None }),
            };
            if let Some(Taken { row, by }) = found {
                return Err(WriteError::Unique {
                    table: name.to_owned(),
                    column: schema.name.clone(),
                    value: values.values.value(row, &schema.data_type).to_string(),
                    holder: match by {
                        Some(holder) => self.row_text(table, holder),
                        None => "another row of the same statement".to_owned(),
                    },
                    row,
                });
            }
        }
        Ok(())
    }

    /// Announces values and notes where they go; gives the first value that another row has.
    fn claim_values(
        &mut self,
        column: &Column<'_>,
        wanted: &Wanted,
        rows: Rows<'_>,
    ) -> WriteResult<Option<Taken>> {
        for key in wanted.keys() {
            let intent = Intent::Key(column.table, column.digest(KeyRef::of(key)));
            self.announce(intent, Hold::Exclusive)?;
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let changing: FxHashSet<u64> = match rows {
            Rows::New(_) => FxHashSet::default(),
            Rows::Changed(rows) => rows.iter().copied().collect(),
        };
        let index = self.engine.unique_indexes().of(column.table, column.schema.id);
        let mut index = index.lock();
        if matches!(*index, UniqueIndex::Unknown) {
            *index = match self.scanned(column)? {
                Some(values) => UniqueIndex::Known(values),
                None => UniqueIndex::Refused,
            };
        }
        match &mut *index {
            UniqueIndex::Known(values) => {
                let holder = self.holder(column, values, wanted, &changing)?;
                let mut add = |(key, row): (&IndexKey, &usize)| {
                    values.add(column.digest(KeyRef::of(key)), rows.offset(*row))
                };
                if holder.is_none() && !wanted.iter().all(&mut add) {
                    *index = UniqueIndex::Refused;
                }
                Ok(holder)
            }
            _ => {
                drop(index);
                find_value(&self.view(), column, wanted, &changing)
            }
        }
    }

    /// All values that rows of the own view or of the newest version have, if there is memory for them.
    fn scanned(&self, column: &Column<'_>) -> WriteResult<Option<UniqueValues>> {
        let newest = ReadTransaction::begin(&self.engine);
        let own = self.view();
        let mut views = vec![own];
        // A table that only this transaction has defined is in no other version.
        if newest.catalog().table_by_id(column.table).is_some() {
            views.push(newest);
        }
        let rows =
            views.iter().map(|view| Ok(view.statistics()?.table(column.table).map_or(0, |table| table.rows)));
        let rows = rows.collect::<WriteResult<Vec<u64>>>()?.into_iter().max().unwrap_or(0);
        let Some(mut values) = UniqueValues::with_room(rows, self.engine.snapshot().memory()) else {
            return Ok(None);
        };
        let mut has_room = true;
        for view in &views {
            each_value(view, column, |key, row| {
                has_room &= values.add(column.digest(key), row);
                has_room
            })?;
        }
        Ok(has_room.then_some(values))
    }

    /// The value that a row of the own view has.
    fn holder(
        &self,
        column: &Column<'_>,
        values: &mut UniqueValues,
        wanted: &Wanted,
        changing: &FxHashSet<u64>,
    ) -> WriteResult<Option<Taken>> {
        let (mut candidates, mut found) = (Vec::new(), Vec::new());
        for (key, row) in wanted {
            found.clear();
            values.rows_of(column.digest(KeyRef::of(key)), &mut found);
            candidates.extend(found.iter().filter(|at| !changing.contains(at)).map(|at| (key, *row, *at)));
        }
        if candidates.is_empty() {
            return Ok(None);
        }
        let view = self.view();
        let (table, mut worker) = (column.rows(&view)?, view.worker()?);
        for (key, row, at) in candidates {
            if !table.is_visible(at, &mut worker)? {
                if !self.may_return(column, at)? {
                    // Nobody else can be giving it the value: the value is announced.
                    values.remove(column.digest(KeyRef::of(key)), at);
                }
                continue;
            }
            let mut buffer = VectorBuffer::new(column.schema.data_type.clone());
            table.gather(column.schema.id, &[at], &mut worker, &mut buffer)?;
            let mut same = false;
            visit_keys(&column.layout, &[buffer.vector()], 1, &mut Vec::new(), |_, found| {
                same = found.is_some_and(|found| found == KeyRef::of(key));
            });
            if same {
                return Ok(Some(Taken { row, by: Some(at) }));
            }
        }
        Ok(None)
    }
}

impl WriteTransaction {
    /// Whether a row that the own view does not have is there for others, or will be again after a rollback.
    fn may_return(&self, column: &Column<'_>, row: u64) -> WriteResult<bool> {
        let own = |given: &Reserved| {
            given.table == column.table
                && given.column.is_none()
                && (given.first..given.first + given.count).contains(&row)
        };
        let newest = ReadTransaction::begin(&self.engine);
        if self.reserved.iter().any(own) || newest.catalog().table_by_id(column.table).is_none() {
            return Ok(true);
        }
        let (rows, mut worker) = (column.rows(&newest)?, newest.worker()?);
        Ok(rows.is_visible(row, &mut worker)?)
    }
}

/// The values of rows that are not null; an error is the first row that has the value of another one.
fn wanted(layout: &KeyLayout, values: &ValueVector<'_>, count: usize) -> Result<Wanted, usize> {
    let mut wanted = Wanted::default();
    let mut repeated = None;
    visit_keys(layout, &[*values], count, &mut Vec::new(), |row, key| {
        if let Some(key) = key
            && wanted.insert(owned(key), row).is_some()
        {
            repeated = repeated.or(Some(row));
        }
    });
    repeated.map_or(Ok(wanted), Err)
}

/// The wanted value that a row of the view has, which is none of those that change.
fn find_value(
    view: &ReadTransaction,
    column: &Column<'_>,
    wanted: &Wanted,
    changing: &FxHashSet<u64>,
) -> WriteResult<Option<Taken>> {
    let mut found = None;
    each_value(view, column, |key, row| {
        if let Some(wanting) = wanted.get(&owned(key))
            && !changing.contains(&row)
        {
            found = Some(Taken { row: *wanting, by: Some(row) });
        }
        found.is_none()
    })?;
    Ok(found)
}

/// Calls `visit` with the values of a column and their rows, until it has seen enough.
fn each_value(
    view: &ReadTransaction,
    column: &Column<'_>,
    mut visit: impl FnMut(KeyRef<'_>, u64) -> bool,
) -> WriteResult<()> {
    let rows = column.rows(view)?;
    let mut worker = view.worker()?;
    let options = ScanOptions { vector_size: VECTOR_SIZE };
    let wanted: [ColumnId; 1] = [column.schema.id];
    let mut scanner = rows.scanner(&wanted, &[], &options)?;
    let mut more = true;
    for group in 0..rows.group_count() {
        scanner.open(group, 0..NODE_GROUP_ROWS as u32)?;
        while let Some(scanned) = scanner.next(&mut worker)? {
            let Some(values) = scanned.columns.first() else { continue };
            visit_keys(&column.layout, &[*values], scanned.length, &mut Vec::new(), |row, key| {
                if let Some(key) = key
                    && more
                    && scanned.selection.contains(row)
                {
                    more = visit(key, scanned.first_offset + row as u64);
                }
            });
            if !more {
                return Ok(());
            }
        }
    }
    Ok(())
}
