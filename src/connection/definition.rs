//! Definitions: a changed copy of the catalog, committed on its own.

use super::session::{Session, View};
use crate::binder::BoundStatement;
use crate::catalog::{Catalog, Statistics};
use crate::error::Result;
use crate::query_result::QueryResult;
use crate::storage::engine::CommitChanges;
use crate::types::TableId;

impl Session {
    /// CREATE NODE TABLE, CREATE REL TABLE, DROP TABLE.
    pub(super) fn run_definition(&self, bound: &BoundStatement, view: &View) -> Result<QueryResult> {
        let turn = view.engine.begin_write(view.settings.timeout)?;
        let mut result = QueryResult::empty();
        // The binder saw the version of the statement's begin; the turn's may be newer.
        let mut catalog = Catalog::clone(turn.snapshot().catalog());
        let Some(dropped) = change(&mut catalog, bound)? else { return Ok(result) };
        let mut statistics = None;
        if !dropped.is_empty() {
            let mut left = Statistics::clone(turn.snapshot().statistics()?);
            dropped.iter().for_each(|table| left.remove_table(*table));
            statistics = Some(left);
        }
        turn.commit(CommitChanges { catalog: Some(catalog), statistics, tables: Vec::new(), dropped })?;
        self.shared.newest(&view.engine);
        result.summary.wrote = true;
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
