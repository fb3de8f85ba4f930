//! Aggregate functions: where they may stand, and the calls a projection collects.

use super::bind::Binder;
use super::bound::{AggregateCall, BoundExpression, ExpressionKind};
use super::error::{BindError, BindErrorKind, BindResult};
use super::same::same_expression;
use crate::parser::ast::{FunctionArgument, Span};
use crate::types::DataType;

/// What an aggregate function means where an expression is being bound.
#[derive(Debug, Clone)]
pub(super) enum AggregateContext {
    /// It may not stand there; the words say where.
    Forbidden(&'static str),
    /// It is collected by the projection.
    Collecting(Vec<AggregateCall>),
    /// It would be inside another one.
    Inside(Vec<AggregateCall>),
}

impl AggregateContext {
    /// No aggregates at this place.
    pub fn forbidden(place: &'static str) -> AggregateContext {
        AggregateContext::Forbidden(place)
    }

    /// The calls collected so far.
    pub fn calls(&self) -> &[AggregateCall] {
        match self {
            AggregateContext::Forbidden(_) => &[],
            AggregateContext::Collecting(calls) | AggregateContext::Inside(calls) => calls,
        }
    }

    /// The calls collected.
    pub fn into_calls(self) -> Vec<AggregateCall> {
        match self {
            AggregateContext::Forbidden(_) => Vec::new(),
            AggregateContext::Collecting(calls) | AggregateContext::Inside(calls) => calls,
        }
    }
}

impl Binder<'_> {
    /// `count(*)`.
    pub fn bind_count_star(&mut self, span: Span) -> BindResult<BoundExpression> {
        self.enter_aggregate("count", span)?;
        self.leave_aggregate();
        let (function, arguments) = self.aggregate("count", Vec::new(), span)?;
        let data_type = function.result.clone();
        let call = AggregateCall { function, arguments, distinct: false, data_type };
        Ok(self.collect_aggregate(call, span))
    }

    /// `name([DISTINCT] arguments)` of an aggregate function.
    pub fn bind_aggregate(
        &mut self,
        name: &str,
        distinct: bool,
        arguments: &[FunctionArgument],
        span: Span,
    ) -> BindResult<BoundExpression> {
        self.enter_aggregate(name, span)?;
        let bound: BindResult<Vec<BoundExpression>> =
            arguments.iter().map(|argument| self.bind_expression(&argument.value)).collect();
        self.leave_aggregate();
        let bound = bound?;
        if let Some(random) = bound.iter().find(|argument| argument.is_volatile()) {
            let message = format!("{name} of a value that differs each time it is asked for");
            return Err(BindError::new(BindErrorKind::NonConstant, random.span, message));
        }
        if bound.is_empty() {
            let message = format!("{name} needs an argument");
            return Err(BindError::new(BindErrorKind::WrongArguments, span, message));
        }
        let (function, arguments) = self.aggregate(name, bound, span)?;
        let data_type = function.result.clone();
        Ok(self.collect_aggregate(AggregateCall { function, arguments, distinct, data_type }, span))
    }

    /// Checks that an aggregate may stand here; until `leave_aggregate` another one is inside it.
    fn enter_aggregate(&mut self, name: &str, span: Span) -> BindResult<()> {
        match std::mem::replace(&mut self.aggregates, AggregateContext::forbidden("here")) {
            AggregateContext::Collecting(calls) => {
                self.aggregates = AggregateContext::Inside(calls);
                Ok(())
            }
            AggregateContext::Inside(_) => {
                let message = format!("the aggregate function {name} stands inside another one");
                let error = BindError::new(BindErrorKind::NestedAggregation, span, message);
                Err(error.with_hint("Compute the inner one in a WITH before"))
            }
            AggregateContext::Forbidden(place) => {
                let message = format!("the aggregate function {name} cannot stand {place}");
                let error = BindError::new(BindErrorKind::InvalidAggregation, span, message);
                Err(error.with_hint("Compute it in a WITH before"))
            }
        }
    }

    fn leave_aggregate(&mut self) {
        if let AggregateContext::Inside(calls) = &mut self.aggregates {
            self.aggregates = AggregateContext::Collecting(std::mem::take(calls));
        }
    }

    /// Refers to the call, which is computed once however often it is written.
    fn collect_aggregate(&mut self, call: AggregateCall, span: Span) -> BoundExpression {
        let data_type = call.data_type.clone();
        let AggregateContext::Collecting(calls) = &mut self.aggregates else {
            // `enter_aggregate` has refused every other context.
            return BoundExpression {
                kind: ExpressionKind::Literal(crate::types::Value::Null),
                data_type: DataType::Null,
                span,
            };
        };
        let known = calls.iter().position(|other| same_call(self.text, other, &call));
        let position = known.unwrap_or_else(|| {
            calls.push(call);
            calls.len() - 1
        });
        BoundExpression { kind: ExpressionKind::Aggregate(position as u32), data_type, span }
    }
}

fn same_call(text: &str, left: &AggregateCall, right: &AggregateCall) -> bool {
    left.function == right.function
        && left.distinct == right.distinct
        && left.arguments.len() == right.arguments.len()
        && left.arguments.iter().zip(&right.arguments).all(|(left, right)| same_expression(text, left, right))
}
