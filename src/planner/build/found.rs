//! Optional matches of which nothing is asked but whether they found something: `count` of one of their variables and
//! tests of it for NULL. Their rows need not be written out: how many there are becomes the number of rows that the row
//! before them stands for, and a mark beside it, TRUE or NULL, answers the rest. What was found n times counts n times,
//! and what was not found once, but not for the mark; so further optional matches multiply numbers instead of rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Builder;
use crate::binder::bound::{
    BoundClause, BoundExpression, BoundMatch, BoundProjection, ExpressionKind, Variable, VariableId,
    VariableKind,
};
use crate::functions::resolve_aggregate;
use crate::planner::decorrelate::{Carried, variable_of_type};
use crate::planner::logical_plan::SettleKind;
use crate::planner::projection::duplicates_irrelevant;
use crate::planner::rewrite::walk_mut;
use crate::types::DataType;

/// What later clauses ask of an optional match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::planner) enum Asked {
    /// What it found.
    Matches,
    /// How many rows it makes of each, and by the variable, if there is one, whether it found something.
    Found(Option<VariableId>),
    /// Nothing, not even how many rows there are.
    Nothing,
}

impl Asked {
    /// How rows are settled of which no match is needed.
    pub fn kind(self) -> Option<SettleKind> {
        match self {
            Asked::Found(mark) => Some(SettleKind::Counted(mark)),
            Asked::Matches | Asked::Nothing => None,
        }
    }
}

impl Builder<'_> {
    /// What the clauses `later` ask of an optional match that adds to the variables `known`. From here on they name the
    /// mark instead of its variables where that is all.
    pub(super) fn asked_of(
        &mut self,
        matched: &BoundMatch,
        known: &BTreeSet<VariableId>,
        later: &[BoundClause],
        carried: &Carried,
    ) -> Asked {
        let mut own = matched.pattern.variables();
        own.retain(|own| !known.contains(own));
        self.marks.retain(|variable, _| !own.contains(variable));
        let projected = later.iter().position(|clause| matches!(clause, BoundClause::Project(_)));
        let Some(end) = projected.filter(|_| carried.all().all(|carried| !own.contains(&carried))) else {
            return Asked::Matches;
        };
        let plain =
            |clause: &BoundClause| matches!(clause, BoundClause::Match(_) | BoundClause::Unwind { .. });
        if !later[..end].iter().all(plain) || own.is_empty() {
            return Asked::Matches;
        }
        let kind = VariableKind::Value(DataType::Bool);
        let mark = self.fresh(Variable { name: " found".to_owned(), kind });
        self.marks.extend(own.iter().map(|own| (*own, mark)));
        let needed = self.needed_later(&later[..=end]);
        if !needed.is_disjoint(&own) {
            self.marks.retain(|variable, _| !own.contains(variable));
            return Asked::Matches;
        }
        let ignores_duplicates =
            matches!(&later[end], BoundClause::Project(projection) if ignores_duplicates(projection));
        match needed.contains(&mark) {
            true => Asked::Found(Some(mark)),
            false if ignores_duplicates && carried.row.is_none() => Asked::Nothing,
            false => Asked::Found(None),
        }
    }

    /// Puts marks where only that is asked whether something was found.
    pub(super) fn ask_marks(&self, expression: &mut BoundExpression) {
        if self.marks.is_empty() {
            return;
        }
        walk_mut(expression, &mut |node| {
            if let ExpressionKind::IsNull { operand, .. } = &mut node.kind
                && let Some(mark) = self.mark_of(operand)
            {
                **operand = mark;
            }
        });
    }

    /// The same for what a projection counts.
    pub(super) fn count_marks(&self, projection: &mut BoundProjection) {
        for call in &mut projection.aggregates {
            if call.function.name == "count"
                && !call.distinct
                && let [argument] = &mut call.arguments[..]
                && let Some(mark) = self.mark_of(argument)
                && let Ok(function) = resolve_aggregate("count", &[DataType::Bool])
            {
                *argument = mark;
                call.function = Arc::new(function);
            }
        }
    }

    /// The mark that is NULL where the expression is: one over a variable of an optional match that is there in every row
    /// for which something was found.
    fn mark_of(&self, expression: &BoundExpression) -> Option<BoundExpression> {
        let variable = match &expression.kind {
            ExpressionKind::Variable(variable) => variable,
            ExpressionKind::Property { variable, columns, .. }
                if self.is_always_there(*variable, columns) =>
            {
                variable
            }
            _ => return None,
        };
        let mark = self.marks.get(variable)?;
        Some(BoundExpression { span: expression.span, ..variable_of_type(*mark, DataType::Bool) })
    }
}

/// Whether it does not matter to a projection how often a row occurs.
pub(super) fn ignores_duplicates(projection: &BoundProjection) -> bool {
    let BoundProjection { grouped, distinct, aggregates, items, .. } = projection;
    let computed = items.iter().map(|item| &item.expression);
    let mut all = computed.chain(aggregates.iter().flat_map(|call| &call.arguments));
    duplicates_irrelevant(*grouped, *distinct, aggregates) && !all.any(BoundExpression::is_volatile)
}
