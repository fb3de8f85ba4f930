//! What stands in square brackets: a list, a list comprehension or a pattern comprehension.

use super::super::{Builder, Pair, Result, Rule};
use crate::parser::ast::{
    BinaryOperator, ComparisonOperator, Expression, ExpressionKind, LabelExpressionKind, ListComprehension,
    Name, PathPattern, PatternComprehension, Span,
};

/// `variable IN list`, as comprehensions and quantifiers begin.
pub(super) struct Iteration {
    pub(super) variable: Name,
    pub(super) list: Expression,
}

impl Builder<'_> {
    pub(super) fn list(&self, pair: Pair<'_>) -> Result<ExpressionKind> {
        let span = self.span(&pair);
        let mut items = Vec::new();
        let (mut predicate, mut projection, mut first_start) = (None, None, 0);
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::where_part => predicate = self.where_part(Some(part))?,
                Rule::bar_part => projection = Some(self.expression(self.parts(part).need()?)?),
                _ => {
                    if items.is_empty() {
                        first_start = self.span(&part).start;
                    }
                    items.push(self.expression(part)?);
                }
            }
        }
        let iterates = items.len() == 1 && is_iteration(&items[0], first_start);
        if predicate.is_none() && projection.is_none() && !iterates {
            return Ok(ExpressionKind::List(items));
        }
        let first = self.required(items.pop(), span)?;
        self.comprehension(first, predicate, projection, span)
    }

    /// A comprehension out of what stood before, behind `WHERE` and behind the bar.
    fn comprehension(
        &self,
        first: Expression,
        mut predicate: Option<Expression>,
        mut projection: Option<Expression>,
        span: Span,
    ) -> Result<ExpressionKind> {
        if projection.is_none()
            && let Some(predicate) = &mut predicate
        {
            projection = trailing_projection(predicate, &bound_names(&first));
        }
        match path_of(first) {
            Ok(pattern) => {
                let Some(projection) = projection else {
                    let hint = "Write what each match gives behind a bar, as in `[(a)-->(b) | b.name]`";
                    return self.hinted(span, "this pattern comprehension has no projection", hint);
                };
                let comprehension = PatternComprehension { pattern, predicate, projection };
                Ok(ExpressionKind::PatternComprehension(Box::new(comprehension)))
            }
            Err(first) => {
                let Iteration { variable, list } = self.iteration(*first)?;
                let comprehension = ListComprehension { variable, list, predicate, projection };
                Ok(ExpressionKind::ListComprehension(Box::new(comprehension)))
            }
        }
    }

    /// Takes `variable IN list` apart.
    pub(super) fn iteration(&self, expression: Expression) -> Result<Iteration> {
        let span = expression.span;
        if let ExpressionKind::Binary { operator: BinaryOperator::In, left, right } = expression.kind
            && let ExpressionKind::Variable(name) = left.kind
        {
            return Ok(Iteration { variable: Name::new(name, left.span), list: *right });
        }
        self.unexpected(span, "`variable IN list` is wanted here")
    }
}

/// Whether an expression is `variable IN list` without parentheses around either.
pub(super) fn is_iteration(expression: &Expression, start: u32) -> bool {
    match &expression.kind {
        ExpressionKind::Binary { operator: BinaryOperator::In, left, .. } => {
            left.as_variable().is_some() && left.span.start == start
        }
        _ => false,
    }
}

/// The pattern in `(a)-->(b)` or `p = (a)-->(b)`, or the expression back.
fn path_of(expression: Expression) -> Result2<PathPattern> {
    match expression.kind {
        ExpressionKind::Pattern(pattern) => Ok(*pattern),
        ExpressionKind::Comparison { first, mut rest } if is_named_path(&first, &rest) => {
            match (first.kind, rest.pop().map(|part| part.right.kind)) {
                (ExpressionKind::Variable(name), Some(ExpressionKind::Pattern(mut pattern))) => {
                    pattern.variable = Some(Name::new(name, first.span));
                    pattern.span = pattern.span.join(first.span);
                    Ok(*pattern)
                }
                (kind, _) => Err(Box::new(Expression::new(kind, first.span))),
            }
        }
        kind => Err(Box::new(Expression::new(kind, expression.span))),
    }
}

type Result2<T> = std::result::Result<T, Box<Expression>>;

fn is_named_path(first: &Expression, rest: &[crate::parser::ast::ComparisonPart]) -> bool {
    match rest {
        [part] => {
            part.operator == ComparisonOperator::Equal
                && first.as_variable().is_some()
                && matches!(part.right.kind, ExpressionKind::Pattern(_))
        }
        _ => false,
    }
}

/// The names that a comprehension's beginning binds.
fn bound_names(first: &Expression) -> Vec<String> {
    match &first.kind {
        ExpressionKind::Binary { left, .. } => left.as_variable().map(str::to_owned).into_iter().collect(),
        ExpressionKind::Pattern(pattern) => pattern_names(pattern),
        ExpressionKind::Comparison { first, rest } => {
            let mut names: Vec<String> = first.as_variable().map(str::to_owned).into_iter().collect();
            if let Some(ExpressionKind::Pattern(pattern)) = rest.first().map(|part| &part.right.kind) {
                names.extend(pattern_names(pattern));
            }
            names
        }
        _ => Vec::new(),
    }
}

fn pattern_names(pattern: &PathPattern) -> Vec<String> {
    let steps = pattern.steps.iter().flat_map(|step| [&step.relationship.variable, &step.node.variable]);
    let all = [&pattern.start.variable].into_iter().chain(steps);
    all.flatten().map(|name| name.text.clone()).collect()
}

/// In `[n IN list WHERE n:A | n]` the grammar reads `A | n` as labels; a bound name there is the projection.
fn trailing_projection(predicate: &mut Expression, names: &[String]) -> Option<Expression> {
    let end = predicate.span.end;
    let last = match &mut predicate.kind {
        ExpressionKind::And(operands) | ExpressionKind::Or(operands) | ExpressionKind::Xor(operands) => {
            operands.last_mut()?
        }
        ExpressionKind::Unary { operand, .. } => operand,
        ExpressionKind::HasLabels { labels, .. } => {
            let LabelExpressionKind::Or(parts) = &mut labels.kind else { return None };
            let name = parts.last()?.as_name()?.clone();
            if !names.contains(&name.text) || parts.len() < 2 {
                return None;
            }
            parts.pop();
            if parts.len() == 1
                && let Some(only) = parts.pop()
            {
                **labels = only;
            }
            return Some(Expression::new(ExpressionKind::Variable(name.text), name.span));
        }
        _ => return None,
    };
    match last.span.end == end {
        true => trailing_projection(last, names),
        false => None,
    }
}
