//! A statement that is prepared once and executed many times.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::binder::{BindErrorKind, BinderSettings, BoundStatement, ParameterTypes, bind};
use crate::connection::{QueryPlan, Session, View, guarded};
use crate::error::{Error, Result};
use crate::params::Params;
use crate::parser::{ast, parse_statement};
use crate::query_result::QueryResult;
use crate::query_stream::QueryStream;

/// A prepared statement. It belongs to its connection (settings, transaction) and may outlive the `Connection` value.
///
/// The plan is made for the types of the parameters' values, at the first execution with such types. Every execution
/// checks whether tables have changed since and plans again if they have.
///
/// ```
/// # fn main() -> quiredb::Result<()> {
/// use quiredb::{Database, params};
/// let connection = Database::in_memory()?.connect()?;
/// let statement = connection.prepare("RETURN $n * 2 AS twice")?;
/// for number in 1..=3 {
///     let result = statement.execute_with(params! { n: number })?;
///     assert_eq!(result.first().unwrap().get::<i64>(0)?, number * 2);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Statement {
    session: Arc<Session>,
    text: Box<str>,
    tree: ast::Statement,
    parameters: Vec<String>,
    plan: Mutex<Option<Arc<QueryPlan>>>,
}

impl Statement {
    pub(crate) fn prepare(session: &Arc<Session>, text: &str) -> Result<Statement> {
        let tree = parse_statement(text).map_err(|error| Error::from_parse(error, text))?;
        let view = session.view()?;
        let settings = BinderSettings { dialect: view.dialect };
        let parameters = match bind(&tree, text, view.catalog(), &ParameterTypes::default(), &settings) {
            Ok(bound) => parameters_of(bound),
            // Perhaps it is the missing types that do not fit; the first execution will tell.
            Err(error) if depends_on_types(error.kind) && text.contains('$') => Vec::new(),
            Err(error) => return Err(Error::from_bind(error, text)),
        };
        let session = Arc::clone(session);
        Ok(Statement { session, text: text.into(), tree, parameters, plan: Mutex::new(None) })
    }

    /// The statement's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of its parameters, as far as they are known before the first execution.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Executes it without parameters.
    pub fn execute(&self) -> Result<QueryResult> {
        self.execute_with(Params::new())
    }

    /// Executes it with parameters.
    pub fn execute_with(&self, params: impl Into<Params>) -> Result<QueryResult> {
        let mut params = params.into();
        guarded(|| self.run(&mut params))
    }

    /// Executes it without parameters and hands the rows over while it runs.
    pub fn stream(&self) -> Result<QueryStream> {
        self.stream_with(Params::new())
    }

    /// The same with parameters.
    pub fn stream_with(&self, params: impl Into<Params>) -> Result<QueryStream> {
        let mut params = params.into();
        guarded(|| {
            self.session.begin_text();
            let view = self.session.view()?;
            match self.known_plan(&view, &params) {
                Some(plan) => self.session.stream_plan(plan, &mut params, &view, true),
                None => self.session.stream_statement(&self.tree, &self.text, &mut params, view, true),
            }
        })
    }

    fn run(&self, params: &mut Params) -> Result<QueryResult> {
        let session = &*self.session;
        session.begin_text();
        let view = session.view()?;
        match self.known_plan(&view, params) {
            Some(plan) => session.working(&view, || session.run_plan(&plan, params, &view, true)),
            None => session.run_statement(&self.tree, &self.text, params, view, true),
        }
    }

    /// A plan that serves this view and these parameters: the statement's own, or one of the connection's.
    fn known_plan(&self, view: &View, params: &Params) -> Option<Arc<QueryPlan>> {
        let at_hand = self.plan.lock().clone().filter(|plan| plan.serves(view, params));
        if at_hand.is_some() {
            self.session.plans.lock().count_hit();
            return at_hand;
        }
        let found = self.session.plans.lock().find(&self.text, view, params)?;
        *self.plan.lock() = Some(Arc::clone(&found));
        Some(found)
    }
}

fn parameters_of(bound: BoundStatement) -> Vec<String> {
    match bound {
        BoundStatement::Query(query) => query.parameters.into_iter().map(|(name, _)| name).collect(),
        BoundStatement::Explain { query, .. } => parameters_of(*query),
        _ => Vec::new(),
    }
}

fn depends_on_types(kind: BindErrorKind) -> bool {
    matches!(
        kind,
        BindErrorKind::TypeMismatch
            | BindErrorKind::WrongArguments
            | BindErrorKind::NumberOutOfRange
            | BindErrorKind::NonConstant
            | BindErrorKind::DifferentColumns
            | BindErrorKind::NotSupported
            | BindErrorKind::InvalidParameterUse
    )
}
