//! Running statements: a text from its first byte to the result of its last statement.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::compile::{QueryPlan, bind_statement, plan_query};
use super::session::{Session, View};
use crate::binder::{BoundQuery, BoundStatement};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::entities::EntityReader;
use crate::executor::{self, Chunk, Profile, QueryContext, QueryRows};
use crate::params::Params;
use crate::parser::{ast, parse};
use crate::planner::{explain, explain_with};
use crate::query_result::{PoolUse, QueryResult, ResultChunk, ResultColumn};
use crate::types::Value;

impl Session {
    /// Runs all statements of a text.
    pub fn run_text(&self, text: &str, mut params: Params) -> Result<QueryResult> {
        guarded(|| {
            self.begin_text();
            let view = self.view()?;
            let found = self.plans.lock().find(text, &view, &params);
            if let Some(plan) = found {
                return self.working(&view, || self.run_plan(&plan, &mut params, &view, true));
            }
            let statements = parse(text).map_err(|error| Error::from_parse(error, text))?;
            match statements.as_slice() {
                [] => Ok(QueryResult::empty()),
                [statement] => self.run_statement(statement, text, &mut params, view, true),
                statements => self.run_script(statements, text, params, view),
            }
        })
    }

    /// Each statement sees what the ones before it did.
    pub(super) fn run_script(
        &self,
        statements: &[ast::Statement],
        text: &str,
        params: Params,
        first: View,
    ) -> Result<QueryResult> {
        let mut view = Some(first);
        let mut result = QueryResult::empty();
        for statement in statements {
            let view = match view.take() {
                Some(view) => view,
                None => self.view()?,
            };
            result = self.run_statement(statement, text, &mut params.clone(), view, false)?;
        }
        Ok(result)
    }

    /// Runs one statement of `text`; `alone` means that it is all there is.
    pub fn run_statement(
        &self,
        statement: &ast::Statement,
        text: &str,
        params: &mut Params,
        view: View,
        alone: bool,
    ) -> Result<QueryResult> {
        self.working(&view, || {
            let bound = bind_statement(statement, text, params, &view)?;
            self.run_bound(&bound, (statement, text), params, &view, alone)
        })
    }

    /// Plans a query of `text`, and keeps the plan for the text `kept_as`.
    pub(super) fn planned(
        &self,
        query: &BoundQuery,
        (statement, text): (&ast::Statement, &str),
        params: &Params,
        view: &View,
        kept_as: Option<&str>,
    ) -> Result<Arc<QueryPlan>> {
        let mut plan = plan_query(query, text, params, view)?;
        if !plan.plan.stages.is_empty() {
            plan.text = statement.span.of(text).into();
        }
        let plan = Arc::new(plan);
        if let Some(own) = kept_as {
            self.plans.lock().insert(own, &plan, view);
        }
        Ok(plan)
    }

    /// Runs a statement whose meaning is known.
    pub(super) fn run_bound(
        &self,
        bound: &BoundStatement,
        (statement, text): (&ast::Statement, &str),
        params: &mut Params,
        view: &View,
        alone: bool,
    ) -> Result<QueryResult> {
        match bound {
            BoundStatement::Query(query) => {
                let plan = self.planned(query, (statement, text), params, view, alone.then_some(text))?;
                self.run_plan(&plan, params, view, false)
            }
            BoundStatement::Explain { analyze, query } => match &**query {
                BoundStatement::Query(query) => match analyze {
                    true => self.run_profile(query, (statement, text), params, view, alone),
                    false => self.run_explain(query, text, params, view),
                },
                _ => {
                    let message = "only queries have a plan";
                    let error = Error::new(ErrorKind::NotSupported, message).compile();
                    Err(error.at(text, statement.span))
                }
            },
            other => self.run_other(other, statement, text, view),
        }
    }

    fn run_other(
        &self,
        bound: &BoundStatement,
        statement: &ast::Statement,
        text: &str,
        view: &View,
    ) -> Result<QueryResult> {
        let compiled = Instant::now();
        let mut result = match bound {
            BoundStatement::CreateNodeTable { .. }
            | BoundStatement::CreateRelTable { .. }
            | BoundStatement::DropTable { .. } => self.run_definition(bound, view)?,
            BoundStatement::CopyFrom(copy) => self.run_copy(copy, text, view)?,
            BoundStatement::Setting { name, value } => {
                self.change_setting(name, value).map_err(|error| error.compile().at(text, statement.span))?;
                QueryResult::empty()
            }
            BoundStatement::Begin { read_only } => {
                self.begin_transaction(*read_only).map_err(|error| error.at(text, statement.span))?;
                QueryResult::empty()
            }
            BoundStatement::Commit | BoundStatement::Rollback => {
                let commit = matches!(bound, BoundStatement::Commit);
                self.end_transaction(None, commit).map_err(|error| error.at(text, statement.span))?;
                QueryResult::empty()
            }
            BoundStatement::Checkpoint => {
                view.engine.checkpoint()?;
                self.shared.refresh();
                QueryResult::empty()
            }
            BoundStatement::Query(_) | BoundStatement::Explain { .. } => QueryResult::empty(),
        };
        result.summary.compile_time = compiled.duration_since(view.started);
        result.summary.execution_time = compiled.elapsed();
        Ok(result)
    }

    /// Runs a plan that serves this view and these parameters.
    pub fn run_plan(
        &self,
        plan: &QueryPlan,
        params: &mut Params,
        view: &View,
        cached: bool,
    ) -> Result<QueryResult> {
        let compiled = Instant::now();
        let mut context = self.context(plan, params, view);
        let progress = self.progress_of(&plan.plan, false);
        context.progress.clone_from(&progress);
        let (mut result, _) = self.run_in_context(plan, &mut context, view)?;
        plan.take_back(std::mem::take(&mut context.parameters));
        progress.iter().for_each(|progress| progress.finish());
        result.summary.compile_time = compiled.duration_since(view.started);
        result.summary.execution_time = compiled.elapsed();
        result.summary.plan_cached = cached;
        Ok(result)
    }

    /// Reads at the view, or writes. Where arrays of a plan that reads find no room it is run again without them: then
    /// that plan comes with the rows, and the context is its own.
    fn run_in_context(
        &self,
        plan: &QueryPlan,
        context: &mut QueryContext,
        view: &View,
    ) -> Result<(QueryResult, Option<Arc<QueryPlan>>)> {
        if !plan.plan.stages.is_empty() {
            return Ok((self.run_writing(plan, context, view)?, None));
        }
        match executor::execute(&plan.plan, context) {
            Ok(rows) => Ok((complete(plan, rows, context)?, None)),
            Err(error) => {
                let plan = plan.instead_after(&error, context).ok_or(error)?;
                *context = context.without_arrays(&plan.plan);
                Ok((collect(&plan, context)?, Some(plan)))
            }
        }
    }

    /// Shows the plan that a query would have now.
    fn run_explain(
        &self,
        query: &BoundQuery,
        text: &str,
        params: &mut Params,
        view: &View,
    ) -> Result<QueryResult> {
        // A plan can be shown before the parameters are known.
        let given = (query.parameters.iter().map(|(name, _)| name))
            .filter(|name| params.get(name).is_none())
            .map(|name| (name.clone(), Value::Null));
        let params: Params = (params.iter().map(|(name, value)| (name.to_owned(), value.clone())))
            .chain(given.collect::<Vec<_>>())
            .collect();
        let plan = plan_query(query, text, &params, view)?;
        let lines: Vec<String> = explain(&plan.plan, view.catalog()).lines().map(str::to_owned).collect();
        let mut result = QueryResult::of_texts("plan", lines);
        result.summary.compile_time = view.started.elapsed();
        Ok(result)
    }

    /// Runs a query by the plan that it has without `PROFILE`, which may be one of the cache, and shows what it did.
    fn run_profile(
        &self,
        query: &BoundQuery,
        (statement, text): (&ast::Statement, &str),
        params: &mut Params,
        view: &View,
        alone: bool,
    ) -> Result<QueryResult> {
        let own_text = text_behind_mode(statement, text).filter(|_| alone);
        let found = own_text.and_then(|own| self.plans.lock().find(own, view, params));
        let plan_cached = found.is_some();
        let mut plan = match found {
            Some(plan) => plan,
            None => self.planned(query, (statement, text), params, view, own_text)?,
        };
        let started = Instant::now();
        let before = view.engine.pool().stats();
        let mut context = self.context(&plan, params, view);
        context.profile = Some(Profile::of(&plan.plan));
        let (run, other) = self.run_in_context(&plan, &mut context, view)?;
        plan = other.unwrap_or(plan);
        let execution_time = started.elapsed();
        let after = view.engine.pool().stats();
        let pool = PoolUse {
            hits: after.hits.saturating_sub(before.hits),
            misses: after.misses.saturating_sub(before.misses),
        };
        let actual = |node: &_| context.profile.as_ref().and_then(|profile| profile.actual(node));
        let mut lines: Vec<String> =
            explain_with(&plan.plan, view.catalog(), &actual).lines().map(str::to_owned).collect();
        lines.push(String::new());
        lines.push(format!("rows: {}", run.len()));
        lines.push(format!("time: {:.3} ms", execution_time.as_secs_f64() * 1e3));
        lines.push(format!("plan_cache: {}", if plan_cached { "hit" } else { "miss" }));
        lines.push(format!("buffer_pool_hits: {}", pool.hits));
        lines.push(format!("buffer_pool_misses: {}", pool.misses));
        let counters = context.counters.list().into_iter().filter(|(_, count)| *count > 0);
        lines.extend(counters.map(|(name, count)| format!("{name}: {count}")));
        let changes = run.summary.changes.list().into_iter().filter(|(_, count)| *count > 0);
        lines.extend(changes.map(|(name, count)| format!("{name}: {count}")));
        let mut result = QueryResult::of_texts("plan", lines);
        // What was profiled has happened.
        result.summary = run.summary;
        result.summary.compile_time = started.duration_since(view.started);
        result.summary.execution_time = execution_time;
        result.summary.plan_cached = plan_cached;
        result.summary.pool = Some(pool);
        Ok(result)
    }

    pub(super) fn context(&self, plan: &QueryPlan, params: &mut Params, view: &View) -> QueryContext {
        context_of(plan, params, view, Arc::clone(&self.interrupt))
    }
}

/// The text without the `PROFILE` in front of it: by it the plan cache knows the query.
fn text_behind_mode<'t>(statement: &ast::Statement, text: &'t str) -> Option<&'t str> {
    let whole = text.get(statement.span.start as usize..)?;
    let (mode, query) = whole.split_at_checked(whole.find(char::is_whitespace)?)?;
    mode.eq_ignore_ascii_case("PROFILE").then(|| query.trim_start())
}

/// What a plan runs in, and the flag that stops it.
pub(super) fn context_of(
    plan: &QueryPlan,
    params: &mut Params,
    view: &View,
    flag: Arc<AtomicBool>,
) -> QueryContext {
    let mut context = QueryContext::interruptible(view.transaction.clone(), flag);
    context.parameters = plan.parameter_values(params);
    context.vector_size = view.settings.vector_size;
    context.threads = view.settings.threads;
    context.own_memory.clone_from(&view.settings.memory);
    context.deadline = view.deadline();
    context
}

/// Executes, and completes nodes, relationships and paths while their version is at hand.
pub(super) fn collect(plan: &QueryPlan, context: &QueryContext) -> Result<QueryResult> {
    complete(plan, executor::execute(&plan.plan, context)?, context)
}

/// Completes nodes, relationships and paths.
pub(super) fn complete(plan: &QueryPlan, rows: QueryRows, context: &QueryContext) -> Result<QueryResult> {
    let mut reader = entity_reader(plan, context);
    let mut chunks = Vec::with_capacity(rows.chunks.len());
    for chunk in rows.chunks {
        context.check()?;
        chunks.push(complete_chunk(plan, chunk, reader.as_mut())?);
    }
    Ok(QueryResult::new(Arc::clone(&plan.header), chunks))
}

/// What completes the rows of a plan, if there is anything to complete.
pub(super) fn entity_reader(plan: &QueryPlan, context: &QueryContext) -> Option<EntityReader> {
    plan.entities.contains(&true).then(|| EntityReader::of(context))
}

/// The same for some rows.
pub(super) fn complete_chunk(
    plan: &QueryPlan,
    chunk: Chunk,
    mut reader: Option<&mut EntityReader>,
) -> Result<ResultChunk> {
    let mut columns = Vec::with_capacity(chunk.columns.len());
    for (position, buffer) in chunk.columns.into_iter().enumerate() {
        let has_entities = plan.entities.get(position).is_some_and(|has| *has);
        columns.push(match (&mut reader, has_entities) {
            (Some(reader), true) => {
                let vector = buffer.vector();
                let mut values: Vec<Value> =
                    (0..chunk.rows).map(|row| vector.value(row, buffer.data_type())).collect();
                reader.complete(&mut values)?;
                ResultColumn::of_values(values)
            }
            _ => ResultColumn::of_vector(buffer),
        });
    }
    Ok(ResultChunk::new(columns, chunk.rows))
}

/// A panic below is a bug of ours; it ends the statement and not the program.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let detail = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        Err(Error::new(ErrorKind::Internal, format!("internal error: {detail}")))
    })
}
