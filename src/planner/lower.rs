//! Logical to physical: variables become column positions, and every property is fetched by a plan node placed where
//! it is first used: by the scan that binds its variable, or by a gather over the rows that are left.

use std::collections::BTreeSet;

use super::build::Built;
use super::cardinality::{Estimator, ListLengths, list_length, literal_count};
use super::error::PlanError;
use super::explain::inputs;
use super::logical_plan::{DifferentRels, LogicalPlan};
use super::lower_expression::{ColumnKey, Lowering, keys_of};
use super::physical_plan::{
    DifferentColumns, Expression, FetchColumn, PhysicalOperator, PlanNode, PushedPredicate, ScanTable,
    WriteStage,
};
use super::saturated::saturated;
use crate::binder::bound::{BoundExpression, VariableId};
use crate::types::{PredicateOp, TableId};

pub(super) type Keys = BTreeSet<ColumnKey>;

/// Lowers a query: what is run last first, so that each stage knows what is wanted of it.
pub fn lower(built: &Built, estimator: Estimator<'_>) -> Result<(PlanNode, Vec<WriteStage>), PlanError> {
    let lowering = Lowering::new(&built.variables, estimator);
    let root = lowering.outputs(&built.plan, &built.outputs);
    let stages = built.stages.iter().enumerate().rev();
    let mut stages: Vec<WriteStage> = stages.map(|(at, stage)| lowering.stage(stage, at + 1)).collect();
    stages.reverse();
    lowering.faults.none_in((root, stages))
}

/// A plan node with what its columns hold.
pub(super) type Lowered = (PlanNode, Vec<ColumnKey>);

impl Lowering<'_> {
    /// Lowers a plan whose columns are `outputs`, in that order.
    pub(super) fn outputs(&self, plan: &LogicalPlan, outputs: &[VariableId]) -> PlanNode {
        let required: Keys = outputs.iter().map(|variable| ColumnKey::Variable(*variable)).collect();
        let (node, schema) = self.lower(plan, &required);
        let wanted: Vec<ColumnKey> = outputs.iter().map(|variable| ColumnKey::Variable(*variable)).collect();
        if schema == wanted { node } else { self.select(node, &schema, &wanted) }
    }

    pub(super) fn node(
        &self,
        operator: PhysicalOperator,
        schema: &[ColumnKey],
        estimated_rows: f64,
    ) -> PlanNode {
        let depth = 1 + inputs(&operator).into_iter().map(|input| input.depth).max().unwrap_or(0);
        PlanNode {
            operator,
            depth,
            outputs: schema.iter().map(|key| self.type_of(key)).collect(),
            labels: schema.iter().map(|key| self.label_of(key)).collect(),
            estimated_rows: saturated(estimated_rows),
        }
    }

    /// A projection to just these columns.
    pub(super) fn select(&self, node: PlanNode, schema: &[ColumnKey], wanted: &[ColumnKey]) -> PlanNode {
        let expressions = wanted.iter().map(|key| self.column(schema, key)).collect();
        let rows = node.estimated_rows;
        self.node(PhysicalOperator::Project { input: Box::new(node), expressions }, wanted, rows)
    }

    /// Lowers `plan` so that every required key, or for a property at least its variable, is among the columns.
    pub(super) fn lower_node(&self, plan: &LogicalPlan, required: &Keys) -> Lowered {
        match plan {
            LogicalPlan::Unit => (self.node(PhysicalOperator::Unit, &[], 1.0), Vec::new()),
            LogicalPlan::Kept { slot, variables, behind } => {
                self.kept_rows(*slot, *behind, variables, required)
            }
            LogicalPlan::ScanNodes { variable, tables, predicates } => {
                self.scan_nodes(*variable, tables, predicates, required)
            }
            LogicalPlan::ScanWeighted { variable, weights } => {
                let schema = vec![ColumnKey::Variable(*variable)];
                let tables = weights.terms.first().map_or_else(Vec::new, |(_, root)| root.tables.clone());
                let share = weights.terms.first().map_or(1.0, |(_, root)| self.estimator.weighing(root));
                let rows = self.estimator.rows_of(&tables) * share;
                let operator = PhysicalOperator::ScanWeighted { tables, terms: self.terms(weights) };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::ScanRels { edge, predicates } => self.scan_rels(edge, predicates, required),
            LogicalPlan::LookupNode { input, variable, table, key } => {
                let below = self.below(required, key.iter(), &[*variable]);
                let (node, schema) = self.input(input, &below, key.iter());
                let key = key.iter().map(|e| self.expression(e, &schema)).collect();
                let (keep, mut kept) = self.keep(&schema, required);
                kept.push(ColumnKey::Variable(*variable));
                let rows = node.estimated_rows;
                let operator =
                    PhysicalOperator::LookupNode { input: Box::new(node), keep, table: *table, key };
                (self.node(operator, &kept, rows), kept)
            }
            LogicalPlan::LookupElements { input, variable, table, list, length } => {
                let below = self.below(required, [list].into_iter(), &[*variable]);
                let (node, schema) = self.input(input, &below, [list].into_iter());
                let list = self.expression(list, &schema);
                let (keep, mut kept) = self.keep(&schema, required);
                kept.push(ColumnKey::Variable(*variable));
                let rows = node.estimated_rows * length.min(self.estimator.rows(*table));
                let operator =
                    PhysicalOperator::LookupElements { input: Box::new(node), keep, table: *table, list };
                (self.node(operator, &kept, rows), kept)
            }
            LogicalPlan::Expand { input, edge, target } => {
                self.expand(input, edge, Some(target), None, required)
            }
            LogicalPlan::ExpandInto { input, edge } => self.expand(input, edge, None, None, required),
            LogicalPlan::Intersect { input, edges, exclusions } => {
                self.intersect(input, edges, exclusions, required)
            }
            LogicalPlan::ExpandRecursive { input, edge, into } => {
                self.recursive(input, edge, *into, required)
            }
            LogicalPlan::Weight { input, variable, weights } => {
                let mut below = required.clone();
                below.insert(ColumnKey::Variable(*variable));
                let (node, schema) = self.lower(input, &below);
                let column = self.position(&schema, &ColumnKey::Variable(*variable));
                let share = weights.terms.first().map_or(1.0, |(_, root)| self.estimator.weighing(root));
                let rows = node.estimated_rows * share;
                let terms = self.terms(weights);
                let operator = PhysicalOperator::Weight { input: Box::new(node), column, terms };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::Filter { input, predicates } => self.filter(input, predicates, required),
            LogicalPlan::DistinctRels { input, sets } => {
                let mut below = required.clone();
                let rels = sets.iter().flat_map(|set| &set.rels);
                below.extend(rels.map(|variable| ColumnKey::Variable(*variable)));
                let (node, schema) = self.lower(input, &below);
                let place = |variable: &VariableId| self.position(&schema, &ColumnKey::Variable(*variable));
                let columns = |set: &DifferentRels| set.rels.iter().map(place).collect();
                let sets = sets.iter();
                let sets = sets.map(|set| DifferentColumns { columns: columns(set), compared: set.compared });
                let sets = sets.collect();
                let rows = node.estimated_rows;
                (
                    self.node(PhysicalOperator::DistinctRels { input: Box::new(node), sets }, &schema, rows),
                    schema,
                )
            }
            LogicalPlan::HashJoin { probe, build, keys } => self.hash_join(probe, build, keys, required),
            LogicalPlan::CountJoin { probe, build, how } => self.count_join(probe, build, how, required),
            LogicalPlan::Joining { input, variable, join } => self.joining(input, *variable, *join, required),
            LogicalPlan::CrossProduct { left, right } => {
                let (left, mut schema) = self.lower(left, &self.of_side(left, required));
                let wanted = self.of_side(right, required);
                let (mut right, mut right_schema) = self.lower(right, &wanted);
                if wanted.is_empty() && !right_schema.is_empty() {
                    // Only the number of its rows matters: they are multiplied, not enumerated.
                    right = self.select(right, &right_schema, &[]);
                    right_schema.clear();
                }
                let rows = left.estimated_rows * right.estimated_rows;
                schema.extend(right_schema);
                let operator =
                    PhysicalOperator::CrossProduct { left: Box::new(left), right: Box::new(right) };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::Project { input, items } => self.project(input, items, required),
            LogicalPlan::Aggregate { input, keys, aggregates } => {
                self.aggregate(input, keys, aggregates, required)
            }
            LogicalPlan::Distinct { input, variables } => {
                let mut below: Keys =
                    variables.iter().map(|variable| ColumnKey::Variable(*variable)).collect();
                below.extend(required.iter().filter(|key| self.goes_with_list(key)).cloned());
                let (node, schema) = self.lower(input, &below);
                let wanted: Vec<ColumnKey> = below.into_iter().collect();
                let node = if schema == wanted { node } else { self.select(node, &schema, &wanted) };
                let rows = self.combinations(&node, input);
                let key_kind = self.key_kind(&wanted);
                let operator =
                    PhysicalOperator::Distinct { input: Box::new(node), key_kind, first: Vec::new() };
                (self.node(operator, &wanted, rows), wanted)
            }
            LogicalPlan::Sort { input, keys } => {
                let (node, schema, keys) = self.sorted_input(input, keys, required);
                let rows = node.estimated_rows;
                (self.node(PhysicalOperator::Sort { input: Box::new(node), keys }, &schema, rows), schema)
            }
            LogicalPlan::TopK { input, keys, skip, limit } => {
                // Properties that only later steps want are fetched for the survivors alone.
                let later: Keys = required.iter().map(ColumnKey::variable_only).collect();
                let (node, schema, keys) = self.sorted_input(input, keys, &later);
                let rows = node.estimated_rows.min(literal_count(Some(limit)).unwrap_or(10.0));
                let skip = skip.as_ref().map(|e| self.expression(e, &schema));
                let limit = self.expression(limit, &schema);
                let operator = PhysicalOperator::TopK { input: Box::new(node), keys, skip, limit };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::Limit { input, skip, limit, ordered_for } => {
                let later: Keys = required.iter().map(ColumnKey::variable_only).collect();
                let (mut node, schema) = self.lower(input, &later);
                let skipped = literal_count(skip.as_ref()).unwrap_or(0.0);
                let rows = (node.estimated_rows - skipped).max(0.0);
                let rows = literal_count(limit.as_ref()).map_or(rows, |most| rows.min(most));
                let skip = skip.as_ref().map(|e| self.expression(e, &schema));
                let limit = limit.as_ref().map(|e| self.expression(e, &schema));
                if let (PhysicalOperator::Distinct { first, .. }, Some(limit)) = (&mut node.operator, &limit)
                {
                    first.extend(skip.iter().chain([limit]).cloned());
                }
                let (input, ordered_for) = (Box::new(node), *ordered_for);
                let operator = PhysicalOperator::Limit { input, skip, limit, ordered_for };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::Unwind { input, list, variable } => {
                let below = self.below(required, [list].into_iter(), &[*variable]);
                let (node, schema) = self.input(input, &below, [list].into_iter());
                let rows = node.estimated_rows * list_length(list, &ListLengths::new());
                let list = self.expression(list, &schema);
                let (keep, mut kept) = self.keep(&schema, required);
                kept.push(ColumnKey::Variable(*variable));
                (self.node(PhysicalOperator::Unwind { input: Box::new(node), keep, list }, &kept, rows), kept)
            }
            LogicalPlan::Union { inputs, all } => self.union(inputs, *all),
            LogicalPlan::Number { input, row, multiplied } => self.number(input, *row, *multiplied, required),
            LogicalPlan::Weigh { input, variable, weights, kind } => {
                self.weigh(input, *variable, weights, kind, required)
            }
            LogicalPlan::HasEdge { input, edges, kind } => self.has_edge(input, edges, kind, required),
            LogicalPlan::With { shared, input, row } => self.with(shared, input, *row, required),
            LogicalPlan::Shared { row, variables, multiplied } => {
                self.shared_rows(*row, variables, *multiplied, required)
            }
            LogicalPlan::LimitEach { input, row, skip, limit } => {
                let mut below = required.clone();
                below.insert(ColumnKey::Variable(*row));
                let (node, schema) = self.lower(input, &below);
                let column = self.position(&schema, &ColumnKey::Variable(*row));
                let skip = skip.as_ref().map(|e| self.expression(e, &schema));
                let limit = limit.as_ref().map(|e| self.expression(e, &schema));
                let rows = node.estimated_rows;
                let operator = PhysicalOperator::LimitEach { input: Box::new(node), column, skip, limit };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::Settle { input, row, outer, kind } => {
                self.settle(input, *row, outer, kind, required)
            }
            LogicalPlan::BuildPath { input, path } => {
                let mut below = required.clone();
                below.remove(&ColumnKey::Variable(path.variable));
                let parts = path.nodes.iter().chain(&path.rels);
                below.extend(parts.map(|variable| ColumnKey::Variable(*variable)));
                let recursive = path.rels.iter().filter(|rel| self.is_list(**rel));
                below.extend(recursive.map(|rel| ColumnKey::InnerNodes(*rel)));
                let (node, schema) = self.lower(input, &below);
                let rows = node.estimated_rows;
                let mut expressions: Vec<Expression> =
                    schema.iter().map(|key| self.column(&schema, key)).collect();
                expressions.push(self.path(path, &schema));
                let mut schema = schema;
                schema.push(ColumnKey::Variable(path.variable));
                let operator = PhysicalOperator::Project { input: Box::new(node), expressions };
                (self.node(operator, &schema, rows), schema)
            }
        }
    }

    /// What an operator needs from below: what is required above it without what it binds, and what it uses.
    pub(super) fn below<'e>(
        &self,
        required: &Keys,
        used: impl Iterator<Item = &'e BoundExpression>,
        binds: &[VariableId],
    ) -> Keys {
        let mut below: Keys =
            required.iter().filter(|key| !binds.contains(&key.variable())).cloned().collect();
        for expression in used {
            keys_of(expression, self, &mut below);
        }
        below
    }

    /// Lowers an input and fetches all that the expressions use.
    pub(super) fn input<'e>(
        &self,
        input: &LogicalPlan,
        below: &Keys,
        used: impl Iterator<Item = &'e BoundExpression>,
    ) -> Lowered {
        let (node, schema) = self.lower(input, below);
        let mut keys = Keys::new();
        for expression in used {
            keys_of(expression, self, &mut keys);
        }
        self.ensure(node, schema, &keys)
    }

    /// Adds fetches for properties that are not among the columns yet, one node per variable.
    pub(super) fn ensure(&self, mut node: PlanNode, mut schema: Vec<ColumnKey>, keys: &Keys) -> Lowered {
        let missing: Vec<&ColumnKey> = keys
            .iter()
            .filter(|key| matches!(key, ColumnKey::Property(..)) && !schema.contains(key))
            .collect();
        let variables: BTreeSet<VariableId> = missing.iter().map(|key| key.variable()).collect();
        for variable in variables {
            let column = self.position(&schema, &ColumnKey::Variable(variable));
            let mut columns = Vec::new();
            for key in missing.iter().filter(|key| key.variable() == variable) {
                if let ColumnKey::Property(_, tables, data_type) = key {
                    columns.push(FetchColumn { columns: tables.clone(), data_type: data_type.0.clone() });
                    schema.push((*key).clone());
                }
            }
            let rows = node.estimated_rows;
            let operator = PhysicalOperator::Fetch { input: Box::new(node), column, columns };
            node = self.node(operator, &schema, rows);
        }
        (node, schema)
    }

    /// The columns of an input that are required further up.
    pub(super) fn keep(&self, schema: &[ColumnKey], required: &Keys) -> (Vec<usize>, Vec<ColumnKey>) {
        let wanted = |key: &ColumnKey| {
            required.contains(key)
                || matches!(key, ColumnKey::Variable(v) if required.iter().any(|other| {
                    matches!(other, ColumnKey::Property(variable, ..) if variable == v) && !schema.contains(other)
                }))
        };
        let positions: Vec<usize> = (0..schema.len()).filter(|at| wanted(&schema[*at])).collect();
        let kept = positions.iter().map(|at| schema[*at].clone()).collect();
        (positions, kept)
    }

    fn filter(&self, input: &LogicalPlan, predicates: &[BoundExpression], required: &Keys) -> Lowered {
        let below = self.below(required, predicates.iter(), &[]);
        let (node, schema) = self.input(input, &below, predicates.iter());
        let rows = node.estimated_rows * self.estimator.selectivity_of_all(predicates);
        match self.conjunction(predicates, &schema) {
            Some(predicate) => {
                let operator = PhysicalOperator::Filter { input: Box::new(node), predicate };
                (self.node(operator, &schema, rows), schema)
            }
            None => (node, schema),
        }
    }

    /// The required keys whose variable a side binds.
    pub(super) fn of_side(&self, plan: &LogicalPlan, required: &Keys) -> Keys {
        let bound = super::bound_by(plan);
        required.iter().filter(|key| bound.contains(&key.variable())).cloned().collect()
    }
}

/// The comparison storage understands for an operator's name.
pub fn predicate_op(name: &str) -> Option<PredicateOp> {
    Some(match name {
        "=" => PredicateOp::Eq,
        "<>" => PredicateOp::Ne,
        "<" => PredicateOp::Lt,
        "<=" => PredicateOp::Le,
        ">" => PredicateOp::Gt,
        ">=" => PredicateOp::Ge,
        _ => return None,
    })
}

/// The tables of a scan for a variable and, behind it, the columns of its schema.
pub(super) fn scan_tables(
    scan: Vec<(TableId, Vec<PushedPredicate>)>,
    schema: &[ColumnKey],
) -> Vec<ScanTable> {
    let columns = |table| schema[1..].iter().map(|key| key.column_of(table)).collect();
    scan.into_iter().map(|(table, pushed)| ScanTable { table, columns: columns(table), pushed }).collect()
}
