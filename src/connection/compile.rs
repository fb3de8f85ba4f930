//! From a syntax tree to something that can run: a plan, or a bound statement of another kind.

use std::sync::Arc;

use super::session::View;
use crate::binder::{BinderSettings, BoundQuery, BoundStatement, ParameterTypes, bind};
use crate::catalog::{Catalog, Dialect, Statistics};
use crate::error::{Error, ErrorKind, Result};
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
    dialect: Dialect,
    disturbed: Option<u64>,
    /// Compared as an object: a transaction's own definitions may have the number of somebody else's.
    catalog: Arc<Catalog>,
    statistics: Arc<Statistics>,
    /// By position of `plan.parameters`.
    parameter_types: Vec<DataType>,
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

    /// The plan without arrays of counts and sorted lists, if this one has any.
    pub fn for_little_memory(&self) -> Option<Arc<QueryPlan>> {
        let plan = plan_for_little_memory(self.query.as_deref()?, &self.catalog, &self.statistics);
        Some(Arc::new(QueryPlan {
            plan,
            text: "".into(),
            header: Arc::clone(&self.header),
            entities: self.entities.clone(),
            query: None,
            dialect: self.dialect,
            disturbed: self.disturbed,
            catalog: Arc::clone(&self.catalog),
            statistics: Arc::clone(&self.statistics),
            parameter_types: self.parameter_types.clone(),
        }))
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
        self.plan.parameters.iter().map(|(name, _)| params.take(name).unwrap_or_default()).collect()
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
    let plan = plan(query, view.catalog(), disturbed.as_ref().unwrap_or(&statistics));
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
        header: Arc::new(ResultHeader { names, types }),
        entities,
        dialect: view.dialect,
        disturbed: view.settings.disturbed,
        catalog: Arc::clone(view.transaction.catalog()),
        statistics,
        parameter_types,
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
