//! Statements that write: the plan runs in a transaction, and what it has changed is told.

use super::compile::{QueryPlan, bind_statement, plan_query};
use super::run::complete;
use super::session::{Session, View};
use crate::binder::BoundStatement;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::QueryContext;
use crate::executor::write::execute_write;
use crate::params::Params;
use crate::parser::parse_statement;
use crate::query_result::QueryResult;
use crate::transaction::WriteTransaction;

impl Session {
    /// Runs a plan that writes, in the open transaction or in one of its own.
    pub(super) fn run_writing(
        &self,
        plan: &QueryPlan,
        context: &mut QueryContext,
        view: &View,
    ) -> Result<QueryResult> {
        self.write(view, |writer| {
            context.check()?;
            if plan.is_for(writer.catalog()) {
                return write_in(plan, context, writer);
            }
            let plan = planned_again(plan, context, writer, view)?;
            write_in(&plan, context, writer)
        })
    }
}

/// Runs a plan that writes in a transaction.
fn write_in(
    plan: &QueryPlan,
    context: &mut QueryContext,
    writer: &mut WriteTransaction,
) -> Result<QueryResult> {
    let (rows, counts) = execute_write(&plan.plan, context, writer)?;
    let mut result = match plan.plan.returns {
        true => complete(plan, rows, context)?,
        false => QueryResult::empty(),
    };
    result.summary.wrote = true;
    result.summary.changes = counts;
    Ok(result)
}

/// The plan for the tables that a transaction sees, which have changed since the statement was planned.
fn planned_again(
    plan: &QueryPlan,
    context: &QueryContext,
    writer: &WriteTransaction,
    view: &View,
) -> Result<QueryPlan> {
    let text = &*plan.text;
    let statement = parse_statement(text).map_err(|error| Error::from_parse(error, text))?;
    let names = plan.plan.parameters.iter().map(|(name, _)| name.clone());
    let params: Params = names.zip(context.parameters.iter().cloned()).collect();
    let view = view.over(writer.view());
    let bound = match bind_statement(&statement, text, &params, &view)? {
        BoundStatement::Explain { query, .. } => *query,
        bound => bound,
    };
    match bound {
        BoundStatement::Query(query) => {
            let fresh = plan_query(&query, text, &params, &view)?;
            let same = fresh.plan.parameters.iter().map(|(name, _)| name);
            if same.eq(plan.plan.parameters.iter().map(|(name, _)| name)) {
                return Ok(fresh);
            }
            Err(Error::new(ErrorKind::Catalog, "the tables have changed while the statement began"))
        }
        _ => Err(Error::new(ErrorKind::Internal, "a statement has become another one")),
    }
}
