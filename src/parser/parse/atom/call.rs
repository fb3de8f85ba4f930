//! What is written as a call: functions, quantifiers, `reduce`, `CAST` and shortest paths.

use super::super::expression::Built;
use super::super::{Builder, Pair, Result, Rule};
use super::list::{Iteration, is_iteration};
use crate::parser::ast::{
    ComparisonOperator, Expression, ExpressionKind, FunctionArgument, FunctionCall, Lambda,
    ListComprehension, Literal, Name, Quantifier, QuantifierKind, Reduce, ShortestPaths, Span, TypeName,
};
use crate::parser::parse::parse_type_name;

/// What stands between the parentheses of a call.
#[derive(Default)]
struct CallParts {
    star: bool,
    distinct: bool,
    arguments: Vec<FunctionArgument>,
    /// Behind `AS` in the last argument.
    target: Option<TypeName>,
    predicate: Option<Expression>,
    projection: Option<Expression>,
    /// Where the first argument starts.
    start: u32,
}

impl Builder<'_> {
    pub(in super::super) fn call(&self, operand: Built, pair: Pair<'_>) -> Result<Expression> {
        let span = operand.outer.join(self.span(&pair));
        let mut name = Vec::new();
        self.function_name(operand.expression, &mut name)?;
        let parts = self.call_parts(pair)?;
        let kind = match name.as_slice() {
            [only] => self.special_call(only.text.to_ascii_lowercase().as_str(), name, parts, span)?,
            _ => self.plain_call(name, parts, span)?,
        };
        Ok(Expression::new(kind, span))
    }

    /// The call of a procedure or of a function that gives rows.
    pub(in super::super) fn arguments(&self, pair: Pair<'_>) -> Result<Vec<FunctionArgument>> {
        let span = self.span(&pair);
        let parts = self.call_parts(pair)?;
        match self.plain_call(Vec::new(), parts, span)? {
            ExpressionKind::FunctionCall(call) if !call.star && !call.distinct => Ok(call.arguments),
            _ => self.unexpected(span, "plain arguments are wanted here"),
        }
    }

    /// `a.b.c` before parentheses is the name of a function.
    fn function_name(&self, expression: Expression, name: &mut Vec<Name>) -> Result<()> {
        match expression.kind {
            ExpressionKind::Variable(text) => name.push(Name::new(text, expression.span)),
            ExpressionKind::Property { target, key } => {
                self.function_name(*target, name)?;
                name.push(key);
            }
            _ => return self.unexpected(expression.span, "this is not the name of a function"),
        }
        Ok(())
    }

    fn call_parts(&self, pair: Pair<'_>) -> Result<CallParts> {
        let mut call = CallParts { distinct: self.is_distinct(&pair), ..CallParts::default() };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::star => call.star = true,
                Rule::where_part => call.predicate = self.where_part(Some(part))?,
                Rule::bar_part => call.projection = Some(self.expression(self.parts(part).need()?)?),
                _ => self.argument(part, &mut call)?,
            }
        }
        Ok(call)
    }

    fn argument(&self, pair: Pair<'_>, call: &mut CallParts) -> Result<()> {
        if let Some(target) = &call.target {
            return self.unexpected(target.span, "nothing can follow a type behind AS");
        }
        if call.arguments.is_empty() {
            call.start = self.span(&pair).start;
        }
        let mut parts = self.parts(pair);
        let name = match parts.take_if(Rule::argument_name) {
            Some(name) => Some(self.name(self.parts(name).need()?)),
            None => None,
        };
        let value = parts.need()?;
        let value = match value.as_rule() {
            Rule::lambda => self.lambda(value)?,
            _ => self.expression(value)?,
        };
        call.arguments.push(FunctionArgument { name, value });
        call.target = match parts.take_if(Rule::type_name) {
            Some(target) => Some(self.type_name(target)?),
            None => None,
        };
        Ok(())
    }

    fn lambda(&self, pair: Pair<'_>) -> Result<Expression> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let parameters = self.names(parts.need()?);
        let body = self.expression(parts.need()?)?;
        Ok(Expression::new(ExpressionKind::Lambda(Box::new(Lambda { parameters, body })), span))
    }

    fn special_call(
        &self,
        lower: &str,
        name: Vec<Name>,
        mut parts: CallParts,
        span: Span,
    ) -> Result<ExpressionKind> {
        let quantifier = match lower {
            "all" => Some(QuantifierKind::All),
            "any" => Some(QuantifierKind::Any),
            "none" => Some(QuantifierKind::None),
            "single" => Some(QuantifierKind::Single),
            _ => None,
        };
        match (lower, quantifier) {
            (_, Some(kind)) if parts.predicate.is_some() => self.quantifier(kind, parts, span),
            ("reduce", _) if parts.projection.is_some() => self.reduce(parts, span),
            ("filter" | "extract", _) if parts.predicate.is_some() || parts.projection.is_some() => {
                let (predicate, projection) = (parts.predicate.take(), parts.projection.take());
                let Iteration { variable, list } = self.only_iteration(parts, span)?;
                let comprehension = ListComprehension { variable, list, predicate, projection };
                Ok(ExpressionKind::ListComprehension(Box::new(comprehension)))
            }
            ("count", _) if parts.star && !parts.distinct => Ok(ExpressionKind::CountStar),
            ("cast", _) => self.cast(name, parts, span),
            ("shortestpath", _) => self.shortest(ShortestPaths::One, parts, span),
            ("allshortestpaths", _) => self.shortest(ShortestPaths::All, parts, span),
            _ => self.plain_call(name, parts, span),
        }
    }

    fn plain_call(&self, name: Vec<Name>, parts: CallParts, span: Span) -> Result<ExpressionKind> {
        let CallParts { star, distinct, arguments, target, predicate, projection, .. } = parts;
        if let Some(predicate) = predicate {
            let hint = "WHERE belongs into all(…), any(…), none(…), single(…) or a comprehension";
            return self.hinted(predicate.span, "a function's arguments cannot have a WHERE", hint);
        }
        if let Some(projection) = projection {
            return self.unexpected(projection.span, "only reduce(…) takes an expression behind a bar");
        }
        if let Some(target) = target {
            return self.unexpected(target.span, "only CAST(… AS type) takes a type");
        }
        Ok(ExpressionKind::FunctionCall(Box::new(FunctionCall { name, distinct, arguments, star, span })))
    }

    fn quantifier(&self, kind: QuantifierKind, mut parts: CallParts, span: Span) -> Result<ExpressionKind> {
        let predicate = parts.predicate.take();
        let Iteration { variable, list } = self.only_iteration(parts, span)?;
        Ok(ExpressionKind::Quantifier(Box::new(Quantifier { kind, variable, list, predicate })))
    }

    fn only_iteration(&self, mut parts: CallParts, span: Span) -> Result<Iteration> {
        match (parts.arguments.pop(), parts.arguments.is_empty()) {
            (Some(argument), true) if is_iteration(&argument.value, parts.start) => {
                self.iteration(argument.value)
            }
            _ => self.unexpected(span, "`variable IN list` is wanted between these parentheses"),
        }
    }

    fn reduce(&self, mut parts: CallParts, span: Span) -> Result<ExpressionKind> {
        let wrong = "reduce reads `reduce(sum = 0, x IN list | sum + x)`";
        let (second, first) = (parts.arguments.pop(), parts.arguments.pop());
        let (Some(first), Some(second), Some(expression)) = (first, second, parts.projection) else {
            return self.unexpected(span, wrong);
        };
        let Iteration { variable, list } = self.iteration(second.value)?;
        let ExpressionKind::Comparison { first: accumulator, mut rest } = first.value.kind else {
            return self.unexpected(first.value.span, wrong);
        };
        match (accumulator.as_variable(), rest.pop(), rest.is_empty()) {
            (Some(name), Some(part), true) if part.operator == ComparisonOperator::Equal => {
                let accumulator = Name::new(name, accumulator.span);
                let initial = part.right;
                let reduce = Reduce { accumulator, initial, variable, list, expression };
                Ok(ExpressionKind::Reduce(Box::new(reduce)))
            }
            _ => self.unexpected(first.value.span, wrong),
        }
    }

    /// `CAST(x AS T)` and `CAST(x, 'T')`; any other form is left to the binder as a function.
    fn cast(&self, name: Vec<Name>, mut parts: CallParts, span: Span) -> Result<ExpressionKind> {
        if parts.target.is_none()
            && parts.arguments.len() == 2
            && let Some(text) = parts.arguments.get(1).and_then(|argument| string_of(&argument.value))
            && let Ok(mut target) = parse_type_name(text)
        {
            target.span = parts.arguments[1].value.span;
            parts.target = Some(target);
            parts.arguments.pop();
        }
        match (parts.target.take(), parts.arguments.len()) {
            (Some(target), 1) => {
                let operand = self.required(parts.arguments.pop(), span)?.value;
                Ok(ExpressionKind::Cast { operand: Box::new(operand), target: Box::new(target) })
            }
            (target, _) => {
                parts.target = target;
                self.plain_call(name, parts, span)
            }
        }
    }

    fn shortest(&self, kind: ShortestPaths, mut parts: CallParts, span: Span) -> Result<ExpressionKind> {
        match (parts.arguments.pop().map(|argument| argument.value.kind), parts.arguments.is_empty()) {
            (Some(ExpressionKind::Pattern(mut pattern)), true) => {
                pattern.shortest = Some(kind);
                pattern.span = span;
                Ok(ExpressionKind::Pattern(pattern))
            }
            _ => self.unexpected(span, "a pattern with one relationship is wanted between these parentheses"),
        }
    }
}

fn string_of(expression: &Expression) -> Option<&str> {
    match &expression.kind {
        ExpressionKind::Literal(Literal::String(text)) => Some(text),
        _ => None,
    }
}
