//! Queries inside queries: as values, and by CALL.

use super::bound::{BoundClause, BoundExpression, BoundSingleQuery, ExpressionKind, VariableId};

/// A query as a value. Its clauses have variables of their own.
#[derive(Debug, Clone)]
pub struct BoundSubquery {
    pub kind: SubqueryKind,
    /// What it takes from the row around: its own name of that, and the value.
    pub imports: Vec<(VariableId, BoundExpression)>,
    /// One, or several for a UNION.
    pub branches: Vec<BoundSingleQuery>,
    pub union_all: bool,
    /// What is collected, over the variables that the only branch ends with.
    pub value: Option<BoundExpression>,
}

/// What is made of the rows of a query that is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubqueryKind {
    /// Whether there is one.
    Exists,
    /// How many there are.
    Count,
    /// The list of their values.
    Collect,
}

/// `[OPTIONAL] CALL { … }`: for each row the rows of a query, with variables of its own.
#[derive(Debug, Clone)]
pub struct BoundCall {
    pub optional: bool,
    /// Variables of the row around that the query mentions.
    pub imports: Vec<VariableId>,
    pub branches: Vec<BoundSingleQuery>,
    pub union_all: bool,
    /// What it adds to the row: the outputs of its first branch. None without a RETURN, then rows stay as they are.
    pub outputs: Option<Vec<VariableId>>,
}

/// Whether the clauses treat every row on its own, so that they can run row by row between the clauses around them.
pub fn is_row_by_row(branches: &[BoundSingleQuery]) -> bool {
    matches!(branches, [only] if only.clauses.iter().all(each_row_alone))
}

fn each_row_alone(clause: &BoundClause) -> bool {
    let plain = match clause {
        BoundClause::Match(_) | BoundClause::Unwind { .. } | BoundClause::Write(_) => true,
        BoundClause::Project(projection) => {
            !projection.grouped
                && !projection.distinct
                && projection.order_by.is_empty()
                && projection.skip.is_none()
                && projection.limit.is_none()
        }
        BoundClause::Call(call) => is_row_by_row(&call.branches),
    };
    let mut alone = plain;
    clause.each_expression(&mut |expression| alone &= asks_row_by_row(expression));
    alone
}

/// All variables that clauses mention, their own included.
pub fn mentioned(clauses: &[BoundClause], used: &mut Vec<VariableId>) {
    for clause in clauses {
        match clause {
            BoundClause::Match(found) => {
                used.extend(&found.pattern.nodes);
                for edge in &found.pattern.edges {
                    used.extend([edge.variable, edge.source, edge.target]);
                }
            }
            BoundClause::Write(write) => used.extend(write.uses()),
            BoundClause::Call(call) => used.extend(&call.imports),
            BoundClause::Unwind { .. } | BoundClause::Project(_) => {}
        }
        clause.each_expression(&mut |expression| {
            expression.walk(&mut |part| used.extend(super::grouping::variable_of(&part.kind)));
        });
    }
}

/// Whether all queries inside the expression treat every row on its own.
pub fn asks_row_by_row(expression: &BoundExpression) -> bool {
    let mut alone = true;
    expression.walk(&mut |part| {
        if let ExpressionKind::Subquery(query) = &part.kind {
            alone &= is_row_by_row(&query.branches);
        }
    });
    alone
}

impl BoundClause {
    /// Calls `visit` with every expression of the clause, those of a CALL's query left out.
    pub fn each_expression(&self, visit: &mut dyn FnMut(&BoundExpression)) {
        match self {
            BoundClause::Match(found) => {
                let lengths = found.pattern.edges.iter().filter_map(|edge| edge.length.as_ref());
                for length in lengths {
                    length.edge_predicates.iter().chain(&length.inner_predicates).for_each(&mut *visit);
                }
                found.predicates.iter().for_each(visit);
            }
            BoundClause::Unwind { list, .. } => visit(list),
            BoundClause::Project(projection) => {
                projection.items.iter().for_each(|item| visit(&item.expression));
                projection.aggregates.iter().flat_map(|call| &call.arguments).for_each(&mut *visit);
                projection.order_by.iter().for_each(|key| visit(&key.expression));
                projection.predicates.iter().for_each(visit);
            }
            BoundClause::Write(write) => write.each_expression(visit),
            BoundClause::Call(_) => {}
        }
    }
}
