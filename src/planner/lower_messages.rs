//! Lowers trees of message passing, and the conditions on single nodes and relationships that bitmaps, scans and
//! gathers evaluate for them.

use super::logical_plan::{MessageEdge, MessageNode, WeightTerms};
use super::lower::{Keys, scan_tables};
use super::lower_expression::{ColumnKey, Lowering, keys_of};
use super::physical_plan::{
    Expression, FetchColumn, LateFilter, PhysicalMessage, PhysicalMessageEdge, RelScan, ScanTable,
    TargetFilter,
};
use crate::binder::bound::{BoundExpression, VariableId};
use crate::types::TableId;

impl Lowering<'_> {
    pub(super) fn terms(&self, weights: &WeightTerms) -> Vec<(i64, PhysicalMessage)> {
        weights.terms.iter().map(|(sign, tree)| (*sign, self.message(tree))).collect()
    }

    pub(super) fn target_filter(
        &self,
        variable: VariableId,
        predicates: &[BoundExpression],
    ) -> Option<TargetFilter> {
        if predicates.is_empty() {
            return None;
        }
        let (tables, filter) = self.restricted_scan(variable, &self.node_tables(variable), predicates);
        Some(TargetFilter { tables, filter })
    }

    /// A scan for the nodes that fulfil predicates, with only the columns that these need.
    fn restricted_scan(
        &self,
        variable: VariableId,
        tables: &[TableId],
        predicates: &[BoundExpression],
    ) -> (Vec<ScanTable>, Option<Expression>) {
        let (scan, rest) = self.split_pushed(variable, tables, predicates);
        let (_, schema) = self.fetched_for(variable, &rest);
        (scan_tables(scan, &schema), self.conjunction(&rest, &schema))
    }

    /// The conjunction of predicates on one variable, with the properties it needs.
    fn late_filter(&self, variable: VariableId, predicates: &[BoundExpression]) -> Option<LateFilter> {
        let (fetch, schema) = self.fetched_for(variable, predicates);
        Some(LateFilter { fetch, predicate: self.conjunction(predicates, &schema)? })
    }

    /// The properties that predicates on one variable read, and the columns [variable, properties…].
    pub(super) fn fetched_for(
        &self,
        variable: VariableId,
        predicates: &[BoundExpression],
    ) -> (Vec<FetchColumn>, Vec<ColumnKey>) {
        let mut keys = Keys::new();
        predicates.iter().for_each(|predicate| keys_of(predicate, self, &mut keys));
        let (mut fetch, mut schema) = (Vec::new(), vec![ColumnKey::Variable(variable)]);
        for key in keys {
            if let ColumnKey::Property(_, columns, data_type) = &key {
                fetch.push(FetchColumn { columns: columns.clone(), data_type: data_type.0.clone() });
                schema.push(key);
            }
        }
        (fetch, schema)
    }

    /// A scan of the relationships of a step with conjuncts.
    fn step_scan(&self, step: &MessageEdge) -> Option<RelScan> {
        let [edge] = &step.edges[..] else { return None };
        if edge.predicates.is_empty() || edge.from == edge.to {
            return None;
        }
        let mut tables: Vec<TableId> = edge.legs.iter().map(|leg| leg.rel.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let (scan, rest) = self.split_pushed(edge.variable, &tables, &edge.predicates);
        let (_, mut schema) = self.fetched_for(edge.variable, &rest);
        let properties = schema.split_off(1);
        schema.extend([edge.from, edge.to].map(ColumnKey::Variable));
        let first = schema.len();
        schema.extend(properties);
        let columns =
            |table: TableId| schema[first..].iter().map(|key| key.column_of(table)).collect::<Vec<_>>();
        let scan = scan.into_iter();
        let tables =
            scan.map(|(table, pushed)| ScanTable { table, columns: columns(table), pushed }).collect();
        Some(RelScan { tables, filter: self.conjunction(&rest, &schema) })
    }

    fn message(&self, node: &MessageNode) -> PhysicalMessage {
        let (tables, filter) = self.restricted_scan(node.variable, &node.tables, &node.predicates);
        let step = |step: &MessageEdge| PhysicalMessageEdge {
            edges: step.edges.iter().map(|edge| self.edge(edge)).collect(),
            is_loop: step.edges.iter().any(|edge| edge.from == edge.to),
            factor: step.factor,
            scan: self.step_scan(step),
            child: self.message(&step.child),
        };
        PhysicalMessage {
            tables,
            filter,
            late: self.late_filter(node.variable, &node.predicates),
            children: node.children.iter().map(step).collect(),
            label: self.label_of(&ColumnKey::Variable(node.variable)),
        }
    }
}
