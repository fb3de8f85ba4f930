//! Calls and casts: the only place that asks the registry of functions.

use std::sync::Arc;

use super::bind::Binder;
use super::bound::*;
use super::entity::ENTITY_FUNCTIONS;
use super::error::{BindError, BindErrorKind, BindResult};
use crate::functions::{
    BoundAggregate, CastMode, Dialect, FunctionError, aggregate_exists, bind_cast, bind_struct_extract,
    bind_struct_pack, cast_value, implicit_cost, resolve_aggregate, resolve_scalar, scalar_exists,
    similar_names,
};
use crate::parser::ast::{self, FunctionCall, Span};
use crate::types::{DataType, Field, Value};

/// The registry's names of what has an operator or a syntax of its own.
pub(super) mod names {
    use crate::parser::ast::{BinaryOperator, ComparisonOperator};

    pub const NEGATE: &str = "negate";
    pub const NOT_EQUAL: &str = "<>";
    pub const IN: &str = "IN";
    pub const LIST: &str = "list_creation";
    pub const TEMPORAL_PART: &str = "date_part";
    pub const ELEMENT: &str = "[]";
    pub const SLICE: &str = "[..]";

    pub fn binary(operator: BinaryOperator) -> &'static str {
        operator.symbol()
    }

    pub fn comparison(operator: ComparisonOperator) -> &'static str {
        operator.symbol()
    }
}

impl Binder<'_> {
    /// `name(arguments)`.
    pub fn bind_function_call(&mut self, call: &FunctionCall) -> BindResult<BoundExpression> {
        let name = call.full_name().to_lowercase();
        let aggregate = aggregate_exists(&name);
        check_form(call, aggregate, self.function_dialect())?;
        if aggregate {
            return self.bind_aggregate(&name, call.distinct, &call.arguments, call.span);
        }
        if let [argument] = call.arguments.as_slice()
            && let ast::ExpressionKind::Pattern(pattern) = &argument.value.kind
            && pattern.shortest == Some(ast::ShortestPaths::One)
            && matches!(&*name, "length" | "nodes" | "relationships" | "rels")
        {
            return self.bind_shortest(pattern, Some(call), call.span);
        }
        if let [list, lambda] = call.arguments.as_slice()
            && let ast::ExpressionKind::Lambda(lambda) = &lambda.value.kind
        {
            return self.bind_lambda_function(&name, &list.value, lambda, call.span);
        }
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            arguments.push(self.bind_expression(&argument.value)?);
        }
        self.call_by_name(&name, arguments, call)
    }

    fn call_by_name(
        &mut self,
        name: &str,
        mut arguments: Vec<BoundExpression>,
        call: &FunctionCall,
    ) -> BindResult<BoundExpression> {
        if name == "properties" && arguments.len() == 2 {
            return self.properties_of_elements(arguments, call.span);
        }
        if arguments.len() == 1 && ENTITY_FUNCTIONS.contains(&name) {
            let argument = arguments.remove(0);
            match self.bind_entity_function(name, argument, call)? {
                Ok(bound) => return Ok(bound),
                Err(argument) => arguments.push(argument),
            }
        }
        self.call(name, arguments, call.span).map_err(|error| match (error.kind, call.name.first()) {
            (BindErrorKind::UnknownFunction, Some(first)) => {
                let last = call.name.last().unwrap_or(first);
                BindError { span: first.span.join(last.span), ..error }
            }
            _ => error,
        })
    }

    /// A function or operator for these arguments, which are cast to what it takes.
    pub fn call(
        &mut self,
        name: &str,
        arguments: Vec<BoundExpression>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let types = types_of(&arguments);
        let function = resolve_scalar(name, self.function_dialect(), &types)
            .map_err(|error| function_error(error, span))?;
        if types.contains(&DataType::Null) && function.is_null_of_null() {
            // What is always NULL fits every other function, whichever overload it would have been.
            let kind = ExpressionKind::Literal(Value::Null);
            return Ok(BoundExpression { kind, data_type: DataType::Null, span });
        }
        let wanted = function.arguments.iter();
        let arguments = arguments
            .into_iter()
            .zip(wanted)
            .map(|(argument, data_type)| cast(argument, data_type, CastMode::Explicit))
            .collect::<BindResult<Vec<BoundExpression>>>()?;
        let data_type = function.result.clone();
        let kind = ExpressionKind::Call { function: Arc::new(function), arguments };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// The aggregate for these arguments, which are cast to what it takes; none for `count(*)`.
    pub fn aggregate(
        &mut self,
        name: &str,
        arguments: Vec<BoundExpression>,
        span: Span,
    ) -> BindResult<(Arc<BoundAggregate>, Vec<BoundExpression>)> {
        let function =
            resolve_aggregate(name, &types_of(&arguments)).map_err(|error| function_error(error, span))?;
        let wanted = function.arguments.iter();
        let arguments = arguments
            .into_iter()
            .zip(wanted)
            .map(|(argument, data_type)| cast(argument, data_type, CastMode::Explicit))
            .collect::<BindResult<Vec<BoundExpression>>>()?;
        Ok((Arc::new(function.with_dialect(self.function_dialect())), arguments))
    }

    fn function_dialect(&self) -> Dialect {
        if self.is_kuzu() { Dialect::Kuzu } else { Dialect::OpenCypher }
    }

    /// A value of another type, where that loses nothing.
    pub fn implicit_cast(
        &self,
        expression: BoundExpression,
        target: &DataType,
    ) -> BindResult<BoundExpression> {
        cast(expression, target, CastMode::Implicit)
    }

    /// `CAST(expression AS target)`.
    pub fn explicit_cast(
        &self,
        expression: BoundExpression,
        target: &DataType,
        span: Span,
    ) -> BindResult<BoundExpression> {
        if *target == DataType::Serial {
            let message = "SERIAL says how a column is filled; cast to INT64 instead";
            return Err(BindError::new(BindErrorKind::TypeMismatch, span, message));
        }
        let bound = cast(expression, target, CastMode::Explicit)?;
        Ok(BoundExpression { span, ..bound })
    }

    /// The value as a default of a column: constants may also be narrowed or read from a text, if they fit.
    pub fn assigned(&self, expression: BoundExpression, target: &DataType) -> BindResult<BoundExpression> {
        let from = &expression.data_type;
        let constant = matches!(expression.kind, ExpressionKind::Literal(_));
        let reads = *from == DataType::String && !target.is_numeric();
        let narrows = from.is_numeric() && target.is_numeric();
        let mode = if constant && (reads || narrows) { CastMode::Explicit } else { CastMode::Implicit };
        cast(expression, target, mode)
    }

    /// A struct of these values, which have the types of its fields.
    pub fn struct_call(&self, fields: Vec<Field>, values: Vec<BoundExpression>) -> ExpressionKind {
        ExpressionKind::Call { function: Arc::new(bind_struct_pack(fields)), arguments: values }
    }

    /// The field of that name of a struct.
    pub fn field_call(&self, target: BoundExpression, name: &str, span: Span) -> BindResult<BoundExpression> {
        let function =
            bind_struct_extract(&target.data_type, name).map_err(|error| function_error(error, span))?;
        let data_type = function.result.clone();
        let kind = ExpressionKind::Call { function: Arc::new(function), arguments: vec![target] };
        Ok(BoundExpression { kind, data_type, span })
    }
}

/// `*`, `DISTINCT` and named arguments stand where they mean something.
fn check_form(call: &FunctionCall, aggregate: bool, dialect: Dialect) -> BindResult<()> {
    let wrong = |message: String| Err(BindError::new(BindErrorKind::WrongArguments, call.span, message));
    let name = call.full_name();
    if (call.star || call.distinct) && !aggregate && !scalar_exists(&name, dialect) {
        let similar = similar_names(&name);
        return Err(function_error(FunctionError::UnknownFunction { name, similar }, call.span));
    }
    if call.star {
        return wrong(format!("{} takes no *", call.full_name()));
    }
    if call.distinct && !aggregate {
        return wrong(format!("{} is no aggregate function and takes no DISTINCT", call.full_name()));
    }
    match call.arguments.iter().find_map(|argument| argument.name.as_ref()) {
        Some(named) => Err(BindError::not_supported("a named argument", named.span)),
        None => Ok(()),
    }
}

fn types_of(expressions: &[BoundExpression]) -> Vec<DataType> {
    expressions.iter().map(|expression| expression.data_type.clone()).collect()
}

/// The expression as a value of another type. Constants are converted at once.
fn cast(expression: BoundExpression, target: &DataType, mode: CastMode) -> BindResult<BoundExpression> {
    let from = &expression.data_type;
    if from == target {
        return Ok(expression);
    }
    let span = expression.span;
    if mode == CastMode::Implicit && implicit_cost(from, target).is_none() {
        let message = format!("a value of type {target} is needed, this is of type {from}");
        return Err(BindError::new(BindErrorKind::TypeMismatch, span, message));
    }
    if let ExpressionKind::Literal(value) = &expression.kind {
        let value = cast_value(value, target).map_err(|error| function_error(error, span))?;
        return Ok(BoundExpression { kind: ExpressionKind::Literal(value), data_type: target.clone(), span });
    }
    let function = bind_cast(from, target, mode).map_err(|error| function_error(error, span))?;
    let kind = ExpressionKind::Call { function: Arc::new(function), arguments: vec![expression] };
    Ok(BoundExpression { kind, data_type: target.clone(), span })
}

/// What the registry refuses, at its place.
fn function_error(error: FunctionError, span: Span) -> BindError {
    match error {
        FunctionError::UnknownFunction { name, similar } => {
            let message = format!("there is no function named {name}");
            let suggestion = similar.into_iter().next();
            BindError::new(BindErrorKind::UnknownFunction, span, message).did_you_mean(suggestion)
        }
        FunctionError::NoOverload { .. } => {
            BindError::new(BindErrorKind::WrongArguments, span, error.to_string())
        }
        other => BindError::new(BindErrorKind::TypeMismatch, span, other.to_string()),
    }
}
