//! Definitions: a changed copy of the catalog, in the open transaction or in one of its own.

use super::session::{Session, View};
use crate::binder::BoundStatement;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::query_result::QueryResult;
use crate::types::TableId;

impl Session {
    /// CREATE NODE TABLE, CREATE REL TABLE, DROP TABLE.
    pub(super) fn run_definition(&self, bound: &BoundStatement, view: &View) -> Result<QueryResult> {
        // The binder saw the version of the statement's begin; the writer's may be newer.
        let wrote = self.write(view, |writer| writer.define::<Error>(|catalog| change(catalog, bound)))?;
        self.shared.newest(&view.engine);
        let mut result = QueryResult::empty();
        result.summary.wrote = wrote;
        result.summary.defined = wrote;
        Ok(result)
    }
}

/// The tables that are gone; `None` when there is nothing to do.
fn change(catalog: &mut Catalog, bound: &BoundStatement) -> Result<Option<Vec<TableId>>> {
    match bound {
        BoundStatement::CreateNodeTable { schema, if_not_exists } => {
            if *if_not_exists && catalog.table(&schema.name).is_some() {
                return Ok(None);
            }
            catalog.create_node_table(schema.clone())?;
            Ok(Some(Vec::new()))
        }
        BoundStatement::CreateRelTable { schema, if_not_exists } => {
            if *if_not_exists && catalog.table(&schema.name).is_some() {
                return Ok(None);
            }
            catalog.create_rel_type(schema.clone())?;
            Ok(Some(Vec::new()))
        }
        BoundStatement::DropTable { name, if_exists } => {
            if *if_exists && catalog.table(name).is_none() {
                return Ok(None);
            }
            Ok(Some(catalog.drop_table(name)?.ids))
        }
        _ => Ok(None),
    }
}
