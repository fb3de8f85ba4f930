//! Lowering of sub-plans. The columns of the numbered rows that only what follows the sub-plan asks for stay outside
//! of it: they are taken from the numbered rows once these are settled.

use std::collections::BTreeSet;

use super::logical_plan::{LogicalPlan, SettleKind};
use super::lower::{Keys, Lowered};
use super::lower_expression::{ColumnKey, Lowering};
use super::physical_plan::{PhysicalOperator, PhysicalSettle};
use crate::binder::bound::VariableId;

impl Lowering<'_> {
    /// The rows that a sub-plan is asked about.
    pub(super) fn number(
        &self,
        input: &LogicalPlan,
        row: VariableId,
        multiplied: bool,
        required: &Keys,
    ) -> Lowered {
        let mut below: Keys = required.iter().filter(|key| key.variable() != row).cloned().collect();
        below.extend(self.numbered.borrow_mut().remove(&row).unwrap_or_default());
        let (node, mut schema) = self.lower(input, &below);
        self.numbered.borrow_mut().insert(row, schema.clone());
        schema.push(ColumnKey::Variable(row));
        let rows = node.estimated_rows;
        let operator = PhysicalOperator::Number { input: Box::new(node), name: row.0, multiplied };
        (self.node(operator, &schema, rows), schema)
    }

    /// The end of a sub-plan.
    pub(super) fn settle(
        &self,
        input: &LogicalPlan,
        row: VariableId,
        outer: &BTreeSet<VariableId>,
        kind: &SettleKind,
        required: &Keys,
    ) -> Lowered {
        let of_outer = |key: &&ColumnKey| outer.contains(&key.variable());
        let wanted: Vec<ColumnKey> = required.iter().filter(of_outer).cloned().collect();
        self.numbered.borrow_mut().insert(row, wanted.clone());
        let row_key = ColumnKey::Variable(row);
        let mut inside = Keys::from([row_key.clone()]);
        if let SettleKind::Optional = kind {
            inside.extend(required.iter().cloned());
        }
        let (node, schema) = self.lower(input, &inside);
        let numbered = self.numbered.borrow_mut().remove(&row).unwrap_or_default();
        let place = self.position(&schema, &row_key);
        let rows = node.estimated_rows;
        let (columns, mut outputs) = self.keep(&numbered, &wanted.into_iter().collect());
        let (kind, rows) = match kind {
            SettleKind::Optional => {
                let (found, left, kept) = self.optional_columns(&schema, &numbered, outer, row, required);
                outputs = kept;
                (PhysicalSettle::Optional { found, left }, rows)
            }
            SettleKind::Exists => (PhysicalSettle::Semi { columns, absent: false }, rows),
            SettleKind::Absent => (PhysicalSettle::Semi { columns, absent: true }, rows),
            SettleKind::Mark(variable) => {
                outputs.push(ColumnKey::Variable(*variable));
                (PhysicalSettle::Mark { columns }, rows)
            }
            SettleKind::Count(variable) => {
                outputs.push(ColumnKey::Variable(*variable));
                (PhysicalSettle::Count { columns }, rows)
            }
        };
        let operator = PhysicalOperator::Settle { input: Box::new(node), name: row.0, row: place, kind };
        (self.node(operator, &outputs, rows), outputs)
    }

    /// The columns of an optional match: where they are in the rows found, and where in rows that nothing was found
    /// for. A property of a numbered row that only the sub-plan has read is left to a later fetch.
    fn optional_columns(
        &self,
        schema: &[ColumnKey],
        numbered: &[ColumnKey],
        outer: &BTreeSet<VariableId>,
        row: VariableId,
        required: &Keys,
    ) -> (Vec<usize>, Vec<Option<usize>>, Vec<ColumnKey>) {
        let in_both = |key: &&ColumnKey| {
            key.variable() != row && (!outer.contains(&key.variable()) || numbered.contains(key))
        };
        let usable: Vec<ColumnKey> = schema.iter().filter(in_both).cloned().collect();
        let (_, kept) = self.keep(&usable, required);
        let found = kept.iter().map(|key| self.position(schema, key)).collect();
        let left = kept.iter().map(|key| numbered.iter().position(|other| other == key)).collect();
        (found, left, kept)
    }
}
