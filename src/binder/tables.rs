//! Sets of tables: small sorted vectors, as a catalog has few tables and a pattern names fewer.

use super::bound::RelTable;
use crate::catalog::Catalog;
use crate::types::TableId;

/// The set of these tables.
pub(super) fn table_set(tables: impl IntoIterator<Item = TableId>) -> Vec<TableId> {
    let mut set: Vec<TableId> = tables.into_iter().collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// What both sets hold.
pub(super) fn intersection(left: &[TableId], right: &[TableId]) -> Vec<TableId> {
    left.iter().copied().filter(|table| right.contains(table)).collect()
}

/// Whether every table of `inner` is in `outer`.
pub(super) fn is_subset(inner: &[TableId], outer: &[TableId]) -> bool {
    inner.iter().all(|table| outer.contains(table))
}

/// All node tables.
pub(super) fn all_node_tables(catalog: &Catalog) -> Vec<TableId> {
    table_set(catalog.node_tables().iter().map(|table| table.id))
}

/// All relationship tables.
pub(super) fn all_rel_tables(catalog: &Catalog) -> Vec<RelTable> {
    catalog
        .rel_tables()
        .map(|(_, table)| RelTable { table: table.id, source: table.source, target: table.target })
        .collect()
}
