//! Lowers projections, groupings, sorted inputs and unions.

use super::logical_plan::LogicalPlan;
use super::lower::{Keys, Lowered};
use super::lower_expression::{ColumnKey, Lowering, keys_of};
use super::physical_plan::{
    Expression, ExpressionKind, KeyKind, PhysicalAggregate, PhysicalOperator, PhysicalSortKey, PlanNode,
};
use crate::binder::bound::{AggregateCall, BoundExpression, SortKey, VariableId};
use crate::types::DataType;

impl Lowering<'_> {
    /// Different rows among those of a node; `below` says what its columns are made of.
    pub(super) fn combinations(&self, node: &PlanNode, below: &LogicalPlan) -> f64 {
        let LogicalPlan::Project { items, .. } = below else { return node.estimated_rows };
        self.estimator.groups(node.estimated_rows, items.iter().map(|(_, item)| item), below, self.variables)
    }

    pub(super) fn project(
        &self,
        input: &LogicalPlan,
        items: &[(VariableId, BoundExpression)],
        required: &Keys,
    ) -> Lowered {
        // An output that nothing reads is not computed. A node that passes keeps the wish for its properties.
        let beside = self.beside_lists(items, required);
        let read = |output: VariableId, key: &ColumnKey| {
            key.variable() == output && !beside.iter().any(|(known, _)| known == key)
        };
        let used: Vec<&(VariableId, BoundExpression)> =
            items.iter().filter(|(output, _)| required.iter().any(|key| read(*output, key))).collect();
        let mut below: Keys = beside.iter().map(|(_, key)| key.clone()).collect();
        used.iter().for_each(|(_, item)| keys_of(item, self, &mut below));
        let (node, schema) = self.input(input, &below, used.iter().map(|(_, item)| item));
        let mut expressions: Vec<Expression> =
            used.iter().map(|(_, item)| self.expression(item, &schema)).collect();
        let mut outputs: Vec<ColumnKey> =
            used.iter().map(|(output, _)| ColumnKey::Variable(*output)).collect();
        for (output, key) in beside {
            expressions.push(self.column(&schema, &key));
            outputs.push(output);
        }
        let rows = node.estimated_rows;
        if schema == outputs && expressions.iter().enumerate().all(|(at, e)| is_column(e, at)) {
            return (node, outputs);
        }
        (self.node(PhysicalOperator::Project { input: Box::new(node), expressions }, &outputs, rows), outputs)
    }

    pub(super) fn key_kind(&self, keys: &[ColumnKey]) -> KeyKind {
        match keys {
            [] => KeyKind::Single,
            [ColumnKey::Variable(variable)] if self.type_of(&keys[0]) == DataType::Node => {
                KeyKind::DenseNode(self.node_tables(*variable))
            }
            _ => KeyKind::Hash,
        }
    }

    pub(super) fn aggregate(
        &self,
        input: &LogicalPlan,
        keys: &[(VariableId, BoundExpression)],
        aggregates: &[(VariableId, AggregateCall)],
        required: &Keys,
    ) -> Lowered {
        let beside: Vec<(ColumnKey, ColumnKey)> = self.beside_lists(keys, required);
        let arguments = || aggregates.iter().flat_map(|(_, call)| &call.arguments);
        let used = || keys.iter().map(|(_, key)| key).chain(arguments());
        let mut below = self.below(&Keys::new(), used(), &[]);
        below.extend(beside.iter().map(|(_, key)| key.clone()));
        let (node, schema) = self.input(input, &below, used());
        let mut outputs: Vec<ColumnKey> =
            keys.iter().map(|(variable, _)| ColumnKey::Variable(*variable)).collect();
        outputs.extend(beside.iter().map(|(output, _)| output.clone()));
        let key_kind = self.key_kind(&outputs);
        outputs.extend(aggregates.iter().map(|(variable, _)| ColumnKey::Variable(*variable)));
        let by = keys.iter().map(|(_, key)| key);
        let rows = self.estimator.groups(node.estimated_rows, by, input, self.variables);
        let mut keys: Vec<Expression> = keys.iter().map(|(_, key)| self.expression(key, &schema)).collect();
        keys.extend(beside.iter().map(|(_, key)| self.column(&schema, key)));
        let aggregates = aggregates
            .iter()
            .map(|(_, call)| PhysicalAggregate {
                function: call.function.clone(),
                arguments: call.arguments.iter().map(|e| self.expression(e, &schema)).collect(),
                distinct: call.distinct,
                data_type: call.data_type.clone(),
            })
            .collect();
        let operator = PhysicalOperator::Aggregate { input: Box::new(node), keys, aggregates, key_kind };
        (self.node(operator, &outputs, rows), outputs)
    }

    pub(super) fn sorted_input(
        &self,
        input: &LogicalPlan,
        keys: &[SortKey],
        required: &Keys,
    ) -> (PlanNode, Vec<ColumnKey>, Vec<PhysicalSortKey>) {
        let used = || keys.iter().map(|key| &key.expression);
        let below = self.below(required, used(), &[]);
        let (node, schema) = self.input(input, &below, used());
        let keys = keys
            .iter()
            .map(|key| PhysicalSortKey {
                expression: self.expression(&key.expression, &schema),
                descending: key.descending,
            })
            .collect();
        (node, schema, keys)
    }

    pub(super) fn union(&self, inputs: &[(LogicalPlan, Vec<VariableId>)], all: bool) -> Lowered {
        let outputs: Vec<ColumnKey> = inputs
            .first()
            .map_or_else(Vec::new, |(_, outputs)| outputs.iter().map(|v| ColumnKey::Variable(*v)).collect());
        let nodes: Vec<PlanNode> = inputs.iter().map(|(plan, outputs)| self.outputs(plan, outputs)).collect();
        let rows = nodes.iter().map(|node| node.estimated_rows).sum();
        let node = self.node(PhysicalOperator::Union { inputs: nodes }, &outputs, rows);
        if all {
            return (node, outputs);
        }
        let operator =
            PhysicalOperator::Distinct { input: Box::new(node), key_kind: KeyKind::Hash, first: Vec::new() };
        (self.node(operator, &outputs, rows), outputs)
    }
}

fn is_column(expression: &Expression, at: usize) -> bool {
    matches!(expression.kind, ExpressionKind::Column(position) if position == at)
}
