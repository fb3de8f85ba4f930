//! Lowers lists of keys, joins that count, and the bitmaps that joins hand to their probe sides: rows whose node the built side does not
//! have are left out where the node is bound, before anything is fetched for them or follows from them.

use std::collections::BTreeSet;

use super::cardinality::{ListLengths, list_length};
use super::inputs_mut;
use super::logical_plan::{CountedPart, LogicalPlan};
use super::lower::{Keys, Lowered};
use super::lower_expression::{ColumnKey, Lowering, keys_of};
use super::physical_plan::{JoinBitmap, PhysicalCount, PhysicalLoops, PhysicalOperator, PlanNode};
use crate::binder::bound::{BoundExpression, ExpressionKind as BoundKind, VariableId};
use crate::types::TableId;

/// Where the build side is expected to have more of all nodes than this, few rows would be left out.
const BITMAP_SHARE: f64 = 0.7;

impl Lowering<'_> {
    /// The nodes whose keys a list has, instead of a scan.
    pub(super) fn lookup_nodes(
        &self,
        variable: VariableId,
        table: TableId,
        (at, list): (usize, &BoundExpression),
        predicates: &[BoundExpression],
    ) -> Lowered {
        let others = predicates.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<BoundExpression> = others.map(|(_, predicate)| predicate.clone()).collect();
        let (schema, rows) = (vec![ColumnKey::Variable(variable)], list_length(list, &ListLengths::new()));
        let operator = PhysicalOperator::LookupNodes { table, list: self.expression(list, &[]) };
        let node = self.node(operator, &schema, rows);
        let mut keys = Keys::new();
        others.iter().for_each(|predicate| keys_of(predicate, self, &mut keys));
        let (node, schema) = self.ensure(node, schema, &keys);
        match self.conjunction(&others, &schema) {
            None => (node, schema),
            Some(predicate) => {
                let rows = rows * self.estimator.selectivity_of_all(&others);
                let operator = PhysicalOperator::Filter { input: Box::new(node), predicate };
                (self.node(operator, &schema, rows), schema)
            }
        }
    }

    pub(super) fn hash_join(
        &self,
        probe: &LogicalPlan,
        build: &LogicalPlan,
        keys: &[(BoundExpression, BoundExpression)],
        required: &Keys,
    ) -> Lowered {
        let side = |plan: &LogicalPlan, used: Vec<&BoundExpression>, given: &BTreeSet<VariableId>| {
            let mut below = self.of_side(plan, required);
            below.retain(|key| !given.contains(&key.variable()));
            used.iter().for_each(|e| keys_of(e, self, &mut below));
            self.input(plan, &below, used.into_iter())
        };
        // A variable that both sides bind is taken from the probe side.
        let given = super::bound_by(probe);
        let build_plan = build;
        let (build, build_schema) = side(build, keys.iter().map(|(_, b)| b).collect(), &given);
        let node = keys.iter().find_map(|(a, b)| match (&a.kind, &b.kind) {
            (BoundKind::InternalId(a), BoundKind::InternalId(b)) => Some((*a, *b)),
            _ => None,
        });
        let bitmap = node.and_then(|(node, built)| {
            let column = self.position(&build_schema, &ColumnKey::Variable(built));
            self.join_bitmap(node, &build, column)
        });
        let reduced = bitmap.zip(node).map(|(bitmap, (node, _))| joining(probe, node, bitmap.name));
        let probe_plan = probe;
        let probe = reduced.as_ref().unwrap_or(probe);
        let (probe, mut schema) = side(probe, keys.iter().map(|(a, _)| a).collect(), &BTreeSet::new());
        let probe_keys = keys.iter().map(|(a, _)| self.expression(a, &schema)).collect();
        let build_keys = keys.iter().map(|(_, b)| self.expression(b, &build_schema)).collect();
        let rows = (probe.estimated_rows, build.estimated_rows);
        let rows = match node {
            Some((node, built)) if node == built && keys.len() == 1 => {
                let plans = (probe_plan, build_plan);
                self.estimator.joined_at(plans, rows, node, &self.node_tables(node))
            }
            _ => self.estimator.joined(rows.0, rows.1, keys),
        };
        schema.extend(build_schema);
        let (probe, build) = (Box::new(probe), Box::new(build));
        (
            self.node(
                PhysicalOperator::HashJoin { probe, build, probe_keys, build_keys, bitmap },
                &schema,
                rows,
            ),
            schema,
        )
    }

    pub(super) fn count_join(
        &self,
        probe: &LogicalPlan,
        build: &LogicalPlan,
        how: &CountedPart,
        required: &Keys,
    ) -> Lowered {
        let ends: Keys =
            how.loops.iter().flat_map(|loops| &loops.ends).map(|end| ColumnKey::Variable(*end)).collect();
        let side = |plan: &LogicalPlan, at: usize, required: &Keys| {
            let value = || std::iter::once(&how.values[at]);
            let mut below = self.below(required, value(), &[]);
            below.insert(ColumnKey::Variable(how.node));
            below.extend(how.different.iter().map(|pair| ColumnKey::Variable(pair[at])));
            self.input(plan, &below, value())
        };
        let (build, build_schema) = side(build, 1, &ends);
        let column = self.position(&build_schema, &ColumnKey::Variable(how.node));
        let bitmap = self.join_bitmap(how.node, &build, column);
        let reduced = bitmap.map(|bitmap| joining(probe, how.node, bitmap.name));
        let (probe, schema) = side(reduced.as_ref().unwrap_or(probe), 0, required);
        let place = |pair: &[VariableId; 2]| {
            [
                self.position(&schema, &ColumnKey::Variable(pair[0])),
                self.position(&build_schema, &ColumnKey::Variable(pair[1])),
            ]
        };
        let how = PhysicalCount {
            nodes: place(&[how.node, how.node]),
            values: [
                self.expression(&how.values[0], &schema),
                self.expression(&how.values[1], &build_schema),
            ],
            op: how.op,
            different: how.different.iter().map(place).collect(),
            loops: how.loops.as_ref().map(|loops| PhysicalLoops {
                tables: loops.tables.clone(),
                ends: loops
                    .ends
                    .iter()
                    .map(|end| self.position(&build_schema, &ColumnKey::Variable(*end)))
                    .collect(),
            }),
            bitmap,
        };
        let rows = probe.estimated_rows;
        let (probe, build, how) = (Box::new(probe), Box::new(build), Box::new(how));
        (self.node(PhysicalOperator::CountJoin { probe, build, how }, &schema, rows), schema)
    }

    pub(super) fn joining(
        &self,
        input: &LogicalPlan,
        variable: VariableId,
        join: u32,
        required: &Keys,
    ) -> Lowered {
        if let LogicalPlan::Expand { input, edge, target } = input
            && edge.to == variable
        {
            return self.expand(input, edge, Some(target), Some(join), required);
        }
        let mut below = required.clone();
        below.insert(ColumnKey::Variable(variable));
        let (node, schema) = self.lower(input, &below);
        let column = self.position(&schema, &ColumnKey::Variable(variable));
        let rows = node.estimated_rows;
        let operator = PhysicalOperator::Joining { input: Box::new(node), column, join };
        (self.node(operator, &schema, rows), schema)
    }

    /// A bitmap of the nodes in a column of a join's build side, if it is expected to leave rows out.
    pub(super) fn join_bitmap(
        &self,
        node: VariableId,
        build: &PlanNode,
        column: usize,
    ) -> Option<JoinBitmap> {
        let nodes = self.estimator.rows_of(&self.node_tables(node));
        // So many nodes are met by rows that fall on them by chance.
        let met = -(-build.estimated_rows / nodes.max(1.0)).exp_m1();
        (met < BITMAP_SHARE).then(|| JoinBitmap { name: self.next_join(), column })
    }
}

/// A plan that leaves out, as soon as it binds the node, what the join has no partner for.
pub(super) fn joining(plan: &LogicalPlan, variable: VariableId, join: u32) -> LogicalPlan {
    let mut plan = plan.clone();
    leave_out(&mut plan, variable, join);
    plan
}

fn leave_out(plan: &mut LogicalPlan, variable: VariableId, join: u32) {
    use LogicalPlan as L;
    let passes = matches!(
        plan,
        L::Filter { .. }
            | L::Expand { .. }
            | L::ExpandInto { .. }
            | L::Intersect { .. }
            | L::ExpandRecursive { .. }
            | L::LookupNode { .. }
            | L::LookupElements { .. }
            | L::Weight { .. }
            | L::DistinctRels { .. }
            | L::HashJoin { .. }
            | L::CountJoin { .. }
            | L::Joining { .. }
            | L::CrossProduct { .. }
    );
    if passes {
        let mut below = inputs_mut(plan);
        if let Some(input) = below.find(|input| super::bound_by(input).contains(&variable)) {
            return leave_out(input, variable, join);
        }
    }
    let input = Box::new(std::mem::replace(plan, L::Unit));
    *plan = L::Joining { input, variable, join };
}
