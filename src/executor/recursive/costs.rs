//! What relationships cost, gathered by id.

use super::super::context::{Context, QueryContext};
use super::super::error::{ExecutionError, ExecutionResult};
use super::super::evaluate::Evaluator;
use super::super::fetch::Gatherer;
use crate::planner::physical_plan::PhysicalCost;
use crate::vector::{Batch, ValueVector, Values};

/// Evaluates the cost of relationships.
pub struct Costs<'x> {
    gatherer: Gatherer,
    evaluator: Evaluator<'x>,
}

impl<'x> Costs<'x> {
    /// Prepares the expression.
    pub fn new(cost: &PhysicalCost, query: &QueryContext) -> ExecutionResult<Costs<'x>> {
        Ok(Costs {
            gatherer: Gatherer::new(&cost.fetch, query)?,
            evaluator: Evaluator::new(&cost.cost, query)?,
        })
    }

    /// Writes the cost of each relationship: `None` where it has none, so that no weighted path takes it.
    pub fn read(
        &mut self,
        rels: &[u64],
        context: &mut Context<'_>,
        out: &mut Vec<Option<f64>>,
    ) -> ExecutionResult<()> {
        out.clear();
        for ids in rels.chunks(context.query.vector_size) {
            self.gatherer.gather(ids, context)?;
            let mut columns = vec![ValueVector::flat(Values::U64(ids))];
            columns.extend(self.gatherer.vectors());
            let batch = Batch::new(&columns, ids.len());
            let costs = self.evaluator.evaluate(context.query, &batch)?;
            let Some(values) = costs.native_reader::<f64>() else {
                out.resize(out.len() + ids.len(), None);
                continue;
            };
            for row in 0..ids.len() {
                if costs.is_null(row) {
                    out.push(None);
                    continue;
                }
                let cost = values.get(row);
                if cost.is_nan() || cost < 0.0 {
                    return Err(ExecutionError::BadCost { cost });
                }
                out.push(Some(cost));
            }
        }
        Ok(())
    }
}
