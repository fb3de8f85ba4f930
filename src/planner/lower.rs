//! Logical to physical: variables become column positions, and every property is fetched by a plan node placed where
//! it is first used: by the scan that binds its variable, or by a gather over the rows that are left.

use std::collections::BTreeSet;

use super::build::Built;
use super::cardinality::{Estimator, list_length, literal_count};
use super::explain::inputs;
use super::join_order::key_list;
use super::logical_plan::{ExpandEdge, LogicalPlan, OtherRel, TrailExclusion};
use super::lower_expression::{ColumnKey, Lowering, Pushable, keys_of};
use super::physical_plan::{
    Expression, ExpressionKind, FetchColumn, KeyKind, PhysicalAggregate, PhysicalEdge, PhysicalExclusion,
    PhysicalOperator, PhysicalSortKey, PlanNode, PushedPredicate, ScanTable, WriteStage,
};
use crate::binder::bound::{AggregateCall, BoundExpression, SortKey, VariableId};
use crate::types::{DataType, PredicateOp, TableId};

/// Below this share of survivors a scan leaves further columns to a gather.
const LATE_FETCH_SELECTIVITY: f64 = 0.05;

pub(super) type Keys = BTreeSet<ColumnKey>;

/// Lowers a query: what is run last first, so that each stage knows what is wanted of it.
pub fn lower(built: &Built, estimator: Estimator<'_>) -> (PlanNode, Vec<WriteStage>) {
    let lowering = Lowering::new(&built.variables, estimator);
    let root = lowering.outputs(&built.plan, &built.outputs);
    let stages = built.stages.iter().enumerate().rev();
    let mut stages: Vec<WriteStage> = stages.map(|(at, stage)| lowering.stage(stage, at + 1)).collect();
    stages.reverse();
    (root, stages)
}

/// A plan node with what its columns hold.
pub(super) type Lowered = (PlanNode, Vec<ColumnKey>);

impl Lowering<'_> {
    /// Lowers a plan whose columns are `outputs`, in that order.
    fn outputs(&self, plan: &LogicalPlan, outputs: &[VariableId]) -> PlanNode {
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
            estimated_rows,
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
            LogicalPlan::Kept { slot, variables } => {
                let schema = self.kept_columns(*slot, variables, required);
                (self.node(PhysicalOperator::Kept { slot: *slot }, &schema, 1.0), schema)
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
                below.extend(sets.iter().flatten().map(|variable| ColumnKey::Variable(*variable)));
                let (node, schema) = self.lower(input, &below);
                let place = |variable: &VariableId| self.position(&schema, &ColumnKey::Variable(*variable));
                let sets = sets.iter().map(|set| set.iter().map(place).collect()).collect();
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
                let operator = PhysicalOperator::Distinct { input: Box::new(node), key_kind };
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
            LogicalPlan::Limit { input, skip, limit } => {
                let later: Keys = required.iter().map(ColumnKey::variable_only).collect();
                let (node, schema) = self.lower(input, &later);
                let skipped = literal_count(skip.as_ref()).unwrap_or(0.0);
                let rows = (node.estimated_rows - skipped).max(0.0);
                let rows = literal_count(limit.as_ref()).map_or(rows, |most| rows.min(most));
                let skip = skip.as_ref().map(|e| self.expression(e, &schema));
                let limit = limit.as_ref().map(|e| self.expression(e, &schema));
                let operator = PhysicalOperator::Limit { input: Box::new(node), skip, limit };
                (self.node(operator, &schema, rows), schema)
            }
            LogicalPlan::Unwind { input, list, variable } => {
                let below = self.below(required, [list].into_iter(), &[*variable]);
                let (node, schema) = self.input(input, &below, [list].into_iter());
                let rows = node.estimated_rows * list_length(list);
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

    fn scan_nodes(
        &self,
        variable: VariableId,
        tables: &[TableId],
        predicates: &[BoundExpression],
        required: &Keys,
    ) -> Lowered {
        if let Some((at, list)) = key_list(&self.estimator, variable, tables, predicates) {
            return self.lookup_nodes(variable, tables[0], (at, list), predicates);
        }
        let mut filter_keys = Keys::new();
        let (scan, rest) = self.split_pushed(variable, tables, predicates);
        rest.iter().for_each(|predicate| keys_of(predicate, self, &mut filter_keys));
        let rows = self.estimator.rows_of(tables);
        let selectivity = self.estimator.selectivity_of_all(predicates);
        let mut columns: Vec<ColumnKey> =
            filter_keys.into_iter().filter(|key| matches!(key, ColumnKey::Property(..))).collect();
        let wishes: Vec<ColumnKey> = required
            .iter()
            .filter(|key| match key {
                ColumnKey::Property(..) => key.variable() == variable,
                // A pattern that matches nothing still has its columns.
                _ => {
                    tables.is_empty() && key.variable() == variable && **key != ColumnKey::Variable(variable)
                }
            })
            .cloned()
            .collect();
        let late = selectivity < LATE_FETCH_SELECTIVITY && !tables.is_empty();
        if !late {
            columns.extend(wishes.iter().filter(|key| !columns.contains(key)).cloned().collect::<Vec<_>>());
        }
        let mut schema = vec![ColumnKey::Variable(variable)];
        schema.extend(columns);
        let tables = scan_tables(scan, &schema);
        let filter = self.conjunction(&rest, &schema);
        let operator = PhysicalOperator::ScanNodes { tables, filter };
        let node = self.node(operator, &schema, rows * selectivity);
        if late { self.ensure(node, schema, &wishes.into_iter().collect()) } else { (node, schema) }
    }

    /// Conjuncts that storage applies per table, and the rest. A table without the column has no survivors.
    pub(super) fn split_pushed(
        &self,
        variable: VariableId,
        tables: &[TableId],
        predicates: &[BoundExpression],
    ) -> (Vec<(TableId, Vec<PushedPredicate>)>, Vec<BoundExpression>) {
        let mut scan: Vec<(TableId, Vec<PushedPredicate>)> =
            tables.iter().map(|table| (*table, Vec::new())).collect();
        let mut rest = Vec::new();
        for predicate in predicates {
            match self.pushable(variable, predicate) {
                Some(Pushable { columns, tests, exact }) => {
                    scan.retain_mut(|(table, pushed)| {
                        let column = columns.iter().find(|(t, _)| t == table).map(|(_, column)| *column);
                        if let Some(column) = column {
                            let test = |(op, value): &(PredicateOp, Expression)| PushedPredicate {
                                column,
                                op: *op,
                                value: value.clone(),
                            };
                            pushed.extend(tests.iter().map(test));
                        }
                        column.is_some()
                    });
                    if !exact {
                        rest.push(predicate.clone());
                    }
                }
                None => rest.push(predicate.clone()),
            }
        }
        (scan, rest)
    }

    fn scan_rels(&self, edge: &ExpandEdge, predicates: &[BoundExpression], required: &Keys) -> Lowered {
        let tables: Vec<TableId> = edge.legs.iter().map(|leg| leg.rel.table).collect();
        let (scan, rest) = self.split_pushed(edge.variable, &tables, predicates);
        let mut columns = Keys::new();
        rest.iter().for_each(|predicate| keys_of(predicate, self, &mut columns));
        columns.extend(required.iter().filter(|key| key.variable() == edge.variable).cloned());
        let mut schema = vec![ColumnKey::Variable(edge.variable)];
        // Ends that nothing asks for are not read.
        let asked = |variable: VariableId| required.iter().any(|key| key.variable() == variable);
        let ends = [edge.from, edge.to];
        schema.extend(ends.iter().filter(|end| asked(**end)).map(|end| ColumnKey::Variable(*end)));
        let first = schema.len();
        schema.extend(columns.into_iter().filter(|key| matches!(key, ColumnKey::Property(..))));
        let emit_ends = [asked(edge.from), asked(edge.to)];
        let legs = edge.legs.iter().filter(|leg| scan.iter().any(|(table, _)| *table == leg.rel.table));
        let legs = legs.copied().collect();
        let tables = scan
            .into_iter()
            .map(|(table, pushed)| ScanTable {
                table,
                columns: schema[first..].iter().map(|key| key.column_of(table)).collect(),
                pushed,
            })
            .collect();
        let filter = self.conjunction(&rest, &schema);
        let rows = self.estimator.edges(&edge.legs) * self.estimator.selectivity_of_all(predicates);
        let operator = PhysicalOperator::ScanRels { tables, legs, emit_ends, filter };
        (self.node(operator, &schema, rows), schema)
    }

    pub(super) fn edge(&self, edge: &ExpandEdge) -> PhysicalEdge {
        let (fetch, schema) = self.fetched_for(edge.variable, &edge.predicates);
        let predicate = self.conjunction(&edge.predicates, &schema);
        PhysicalEdge { legs: edge.legs.clone(), fetch, predicate }
    }

    /// `target` has the predicates on the far node; none if that is bound already.
    pub(super) fn expand(
        &self,
        input: &LogicalPlan,
        edge: &ExpandEdge,
        target: Option<&Vec<BoundExpression>>,
        joining: Option<u32>,
        required: &Keys,
    ) -> Lowered {
        let into = target.is_none();
        let mut below = self.below(required, [].into_iter(), &[edge.variable]);
        if !into {
            below.retain(|key| key.variable() != edge.to);
        }
        below.insert(ColumnKey::Variable(edge.from));
        if into {
            below.insert(ColumnKey::Variable(edge.to));
        }
        let (node, schema) = self.lower(input, &below);
        let from = self.position(&schema, &ColumnKey::Variable(edge.from));
        let emit_id = required.iter().any(|key| key.variable() == edge.variable);
        let physical = self.edge(edge);
        let (keep, mut kept) = self.keep(&schema, required);
        let (from_tables, to_tables) = (self.node_tables(edge.from), self.node_tables(edge.to));
        let met = match target {
            Some(target) => {
                self.estimator.fanout_after(edge, &from_tables, input)
                    * self.estimator.selectivity_of_all(target)
            }
            // Without ids, parallel relationships are one row.
            None if !emit_id => self.estimator.connections(&edge.legs, &from_tables, &to_tables).min(1.0),
            None => self.estimator.connections(&edge.legs, &from_tables, &to_tables),
        };
        let rows = node.estimated_rows * met * self.estimator.selectivity_of_all(&edge.predicates);
        let input = Box::new(node);
        let operator = if into {
            let to = self.position(&schema, &ColumnKey::Variable(edge.to));
            PhysicalOperator::ExpandInto { input, keep, from, to, edge: physical, emit_id }
        } else {
            kept.push(ColumnKey::Variable(edge.to));
            let target = target.and_then(|target| self.target_filter(edge.to, target));
            PhysicalOperator::Expand { input, keep, from, edge: physical, emit_id, target, joining }
        };
        if emit_id {
            kept.push(ColumnKey::Variable(edge.variable));
        }
        (self.node(operator, &kept, rows), kept)
    }

    fn intersect(
        &self,
        input: &LogicalPlan,
        edges: &[ExpandEdge],
        exclusions: &[TrailExclusion],
        required: &Keys,
    ) -> Lowered {
        let to = edges.first().map_or(VariableId(u32::MAX), |edge| edge.to);
        let mut below = self.below(required, [].into_iter(), &[to]);
        below.extend(edges.iter().map(|edge| ColumnKey::Variable(edge.from)));
        for exclusion in exclusions {
            if let OtherRel::Bound { rel, from, to } = &exclusion.other {
                below.extend([rel, from, to].map(|variable| ColumnKey::Variable(*variable)));
            }
        }
        let (node, schema) = self.lower(input, &below);
        let place = |variable: &VariableId| self.position(&schema, &ColumnKey::Variable(*variable));
        let exclusions = exclusions.iter().map(|exclusion| match &exclusion.other {
            OtherRel::Edge(other) => PhysicalExclusion::Edges(exclusion.edge, *other),
            OtherRel::Bound { rel, from, to } => PhysicalExclusion::Bound {
                edge: exclusion.edge,
                rel: place(rel),
                ends: [place(from), place(to)],
            },
        });
        let exclusions = exclusions.collect();
        let from = edges.iter().map(|edge| self.position(&schema, &ColumnKey::Variable(edge.from))).collect();
        let (keep, mut kept) = self.keep(&schema, required);
        kept.push(ColumnKey::Variable(to));
        let rows = node.estimated_rows * self.common_neighbours(edges, to);
        let edges = edges.iter().map(|edge| self.edge(edge)).collect();
        let operator = PhysicalOperator::Intersect { input: Box::new(node), keep, from, edges, exclusions };
        (self.node(operator, &kept, rows), kept)
    }

    /// Nodes to expect that all edges lead to.
    fn common_neighbours(&self, edges: &[ExpandEdge], to: VariableId) -> f64 {
        let to = self.node_tables(to);
        let fanout = |edge: &ExpandEdge| self.estimator.fanout(&edge.legs, &self.node_tables(edge.from));
        let shortest = edges.iter().min_by(|a, b| fanout(a).total_cmp(&fanout(b)));
        let Some(shortest) = shortest else { return 0.0 };
        let others = edges.iter().filter(|edge| edge.variable != shortest.variable);
        others.fold(fanout(shortest), |rows, edge| {
            let from = self.node_tables(edge.from);
            rows * self.estimator.connections(&edge.legs, &from, &to).min(1.0)
        })
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

    /// Different rows among those of a node; `below` says what its columns are made of.
    fn combinations(&self, node: &PlanNode, below: &LogicalPlan) -> f64 {
        let LogicalPlan::Project { items, .. } = below else { return node.estimated_rows };
        self.estimator.groups(node.estimated_rows, items.iter().map(|(_, item)| item), below, self.variables)
    }

    fn project(
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

    fn key_kind(&self, keys: &[ColumnKey]) -> KeyKind {
        match keys {
            [] => KeyKind::Single,
            [ColumnKey::Variable(variable)] if self.type_of(&keys[0]) == DataType::Node => {
                KeyKind::DenseNode(self.node_tables(*variable))
            }
            _ => KeyKind::Hash,
        }
    }

    fn aggregate(
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

    fn sorted_input(
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

    fn union(&self, inputs: &[(LogicalPlan, Vec<VariableId>)], all: bool) -> Lowered {
        let outputs: Vec<ColumnKey> = inputs
            .first()
            .map_or_else(Vec::new, |(_, outputs)| outputs.iter().map(|v| ColumnKey::Variable(*v)).collect());
        let nodes: Vec<PlanNode> = inputs.iter().map(|(plan, outputs)| self.outputs(plan, outputs)).collect();
        let rows = nodes.iter().map(|node| node.estimated_rows).sum();
        let node = self.node(PhysicalOperator::Union { inputs: nodes }, &outputs, rows);
        if all {
            return (node, outputs);
        }
        let operator = PhysicalOperator::Distinct { input: Box::new(node), key_kind: KeyKind::Hash };
        (self.node(operator, &outputs, rows), outputs)
    }
}

fn is_column(expression: &Expression, at: usize) -> bool {
    matches!(expression.kind, ExpressionKind::Column(position) if position == at)
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
