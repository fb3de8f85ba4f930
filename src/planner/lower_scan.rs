//! Lowers what reads tables and lists: scans with the tests that storage makes, edges, intersections.

use super::keys::key_list;
use super::logical_plan::{ExpandEdge, LogicalPlan, OtherRel, TrailExclusion};
use super::lower::{Keys, Lowered, scan_tables};
use super::lower_expression::{ColumnKey, Lowering, Pushable, keys_of};
use super::physical_plan::{
    Expression, PhysicalEdge, PhysicalExclusion, PhysicalOperator, PushedPredicate, ScanTable,
};
use crate::binder::bound::{BoundExpression, VariableId};
use crate::types::{PredicateOp, TableId};

/// Below this share of survivors a scan leaves further columns to a gather.
const LATE_FETCH_SELECTIVITY: f64 = 0.05;

impl Lowering<'_> {
    pub(super) fn scan_nodes(
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

    pub(super) fn scan_rels(
        &self,
        edge: &ExpandEdge,
        predicates: &[BoundExpression],
        required: &Keys,
    ) -> Lowered {
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
            None if !emit_id => self.estimator.between(edge, [&from_tables, &to_tables], input).min(1.0),
            None => self.estimator.between(edge, [&from_tables, &to_tables], input),
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

    pub(super) fn intersect(
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
            if let OtherRel::Bound { rel, from, to, .. } = &exclusion.other {
                below.extend([rel, from, to].map(|variable| ColumnKey::Variable(*variable)));
            }
        }
        let (node, schema) = self.lower(input, &below);
        let place = |variable: &VariableId| self.position(&schema, &ColumnKey::Variable(*variable));
        let exclusions = exclusions.iter().map(|exclusion| match &exclusion.other {
            OtherRel::Edge(other) => PhysicalExclusion::Edges(exclusion.edge, *other),
            OtherRel::Bound { rel, from, to, directed } => PhysicalExclusion::Bound {
                edge: exclusion.edge,
                rel: place(rel),
                ends: [place(from), place(to)],
                directed: *directed,
            },
        });
        let exclusions = exclusions.collect();
        let from = edges.iter().map(|edge| self.position(&schema, &ColumnKey::Variable(edge.from))).collect();
        let (keep, mut kept) = self.keep(&schema, required);
        kept.push(ColumnKey::Variable(to));
        let tables_of = |variable: VariableId| self.node_tables(variable);
        let rows = node.estimated_rows * self.estimator.common_neighbours(edges, input, &tables_of);
        let edges = edges.iter().map(|edge| self.edge(edge)).collect();
        let operator = PhysicalOperator::Intersect { input: Box::new(node), keep, from, edges, exclusions };
        (self.node(operator, &kept, rows), kept)
    }
}
