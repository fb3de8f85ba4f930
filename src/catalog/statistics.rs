//! What the planner knows about the data: counts and ranges, approximate, kept by loads and checkpoints.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::degrees::Degrees;
use super::distinct::DistinctSketch;
use super::distribution::Distribution;
use crate::types::{ColumnId, TableId, Value};

/// The statistics of all tables of one version of the database.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    tables: BTreeMap<TableId, TableStatistics>,
    paths: KnownPaths,
}

/// Lists of a relationship table, and whether they are those of its sources.
pub type Lists = (TableId, bool);

/// Paths of two that were asked for: each takes a few hundred multiplications, and plans ask for the same ones.
#[derive(Debug, Default)]
struct KnownPaths(Mutex<FxHashMap<(Lists, Lists), Option<f64>>>);

impl Clone for KnownPaths {
    /// The clone is made to be changed.
    fn clone(&self) -> KnownPaths {
        KnownPaths::default()
    }
}

impl PartialEq for KnownPaths {
    fn eq(&self, _: &KnownPaths) -> bool {
        true
    }
}

/// One node table, or one FROM/TO pair of a relationship type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableStatistics {
    /// Nodes or relationships that exist.
    pub rows: u64,
    /// By stored column; a column without data has no entry.
    pub columns: BTreeMap<ColumnId, ColumnStatistics>,
    /// A relationship table, followed from its sources.
    pub forward: DirectionStatistics,
    /// A relationship table, followed from its targets.
    pub backward: DirectionStatistics,
}

/// One adjacency index of a relationship table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectionStatistics {
    /// Entries of all lists.
    pub edges: u64,
    /// Nodes whose list is not empty.
    pub nodes_with_edges: u64,
    /// The longest list.
    pub max_degree: u64,
    /// The sum of the squares of the lists' lengths; 0 where it is not known.
    pub squares: u64,
    /// How their lengths are spread.
    pub degrees: Degrees,
}

impl DirectionStatistics {
    /// The mean length of the lists that are not empty.
    pub fn average_degree(&self) -> f64 {
        if self.nodes_with_edges == 0 { 0.0 } else { self.edges as f64 / self.nodes_with_edges as f64 }
    }

    /// The mean length of the lists as entries see it: long lists are met more often by who arrives at their nodes
    /// along these very entries.
    pub fn degree_by_entry(&self) -> f64 {
        match self.squares {
            0 => self.average_degree(),
            squares => squares as f64 / (self.edges as f64).max(1.0),
        }
    }

    /// Takes note of entries that were added to lists or taken away; how long these were is not looked up.
    pub fn change_entries(&mut self, change: i64) {
        let edges = self.edges.saturating_add_signed(change);
        let squares = match self.edges {
            0 => u128::from(edges) * u128::from(self.max_degree.max(1)),
            before => u128::from(self.squares) * u128::from(edges) / u128::from(before),
        };
        (self.edges, self.squares) = (edges, u64::try_from(squares).unwrap_or(u64::MAX));
    }
}

/// One column. Ranges may be wider than the data: what was deleted may still count.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnStatistics {
    /// The least value, where the type has an order and a value exists. Long strings may be cut short.
    pub min: Option<Value>,
    /// The greatest value, likewise.
    pub max: Option<Value>,
    /// NULLs among the rows.
    pub null_count: u64,
    /// An estimate of the number of different values.
    pub distinct: u64,
    /// What the estimate comes from, for merging it with that of further loads.
    pub sketch: Option<DistinctSketch>,
    /// How the values are spread, where their type has an order that can be measured.
    pub distribution: Option<Distribution>,
}

impl ColumnStatistics {
    /// Widens by the statistics of further rows of the column.
    pub fn merge(&mut self, other: &ColumnStatistics) {
        let wider =
            |ours: &Option<Value>, theirs: &Option<Value>, keep: std::cmp::Ordering| match (ours, theirs) {
                (Some(a), Some(b)) => Some(if b.order(a) == keep { b.clone() } else { a.clone() }),
                (a, b) => a.clone().or_else(|| b.clone()),
            };
        self.min = wider(&self.min, &other.min, std::cmp::Ordering::Less);
        self.max = wider(&self.max, &other.max, std::cmp::Ordering::Greater);
        self.null_count += other.null_count;
        self.distinct = match (&mut self.sketch, &other.sketch) {
            (Some(ours), Some(theirs)) => {
                ours.merge(theirs);
                ours.estimate()
            }
            _ => self.distinct.max(other.distinct),
        };
        if self.sketch.is_none() {
            self.sketch = other.sketch.clone();
        }
        self.merge_distribution(other.distribution.as_ref());
    }
}

impl ColumnStatistics {
    /// Adds the spread of further rows.
    pub fn merge_distribution(&mut self, other: Option<&Distribution>) {
        match (&mut self.distribution, other) {
            (Some(ours), Some(theirs)) => ours.merge(theirs),
            (ours @ None, theirs) => *ours = theirs.cloned(),
            _ => {}
        }
    }
}

impl TableStatistics {
    /// Adds the statistics of further rows; those of adjacency indexes are replaced by their owner.
    pub fn merge_rows(&mut self, other: &TableStatistics) {
        self.rows += other.rows;
        for (column, statistics) in &other.columns {
            self.columns.entry(*column).or_default().merge(statistics);
        }
    }
}

impl Statistics {
    /// The table's statistics, if it has any rows.
    pub fn table(&self, id: TableId) -> Option<&TableStatistics> {
        self.tables.get(&id)
    }

    /// The rows of a table; 0 for one that was never loaded.
    pub fn rows(&self, id: TableId) -> u64 {
        self.tables.get(&id).map_or(0, |table| table.rows)
    }

    /// One column of a table.
    pub fn column(&self, table: TableId, column: ColumnId) -> Option<&ColumnStatistics> {
        self.tables.get(&table)?.columns.get(&column)
    }

    /// All tables with statistics, by id.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &TableStatistics)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    /// Entries of the first lists times entries of the second ones, summed over the nodes of a table that have both; none
    /// where that is not known.
    pub fn paths(&self, first: Lists, second: Lists, nodes: TableId) -> Option<f64> {
        let pair = (first.min(second), first.max(second));
        if let Some(known) = self.paths.0.lock().get(&pair) {
            return *known;
        }
        let [a, b] = [self.lists(first)?, self.lists(second)?];
        let entries = (a.edges as f64, b.edges as f64);
        let paths = match first == second && a.squares > 0 {
            // Changes and several loads leave but a bound of the squares, which the sketch narrows down.
            true => {
                let squares = a.squares as f64;
                a.degrees.nearest_paths(&a.degrees, entries, squares).or(Some(squares))
            }
            false => a.degrees.paths(&b.degrees, entries, self.rows(nodes) as f64),
        };
        self.paths.0.lock().insert(pair, paths);
        paths
    }

    fn lists(&self, (table, of_sources): Lists) -> Option<&DirectionStatistics> {
        let table = self.tables.get(&table)?;
        Some(if of_sources { &table.forward } else { &table.backward })
    }

    /// Replaces a table's statistics.
    pub fn set_table(&mut self, id: TableId, statistics: TableStatistics) {
        self.paths = KnownPaths::default();
        self.tables.insert(id, statistics);
    }

    /// The table's statistics for changing.
    pub fn table_mut(&mut self, id: TableId) -> &mut TableStatistics {
        self.paths = KnownPaths::default();
        self.tables.entry(id).or_default()
    }

    /// Statistics as of other data: each figure is some orders of magnitude off. A plan may be bad by that, never wrong.
    pub fn disturbed(&self, seed: u64) -> Statistics {
        let mut state = seed;
        let mut off = |figure: &mut u64| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let factor = [1, 1, 1, 40, 3000, 200_000][((mixed ^ (mixed >> 29)) % 6) as usize];
            *figure = if mixed & 1 << 40 == 0 { figure.saturating_mul(factor) } else { *figure / factor };
        };
        let mut disturbed = self.clone();
        for table in disturbed.tables.values_mut() {
            off(&mut table.rows);
            for direction in [&mut table.forward, &mut table.backward] {
                off(&mut direction.edges);
                off(&mut direction.nodes_with_edges);
                off(&mut direction.squares);
            }
            table.columns.values_mut().for_each(|column| off(&mut column.distinct));
        }
        disturbed
    }

    /// Forgets a dropped table.
    pub fn remove_table(&mut self, id: TableId) {
        self.paths = KnownPaths::default();
        self.tables.remove(&id);
    }

    /// Forgets a dropped column.
    pub fn remove_column(&mut self, table: TableId, column: ColumnId) {
        if let Some(table) = self.tables.get_mut(&table) {
            table.columns.remove(&column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(min: i64, max: i64, values: std::ops::Range<u64>) -> ColumnStatistics {
        let mut sketch = DistinctSketch::new();
        values.for_each(|value| sketch.insert_hash(value));
        ColumnStatistics {
            min: Some(Value::Int64(min)),
            max: Some(Value::Int64(max)),
            null_count: 1,
            distinct: sketch.estimate(),
            sketch: Some(sketch),
            distribution: None,
        }
    }

    #[test]
    fn merging_widens_ranges_and_counts_values_once() {
        let id = ColumnId(3);
        let mut table = TableStatistics { rows: 10, ..TableStatistics::default() };
        table.columns.insert(id, column(3, 9, 0..10));
        let mut more = TableStatistics { rows: 5, ..TableStatistics::default() };
        more.columns.insert(id, column(-1, 5, 5..15));
        table.merge_rows(&more);
        assert_eq!(table.rows, 15);
        let expected = ColumnStatistics { null_count: 2, ..column(-1, 9, 0..15) };
        assert_eq!(table.columns[&id], expected);
        let mut empty = ColumnStatistics::default();
        empty.merge(&expected);
        assert_eq!(empty, expected);
    }

    /// What was written row by row knows no longest list, and no squares.
    #[test]
    fn paths_through_a_node_follow_the_sketch_where_squares_are_a_bound() {
        let table = TableId(3);
        let check = |squares: u64, expected: f64| {
            let degrees = Degrees::of_lists(0, (0..3000u32).map(|node| 1 + node % 20));
            let backward =
                DirectionStatistics { edges: degrees.entries, squares, degrees, ..Default::default() };
            let mut statistics = Statistics::default();
            statistics
                .set_table(table, TableStatistics { rows: 3000, backward, ..TableStatistics::default() });
            let lists = (table, false);
            let found = statistics.paths(lists, lists, TableId(0)).expect("it is known");
            assert!((found / expected).max(expected / found) < 1.3, "{found} instead of {expected}");
        };
        let exact = (0..3000u64).map(|node| (1 + node % 20).pow(2)).sum::<u64>();
        check(exact, exact as f64);
        check(exact * 8, exact as f64);
        check(exact / 8, exact as f64);
    }
}
