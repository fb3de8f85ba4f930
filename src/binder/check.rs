//! CHECK: a condition over the columns of one table. It is bound when the table is defined, kept as text, and bound again
//! by each statement that writes the table. A row passes unless the condition is false, as in SQL. Whatever dialect a
//! connection speaks, the text is read in that of the database, so that it always means the same.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::property::value_type;
use super::scope::Scope;
use crate::catalog::NewColumn;
use crate::parser::ast::{Expression, ExpressionKind as ExpressionTree, Span};
use crate::parser::parse_expression;
use crate::types::{DataType, TableId};

/// A condition that every row of a table fulfils.
#[derive(Debug, Clone)]
pub struct BoundCheck {
    pub table: TableId,
    /// As it was declared, without the brackets around it; of an AND one part.
    pub text: String,
    /// What the condition reads.
    pub columns: Vec<CheckedColumn>,
    pub condition: BoundExpression,
}

/// A column that a condition reads, as a variable of its own.
#[derive(Debug, Clone)]
pub struct CheckedColumn {
    pub column: crate::types::ColumnId,
    pub name: String,
    pub variable: VariableId,
}

/// A condition and the columns that it mentions, by their positions.
type Condition = (BoundExpression, Vec<(usize, VariableId)>);

impl Binder<'_> {
    /// Binds the CHECKs of a definition and puts their texts to the columns: that of a column to itself, that of the
    /// table to the first column that it mentions. Several of one column become one.
    pub fn bind_checks<'e>(
        &mut self,
        columns: &mut [NewColumn],
        checks: impl Iterator<Item = (Option<usize>, &'e Expression)>,
    ) -> BindResult<()> {
        let declared: Vec<(String, DataType)> =
            columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect();
        let mut texts: Vec<Vec<&str>> = vec![Vec::new(); columns.len()];
        for (place, check) in checks {
            let (_, used) = self.bind_condition(check, &declared)?;
            let first = used.iter().map(|(at, _)| *at).min();
            let Some(texts) = place.or(first).and_then(|at| texts.get_mut(at)) else {
                return Err(invalid("CHECK mentions no property of the table", check.span));
            };
            texts.push(check.span.of(self.text));
        }
        for (column, texts) in columns.iter_mut().zip(texts) {
            column.check = match texts.as_slice() {
                [] => None,
                [single] => Some((*single).to_owned()),
                several => Some(format!("({})", several.join(") AND ("))),
            };
        }
        Ok(())
    }

    /// Notes that the statement writes rows of a table, whose CHECKs it has to keep.
    pub fn note_written(&mut self, table: TableId, span: Span) -> BindResult<()> {
        let columns = self.catalog.columns_of(table);
        if columns.iter().all(|column| column.check.is_none())
            || self.checks.iter().any(|check| check.table == table)
        {
            return Ok(());
        }
        let declared: Vec<(String, DataType)> =
            columns.iter().map(|column| (column.name.clone(), value_type(&column.data_type))).collect();
        for text in columns.iter().filter_map(|column| column.check.as_ref()) {
            let owner = self.table_name(table).to_owned();
            let damaged =
                |reason: String| invalid(format!("CHECK ({text}) of {owner} cannot be used: {reason}"), span);
            let parsed = parse_expression(text).map_err(|error| damaged(error.message))?;
            // Each part of an AND on its own, so that an error says which.
            let parts = match &parsed.kind {
                ExpressionTree::And(parts) => parts.as_slice(),
                _ => std::slice::from_ref(&parsed),
            };
            for part in parts {
                let (condition, used) =
                    self.bind_condition(part, &declared).map_err(|error| damaged(error.message))?;
                let read = used.into_iter().filter_map(|(at, variable)| {
                    let column = columns.get(at)?;
                    Some(CheckedColumn { column: column.id, name: column.name.clone(), variable })
                });
                let text = part.span.of(text).to_owned();
                self.checks.push(BoundCheck { table, text, columns: read.collect(), condition });
            }
        }
        Ok(())
    }

    /// A condition in which the columns are the only names.
    fn bind_condition(
        &mut self,
        check: &Expression,
        columns: &[(String, DataType)],
    ) -> BindResult<Condition> {
        let mut scope = Scope::default();
        let mut variables = Vec::with_capacity(columns.len());
        for (name, data_type) in columns {
            let variable = self.new_variable(name, VariableKind::Value(value_type(data_type)));
            scope.add(name, variable);
            variables.push(variable);
        }
        let scope = std::mem::replace(&mut self.scope, scope);
        let available = std::mem::take(&mut self.available);
        let aggregates = std::mem::replace(&mut self.aggregates, AggregateContext::forbidden("in CHECK"));
        let dialect = std::mem::replace(&mut self.settings.dialect, self.catalog.dialect());
        let bound = self.bind_expression(check);
        self.settings.dialect = dialect;
        self.aggregates = aggregates;
        self.available = available;
        self.scope = scope;
        let bound = bound?;
        if bound.data_type != DataType::Bool {
            let message = format!("CHECK needs a condition, this is of type {}", bound.data_type);
            return Err(BindError::new(BindErrorKind::TypeMismatch, check.span, message));
        }
        let used = used_columns(&bound, &variables)?;
        for (at, _) in &used {
            if columns.get(*at).is_some_and(|(_, data_type)| *data_type == DataType::Serial) {
                return Err(invalid(
                    "CHECK cannot use a SERIAL property, which counts by itself",
                    check.span,
                ));
            }
        }
        Ok((bound, used))
    }
}

/// The columns that a condition reads. It may use nothing else that could change: no parameters, entities, queries and
/// random numbers.
fn used_columns(condition: &BoundExpression, columns: &[VariableId]) -> BindResult<Vec<(usize, VariableId)>> {
    let mut own: Vec<VariableId> = Vec::new();
    let mut read: Vec<(VariableId, Span)> = Vec::new();
    let mut refused: Option<(&'static str, Span)> = None;
    condition.walk(&mut |part| match &part.kind {
        ExpressionKind::Variable(variable) => read.push((*variable, part.span)),
        ExpressionKind::ListComprehension { variable, .. } | ExpressionKind::Quantifier { variable, .. } => {
            own.push(*variable);
        }
        ExpressionKind::Call { function, .. } if function.volatile => {
            refused = refused.or(Some(("a function whose value changes", part.span)));
        }
        ExpressionKind::Literal(_)
        | ExpressionKind::Call { .. }
        | ExpressionKind::And(_)
        | ExpressionKind::Or(_)
        | ExpressionKind::Not(_)
        | ExpressionKind::IsNull { .. }
        | ExpressionKind::Case { .. } => {}
        ExpressionKind::Parameter(_) => refused = refused.or(Some(("a parameter", part.span))),
        _ => refused = refused.or(Some(("more than the properties of a row", part.span))),
    });
    let mut used = Vec::new();
    for (variable, span) in read {
        match columns.iter().position(|column| *column == variable) {
            Some(at) if !used.contains(&(at, variable)) => used.push((at, variable)),
            Some(_) => {}
            None if own.contains(&variable) => {}
            None => refused = refused.or(Some(("more than the properties of a row", span))),
        }
    }
    match refused {
        Some((what, span)) => Err(invalid(format!("CHECK cannot use {what}"), span)),
        None => Ok(used),
    }
}

fn invalid(message: impl Into<String>, span: Span) -> BindError {
    BindError::new(BindErrorKind::InvalidDefinition, span, message)
}
