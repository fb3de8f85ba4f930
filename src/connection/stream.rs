//! Queries whose rows are read while they run: the plan runs on a thread of its own, with helpers as any query, and the
//! reader takes its rows out of a queue. Statements that change something, and all statements of a transaction that may,
//! have ended before their rows are handed over.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Progress;
use super::compile::{QueryPlan, bind_statement};
use super::run::{complete, complete_chunk, context_of, entity_reader, guarded};
use super::session::{Session, StreamStop, View};
use crate::binder::BoundStatement;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::entities::EntityReader;
use crate::executor::{self, QueryContext, RowQueue};
use crate::params::Params;
use crate::parser::{ast, parse};
use crate::query_result::{QueryResult, ResultChunk};
use crate::query_stream::QueryStream;

impl Session {
    /// Runs all statements of a text; the rows of the last are handed over while it runs.
    pub fn stream_text(&self, text: &str, mut params: Params) -> Result<QueryStream> {
        guarded(|| {
            self.begin_text();
            let view = self.view()?;
            let found = self.plans.lock().find(text, &view, &params);
            if let Some(plan) = found {
                return self.stream_plan(plan, &mut params, &view, true);
            }
            let statements = parse(text).map_err(|error| Error::from_parse(error, text))?;
            let Some((last, before)) = statements.split_last() else {
                return Ok(QueryStream::of(QueryResult::empty()));
            };
            if before.is_empty() {
                return self.stream_statement(last, text, &mut params, view, true);
            }
            self.run_script(before, text, params.clone(), view)?;
            self.stream_statement(last, text, &mut params, self.view()?, false)
        })
    }

    /// Runs one statement of `text`; `alone` means that it is all there is.
    pub fn stream_statement(
        &self,
        statement: &ast::Statement,
        text: &str,
        params: &mut Params,
        view: View,
        alone: bool,
    ) -> Result<QueryStream> {
        let bound = bind_statement(statement, text, params, &view)?;
        if let BoundStatement::Query(query) = &bound {
            let plan = self.planned(query, (statement, text), params, &view, alone.then_some(text))?;
            return self.stream_plan(plan, params, &view, false);
        }
        self.working(&view, || self.run_bound(&bound, (statement, text), params, &view, alone))
            .map(QueryStream::of)
    }

    /// Runs a plan that serves this view and these parameters.
    pub fn stream_plan(
        &self,
        plan: Arc<QueryPlan>,
        params: &mut Params,
        view: &View,
        cached: bool,
    ) -> Result<QueryStream> {
        if !plan.plan.stages.is_empty() || self.is_writing() {
            let ran = self.working(view, || self.run_plan(&plan, params, view, cached));
            return ran.map(QueryStream::of);
        }
        let compiled = Instant::now();
        let compile_time = compiled.duration_since(view.started);
        let stop = self.stream_stop();
        let mut context = context_of(&plan, params, view, Arc::clone(&stop.flag));
        let header = Arc::clone(&plan.header);
        let mut stream = match executor::execute_point(&plan.plan, &context)? {
            Some(rows) => {
                let mut result = complete(&plan, rows, &context)?;
                result.summary.execution_time = compiled.elapsed();
                QueryStream::of(result)
            }
            None => {
                context.progress = self.progress_of(&plan.plan, true);
                QueryStream::running(header, RunningQuery::start(plan, context, stop)?)
            }
        };
        stream.summary.compile_time = compile_time;
        stream.summary.plan_cached = cached;
        Ok(stream)
    }
}

/// A query whose rows are read while it runs. When it is dropped, the query ends.
pub(crate) struct RunningQuery {
    plan: Arc<QueryPlan>,
    context: Arc<QueryContext>,
    queue: Arc<RowQueue>,
    stop: Arc<StreamStop>,
    thread: Option<JoinHandle<()>>,
    reader: Option<EntityReader>,
    /// Whether some were handed over: then the query cannot begin again.
    has_rows: bool,
    started: Instant,
}

impl RunningQuery {
    fn start(plan: Arc<QueryPlan>, context: QueryContext, stop: Arc<StreamStop>) -> Result<RunningQuery> {
        let started = Instant::now();
        let reader = entity_reader(&plan, &context);
        let queue = Arc::new(RowQueue::new(&context));
        *stop.queue.lock() = Arc::downgrade(&queue);
        let context = Arc::new(context);
        let work = {
            let (plan, context, queue) = (Arc::clone(&plan), Arc::clone(&context), Arc::clone(&queue));
            move || {
                if executor::stream(&plan.plan, &context, &queue) {
                    context.progress.iter().for_each(|progress| progress.finish());
                }
            }
        };
        let thread = std::thread::Builder::new().name("quire stream".to_owned()).spawn(work);
        let thread = thread.map_err(|error| {
            Error::new(ErrorKind::Runtime, format!("no thread could be started for the query: {error}"))
        })?;
        Ok(RunningQuery {
            plan,
            context,
            queue,
            stop,
            thread: Some(thread),
            reader,
            has_rows: false,
            started,
        })
    }

    /// The next rows; nothing behind the last ones.
    pub fn next(&mut self) -> Result<Option<ResultChunk>> {
        guarded(|| self.take())
    }

    fn take(&mut self) -> Result<Option<ResultChunk>> {
        let chunk = match self.queue.take() {
            Err(error) if !self.has_rows => {
                let plan = self.plan.instead_after(&error, &self.context).ok_or(error)?;
                self.join();
                let (context, started) = (self.context.without_arrays(&plan.plan), self.started);
                *self = RunningQuery::start(plan, context, Arc::clone(&self.stop))?;
                self.started = started;
                return self.take();
            }
            chunk => chunk?,
        };
        self.has_rows = true;
        let Some(chunk) = chunk else { return Ok(None) };
        complete_chunk(&self.plan, chunk, self.reader.as_mut()).map(Some)
    }

    /// Waits until the query has ended.
    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic was told through the queue.
            let _ = thread.join();
        }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How far the query has come.
    pub fn progress(&self) -> Option<Progress> {
        self.context.progress.as_ref().map(|progress| Progress::of(progress.read()))
    }

    /// What the mechanisms of the query have done so far.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.context.counters.list()
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.queue.close();
            self.stop.stop();
            self.join();
        }
    }
}
