//! Queries: clauses in their order, and branches joined by UNION.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::scope::Scope;
use super::types::unify;
use crate::parser::ast::{self, Clause, Query, SingleQuery, UnwindClause};
use crate::types::DataType;

/// Names and types of a branch's columns.
pub(super) type Columns = Vec<(String, DataType)>;

impl Binder<'_> {
    /// A whole query.
    pub fn bind_query(&mut self, query: &Query) -> BindResult<BoundQuery> {
        let (first, columns) = self.bind_single(&query.first)?;
        let returns = columns.is_some();
        let mut columns = columns.unwrap_or_default();
        let mut branches = vec![first];
        let union_all = query.unions.first().is_none_or(|part| part.all);
        for part in &query.unions {
            if part.all != union_all {
                let message = "UNION and UNION ALL cannot be mixed in one query";
                return Err(BindError::new(BindErrorKind::InvalidClauses, part.span, message));
            }
            let (branch, more) = self.bind_single(&part.query)?;
            if more.is_some() != returns {
                let message = "either all branches of a UNION end with RETURN or none does";
                return Err(BindError::new(BindErrorKind::InvalidClauses, part.span, message));
            }
            let more = more.unwrap_or_default();
            columns = self.union_columns(columns, more, part)?;
            branches.push(branch);
        }
        if branches.len() > 1 {
            for branch in &mut branches {
                self.cast_branch(branch, &columns)?;
            }
        }
        self.note_references(&mut branches);
        let variables = std::mem::take(&mut self.variables);
        let parameters = std::mem::take(&mut self.parameters);
        let checks = std::mem::take(&mut self.checks);
        Ok(BoundQuery { variables, branches, union_all, columns, parameters, returns, checks })
    }

    /// The clauses of one branch, and its columns unless it ends with a writing clause. Each branch starts with an
    /// empty scope.
    fn bind_single(&mut self, query: &SingleQuery) -> BindResult<(BoundSingleQuery, Option<Columns>)> {
        self.scope = Scope::default();
        self.available.clear();
        let (clauses, columns) = self.bind_clauses(query)?;
        let writes = match clauses.last() {
            Some(BoundClause::Write(_)) => true,
            Some(BoundClause::Call(call)) => call.outputs.is_none(),
            _ => false,
        };
        if columns.is_none() && writes {
            return Ok((BoundSingleQuery { clauses }, None));
        }
        let columns = columns.ok_or_else(|| Self::needs_return(query))?;
        Ok((BoundSingleQuery { clauses }, Some(columns)))
    }

    pub(super) fn needs_return(query: &SingleQuery) -> BindError {
        let last = query.clauses.last();
        let name = last.map_or("a query", Clause::name);
        let message = format!("a query cannot end with {name}; it needs a RETURN");
        BindError::new(BindErrorKind::InvalidClauses, last.map_or(query.span, Clause::span), message)
    }

    /// The clauses in order, from the scope in place on, with the columns of a RETURN.
    pub(super) fn bind_clauses(
        &mut self,
        query: &SingleQuery,
    ) -> BindResult<(Vec<BoundClause>, Option<Columns>)> {
        let mut clauses = Vec::with_capacity(query.clauses.len());
        let mut columns = None;
        for clause in &query.clauses {
            if columns.is_some() {
                let message = format!("{} cannot follow RETURN", clause.name());
                return Err(BindError::new(BindErrorKind::InvalidClauses, clause.span(), message));
            }
            match clause {
                Clause::Match(clause) => clauses.push(BoundClause::Match(self.bind_match(clause)?)),
                Clause::Unwind(clause) => clauses.push(self.bind_unwind(clause)?),
                Clause::With(with) => {
                    let predicate = with.predicate.as_ref();
                    clauses.extend(self.bind_with(&with.projection, predicate)?);
                }
                Clause::Return(clause) => {
                    let (projection, names) = self.bind_return(&clause.projection)?;
                    clauses.push(BoundClause::Project(projection));
                    columns = Some(names);
                }
                Clause::Create(clause) => {
                    clauses.extend(self.bind_create(clause)?.into_iter().map(BoundClause::Write));
                }
                Clause::Merge(clause) => clauses.push(BoundClause::Write(self.bind_merge(clause)?)),
                Clause::Set(clause) => clauses.push(BoundClause::Write(self.bind_set(clause)?)),
                Clause::Remove(clause) => clauses.push(BoundClause::Write(self.bind_remove(clause)?)),
                Clause::Delete(clause) => clauses.push(BoundClause::Write(self.bind_delete(clause)?)),
                Clause::CallSubquery(call) => clauses.push(self.bind_call(call)?),
                other => return Err(BindError::not_supported(other.name(), other.span())),
            }
        }
        Ok((clauses, columns))
    }

    fn bind_unwind(&mut self, clause: &UnwindClause) -> BindResult<BoundClause> {
        self.aggregates = AggregateContext::forbidden("in UNWIND");
        let list = self.bind_expression(&clause.list)?;
        let name = &clause.variable;
        if self.scope.find(name.as_str()).is_some() {
            let message = format!("variable {} is bound already", name.text);
            return Err(BindError::new(BindErrorKind::Redefinition, name.span, message));
        }
        let kind = match &list.data_type {
            // A value that is no list is unwound as a list of itself.
            data_type
                if !matches!(data_type, DataType::List(_) | DataType::Array(..)) && is_single(data_type) =>
            {
                self.kind_of_type(data_type.clone(), &self.tables_inside(&list))
            }
            _ => self.element_kind(&list)?,
        };
        let variable = self.new_variable(name.as_str(), kind);
        self.note_contents(variable, &list);
        self.scope.add(name.as_str(), variable);
        self.available.push(variable);
        Ok(BoundClause::Unwind { list, variable })
    }

    /// Columns of two branches must have the same names; their types are unified.
    pub(super) fn union_columns(
        &self,
        before: Columns,
        more: Columns,
        part: &ast::UnionPart,
    ) -> BindResult<Columns> {
        let names = |columns: &Columns| columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if names(&before) != names(&more) {
            let message = format!(
                "the branches of a UNION need the same columns; {} is not {}",
                names(&more).join(", "),
                names(&before).join(", ")
            );
            return Err(BindError::new(BindErrorKind::DifferentColumns, part.span, message));
        }
        let widen = self.is_kuzu();
        let pairs = before.into_iter().zip(more);
        Ok(pairs.map(|((name, left), (_, right))| (name, unify(&left, &right, widen))).collect())
    }

    /// Gives the columns of a branch the types of the whole result.
    pub(super) fn cast_branch(&mut self, branch: &mut BoundSingleQuery, columns: &Columns) -> BindResult<()> {
        let Some(BoundClause::Project(projection)) = branch.clauses.last() else { return Ok(()) };
        let differs = |item: &ProjectionItem, (_, data_type): &(String, DataType)| {
            self.variable_expression(item.variable, item.expression.span).data_type != *data_type
        };
        if !projection.items.iter().zip(columns).any(|(item, column)| differs(item, column)) {
            return Ok(());
        }
        let outputs: Vec<(VariableId, ast::Span)> =
            projection.items.iter().map(|item| (item.variable, item.expression.span)).collect();
        let mut items = Vec::with_capacity(columns.len());
        for ((input, span), (name, data_type)) in outputs.into_iter().zip(columns) {
            let value = self.variable_expression(input, span);
            let expression = self.implicit_cast(value, data_type)?;
            let variable = self.new_variable(name, VariableKind::Value(data_type.clone()));
            items.push(ProjectionItem { expression, variable });
        }
        if let Some(BoundClause::Project(projection)) = branch.clauses.last_mut() {
            projection.is_return = false;
        }
        let last = BoundProjection { is_return: true, ..BoundProjection::of(items) };
        branch.clauses.push(BoundClause::Project(last));
        Ok(())
    }

    /// Notes for each pattern edge whether anything but the pattern needs the relationship itself.
    fn note_references(&self, branches: &mut [BoundSingleQuery]) {
        for branch in branches {
            for clause in &mut branch.clauses {
                if let BoundClause::Match(found) = clause {
                    for edge in &mut found.pattern.edges {
                        edge.referenced = self.is_used(edge.variable);
                    }
                }
            }
        }
    }
}

/// Types that hold no elements to unwind.
fn is_single(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Any | DataType::Null | DataType::Json)
}
