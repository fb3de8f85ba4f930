//! The catalog: all schemas of one version of the database. Cloning is cheap (schemas are shared); changing makes
//! a new version of the table concerned only.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::error::{CatalogError, ObjectKind};
use super::schema::{ColumnSchema, Dialect, NodeTableSchema, RelTableSchema, RelTypeSchema, SchemaMode};
use crate::types::{TableId, closest_name};

pub(super) type CatalogResult<T> = Result<T, CatalogError>;

/// Names, types and ids of everything in one version of the database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    pub(super) version: u64,
    pub(super) dialect: Dialect,
    pub(super) schema_mode: SchemaMode,
    pub(super) next_table: u32,
    pub(super) next_column: u32,
    pub(super) node_tables: Vec<Arc<NodeTableSchema>>,
    pub(super) rel_types: Vec<Arc<RelTypeSchema>>,
    pub(super) by_id: FxHashMap<TableId, Place>,
    pub(super) by_name: FxHashMap<String, Place>,
}

/// Where a table's schema stands in the catalog's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Node(usize),
    /// The type and, for an id, which of its tables.
    Rel(usize, usize),
}

/// What a name or an id stands for.
#[derive(Debug, Clone, Copy)]
pub enum TableEntry<'c> {
    Node(&'c Arc<NodeTableSchema>),
    Rel(&'c Arc<RelTypeSchema>),
}

impl<'c> TableEntry<'c> {
    /// The table's or type's name.
    pub fn name(self) -> &'c str {
        match self {
            TableEntry::Node(schema) => &schema.name,
            TableEntry::Rel(schema) => &schema.name,
        }
    }

    /// Its columns.
    pub fn columns(self) -> &'c [ColumnSchema] {
        match self {
            TableEntry::Node(schema) => &schema.columns,
            TableEntry::Rel(schema) => &schema.columns,
        }
    }
}

/// The tables that a DROP took away, for storage to give their pages back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedTables {
    pub kind: ObjectKind,
    pub ids: Vec<TableId>,
}

/// The parts that stand on disk; names and ids are indexed again after decoding.
pub(super) struct CatalogParts {
    pub version: u64,
    pub dialect: Dialect,
    pub schema_mode: SchemaMode,
    pub next_table: u32,
    pub next_column: u32,
    pub node_tables: Vec<Arc<NodeTableSchema>>,
    pub rel_types: Vec<Arc<RelTypeSchema>>,
}

impl Catalog {
    /// The catalog of a database without tables.
    pub fn new(dialect: Dialect, schema_mode: SchemaMode) -> Catalog {
        Catalog { dialect, schema_mode, ..Catalog::default() }
    }

    pub(super) fn from_parts(parts: CatalogParts) -> Catalog {
        let mut catalog = Catalog {
            version: parts.version,
            dialect: parts.dialect,
            schema_mode: parts.schema_mode,
            next_table: parts.next_table,
            next_column: parts.next_column,
            node_tables: parts.node_tables,
            rel_types: parts.rel_types,
            ..Catalog::default()
        };
        catalog.index();
        catalog
    }

    /// Counts schema changes; plans made for another version are made again.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The dialect given at creation.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The schema mode given at creation.
    pub fn schema_mode(&self) -> SchemaMode {
        self.schema_mode
    }

    /// The id of the next table; ids are never given twice.
    pub fn next_table_id(&self) -> u32 {
        self.next_table
    }

    /// The id of the next column; ids are never given twice.
    pub fn next_column_id(&self) -> u32 {
        self.next_column
    }

    /// All node tables, oldest first.
    pub fn node_tables(&self) -> &[Arc<NodeTableSchema>] {
        &self.node_tables
    }

    /// All relationship types, oldest first.
    pub fn rel_types(&self) -> &[Arc<RelTypeSchema>] {
        &self.rel_types
    }

    /// The node table of that name; case counts.
    pub fn node_table(&self, name: &str) -> Option<&Arc<NodeTableSchema>> {
        match self.by_name.get(name) {
            Some(Place::Node(at)) => self.node_tables.get(*at),
            _ => None,
        }
    }

    /// The relationship type of that name; case counts.
    pub fn rel_type(&self, name: &str) -> Option<&Arc<RelTypeSchema>> {
        match self.by_name.get(name) {
            Some(Place::Rel(at, _)) => self.rel_types.get(*at),
            _ => None,
        }
    }

    /// Either kind of table by its name.
    pub fn table(&self, name: &str) -> Option<TableEntry<'_>> {
        self.by_name.get(name).and_then(|place| self.entry(*place))
    }

    /// The node table of that id.
    pub fn node_table_by_id(&self, id: TableId) -> Option<&Arc<NodeTableSchema>> {
        match self.by_id.get(&id) {
            Some(Place::Node(at)) => self.node_tables.get(*at),
            _ => None,
        }
    }

    /// The relationship type and its FROM/TO pair of that id.
    pub fn rel_table_by_id(&self, id: TableId) -> Option<(&Arc<RelTypeSchema>, &RelTableSchema)> {
        match self.by_id.get(&id) {
            Some(Place::Rel(at, pair)) => {
                let rel_type = self.rel_types.get(*at)?;
                Some((rel_type, rel_type.tables.get(*pair)?))
            }
            _ => None,
        }
    }

    /// Either kind of table by its id.
    pub fn table_by_id(&self, id: TableId) -> Option<TableEntry<'_>> {
        self.by_id.get(&id).and_then(|place| self.entry(*place))
    }

    /// The columns of either kind of table; none of one that the catalog does not have.
    pub fn columns_of(&self, id: TableId) -> &[ColumnSchema] {
        self.table_by_id(id).map_or(&[], TableEntry::columns)
    }

    /// All tables of all relationship types with their types.
    pub fn rel_tables(&self) -> impl Iterator<Item = (&Arc<RelTypeSchema>, &RelTableSchema)> {
        self.rel_types.iter().flat_map(|rel_type| rel_type.tables.iter().map(move |table| (rel_type, table)))
    }

    /// The node table, or `Missing` with the nearest name.
    pub fn expect_node_table(&self, name: &str) -> CatalogResult<&Arc<NodeTableSchema>> {
        self.node_table(name).ok_or_else(|| {
            let known = self.node_tables.iter().map(|table| table.name.as_str());
            missing(ObjectKind::NodeTable, name, known)
        })
    }

    /// The relationship type, or `Missing` with the nearest name.
    pub fn expect_rel_type(&self, name: &str) -> CatalogResult<&Arc<RelTypeSchema>> {
        self.rel_type(name).ok_or_else(|| {
            let known = self.rel_types.iter().map(|rel_type| rel_type.name.as_str());
            missing(ObjectKind::RelType, name, known)
        })
    }

    /// Either kind of table, or `Missing` with the nearest name.
    pub fn expect_table(&self, name: &str) -> CatalogResult<TableEntry<'_>> {
        self.table(name)
            .ok_or_else(|| missing(ObjectKind::Table, name, self.by_name.keys().map(String::as_str)))
    }

    /// How many ids and names are known; less than there are tables when two share one.
    pub(super) fn distinct_ids_and_names(&self) -> (usize, usize) {
        (self.by_id.len(), self.by_name.len())
    }

    fn entry(&self, place: Place) -> Option<TableEntry<'_>> {
        match place {
            Place::Node(at) => self.node_tables.get(at).map(TableEntry::Node),
            Place::Rel(at, _) => self.rel_types.get(at).map(TableEntry::Rel),
        }
    }

    /// Indexes names and ids anew; schema changes are rare and catalogs small.
    pub(super) fn index(&mut self) {
        self.by_id.clear();
        self.by_name.clear();
        for (at, table) in self.node_tables.iter().enumerate() {
            self.by_id.insert(table.id, Place::Node(at));
            self.by_name.insert(table.name.clone(), Place::Node(at));
        }
        for (at, rel_type) in self.rel_types.iter().enumerate() {
            self.by_name.insert(rel_type.name.clone(), Place::Rel(at, 0));
            for (pair, table) in rel_type.tables.iter().enumerate() {
                self.by_id.insert(table.id, Place::Rel(at, pair));
            }
        }
    }
}

pub(super) fn missing<'a>(
    kind: ObjectKind,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> CatalogError {
    CatalogError::Missing { kind, name: name.to_owned(), suggestion: closest_name(name, known) }
}
