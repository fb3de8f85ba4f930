//! From a syntax tree to something that can run: a plan, or a bound statement of another kind.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::session::View;
use crate::binder::{BinderSettings, BoundQuery, BoundStatement, ParameterTypes, bind};
use crate::catalog::{Catalog, Dialect, Statistics};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{ExecutionError, QueryContext};
use crate::params::Params;
use crate::parser::ast::{self, Span};
use crate::planner::{PhysicalPlan, plan, plan_for_little_memory};
use crate::query_result::{ResultHeader, may_hold_entities};
use crate::types::{DataType, Value};

/// A query's plan and what it was made for.
pub(crate) struct QueryPlan {
    pub plan: PhysicalPlan,
    /// The statement's own text, if it writes: it is planned again if tables change before its transaction begins.
    pub text: Box<str>,
    pub header: Arc<ResultHeader>,
    /// Per column: whether values have to be completed with labels and properties.
    pub entities: Vec<bool>,
    /// What was planned, if the plan holds arrays and could do without.
    query: Option<Box<BoundQuery>>,
    /// The plan without arrays, once it was asked for.
    little: OnceLock<Option<Arc<QueryPlan>>>,
    dialect: Dialect,
    disturbed: Option<u64>,
    /// Compared as an object: a transaction's own definitions may have the number of somebody else's.
    catalog: Arc<Catalog>,
    statistics: Arc<Statistics>,
    /// By position of `plan.parameters`.
    parameter_types: Vec<DataType>,
    /// What the parameters of an execution stood in, for the next one.
    spare: Mutex<Vec<Value>>,
}

impl QueryPlan {
    /// Whether the plan was made for this version and these types.
    pub fn serves(&self, view: &View, params: &Params) -> bool {
        self.is_of(view)
            && self.plan.parameters.iter().zip(&self.parameter_types).all(|((name, _), data_type)| {
                params.get(name).is_some_and(|value| value.data_type() == *data_type)
            })
    }

    /// Whether dialect, catalog and statistics are those it was made for.
    pub fn is_of(&self, view: &View) -> bool {
        self.is_for(view.transaction.catalog())
            && self.dialect == view.dialect
            && self.disturbed == view.settings.disturbed
            && view.statistics().is_ok_and(|statistics| Arc::ptr_eq(statistics, &self.statistics))
    }

    /// The plan that may do where this one ended with an error.
    pub fn instead_after(&self, error: &ExecutionError, context: &QueryContext) -> Option<Arc<QueryPlan>> {
        if context.may_do_without_arrays(error) { self.for_little_memory() } else { None }
    }

    /// The plan without arrays of counts and sorted lists, if this one has any.
    fn for_little_memory(&self) -> Option<Arc<QueryPlan>> {
        let query = self.query.as_deref()?;
        let little = self.little.get_or_init(|| {
            // Where there is none, the error of the first plan stands.
            let plan = plan_for_little_memory(query, &self.catalog, &self.statistics).ok()?;
            Some(Arc::new(QueryPlan {
                plan,
                text: "".into(),
                header: Arc::clone(&self.header),
                entities: self.entities.clone(),
                query: None,
                little: OnceLock::new(),
                dialect: self.dialect,
                disturbed: self.disturbed,
                catalog: Arc::clone(&self.catalog),
                statistics: Arc::clone(&self.statistics),
                parameter_types: self.parameter_types.clone(),
                spare: Mutex::default(),
            }))
        });
        little.clone()
    }

    /// Whether the plan is for this catalog.
    pub fn is_for(&self, catalog: &Arc<Catalog>) -> bool {
        Arc::ptr_eq(&self.catalog, catalog)
    }

    pub fn is_of_other_dialect(&self, view: &View) -> bool {
        self.dialect != view.dialect && self.is_for(view.transaction.catalog())
    }

    /// The values by position.
    pub fn parameter_values(&self, params: &mut Params) -> Vec<Value> {
        // `serves` or `plan_query` have seen that all of them are there.
        let mut values = std::mem::take(&mut *self.spare.lock());
        values.extend(self.plan.parameters.iter().map(|(name, _)| params.take(name).unwrap_or_default()));
        values
    }

    /// Takes back what `parameter_values` gave, once nothing reads it any more: a warm lookup takes no memory for it.
    pub fn take_back(&self, mut values: Vec<Value>) {
        values.clear();
        *self.spare.lock() = values;
    }
}

/// Gives a statement its meaning under these parameters.
pub(crate) fn bind_statement(
    statement: &ast::Statement,
    text: &str,
    params: &Params,
    view: &View,
) -> Result<BoundStatement> {
    let types: ParameterTypes = params.iter().map(|(name, value)| (name, value.data_type())).collect();
    let settings = BinderSettings { dialect: view.dialect };
    bind(statement, text, view.catalog(), &types, &settings).map_err(|error| Error::from_bind(error, text))
}

/// Plans a query, once all its parameters are known to be there.
pub(crate) fn plan_query(query: &BoundQuery, text: &str, params: &Params, view: &View) -> Result<QueryPlan> {
    check_parameters(query, text, params)?;
    let statistics = Arc::clone(view.statistics()?);
    let disturbed = view.settings.disturbed.map(|seed| statistics.disturbed(seed));
    let plan = plan(query, view.catalog(), disturbed.as_ref().unwrap_or(&statistics))?;
    let (names, types): (Vec<String>, Vec<DataType>) = plan.columns.iter().cloned().unzip();
    let entities = types.iter().map(may_hold_entities).collect();
    let parameter_types = plan
        .parameters
        .iter()
        .map(|(name, _)| params.get(name).map_or(DataType::Null, Value::data_type))
        .collect();
    Ok(QueryPlan {
        text: "".into(),
        query: (plan.stages.is_empty() && plan.holds_arrays()).then(|| Box::new(query.clone())),
        little: OnceLock::new(),
        header: Arc::new(ResultHeader { names, types }),
        entities,
        dialect: view.dialect,
        disturbed: view.settings.disturbed,
        catalog: Arc::clone(view.transaction.catalog()),
        statistics,
        parameter_types,
        spare: Mutex::default(),
        plan,
    })
}

/// A parameter that the text names and nobody gives is an error; the other way round it is not.
pub(crate) fn check_parameters(query: &BoundQuery, text: &str, params: &Params) -> Result<()> {
    let Some((name, _)) = query.parameters.iter().find(|(name, _)| params.get(name).is_none()) else {
        return Ok(());
    };
    let error = Error::new(ErrorKind::Parameter, format!("the parameter ${name} has no value")).compile();
    let error = match place_of(text, name) {
        Some(span) => error.at(text, span),
        None => error,
    };
    let given: Vec<String> = params.iter().map(|(name, _)| format!("${name}")).collect();
    Err(match given.is_empty() {
        true => error,
        false => error.with_hint(format!("Given are {}", given.join(", "))),
    })
}

/// Where a parameter stands, as far as its text is found.
fn place_of(text: &str, name: &str) -> Option<Span> {
    let written = format!("${name}");
    let ends = |end: usize| !text[end..].starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let (start, _) = text.match_indices(&written).find(|(start, _)| ends(start + written.len()))?;
    Some(Span::new(u32::try_from(start).ok()?, u32::try_from(start + written.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::parser::parse;
    use crate::storage::StorageError;

    #[test]
    fn the_plan_without_arrays_is_made_once() {
        let database = Database::in_memory().expect("a database");
        let connection = database.connect().expect("a connection");
        connection.query("CREATE NODE TABLE P(id INT64, PRIMARY KEY (id))").expect("a table");
        connection.query("CREATE REL TABLE K(FROM P TO P)").expect("a table");
        let text = "MATCH (:P)-[:K]->(:P)-[:K]->(:P) RETURN count(*)";
        let (view, mut params) = (connection.session.view().expect("a view"), Params::new());
        let statement = &parse(text).expect("it parses")[0];
        let bound = bind_statement(statement, text, &params, &view).expect("it binds");
        let BoundStatement::Query(query) = &bound else { panic!("a query") };
        let plan = plan_query(query, text, &params, &view).expect("it is planned");
        assert!(plan.plan.holds_arrays());
        let context = super::super::run::context_of(&plan, &mut params, &view, Arc::default());
        let (operator, limit) = ("passing counts along relationships".to_owned(), 100);
        let error = StorageError::OutOfMemory { operator, needed: 1, limit }.into();
        let instead = || plan.instead_after(&error, &context).expect("another plan");
        assert!(Arc::ptr_eq(&instead(), &instead()) && !instead().plan.holds_arrays());
        assert!(plan.instead_after(&ExecutionError::Interrupted, &context).is_none());
        assert!(instead().instead_after(&error, &context).is_none());
    }
}
