//! Clauses that write.

use super::{Builder, Pair, Result, Rule, has};
use crate::parser::ast::{
    Clause, CreateClause, DeleteClause, Expression, ExpressionKind, ForeachClause, MergeClause, Name,
    RemoveClause, RemoveItem, RemoveItemKind, SetClause, SetItem, SetItemKind, Span,
};

impl Builder<'_> {
    pub(super) fn create_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let patterns = self.pattern_list(self.parts(pair).need()?)?;
        Ok(Clause::Create(CreateClause { patterns, span }))
    }

    pub(super) fn merge_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let pattern = self.path_pattern(parts.need()?)?;
        let (mut on_create, mut on_match) = (Vec::new(), Vec::new());
        for action in parts {
            let items = if has(&action, Rule::kw_create) { &mut on_create } else { &mut on_match };
            for item in self.parts(action) {
                items.push(self.set_item(item)?);
            }
        }
        Ok(Clause::Merge(MergeClause { pattern, on_create, on_match, span }))
    }

    pub(super) fn set_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let items = self.parts(pair).map(|item| self.set_item(item)).collect::<Result<Vec<_>>>()?;
        Ok(Clause::Set(SetClause { items, span }))
    }

    fn set_item(&self, pair: Pair<'_>) -> Result<SetItem> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let target = self.set_target(parts.need()?)?;
        let action = parts.need()?;
        let kind = match action.as_rule() {
            Rule::label_list => {
                SetItemKind::Labels { variable: self.target_variable(target)?, labels: self.names(action) }
            }
            Rule::set_merge => {
                let variable = self.target_variable(target)?;
                SetItemKind::Merge { variable, value: self.expression(parts.need()?)? }
            }
            _ if target.as_variable().is_some() => {
                let variable = self.target_variable(target)?;
                SetItemKind::Replace { variable, value: self.expression(parts.need()?)? }
            }
            _ => {
                self.check_target(&target)?;
                SetItemKind::Property { target, value: self.expression(parts.need()?)? }
            }
        };
        Ok(SetItem { kind, span })
    }

    /// A variable or an expression in parentheses, with properties and positions behind it: the parts are
    /// those of an expression.
    fn set_target(&self, pair: Pair<'_>) -> Result<Expression> {
        self.expression(pair)
    }

    fn target_variable(&self, target: Expression) -> Result<Name> {
        match target.kind {
            ExpressionKind::Variable(name) => Ok(Name::new(name, target.span)),
            _ => self.unexpected(target.span, "only a variable can stand here"),
        }
    }

    fn check_target(&self, target: &Expression) -> Result<()> {
        match target.kind {
            ExpressionKind::Property { .. } | ExpressionKind::Index { .. } => Ok(()),
            _ => self.unexpected(target.span, "a property such as `n.key` is wanted here"),
        }
    }

    pub(super) fn remove_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let items = self.parts(pair).map(|item| self.remove_item(item)).collect::<Result<Vec<_>>>()?;
        Ok(Clause::Remove(RemoveClause { items, span }))
    }

    fn remove_item(&self, pair: Pair<'_>) -> Result<RemoveItem> {
        let span: Span = self.span(&pair);
        let mut parts = self.parts(pair);
        let target = self.set_target(parts.need()?)?;
        let kind = match parts.next() {
            Some(labels) => {
                RemoveItemKind::Labels { variable: self.target_variable(target)?, labels: self.names(labels) }
            }
            None => {
                self.check_target(&target)?;
                RemoveItemKind::Property(target)
            }
        };
        Ok(RemoveItem { kind, span })
    }

    pub(super) fn delete_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let detach = has(&pair, Rule::kw_detach);
        let targets = self.parts(pair).map(|part| self.expression(part)).collect::<Result<Vec<_>>>()?;
        Ok(Clause::Delete(DeleteClause { detach, targets, span }))
    }

    pub(super) fn foreach_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let variable = self.name(parts.need()?);
        let list = self.expression(parts.need()?)?;
        let updates = parts.filter(|part| part.as_rule() != Rule::bar);
        let build = || updates.map(|part| self.clause(part)).collect::<Result<Vec<_>>>();
        let clauses = self.inside_query(span, build)?;
        let reading = clauses.iter().find(|clause| !is_update(clause));
        if let Some(reading) = reading {
            let message = format!("{} cannot stand in FOREACH", reading.name());
            return self.hinted(
                reading.span(),
                message,
                "FOREACH holds CREATE, MERGE, SET, REMOVE, DELETE, FOREACH",
            );
        }
        Ok(Clause::Foreach(ForeachClause { variable, list, clauses, span }))
    }
}

fn is_update(clause: &Clause) -> bool {
    matches!(
        clause,
        Clause::Create(_)
            | Clause::Merge(_)
            | Clause::Set(_)
            | Clause::Remove(_)
            | Clause::Delete(_)
            | Clause::Foreach(_)
            | Clause::CallProcedure(_)
    )
}
