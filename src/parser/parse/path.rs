//! Graph patterns.

use super::{Builder, Pair, Result, Rule, has, keyword};
use crate::parser::ast::{
    Direction, Expression, LabelExpression, LabelExpressionKind, NodePattern, PathMode, PathPattern,
    PatternStep, ProjectionItem, Properties, RecursionFilter, RecursionProjections, RelationshipPattern,
    ShortestPaths, VariableLength,
};

impl Builder<'_> {
    pub(super) fn pattern_list(&self, pair: Pair<'_>) -> Result<Vec<PathPattern>> {
        self.parts(pair).map(|part| self.path_pattern(part)).collect()
    }

    pub(super) fn path_pattern(&self, pair: Pair<'_>) -> Result<PathPattern> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let variable = match parts.take_if(Rule::path_name) {
            Some(name) => Some(self.name(self.parts(name).need()?)),
            None => None,
        };
        let element = parts.need()?;
        let mut pattern = match element.as_rule() {
            Rule::shortest_function => {
                let shortest = match keyword(&element) {
                    Some(Rule::kw_shortestpath) => ShortestPaths::One,
                    _ => ShortestPaths::All,
                };
                let mut pattern = self.path_element(self.parts(element).need()?)?;
                pattern.shortest = Some(shortest);
                pattern
            }
            _ => self.path_element(element)?,
        };
        pattern.variable = variable;
        pattern.span = span;
        Ok(pattern)
    }

    pub(super) fn path_element(&self, pair: Pair<'_>) -> Result<PathPattern> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let start = self.node_pattern(parts.need()?)?;
        let mut steps = Vec::new();
        while let Some(relationship) = parts.next() {
            steps.push(self.pattern_step(relationship, parts.need()?)?);
        }
        Ok(PathPattern { variable: None, shortest: None, start, steps, span })
    }

    /// The relationships and nodes behind the first node.
    pub(super) fn pattern_steps(&self, pair: Pair<'_>) -> Result<Vec<PatternStep>> {
        let mut parts = self.parts(pair);
        let mut steps = Vec::new();
        while let Some(relationship) = parts.next() {
            steps.push(self.pattern_step(relationship, parts.need()?)?);
        }
        Ok(steps)
    }

    fn pattern_step(&self, relationship: Pair<'_>, node: Pair<'_>) -> Result<PatternStep> {
        Ok(PatternStep { relationship: self.relationship(relationship)?, node: self.node_pattern(node)? })
    }

    pub(super) fn node_pattern(&self, pair: Pair<'_>) -> Result<NodePattern> {
        let span = self.span(&pair);
        let mut node = NodePattern { variable: None, labels: None, properties: None, predicate: None, span };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::variable => node.variable = Some(self.name(part)),
                Rule::labels => node.labels = Some(self.label_expression(self.parts(part).need()?)?),
                Rule::properties => node.properties = Some(self.properties(part)?),
                _ => node.predicate = self.where_part(Some(part))?.map(Box::new),
            }
        }
        Ok(node)
    }

    fn relationship(&self, pair: Pair<'_>) -> Result<RelationshipPattern> {
        let span = self.span(&pair);
        let direction = match (has(&pair, Rule::left_head), has(&pair, Rule::right_head)) {
            (true, false) => Direction::Left,
            (false, true) => Direction::Right,
            _ => Direction::Both,
        };
        let mut relationship = RelationshipPattern {
            direction,
            variable: None,
            types: None,
            length: None,
            properties: None,
            predicate: None,
            span,
        };
        let detail = pair.into_inner().find(|part| part.as_rule() == Rule::relationship_detail);
        if let Some(detail) = detail {
            self.relationship_detail(detail, &mut relationship)?;
        }
        Ok(relationship)
    }

    fn relationship_detail(&self, pair: Pair<'_>, relationship: &mut RelationshipPattern) -> Result<()> {
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::variable => relationship.variable = Some(self.name(part)),
                Rule::labels => relationship.types = Some(self.label_expression(self.parts(part).need()?)?),
                Rule::length => relationship.length = Some(Box::new(self.length(part)?)),
                Rule::properties => relationship.properties = Some(self.properties(part)?),
                _ => relationship.predicate = self.where_part(Some(part))?.map(Box::new),
            }
        }
        Ok(())
    }

    pub(super) fn properties(&self, pair: Pair<'_>) -> Result<Properties> {
        let inner = self.parts(pair).need()?;
        Ok(match inner.as_rule() {
            Rule::parameter => Properties::Parameter(self.parameter(inner)),
            _ => {
                let span = self.span(&inner);
                Properties::Map { entries: self.map_entries(inner)?, span }
            }
        })
    }

    pub(super) fn where_part(&self, pair: Option<Pair<'_>>) -> Result<Option<Expression>> {
        match pair {
            Some(pair) => Ok(Some(self.expression(self.parts(pair).need()?)?)),
            None => Ok(None),
        }
    }

    fn length(&self, pair: Pair<'_>) -> Result<VariableLength> {
        let span = self.span(&pair);
        let mut length =
            VariableLength { mode: PathMode::Default, lower: None, upper: None, filter: None, span };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::path_mode => length.mode = self.path_mode(part)?,
                Rule::range => (length.lower, length.upper) = self.range(part)?,
                _ => length.filter = Some(Box::new(self.recursion_filter(part)?)),
            }
        }
        Ok(length)
    }

    fn path_mode(&self, pair: Pair<'_>) -> Result<PathMode> {
        let all = has(&pair, Rule::kw_all);
        let word = pair.clone().into_inner().map(|part| part.as_rule()).find(|rule| *rule != Rule::kw_all);
        Ok(match (word, all) {
            (Some(Rule::kw_shortest), false) => PathMode::Shortest,
            (Some(Rule::kw_shortest), true) => PathMode::AllShortest,
            (Some(Rule::kw_trail), _) => PathMode::Trail,
            (Some(Rule::kw_acyclic), _) => PathMode::Acyclic,
            (Some(Rule::kw_walk), _) => PathMode::Walk,
            _ => {
                let cost = self.name(self.parts(pair).need()?);
                match all {
                    true => PathMode::AllWeightedShortest(cost),
                    false => PathMode::WeightedShortest(cost),
                }
            }
        })
    }

    fn range(&self, pair: Pair<'_>) -> Result<(Option<u64>, Option<u64>)> {
        let (mut lower, mut upper, mut dots) = (None, None, false);
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::range_dots => dots = true,
                _ if dots => upper = Some(self.unsigned(part)?),
                _ => lower = Some(self.unsigned(part)?),
            }
        }
        Ok((lower, if dots { upper } else { lower }))
    }

    fn recursion_filter(&self, pair: Pair<'_>) -> Result<RecursionFilter> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let relationship = self.name(parts.need()?);
        let node = self.name(parts.need()?);
        let (mut predicate, mut lists) = (None, Vec::new());
        for part in parts {
            match part.as_rule() {
                Rule::where_part => predicate = self.where_part(Some(part))?,
                Rule::recursion_items => lists.push(self.recursion_items(part)?),
                _ => {}
            }
        }
        let projections = match (lists.pop(), lists.pop()) {
            (Some(node), Some(relationship)) => Some(RecursionProjections { relationship, node }),
            _ => None,
        };
        Ok(RecursionFilter { relationship, node, predicate, projections, span })
    }

    fn recursion_items(&self, pair: Pair<'_>) -> Result<Vec<ProjectionItem>> {
        self.parts(pair).map(|item| self.projection_item(item)).collect()
    }

    /// Labels with their operators; `|` binds loosest, then `&`, then `:`.
    pub(super) fn label_expression(&self, pair: Pair<'_>) -> Result<LabelExpression> {
        let mut alternatives = Vec::new();
        let mut conjunction = Vec::new();
        let mut colons = Vec::new();
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::label_operand => colons.push(self.label_operand(part)?),
                _ => {
                    let sign = part.as_str();
                    if !sign.starts_with(':') {
                        conjunction.extend(joined(LabelExpressionKind::Colons, &mut colons));
                    }
                    if sign.starts_with('|') {
                        alternatives.extend(joined(LabelExpressionKind::And, &mut conjunction));
                    }
                }
            }
        }
        conjunction.extend(joined(LabelExpressionKind::Colons, &mut colons));
        alternatives.extend(joined(LabelExpressionKind::And, &mut conjunction));
        let whole = joined(LabelExpressionKind::Or, &mut alternatives);
        self.required(whole, Default::default())
    }

    fn label_operand(&self, pair: Pair<'_>) -> Result<LabelExpression> {
        let span = self.span(&pair);
        let mut negations = 0;
        let mut parts = self.parts(pair);
        while parts.take_if(Rule::label_not).is_some() {
            negations += 1;
        }
        let inner = parts.need()?;
        let inner_span = self.span(&inner);
        let operand = match inner.as_rule() {
            Rule::name => {
                LabelExpression { kind: LabelExpressionKind::Name(self.name(inner)), span: inner_span }
            }
            Rule::label_any => LabelExpression { kind: LabelExpressionKind::Any, span: inner_span },
            _ => self.label_expression(inner)?,
        };
        Ok(match negations % 2 {
            0 => operand,
            _ => LabelExpression { kind: LabelExpressionKind::Not(Box::new(operand)), span },
        })
    }
}

/// Several parts under one operator, a single one as it is.
fn joined(
    kind: fn(Vec<LabelExpression>) -> LabelExpressionKind,
    parts: &mut Vec<LabelExpression>,
) -> Option<LabelExpression> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => {
            let parts = std::mem::take(parts);
            let span = parts.iter().map(|part| part.span).reduce(|left, right| left.join(right))?;
            Some(LabelExpression { kind: kind(parts), span })
        }
    }
}
