//! Lowering of sub-plans. The columns of the numbered rows that only what follows the sub-plan asks for stay outside
//! of it: they are taken from the numbered rows once these are settled.

use std::collections::BTreeSet;

use super::explain::inputs;
use super::logical_plan::{ExpandEdge, LogicalPlan, SettleKind, WeightTerms};
use super::lower::{Keys, Lowered};
use super::lower_expression::{ColumnKey, Lowering};
use super::physical_plan::{Answer, PhysicalOperator, PhysicalSettle, PlanNode};
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
        if let SettleKind::Optional | SettleKind::Beside = kind {
            inside.extend(required.iter().cloned());
            // The sub-plan may read a property that the numbered rows do not have; then it is fetched behind it.
            inside.extend(wanted.iter().map(ColumnKey::variable_only));
        }
        let values: &[_] = match kind {
            SettleKind::Collect { value, .. } => std::slice::from_ref(value),
            _ => &[],
        };
        let inside = self.below(&inside, values.iter(), &[]);
        let (node, schema) = self.input(input, &inside, values.iter());
        let numbered = self.numbered.borrow_mut().remove(&row).unwrap_or_default();
        let place = self.position(&schema, &row_key);
        let rows = node.estimated_rows;
        let asked = rows_asked_about(&node, row.0).unwrap_or(rows);
        let (columns, mut outputs) = self.keep(&numbered, &wanted.into_iter().collect());
        let (kind, rows) = match kind {
            SettleKind::Optional | SettleKind::Beside => {
                let (found, left, kept) = self.optional_columns(&schema, &numbered, outer, row, required);
                outputs = kept;
                let beside = matches!(kind, SettleKind::Beside);
                let rows = if beside { rows + asked } else { rows.max(asked) };
                (PhysicalSettle::Optional { found, left, beside }, rows)
            }
            SettleKind::Exists => (PhysicalSettle::Semi { columns, absent: false }, rows),
            SettleKind::Counted(mark) => {
                outputs.extend(mark.map(ColumnKey::Variable));
                (PhysicalSettle::Counted { columns, marked: mark.is_some() }, asked)
            }
            SettleKind::Absent => (PhysicalSettle::Semi { columns, absent: true }, rows),
            SettleKind::Mark(variable) => {
                outputs.push(ColumnKey::Variable(*variable));
                (PhysicalSettle::Mark { columns }, asked)
            }
            SettleKind::Count(variable) => {
                outputs.push(ColumnKey::Variable(*variable));
                (PhysicalSettle::Count { columns }, asked)
            }
            SettleKind::Collect { variable, value } => {
                let key = ColumnKey::Variable(*variable);
                let (list, value) = (self.type_of(&key), Box::new(self.expression(value, &schema)));
                outputs.push(key);
                (PhysicalSettle::Collect { columns, value, list }, asked)
            }
        };
        let operator = PhysicalOperator::Settle { input: Box::new(node), name: row.0, row: place, kind };
        (self.node(operator, &outputs, rows), outputs)
    }

    /// Rows settled by what hangs below one of their nodes.
    pub(super) fn weigh(
        &self,
        input: &LogicalPlan,
        variable: VariableId,
        weights: &WeightTerms,
        kind: &SettleKind,
        required: &Keys,
    ) -> Lowered {
        let below = below_answer(required, kind, &[variable]);
        let (node, mut schema) = self.lower(input, &below);
        let column = self.position(&schema, &ColumnKey::Variable(variable));
        let rows = node.estimated_rows;
        let (terms, answer) = (self.terms(weights), answer_of(kind));
        let operator = PhysicalOperator::Weigh { input: Box::new(node), column, terms, answer };
        schema.extend(kind.answer().map(ColumnKey::Variable));
        (self.node(operator, &schema, rows), schema)
    }

    /// Rows settled by an edge between two of their nodes.
    pub(super) fn has_edge(
        &self,
        input: &LogicalPlan,
        edges: &[ExpandEdge; 2],
        kind: &SettleKind,
        required: &Keys,
    ) -> Lowered {
        let ends = [edges[0].from, edges[1].from];
        let below = below_answer(required, kind, &ends);
        let (node, mut schema) = self.lower(input, &below);
        let ends = ends.map(|end| self.position(&schema, &ColumnKey::Variable(end)));
        let rows = node.estimated_rows;
        let edges = Box::new([self.edge(&edges[0]), self.edge(&edges[1])]);
        let answer = answer_of(kind);
        let operator = PhysicalOperator::HasEdge { input: Box::new(node), ends, edges, answer };
        schema.extend(kind.answer().map(ColumnKey::Variable));
        (self.node(operator, &schema, rows), schema)
    }

    /// Rows that are kept while a plan runs which reads them; it says first which columns it reads.
    pub(super) fn with(
        &self,
        shared: &LogicalPlan,
        input: &LogicalPlan,
        row: VariableId,
        required: &Keys,
    ) -> Lowered {
        let (node, schema) = self.lower(input, required);
        let wanted = self.numbered.borrow_mut().remove(&row).unwrap_or_default();
        let (kept, kept_schema) = self.lower(shared, &wanted.iter().cloned().collect());
        let kept = if kept_schema == wanted { kept } else { self.select(kept, &kept_schema, &wanted) };
        let rows = node.estimated_rows;
        let operator = PhysicalOperator::With { shared: Box::new(kept), input: Box::new(node), name: row.0 };
        (self.node(operator, &schema, rows), schema)
    }

    /// Rows that a `with` keeps. Properties are read behind them, not before.
    pub(super) fn shared_rows(
        &self,
        row: VariableId,
        variables: &BTreeSet<VariableId>,
        multiplied: bool,
        required: &Keys,
    ) -> Lowered {
        let asked = required.iter().filter(|key| variables.contains(&key.variable()));
        let asked: Keys = asked.map(ColumnKey::variable_only).collect();
        let mut all = self.numbered.borrow_mut();
        let kept = all.entry(row).or_default();
        kept.extend(asked.iter().filter(|key| !kept.contains(key)).cloned().collect::<Vec<_>>());
        let mut schema = vec![ColumnKey::Variable(row)];
        schema.extend(kept.iter().cloned());
        drop(all);
        let node = self.node(PhysicalOperator::Shared { name: row.0, multiplied }, &schema, 1.0);
        // Other readers may ask for more columns, so these are picked out by their places.
        let mut wanted = vec![ColumnKey::Variable(row)];
        wanted.extend(asked);
        (self.select(node, &schema, &wanted), wanted)
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

/// The rows that a sub-plan is expected to be asked about.
fn rows_asked_about(node: &PlanNode, name: u32) -> Option<f64> {
    match &node.operator {
        PhysicalOperator::Number { input, name: own, .. } if *own == name => Some(input.estimated_rows),
        operator => inputs(operator).into_iter().find_map(|input| rows_asked_about(input, name)),
    }
}

fn below_answer(required: &Keys, kind: &SettleKind, used: &[VariableId]) -> Keys {
    let answer = kind.answer();
    let mut below: Keys = required.iter().filter(|key| Some(key.variable()) != answer).cloned().collect();
    below.extend(used.iter().map(|variable| ColumnKey::Variable(*variable)));
    below
}

/// Lists and optional rows need what was found itself, and are never settled without it.
fn answer_of(kind: &SettleKind) -> Answer {
    match kind {
        SettleKind::Exists => Answer::Exists,
        SettleKind::Absent => Answer::Absent,
        SettleKind::Count(_) => Answer::Count,
        SettleKind::Counted(mark) => Answer::Counted { marked: mark.is_some() },
        SettleKind::Mark(_) | SettleKind::Optional | SettleKind::Beside | SettleKind::Collect { .. } => {
            Answer::Mark
        }
    }
}
