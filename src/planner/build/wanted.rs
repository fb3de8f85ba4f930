//! How many rows of a match are asked for: a LIMIT says it, where nothing between the two waits for all rows.

use crate::binder::bound::{BoundClause, BoundExpression, BoundProjection};
use crate::planner::cardinality::literal_count;

/// Rows that a LIMIT asks for whose number is not known yet.
const LIMIT_UNKNOWN: f64 = 100.0;

/// Rows that the clauses ask of what comes before them: the first ones will do up to the next LIMIT, as long as each
/// row is put out at least once and none waits for others.
pub(super) fn wanted_of(clauses: &[BoundClause]) -> Option<f64> {
    for clause in clauses {
        match clause {
            BoundClause::Match(matched) if matched.optional => {}
            BoundClause::Project(projection) if waits(projection) => return None,
            BoundClause::Project(projection) if projection.limit.is_some() => {
                return Some(limit_of(projection.skip.as_ref(), projection.limit.as_ref()));
            }
            BoundClause::Project(projection) if keeps_all(projection) => {}
            _ => return None,
        }
    }
    None
}

/// Whether it sees all rows before it puts one out.
fn waits(projection: &BoundProjection) -> bool {
    projection.grouped || projection.distinct || !projection.order_by.is_empty()
}

fn keeps_all(projection: &BoundProjection) -> bool {
    projection.skip.is_none() && projection.predicates.is_empty()
}

/// The rows that are skipped, and those behind them.
pub(in crate::planner) fn limit_of(skip: Option<&BoundExpression>, limit: Option<&BoundExpression>) -> f64 {
    let counts = [skip, limit].into_iter().flatten();
    counts.map(|count| literal_count(Some(count)).unwrap_or(LIMIT_UNKNOWN)).sum()
}
