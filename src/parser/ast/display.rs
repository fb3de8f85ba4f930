//! Expressions as text, every operator in parentheses: for messages, plans and tests.

use std::fmt::{Display, Formatter, Result};

use super::{
    Direction, Expression, ExpressionKind, FunctionArgument, LabelExpression, LabelExpressionKind, Literal,
    MapEntry, MapProjectionItem, NodePattern, PathPattern, Properties, RelationshipPattern, TypeName,
    TypeNameKind, TypedName,
};

/// Writes items with a separator between them.
fn list<T: Display>(formatter: &mut Formatter<'_>, items: &[T], separator: &str) -> Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            formatter.write_str(separator)?;
        }
        item.fmt(formatter)?;
    }
    Ok(())
}

impl Display for Expression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExpressionKind::Literal(literal) => literal.fmt(formatter),
            ExpressionKind::Parameter(parameter) => write!(formatter, "${}", parameter.name),
            ExpressionKind::Variable(name) => formatter.write_str(name),
            ExpressionKind::List(items) => {
                formatter.write_str("[")?;
                list(formatter, items, ", ")?;
                formatter.write_str("]")
            }
            ExpressionKind::Map(entries) => map(formatter, entries),
            ExpressionKind::CountStar => formatter.write_str("count(*)"),
            ExpressionKind::And(items) => chain(formatter, items, " AND "),
            ExpressionKind::Or(items) => chain(formatter, items, " OR "),
            ExpressionKind::Xor(items) => chain(formatter, items, " XOR "),
            ExpressionKind::Pattern(pattern) => pattern.fmt(formatter),
            ExpressionKind::Subquery(subquery) => write!(formatter, "{} {{ … }}", subquery.kind.name()),
            ExpressionKind::Property { .. }
            | ExpressionKind::AllProperties(_)
            | ExpressionKind::Index { .. }
            | ExpressionKind::Slice { .. }
            | ExpressionKind::HasLabels { .. } => access(formatter, &self.kind),
            ExpressionKind::Unary { .. }
            | ExpressionKind::Binary { .. }
            | ExpressionKind::Comparison { .. }
            | ExpressionKind::IsNull { .. } => operator(formatter, &self.kind),
            kind => call(formatter, kind),
        }
    }
}

fn chain(formatter: &mut Formatter<'_>, items: &[Expression], separator: &str) -> Result {
    formatter.write_str("(")?;
    list(formatter, items, separator)?;
    formatter.write_str(")")
}

fn map(formatter: &mut Formatter<'_>, entries: &[MapEntry]) -> Result {
    formatter.write_str("{")?;
    list(formatter, entries, ", ")?;
    formatter.write_str("}")
}

fn access(formatter: &mut Formatter<'_>, kind: &ExpressionKind) -> Result {
    match kind {
        ExpressionKind::Property { target, key } => write!(formatter, "{target}.{}", key.text),
        ExpressionKind::AllProperties(target) => write!(formatter, "{target}.*"),
        ExpressionKind::Index { target, index } => write!(formatter, "{target}[{index}]"),
        ExpressionKind::HasLabels { target, labels } => write!(formatter, "{target}:{labels}"),
        ExpressionKind::Slice { target, from, to } => {
            write!(formatter, "{target}[")?;
            optional(formatter, "", from.as_deref())?;
            formatter.write_str("..")?;
            optional(formatter, "", to.as_deref())?;
            formatter.write_str("]")
        }
        _ => Ok(()),
    }
}

fn operator(formatter: &mut Formatter<'_>, kind: &ExpressionKind) -> Result {
    match kind {
        ExpressionKind::Unary { operator, operand } => write!(formatter, "({} {operand})", operator.symbol()),
        ExpressionKind::Binary { operator, left, right } => {
            write!(formatter, "({left} {} {right})", operator.symbol())
        }
        ExpressionKind::Comparison { first, rest } => {
            write!(formatter, "({first}")?;
            for part in rest {
                write!(formatter, " {} {}", part.operator.symbol(), part.right)?;
            }
            formatter.write_str(")")
        }
        ExpressionKind::IsNull { operand, negated: false } => write!(formatter, "({operand} IS NULL)"),
        ExpressionKind::IsNull { operand, negated: true } => write!(formatter, "({operand} IS NOT NULL)"),
        _ => Ok(()),
    }
}

fn optional(formatter: &mut Formatter<'_>, before: &str, part: Option<&Expression>) -> Result {
    match part {
        Some(part) => write!(formatter, "{before}{part}"),
        None => Ok(()),
    }
}

fn call(formatter: &mut Formatter<'_>, kind: &ExpressionKind) -> Result {
    match kind {
        ExpressionKind::FunctionCall(call) => {
            let distinct = if call.distinct { "DISTINCT " } else { "" };
            let star = if call.star { "*" } else { "" };
            write!(formatter, "{}({distinct}{star}", call.full_name())?;
            list(formatter, &call.arguments, ", ")?;
            formatter.write_str(")")
        }
        ExpressionKind::Cast { operand, target } => write!(formatter, "CAST({operand} AS {target})"),
        ExpressionKind::MapProjection(projection) => {
            write!(formatter, "{} {{", projection.variable.text)?;
            list(formatter, &projection.items, ", ")?;
            formatter.write_str("}")
        }
        ExpressionKind::Case(case) => {
            formatter.write_str("CASE")?;
            optional(formatter, " ", case.operand.as_ref())?;
            for branch in &case.branches {
                write!(formatter, " WHEN {} THEN {}", branch.when, branch.then)?;
            }
            optional(formatter, " ELSE ", case.otherwise.as_ref())?;
            formatter.write_str(" END")
        }
        kind => iteration(formatter, kind),
    }
}

fn iteration(formatter: &mut Formatter<'_>, kind: &ExpressionKind) -> Result {
    match kind {
        ExpressionKind::ListComprehension(comprehension) => {
            write!(formatter, "[{} IN {}", comprehension.variable.text, comprehension.list)?;
            optional(formatter, " WHERE ", comprehension.predicate.as_ref())?;
            optional(formatter, " | ", comprehension.projection.as_ref())?;
            formatter.write_str("]")
        }
        ExpressionKind::PatternComprehension(comprehension) => {
            write!(formatter, "[{}", comprehension.pattern)?;
            optional(formatter, " WHERE ", comprehension.predicate.as_ref())?;
            write!(formatter, " | {}]", comprehension.projection)
        }
        ExpressionKind::Quantifier(quantifier) => {
            let (name, variable) = (quantifier.kind.name(), &quantifier.variable.text);
            write!(formatter, "{name}({variable} IN {}", quantifier.list)?;
            optional(formatter, " WHERE ", quantifier.predicate.as_ref())?;
            formatter.write_str(")")
        }
        ExpressionKind::Reduce(reduce) => write!(
            formatter,
            "reduce({} = {}, {} IN {} | {})",
            reduce.accumulator.text, reduce.initial, reduce.variable.text, reduce.list, reduce.expression
        ),
        ExpressionKind::Lambda(lambda) => {
            let parameters: Vec<&str> = lambda.parameters.iter().map(|name| name.as_str()).collect();
            write!(formatter, "({}) -> {}", parameters.join(", "), lambda.body)
        }
        _ => Ok(()),
    }
}

impl Display for Literal {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            Literal::Null => formatter.write_str("null"),
            Literal::Boolean(value) => value.fmt(formatter),
            Literal::Integer(value) => value.fmt(formatter),
            Literal::Float(value) => write!(formatter, "{value:?}"),
            Literal::String(value) => {
                write!(formatter, "'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
            }
        }
    }
}

impl Display for MapEntry {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        write!(formatter, "{}: {}", self.key.text, self.value)
    }
}

impl Display for MapProjectionItem {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            MapProjectionItem::Property(key) => write!(formatter, ".{}", key.text),
            MapProjectionItem::AllProperties(_) => formatter.write_str(".*"),
            MapProjectionItem::Entry(entry) => entry.fmt(formatter),
            MapProjectionItem::Variable(name) => formatter.write_str(&name.text),
        }
    }
}

impl Display for FunctionArgument {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match &self.name {
            Some(name) => write!(formatter, "{} := {}", name.text, self.value),
            None => self.value.fmt(formatter),
        }
    }
}

impl Display for LabelExpression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let (parts, separator) = match &self.kind {
            LabelExpressionKind::Name(name) => return formatter.write_str(&name.text),
            LabelExpressionKind::Any => return formatter.write_str("%"),
            LabelExpressionKind::Not(inner) => return write!(formatter, "!{inner}"),
            LabelExpressionKind::And(parts) => (parts, "&"),
            LabelExpressionKind::Or(parts) => (parts, "|"),
            LabelExpressionKind::Colons(parts) => (parts, ":"),
        };
        formatter.write_str("(")?;
        list(formatter, parts, separator)?;
        formatter.write_str(")")
    }
}

impl Display for PathPattern {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        if let Some(variable) = &self.variable {
            write!(formatter, "{} = ", variable.text)?;
        }
        self.start.fmt(formatter)?;
        for step in &self.steps {
            write!(formatter, "{}{}", step.relationship, step.node)?;
        }
        Ok(())
    }
}

impl Display for NodePattern {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str("(")?;
        if let Some(variable) = &self.variable {
            formatter.write_str(&variable.text)?;
        }
        if let Some(labels) = &self.labels {
            write!(formatter, ":{labels}")?;
        }
        properties(formatter, self.properties.as_ref())?;
        optional(formatter, " WHERE ", self.predicate.as_deref())?;
        formatter.write_str(")")
    }
}

impl Display for RelationshipPattern {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str(if self.direction == Direction::Left { "<-[" } else { "-[" })?;
        if let Some(variable) = &self.variable {
            formatter.write_str(&variable.text)?;
        }
        if let Some(types) = &self.types {
            write!(formatter, ":{types}")?;
        }
        if let Some(length) = &self.length {
            let bound = |bound: Option<u64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
            write!(formatter, "*{}..{}", bound(length.lower), bound(length.upper))?;
        }
        properties(formatter, self.properties.as_ref())?;
        optional(formatter, " WHERE ", self.predicate.as_deref())?;
        formatter.write_str(if self.direction == Direction::Right { "]->" } else { "]-" })
    }
}

fn properties(formatter: &mut Formatter<'_>, properties: Option<&Properties>) -> Result {
    match properties {
        Some(Properties::Map { entries, .. }) => {
            formatter.write_str(" ")?;
            map(formatter, entries)
        }
        Some(Properties::Parameter(parameter)) => write!(formatter, " ${}", parameter.name),
        None => Ok(()),
    }
}

impl Display for TypeName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match &self.kind {
            TypeNameKind::Named { name, arguments } if arguments.is_empty() => formatter.write_str(name),
            TypeNameKind::Named { name, arguments } => {
                write!(formatter, "{name}(")?;
                list(formatter, arguments, ", ")?;
                formatter.write_str(")")
            }
            TypeNameKind::List(inner) => write!(formatter, "{inner}[]"),
            TypeNameKind::Array(inner, length) => write!(formatter, "{inner}[{length}]"),
            TypeNameKind::Struct(fields) => typed_names(formatter, "STRUCT", fields),
            TypeNameKind::Union(fields) => typed_names(formatter, "UNION", fields),
            TypeNameKind::Map(key, value) => write!(formatter, "MAP({key}, {value})"),
        }
    }
}

fn typed_names(formatter: &mut Formatter<'_>, word: &str, fields: &[TypedName]) -> Result {
    write!(formatter, "{word}(")?;
    list(formatter, fields, ", ")?;
    formatter.write_str(")")
}

impl Display for TypedName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        write!(formatter, "{} {}", self.name.text, self.type_name)
    }
}
