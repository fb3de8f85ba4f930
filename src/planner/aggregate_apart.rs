//! Aggregates over one pattern that each read one variable: where no keys group them, each variable's aggregates are
//! computed by message passing with that variable as the root, and no row is written out for the pattern.

use super::build::{Builder, ROW_COST};
use super::canonical;
use super::factorize::{strip, whole_graph};
use super::implied::drop_implied;
use super::join_order::Partial;
use super::logical_plan::LogicalPlan;
use super::projection::Shape;
use super::query_graph::QueryGraph;
use super::unroll::unroll;

/// More variables than this are aggregated together: each costs a pass over the pattern.
const VARIABLES_MAX: usize = 6;

impl Builder<'_> {
    /// A row with all aggregates of a projection, if they read two variables or more, each of them one, and the graph
    /// is a tree below each of these.
    pub(super) fn aggregated_apart(
        &mut self,
        current: &Partial,
        graph: Option<&QueryGraph>,
        shape: &Shape,
    ) -> Option<Partial> {
        let parts = shape.aggregates_by_variable()?;
        if !(2..=VARIABLES_MAX).contains(&parts.len()) {
            return None;
        }
        let mut graph = graph?.clone();
        drop_implied(&mut graph);
        let needed = parts.keys().copied().collect();
        unroll(&mut graph, &mut self.variables, &|v| parts.contains_key(&v));
        canonical::sort(&mut graph, &needed, &current.bound);
        let (mut cost, mut plan) = (0.0, None);
        for (variable, aggregates) in parts {
            let weighted = whole_graph(&graph, &[variable].into(), &self.estimator)?;
            cost += weighted.cost;
            let input = LogicalPlan::ScanWeighted { variable: weighted.root, weights: weighted.weights };
            let input = Box::new(input);
            let row = LogicalPlan::Aggregate { input, keys: Vec::new(), aggregates };
            plan = Some(match plan {
                None => row,
                Some(left) => LogicalPlan::CrossProduct { left: Box::new(left), right: Box::new(row) },
            });
        }
        let weights = strip(&mut graph, &needed, &self.estimator);
        let together = self.order(current.clone(), graph, weights, needed, shape.duplicates_irrelevant());
        if together.cost * ROW_COST < cost {
            return None;
        }
        let plan = plan?;
        let bound = super::bound_by(&plan);
        Some(Partial { plan, bound, rows: 1.0, cost: current.cost + cost, done: Default::default() })
    }
}
