//! COPY: the bulk load under the connection's settings, in the open transaction or in one of its own.

use std::time::Instant;

use super::Progress;
use super::compile::{bind_statement, plan_query};
use super::run::collect;
use super::session::{Session, View};
use crate::binder::BoundStatement;
use crate::binder::bound::{BoundCopy, CopyTarget};
use crate::catalog::ColumnSchema;
use crate::config::FileAccess;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::copy::{CopyError, CopyOptions, CopyProgress, CopySummary, PreparedCopy};
use crate::ingest::CsvError;
use crate::params::Params;
use crate::parser::parse;
use crate::planner::lower_checks;
use crate::query_result::QueryResult;
use crate::types::{ColumnId, Value};

impl Session {
    /// Loads files into a table, all of it or nothing.
    pub(super) fn run_copy(&self, bound: &BoundCopy, text: &str, view: &View) -> Result<QueryResult> {
        if self.shared.config.file_access == FileAccess::None {
            let message = "this database was opened without access to files";
            let error = Error::new(ErrorKind::NotSupported, message).compile().at(text, bound.span);
            return Err(error.with_hint("Open it with file_access(FileAccess::Read) to allow COPY FROM"));
        }
        let defaults = self.defaults(bound, view)?;
        let checks = lower_checks(&bound.checks, &bound.variables, view.catalog(), view.statistics()?)?;
        let callback = self.progress.lock().clone();
        let deadline = view.deadline();
        let progress = |state: CopyProgress| {
            if let Some(callback) = &callback {
                let CopyProgress { bytes_read, bytes_total, rows } = state;
                callback(Progress { bytes_read, bytes_total, rows, ..Progress::default() });
            }
        };
        let options = CopyOptions {
            threads: view.settings.threads,
            defaults: &defaults,
            checks: &checks,
            progress: Some(&progress),
            cancelled: Some(&self.interrupt),
            deadline: deadline.map(|(at, _)| at),
            small_rows: self.shared.config.small_load_rows,
            wait: view.settings.timeout,
            ..CopyOptions::default()
        };
        let told_error = |error: CopyError| match (&error, deadline) {
            (CopyError::Csv(CsvError::Cancelled), Some((at, limit))) if Instant::now() >= at => {
                Error::new(ErrorKind::Interrupted, format!("the statement took longer than {limit} ms"))
            }
            _ => placed(error, text, bound),
        };
        let prepared = PreparedCopy::new(bound, &options).map_err(told_error)?;
        let summary = self.write(view, |writer| prepared.run(writer).map_err(told_error))?;
        self.shared.newest(&view.engine);
        Ok(told(&summary, &bound.target))
    }

    /// The defaults of the columns that the files do not fill, evaluated once.
    fn defaults(&self, bound: &BoundCopy, view: &View) -> Result<Vec<(ColumnId, Value)>> {
        let catalog = view.catalog();
        let (table, chosen) = match &bound.target {
            CopyTarget::Node { table, columns } => (*table, columns),
            CopyTarget::Rel { rel, columns, .. } => (rel.table, columns),
        };
        let mut defaults = Vec::new();
        for column in catalog.columns_of(table).iter().filter(|column| !chosen.contains(&column.id)) {
            if let Some(default) = &column.default {
                defaults.push((column.id, self.constant(default, column, view)?));
            }
        }
        Ok(defaults)
    }

    fn constant(&self, default: &str, column: &ColumnSchema, view: &View) -> Result<Value> {
        let text = format!("RETURN CAST(({default}) AS {}) AS value", column.data_type);
        let statements = parse(&text).map_err(|error| Error::from_parse(error, &text))?;
        let mut params = Params::default();
        let Some(statement) = statements.first() else { return Ok(Value::Null) };
        let BoundStatement::Query(query) = bind_statement(statement, &text, &params, view)? else {
            return Ok(Value::Null);
        };
        let plan = plan_query(&query, &text, &params, view)?;
        let result = collect(&plan, &self.context(&plan, &mut params, view))?;
        result.first().map_or(Ok(Value::Null), |row| row.value(0))
    }
}

/// Faults of the statement itself point at its text; those of a row carry file and line of their own.
fn placed(error: CopyError, text: &str, bound: &BoundCopy) -> Error {
    let span = match &error {
        CopyError::Csv(CsvError::Option { name, .. }) => {
            bound.options.iter().find(|(option, _, _)| option == name).map(|(_, _, span)| *span)
        }
        CopyError::Csv(CsvError::NoFiles { .. }) | CopyError::MissingColumn { .. } => Some(bound.span),
        _ => None,
    };
    match span {
        Some(span) => Error::from(error).compile().at(text, span),
        None => error.into(),
    }
}

/// A load answers without rows, as every statement that only changes something; its summary counts.
fn told(summary: &CopySummary, target: &CopyTarget) -> QueryResult {
    let mut result = QueryResult::empty();
    result.summary.wrote = true;
    result.summary.rows_rejected = summary.rejected;
    match target {
        CopyTarget::Node { .. } => result.summary.changes.nodes_created = summary.rows,
        CopyTarget::Rel { .. } => result.summary.changes.rels_created = summary.rows,
    }
    result
}
