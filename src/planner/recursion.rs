//! Variable-length edges: from the pattern to the logical step, and from there to what the executor runs.

use super::logical_plan::{ExpandEdge, LogicalPlan, RecursiveEdge};
use super::lower::{Keys, Lowered};
use super::lower_expression::{ColumnKey, Lowering};
use super::physical_plan::{Expression, ExpressionKind, PathMode, PhysicalOperator};
use super::physical_recursion::{PhysicalCost, PhysicalRecursion};
use crate::binder::bound::{
    BoundExpression, ExpressionKind as BoundKind, PatternEdge, VariableId, VariableLength,
};
use crate::types::DataType;

impl RecursiveEdge {
    /// The step along `step` of a pattern's variable-length edge. `duplicates_irrelevant` says that nothing sees how
    /// often an end is reached.
    pub fn new(
        pattern: &PatternEdge,
        length: &VariableLength,
        step: ExpandEdge,
        duplicates_irrelevant: bool,
    ) -> RecursiveEdge {
        // Whether an undirected trail leads back to its start is decided by another search, which knows no inner nodes.
        let cycles =
            pattern.undirected && length.mode == PathMode::Trail && !length.inner_predicates.is_empty();
        let first_in_text = if length.against_arrow { pattern.target } else { pattern.source };
        let inner = length.inner.filter(|_| !length.inner_predicates.is_empty());
        RecursiveEdge {
            min: length.min,
            max: length.max,
            mode: length.mode,
            distinct_ends: duplicates_irrelevant
                && length.min <= 1
                && !step.needs_id
                && !length.mode.is_weighted()
                && !cycles,
            // From a node to itself the way always goes along the arrow.
            turned: match pattern.source == pattern.target {
                true => length.against_arrow,
                false => step.from != first_in_text,
            },
            cost: length.cost.clone(),
            inner: inner.map(|inner| (inner, length.inner_predicates.clone())),
            edge: ExpandEdge { predicates: length.edge_predicates.clone(), ..step },
        }
    }
}

impl Lowering<'_> {
    /// Lowers `plan` so that every required key, or for a property at least its variable, is among the columns. The
    /// length of a list that no expansion gives follows from the list.
    pub(super) fn lower(&self, plan: &LogicalPlan, required: &Keys) -> Lowered {
        let (node, schema) = self.lower_node(plan, required);
        let lists = required.iter().filter_map(|key| match key {
            ColumnKey::Length(list)
                if !schema.contains(key) && schema.contains(&ColumnKey::Variable(*list)) =>
            {
                Some(*list)
            }
            _ => None,
        });
        let lists: Vec<VariableId> = lists.collect();
        if lists.is_empty() {
            return (node, schema);
        }
        let mut expressions: Vec<Expression> = schema.iter().map(|key| self.column(&schema, key)).collect();
        let mut outputs = schema.clone();
        for list in lists {
            let length =
                ExpressionKind::PathLength(Box::new(self.column(&schema, &ColumnKey::Variable(list))));
            expressions.push(Expression { kind: length, data_type: DataType::Int64 });
            outputs.push(ColumnKey::Length(list));
        }
        let rows = node.estimated_rows;
        let operator = PhysicalOperator::Project { input: Box::new(node), expressions };
        (self.node(operator, &outputs, rows), outputs)
    }

    /// Whether a column belongs to the list of a variable-length edge and cannot be had from the list alone.
    pub(super) fn goes_with_list(&self, key: &ColumnKey) -> bool {
        matches!(key, ColumnKey::InnerNodes(_) | ColumnKey::Cost(_))
    }

    /// What is asked of lists that a projection hands on: as output and as input.
    pub(super) fn beside_lists(
        &self,
        items: &[(VariableId, BoundExpression)],
        required: &Keys,
    ) -> Vec<(ColumnKey, ColumnKey)> {
        let handed_on = |list: &VariableId| {
            let item = items.iter().find(|(output, _)| output == list);
            item.and_then(|(_, item)| match item.kind {
                BoundKind::Variable(input) if self.is_list(input) => Some(input),
                _ => None,
            })
        };
        let both = required.iter().filter_map(|key| match key {
            ColumnKey::Length(list) => Some((key.clone(), ColumnKey::Length(handed_on(list)?))),
            ColumnKey::InnerNodes(list) => Some((key.clone(), ColumnKey::InnerNodes(handed_on(list)?))),
            ColumnKey::Cost(list) => Some((key.clone(), ColumnKey::Cost(handed_on(list)?))),
            _ => None,
        });
        both.collect()
    }

    pub(super) fn recursive(
        &self,
        input: &LogicalPlan,
        edge: &RecursiveEdge,
        into: bool,
        required: &Keys,
    ) -> Lowered {
        let step = &edge.edge;
        let mut below = self.below(required, [].into_iter(), &[step.variable]);
        if into {
            below.insert(ColumnKey::Variable(step.to));
        } else {
            below.retain(|key| key.variable() != step.to);
        }
        below.insert(ColumnKey::Variable(step.from));
        let (node, schema) = self.lower(input, &below);
        let from = self.position(&schema, &ColumnKey::Variable(step.from));
        let to = into.then(|| self.position(&schema, &ColumnKey::Variable(step.to)));
        let (keep, mut kept) = self.keep(&schema, required);
        if !into {
            kept.push(ColumnKey::Variable(step.to));
        }
        let path = [ColumnKey::Variable(step.variable), ColumnKey::InnerNodes(step.variable)];
        let (length, cost) = (ColumnKey::Length(step.variable), ColumnKey::Cost(step.variable));
        let (emit_length, emit_cost) = (required.contains(&length), required.contains(&cost));
        let emit_path = path.iter().any(|key| required.contains(key));
        kept.extend(emit_length.then_some(length));
        kept.extend(emit_cost.then_some(cost));
        kept.extend(path.into_iter().filter(|_| emit_path));
        let ends = self.estimator.rows_of(&self.node_tables(step.to));
        let kind = (edge.mode, edge.distinct_ends);
        let first = self.estimator.fanout_after(step, &self.node_tables(step.from), input);
        let (reached, _) =
            self.estimator.reached(&step.legs, (Some(first), ends), (edge.min, edge.max), kind);
        let rows = node.estimated_rows * if into { (reached / ends.max(1.0)).min(1.0) } else { reached };
        let recursion = PhysicalRecursion {
            keep,
            from,
            to,
            edge: self.edge(step),
            min: edge.min,
            max: edge.max,
            mode: edge.mode,
            distinct_ends: edge.distinct_ends && !emit_length && !emit_path,
            turned: edge.turned,
            emit_length,
            emit_cost,
            emit_path,
            end_tables: self.node_tables(step.to),
            cost: edge.cost.as_ref().map(|cost| self.path_cost(step.variable, cost)),
            inner: edge.inner.as_ref().and_then(|(inner, predicates)| self.target_filter(*inner, predicates)),
        };
        let operator =
            PhysicalOperator::ExpandRecursive { input: Box::new(node), recursion: Box::new(recursion) };
        (self.node(operator, &kept, rows), kept)
    }

    fn path_cost(&self, variable: VariableId, cost: &BoundExpression) -> PhysicalCost {
        let (fetch, schema) = self.fetched_for(variable, std::slice::from_ref(cost));
        PhysicalCost { fetch, cost: self.expression(cost, &schema) }
    }
}
