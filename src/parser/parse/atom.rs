//! Operands: what stands between the operators.

mod call;
mod list;

use super::expression::Built;
use super::{Builder, Pair, Result, Rule, has, keyword};
use crate::parser::ast::{
    CaseBranch, CaseExpression, Clause, Expression, ExpressionKind, LabelExpression, MapEntry, MapProjection,
    MapProjectionItem, MatchClause, Name, NodePattern, PathPattern, Properties, Query, SingleQuery, Span,
    SubqueryExpression, SubqueryKind,
};

impl Builder<'_> {
    pub(super) fn atom(&self, pair: Pair<'_>) -> Result<Expression> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::reference | Rule::variable => {
                ExpressionKind::Variable(super::literal::unquoted(pair.as_str()))
            }
            Rule::parameter => ExpressionKind::Parameter(self.parameter(pair)),
            Rule::parenthesized | Rule::group => return self.parenthesized(pair),
            Rule::list => self.list(pair)?,
            Rule::map_literal => ExpressionKind::Map(self.map_entries(pair)?),
            Rule::case_expression => self.case(pair)?,
            Rule::subquery_expression => self.subquery_expression(pair)?,
            _ => ExpressionKind::Literal(self.literal(pair)?),
        };
        Ok(Expression::new(kind, span))
    }

    pub(super) fn map_entries(&self, pair: Pair<'_>) -> Result<Vec<MapEntry>> {
        self.parts(pair).map(|entry| self.map_entry(entry)).collect()
    }

    fn map_entry(&self, pair: Pair<'_>) -> Result<MapEntry> {
        let mut parts = self.parts(pair);
        let key = self.key(parts.need()?)?;
        Ok(MapEntry { key, value: self.expression(parts.need()?)? })
    }

    fn key(&self, pair: Pair<'_>) -> Result<Name> {
        match pair.as_rule() {
            Rule::string => {
                let span = self.span(&pair);
                Ok(Name::new(self.string(pair)?, span))
            }
            _ => Ok(self.name(pair)),
        }
    }

    pub(super) fn map_projection(&self, operand: Built, pair: Pair<'_>) -> Result<Expression> {
        let span = operand.outer.join(self.span(&pair));
        let ExpressionKind::Variable(name) = operand.expression.kind else {
            return self.unexpected(span, "only a variable can stand before a map projection");
        };
        let variable = Name::new(name, operand.expression.span);
        let items = self.parts(pair).map(|item| self.projected(item)).collect::<Result<Vec<_>>>()?;
        let projection = MapProjection { variable, items };
        Ok(Expression::new(ExpressionKind::MapProjection(Box::new(projection)), span))
    }

    fn projected(&self, pair: Pair<'_>) -> Result<MapProjectionItem> {
        Ok(match pair.as_rule() {
            Rule::all_properties => MapProjectionItem::AllProperties(self.span(&pair)),
            Rule::property => MapProjectionItem::Property(self.name(self.parts(pair).need()?)),
            Rule::map_entry => MapProjectionItem::Entry(self.map_entry(pair)?),
            _ => MapProjectionItem::Variable(self.name(pair)),
        })
    }

    fn case(&self, pair: Pair<'_>) -> Result<ExpressionKind> {
        let mut case = CaseExpression { operand: None, branches: Vec::new(), otherwise: None };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::case_branch => case.branches.push(self.case_branch(part)?),
                Rule::case_else => case.otherwise = Some(self.expression(self.parts(part).need()?)?),
                _ => case.operand = Some(self.expression(part)?),
            }
        }
        Ok(ExpressionKind::Case(Box::new(case)))
    }

    fn case_branch(&self, pair: Pair<'_>) -> Result<CaseBranch> {
        let mut parts = self.parts(pair);
        Ok(CaseBranch { when: self.expression(parts.need()?)?, then: self.expression(parts.need()?)? })
    }

    fn subquery_expression(&self, pair: Pair<'_>) -> Result<ExpressionKind> {
        let kind = match keyword(&pair) {
            Some(Rule::kw_exists) => SubqueryKind::Exists,
            Some(Rule::kw_count) => SubqueryKind::Count,
            _ => SubqueryKind::Collect,
        };
        let body = self.parts(pair).need()?;
        let query = match body.as_rule() {
            Rule::query => self.query(body, kind != SubqueryKind::Collect)?,
            _ if kind == SubqueryKind::Collect => {
                let hint = "Write `COLLECT { MATCH … RETURN … }`";
                return self.hinted(self.span(&body), "COLLECT needs a query that returns something", hint);
            }
            _ => self.subquery_pattern(body)?,
        };
        Ok(ExpressionKind::Subquery(Box::new(SubqueryExpression { kind, query })))
    }

    fn subquery_pattern(&self, pair: Pair<'_>) -> Result<Query> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let (patterns, predicate) = self.inside_query(span, || {
            let patterns = self.pattern_list(parts.need()?)?;
            Ok((patterns, self.where_part(parts.take_if(Rule::where_part))?))
        })?;
        let clause = Clause::Match(MatchClause { optional: false, patterns, predicate, span });
        Ok(Query { first: SingleQuery { clauses: vec![clause], span }, unions: Vec::new(), span })
    }

    /// An expression in parentheses, or a pattern whose first node was read like one.
    fn parenthesized(&self, pair: Pair<'_>) -> Result<Expression> {
        if pair.as_rule() == Rule::group {
            return self.group(pair);
        }
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let group = parts.need()?;
        match parts.next() {
            None => self.group(group),
            Some(tail) => {
                let start = self.first_node(group)?;
                let steps = self.pattern_steps(tail)?;
                let pattern = PathPattern { variable: None, shortest: None, start, steps, span };
                Ok(Expression::new(ExpressionKind::Pattern(Box::new(pattern)), span))
            }
        }
    }

    fn group(&self, pair: Pair<'_>) -> Result<Expression> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let inner = parts.need()?;
        if inner.as_rule() == Rule::bare_node {
            return match inner.as_str().trim().is_empty() {
                true => self.unexpected(span, "an expression is missing between the parentheses"),
                false => self.lonely_node(span),
            };
        }
        match parts.next() {
            Some(_) => self.lonely_node(span),
            None => self.expression(inner),
        }
    }

    fn lonely_node<T>(&self, span: Span) -> Result<T> {
        let hint = "A pattern in an expression needs a relationship, as in `(a)-->(b)`; \
                    for a label write `a:Label`, for a property `a.key = value`";
        self.hinted(span, "a single node is not an expression", hint)
    }

    /// The first node of a pattern, out of the parentheses before its first relationship.
    fn first_node(&self, pair: Pair<'_>) -> Result<NodePattern> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let inner = parts.need()?;
        if inner.as_rule() == Rule::bare_node {
            let mut node = self.node_pattern(inner)?;
            node.span = span;
            return Ok(node);
        }
        let mut node = self.node_of(inner, span)?;
        if let Some(properties) = parts.take_if(Rule::properties) {
            if node.properties.is_some() {
                return self.unexpected(self.span(&properties), "a node can have only one property map");
            }
            node.properties = Some(self.properties(properties)?);
        }
        node.predicate = self.where_part(parts.take_if(Rule::where_part))?.map(Box::new);
        Ok(node)
    }

    fn node_of(&self, pair: Pair<'_>, span: Span) -> Result<NodePattern> {
        let expression = self.expression(pair)?;
        let inner = expression.span;
        let mut node = NodePattern { variable: None, labels: None, properties: None, predicate: None, span };
        match expression.kind {
            ExpressionKind::Variable(name) => node.variable = Some(Name::new(name, inner)),
            ExpressionKind::HasLabels { target, labels } => self.labelled(&mut node, *target, *labels)?,
            ExpressionKind::Map(entries) => node.properties = Some(Properties::Map { entries, span: inner }),
            ExpressionKind::Parameter(parameter) => node.properties = Some(Properties::Parameter(parameter)),
            ExpressionKind::MapProjection(projection) => {
                self.projected_node(&mut node, *projection, inner)?
            }
            _ => return self.not_a_node(inner),
        }
        Ok(node)
    }

    fn labelled(&self, node: &mut NodePattern, target: Expression, labels: LabelExpression) -> Result<()> {
        match target.kind {
            ExpressionKind::Variable(name) => node.variable = Some(Name::new(name, target.span)),
            _ => return self.not_a_node(target.span),
        }
        node.labels = Some(labels);
        Ok(())
    }

    fn projected_node(&self, node: &mut NodePattern, projection: MapProjection, span: Span) -> Result<()> {
        let mut entries = Vec::with_capacity(projection.items.len());
        for item in projection.items {
            match item {
                MapProjectionItem::Entry(entry) => entries.push(entry),
                _ => return self.not_a_node(span),
            }
        }
        let start = projection.variable.span.end;
        node.variable = Some(projection.variable);
        node.properties = Some(Properties::Map { entries, span: Span::new(start, span.end) });
        Ok(())
    }

    fn not_a_node<T>(&self, span: Span) -> Result<T> {
        self.unexpected(span, "a relationship follows, but this is not a node")
    }

    /// Whether a pair of parentheses with arguments holds `DISTINCT`.
    fn is_distinct(&self, pair: &Pair<'_>) -> bool {
        has(pair, Rule::kw_distinct)
    }
}
