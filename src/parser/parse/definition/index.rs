//! Indexes and constraints.

use super::super::{Builder, Pair, Result, Rule};
use super::on_conflict;
use crate::parser::ast::{
    ConstraintKind, CreateConstraint, CreateIndex, EntityPattern, Expression, ExpressionKind,
    LabelExpression, LabelExpressionKind, NodePattern, StatementKind,
};

impl Builder<'_> {
    pub(in super::super) fn create_index(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let kind = parts.take_if(Rule::index_kind).map(|kind| kind.as_str().to_ascii_uppercase());
        let name = match parts.take_if(Rule::index_name) {
            Some(name) => Some(self.name(self.parts(name).need()?)),
            None => None,
        };
        let on_conflict = on_conflict(&mut parts);
        let target = parts.need()?;
        let (entity, properties) = match target.as_rule() {
            Rule::old_index => self.old_index(target)?,
            _ => (self.entity(target)?, self.indexed(parts.need()?)?),
        };
        let options = self.options_map(parts.next())?;
        let index = CreateIndex { kind, name, on_conflict, entity, properties, options, span };
        Ok(StatementKind::CreateIndex(Box::new(index)))
    }

    /// `:Label(a, b)`: the properties have no variable, so they are variables themselves.
    fn old_index(&self, pair: Pair<'_>) -> Result<(EntityPattern, Vec<Expression>)> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let label = self.name(parts.need()?);
        let labels = LabelExpression { span: label.span, kind: LabelExpressionKind::Name(label) };
        let node =
            NodePattern { variable: None, labels: Some(labels), properties: None, predicate: None, span };
        let properties = self.names(parts.need()?).into_iter();
        let properties =
            properties.map(|name| Expression::new(ExpressionKind::Variable(name.text), name.span)).collect();
        Ok((EntityPattern::Node(node), properties))
    }

    fn indexed(&self, pair: Pair<'_>) -> Result<Vec<Expression>> {
        self.parts(pair).map(|part| self.expression(part)).collect()
    }

    fn options_map(&self, pair: Option<Pair<'_>>) -> Result<Option<Expression>> {
        match pair {
            Some(pair) => Ok(Some(self.atom(self.parts(pair).need()?)?)),
            None => Ok(None),
        }
    }

    fn entity(&self, pair: Pair<'_>) -> Result<EntityPattern> {
        let pattern = self.path_element(self.parts(pair).need()?)?;
        match pattern.steps.len() {
            0 => Ok(EntityPattern::Node(pattern.start)),
            1 => Ok(EntityPattern::Relationship(pattern)),
            _ => self.unexpected(pattern.span, "one node or one relationship is wanted here"),
        }
    }

    pub(in super::super) fn create_constraint(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let name = match parts.take_if(Rule::constraint_name) {
            Some(name) => Some(self.name(self.parts(name).need()?)),
            None => None,
        };
        let on_conflict = on_conflict(&mut parts);
        let entity = self.entity(parts.need()?)?;
        let (properties, requirement) = self.constrained(parts.need()?)?;
        let options = self.options_map(parts.next())?;
        let constraint =
            CreateConstraint { name, on_conflict, entity, properties, requirement, options, span };
        Ok(StatementKind::CreateConstraint(Box::new(constraint)))
    }

    fn constrained(&self, pair: Pair<'_>) -> Result<(Vec<Expression>, ConstraintKind)> {
        let mut parts = self.parts(pair);
        let what = parts.need()?;
        let required = match parts.next() {
            Some(requirement) => self.requirement(requirement)?,
            None => ConstraintKind::NotNull,
        };
        let properties = self.parts(what).map(|path| self.expression(path)).collect::<Result<Vec<_>>>()?;
        Ok((properties, required))
    }

    fn requirement(&self, pair: Pair<'_>) -> Result<ConstraintKind> {
        Ok(match self.parts(pair).next() {
            None => ConstraintKind::Unique,
            Some(part) => match part.as_rule() {
                Rule::require_not_null => ConstraintKind::NotNull,
                Rule::require_key => ConstraintKind::Key,
                _ => ConstraintKind::Typed(self.type_name(self.parts(part).need()?)?),
            },
        })
    }
}
