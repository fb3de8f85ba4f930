//! Changes of a catalog: every one is checked whole before anything is touched, so a refused change leaves no trace.

use std::sync::Arc;

use super::catalog::{Catalog, CatalogResult, DroppedTables, Place, TableEntry, missing};
use super::error::{CatalogError, ObjectKind};
use super::rules::{
    TABLES_MAX, check_name, column_position, duplicate_column, duplicate_pair, key_columns, new_columns,
    tables_used_up,
};
use super::schema::{
    ColumnSchema, NewColumn, NewNodeTable, NewRelType, NodeTableSchema, RelTableSchema, RelTypeSchema,
};
use crate::types::{ColumnId, TableId};

impl Catalog {
    /// Adds a node table and gives its id.
    pub fn create_node_table(&mut self, new: NewNodeTable) -> CatalogResult<TableId> {
        self.check_new_name(&new.name)?;
        let mut next_column = self.next_column;
        let mut columns = new_columns(&new.name, &[], new.columns, &mut next_column)?;
        let primary_key = key_columns(&new.name, &mut columns, &new.primary_key)?;
        if primary_key.is_empty() && !new.open {
            return Err(CatalogError::MissingKey { table: new.name });
        }
        let id = self.take_table_id()?;
        self.next_column = next_column;
        let schema =
            NodeTableSchema { id, name: new.name, columns, primary_key, open: new.open, comment: None };
        self.node_tables.push(Arc::new(schema));
        self.changed();
        Ok(id)
    }

    /// Adds a relationship type and gives the ids of its tables, in the order of its pairs.
    pub fn create_rel_type(&mut self, new: NewRelType) -> CatalogResult<Vec<TableId>> {
        self.check_new_name(&new.name)?;
        let mut next_column = self.next_column;
        let columns = new_columns(&new.name, &[], new.columns, &mut next_column)?;
        let pairs = self.pairs(&new.name, &new.pairs)?;
        if pairs.is_empty() {
            return Err(CatalogError::MissingPair { name: new.name });
        }
        if self.next_table as usize + pairs.len() > TABLES_MAX as usize {
            return Err(tables_used_up());
        }
        let mut tables = Vec::with_capacity(pairs.len());
        for (source, target) in pairs {
            tables.push(RelTableSchema { id: self.take_table_id()?, source, target });
        }
        let ids = tables.iter().map(|table| table.id).collect();
        self.next_column = next_column;
        self.rel_types.push(Arc::new(RelTypeSchema {
            name: new.name,
            tables,
            columns,
            multiplicity: new.multiplicity,
            open: new.open,
            comment: None,
        }));
        self.changed();
        Ok(ids)
    }

    /// Adds a FROM/TO pair to a relationship type and gives its table's id.
    pub fn add_rel_pair(&mut self, name: &str, source: &str, target: &str) -> CatalogResult<TableId> {
        let at = self.rel_position(name)?;
        let source_id = self.expect_node_table(source)?.id;
        let target_id = self.expect_node_table(target)?.id;
        if self.rel_types[at].pair(source_id, target_id).is_some() {
            return Err(duplicate_pair(name, source, target));
        }
        let id = self.take_table_id()?;
        let table = RelTableSchema { id, source: source_id, target: target_id };
        Arc::make_mut(&mut self.rel_types[at]).tables.push(table);
        self.changed();
        Ok(id)
    }

    /// Takes a node table or a relationship type away.
    pub fn drop_table(&mut self, name: &str) -> CatalogResult<DroppedTables> {
        self.expect_table(name)?;
        let dropped = match self.by_name.get(name) {
            Some(Place::Node(at)) => {
                let id = self.node_tables[*at].id;
                self.check_unreferenced(name, id)?;
                self.node_tables.remove(*at);
                DroppedTables { kind: ObjectKind::NodeTable, ids: vec![id] }
            }
            Some(Place::Rel(at, _)) => {
                let rel_type = self.rel_types.remove(*at);
                let ids = rel_type.tables.iter().map(|table| table.id).collect();
                DroppedTables { kind: ObjectKind::RelType, ids }
            }
            None => DroppedTables { kind: ObjectKind::Table, ids: Vec::new() },
        };
        self.changed();
        Ok(dropped)
    }

    /// Gives a table another name.
    pub fn rename_table(&mut self, name: &str, new_name: &str) -> CatalogResult<()> {
        self.expect_table(name)?;
        self.check_new_name(new_name)?;
        match self.by_name.get(name).copied() {
            Some(Place::Node(at)) => Arc::make_mut(&mut self.node_tables[at]).name = new_name.to_owned(),
            Some(Place::Rel(at, _)) => Arc::make_mut(&mut self.rel_types[at]).name = new_name.to_owned(),
            None => {}
        }
        self.changed();
        Ok(())
    }

    /// Adds a column to a table and gives its id.
    pub fn add_column(&mut self, table: &str, column: NewColumn) -> CatalogResult<ColumnId> {
        self.change_columns(table, |columns, next_column, _| {
            let added = new_columns(table, columns, vec![column], next_column)?;
            let id = added.first().map_or(ColumnId(*next_column), |column| column.id);
            columns.extend(added);
            Ok(id)
        })
    }

    /// Takes a column away and gives its id, which is never used again.
    pub fn drop_column(&mut self, table: &str, column: &str) -> CatalogResult<ColumnId> {
        self.change_columns(table, |columns, _, primary_key| {
            let at = column_position(table, columns, column)?;
            let id = columns[at].id;
            if primary_key.contains(&id) {
                return Err(CatalogError::KeyColumn { table: table.to_owned(), column: column.to_owned() });
            }
            columns.remove(at);
            Ok(id)
        })
    }

    /// Gives a column another name.
    pub fn rename_column(&mut self, table: &str, column: &str, new_name: &str) -> CatalogResult<()> {
        check_name(new_name)?;
        self.change_columns(table, |columns, _, _| {
            let at = column_position(table, columns, column)?;
            if columns.iter().any(|other| other.name == new_name) {
                return Err(duplicate_column(table, new_name));
            }
            columns[at].name = new_name.to_owned();
            Ok(())
        })
    }

    /// Sets or takes away the comment of a table.
    pub fn set_comment(&mut self, table: &str, comment: Option<String>) -> CatalogResult<()> {
        self.expect_table(table)?;
        match self.by_name.get(table).copied() {
            Some(Place::Node(at)) => Arc::make_mut(&mut self.node_tables[at]).comment = comment,
            Some(Place::Rel(at, _)) => Arc::make_mut(&mut self.rel_types[at]).comment = comment,
            None => {}
        }
        self.changed();
        Ok(())
    }

    /// Runs `change` over a copy of the table's columns and keeps the copy if it succeeds.
    fn change_columns<T>(
        &mut self,
        table: &str,
        change: impl FnOnce(&mut Vec<ColumnSchema>, &mut u32, &[ColumnId]) -> CatalogResult<T>,
    ) -> CatalogResult<T> {
        self.expect_table(table)?;
        let mut next_column = self.next_column;
        let result = match self.by_name.get(table).copied() {
            Some(Place::Node(at)) => {
                let mut schema = (*self.node_tables[at]).clone();
                let result = change(&mut schema.columns, &mut next_column, &schema.primary_key)?;
                self.node_tables[at] = Arc::new(schema);
                result
            }
            Some(Place::Rel(at, _)) => {
                let mut schema = (*self.rel_types[at]).clone();
                let result = change(&mut schema.columns, &mut next_column, &[])?;
                self.rel_types[at] = Arc::new(schema);
                result
            }
            None => return Err(missing(ObjectKind::Table, table, std::iter::empty())),
        };
        self.next_column = next_column;
        self.changed();
        Ok(result)
    }

    fn rel_position(&self, name: &str) -> CatalogResult<usize> {
        self.expect_rel_type(name)?;
        let position = self.rel_types.iter().position(|rel_type| rel_type.name == name);
        position.ok_or_else(|| missing(ObjectKind::RelType, name, std::iter::empty()))
    }

    fn check_new_name(&self, name: &str) -> CatalogResult<()> {
        check_name(name)?;
        let kind = match self.table(name) {
            None => return Ok(()),
            Some(TableEntry::Node(_)) => ObjectKind::NodeTable,
            Some(TableEntry::Rel(_)) => ObjectKind::RelType,
        };
        Err(CatalogError::Exists { kind, name: name.to_owned() })
    }

    fn check_unreferenced(&self, name: &str, id: TableId) -> CatalogResult<()> {
        let ends_here = |table: &RelTableSchema| table.source == id || table.target == id;
        let referenced_by: Vec<String> = self
            .rel_types
            .iter()
            .filter(|rel_type| rel_type.tables.iter().any(ends_here))
            .map(|rel_type| rel_type.name.clone())
            .collect();
        if referenced_by.is_empty() {
            return Ok(());
        }
        Err(CatalogError::Referenced { table: name.to_owned(), referenced_by })
    }

    fn pairs(&self, name: &str, named: &[(String, String)]) -> CatalogResult<Vec<(TableId, TableId)>> {
        let mut pairs = Vec::with_capacity(named.len());
        for (source, target) in named {
            let pair = (self.expect_node_table(source)?.id, self.expect_node_table(target)?.id);
            if pairs.contains(&pair) {
                return Err(duplicate_pair(name, source, target));
            }
            pairs.push(pair);
        }
        Ok(pairs)
    }

    fn take_table_id(&mut self) -> CatalogResult<TableId> {
        if self.next_table >= TABLES_MAX {
            return Err(tables_used_up());
        }
        self.next_table += 1;
        Ok(TableId(self.next_table - 1))
    }

    fn changed(&mut self) {
        self.version += 1;
        self.index();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DataType;

    fn column(name: &str) -> NewColumn {
        NewColumn::new(name, DataType::Int64)
    }

    fn node_table(name: &str, columns: &[&str], key: &[&str]) -> NewNodeTable {
        NewNodeTable {
            name: name.to_owned(),
            columns: columns.iter().map(|name| column(name)).collect(),
            primary_key: key.iter().map(|name| (*name).to_owned()).collect(),
            open: false,
        }
    }

    fn rel_type(name: &str, pairs: &[(&str, &str)]) -> NewRelType {
        NewRelType {
            name: name.to_owned(),
            pairs: pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
            columns: vec![column("since")],
            ..NewRelType::default()
        }
    }

    fn sample() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.create_node_table(node_table("Person", &["id", "age"], &["id"])).unwrap();
        catalog.create_node_table(node_table("City", &["id"], &["id"])).unwrap();
        catalog.create_rel_type(rel_type("Knows", &[("Person", "Person"), ("Person", "City")])).unwrap();
        catalog
    }

    #[track_caller]
    fn check<T: std::fmt::Debug>(change: impl FnOnce(&mut Catalog) -> CatalogResult<T>, expected: &str) {
        let mut catalog = sample();
        let error = change(&mut catalog).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(catalog, sample(), "a refused change leaves no trace");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        check(
            |c| c.create_node_table(node_table("Person", &["x"], &["x"])),
            "node table Person exists already",
        );
        check(
            |c| c.create_node_table(node_table("Knows", &["x"], &["x"])),
            "relationship table Knows exists already",
        );
        check(
            |c| c.create_node_table(node_table("T", &["a", "a"], &["a"])),
            "property a appears twice in table T",
        );
        check(
            |c| c.create_node_table(node_table("T", &["name"], &["nmae"])),
            "the primary key of T names nmae, which is not one of its properties; did you mean name?",
        );
        check(
            |c| c.create_node_table(node_table("T", &["a"], &["a", "a"])),
            "the primary key of T names a twice",
        );
        check(|c| c.create_node_table(node_table("T", &["a"], &[])), "node table T needs a primary key");
        check(
            |c| c.create_rel_type(rel_type("R", &[("Persn", "City")])),
            "node table Persn does not exist; did you mean Person?",
        );
        check(
            |c| c.create_rel_type(rel_type("R", &[])),
            "relationship table R needs at least one FROM … TO … pair",
        );
        check(
            |c| c.create_rel_type(rel_type("R", &[("City", "City"), ("City", "City")])),
            "relationship table R names FROM City TO City twice",
        );
        check(
            |c| c.add_rel_pair("Knows", "Person", "City"),
            "relationship table Knows names FROM Person TO City twice",
        );
        check(|c| c.drop_table("City"), "node table City is still used by Knows");
        check(|c| c.drop_table("person"), "table person does not exist; did you mean Person?");
        check(|c| c.drop_column("Person", "id"), "property id is part of the primary key of Person");
        check(|c| c.drop_column("Person", "agee"), "table Person has no property agee; did you mean age?");
        check(|c| c.rename_column("Person", "age", "id"), "property id appears twice in table Person");
        check(|c| c.rename_table("Person", "City"), "node table City exists already");
        check(
            |c| c.add_column("Person", NewColumn::new("", DataType::Bool)),
            "\"\" cannot be used as a name",
        );
        check(
            |c| c.add_column("Person", NewColumn::new("n", DataType::list(DataType::Node))),
            "property n of table Person cannot be stored as NODE[]",
        );
        let mut listed = node_table("T", &["a"], &["a"]);
        listed.columns[0].data_type = DataType::list(DataType::Int64);
        check(
            |c| c.create_node_table(listed),
            "property a of type INT64[] cannot be part of the primary key of T",
        );
    }

    #[test]
    fn names_and_ids_lead_to_schemas() {
        let catalog = sample();
        let person = catalog.node_table("Person").unwrap();
        assert_eq!(catalog.node_table_by_id(person.id), Some(person));
        assert!(person.column("id").unwrap().not_null);
        let knows = catalog.rel_type("Knows").unwrap();
        assert_eq!(knows.tables.len(), 2);
        let (by_id, table) = catalog.rel_table_by_id(knows.tables[1].id).unwrap();
        assert_eq!((by_id, table.target), (knows, catalog.node_table("City").unwrap().id));
        assert!(catalog.node_table("Knows").is_none() && catalog.rel_type("Person").is_none());
    }

    #[test]
    fn ids_are_never_given_twice() {
        let mut catalog = sample();
        let before = catalog.clone();
        let dropped_column = catalog.drop_column("Person", "age").unwrap();
        let added = catalog.add_column("Person", column("age")).unwrap();
        assert!(added > dropped_column && before.next_column_id() <= added.0);
        let dropped = catalog.drop_table("Knows").unwrap();
        let again = catalog.create_rel_type(rel_type("Knows", &[("City", "City")])).unwrap();
        assert!(again.iter().all(|id| !dropped.ids.contains(id)));
        assert_eq!(catalog.version(), before.version() + 4);
    }
}
