//! Queries inside expressions: `EXISTS { … }`, `COUNT { … }`, `COLLECT { … }`, patterns as predicates and pattern
//! comprehensions. They see the names around them; what they use of those are their imports.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::expression::literal;
use super::query::Columns;
use super::scope::Scope;
use super::tables::table_set;
use crate::parser::ast::{self, MatchClause, NodePattern, PathPattern, Query, Span};
use crate::types::{DataType, Value};

/// What was in place around a query.
struct Around {
    scope: Scope,
    around: Scope,
    available: Vec<VariableId>,
    aggregates: AggregateContext,
    /// Variables from here on are the query's own.
    first_own: VariableId,
}

impl Binder<'_> {
    /// `EXISTS { … }`, `COUNT { … }` or `COLLECT { … }`.
    pub fn bind_subquery(
        &mut self,
        subquery: &ast::SubqueryExpression,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let kind = match subquery.kind {
            ast::SubqueryKind::Exists => SubqueryKind::Exists,
            ast::SubqueryKind::Count => SubqueryKind::Count,
            ast::SubqueryKind::Collect => SubqueryKind::Collect,
        };
        let around = self.enter_subquery();
        let bound = self.bind_subquery_branches(&subquery.query).and_then(|(branches, columns)| {
            if first_write(&branches).is_some() {
                let message = "a query inside an expression cannot write";
                return Err(BindError::new(BindErrorKind::InvalidClauses, span, message));
            }
            Ok((branches, columns))
        });
        let first_own = around.first_own;
        let value = match (&bound, kind) {
            (Ok((branches, columns)), SubqueryKind::Collect) => {
                self.collected(branches, columns.as_ref(), span).map(Some)
            }
            _ => Ok(None),
        };
        self.leave_subquery(around);
        let (branches, _) = bound?;
        let union_all = subquery.query.unions.first().is_none_or(|part| part.all);
        let imports = self.imports(&branches, first_own, span);
        let query = BoundSubquery { kind, imports, branches, union_all, value: value? };
        Ok(subquery_expression(query, span))
    }

    /// A pattern where a value stands: whether it has a match. All its names are bound already.
    pub fn bind_pattern_predicate(
        &mut self,
        pattern: &PathPattern,
        span: Span,
    ) -> BindResult<BoundExpression> {
        if let Some(name) = &pattern.variable {
            let message = "a pattern that is a condition has no name";
            return Err(BindError::new(BindErrorKind::InvalidPattern, name.span, message));
        }
        let nodes = std::iter::once(&pattern.start).chain(pattern.steps.iter().map(|step| &step.node));
        let rels = pattern.steps.iter().map(|step| &step.relationship.variable);
        for name in nodes.map(|node: &NodePattern| &node.variable).chain(rels).flatten() {
            self.find_variable(name.as_str(), name.span)?;
        }
        let around = self.enter_subquery();
        let clause = match_of(pattern, None, span);
        let bound = self.bind_match(&clause);
        let first_own = around.first_own;
        self.leave_subquery(around);
        let branches = vec![BoundSingleQuery { clauses: vec![BoundClause::Match(bound?)] }];
        let imports = self.imports(&branches, first_own, span);
        let kind = SubqueryKind::Exists;
        let query = BoundSubquery { kind, imports, branches, union_all: true, value: None };
        Ok(subquery_expression(query, span))
    }

    /// `[pattern WHERE predicate | value]`.
    pub fn bind_pattern_comprehension(
        &mut self,
        comprehension: &ast::PatternComprehension,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let around = self.enter_subquery();
        let clause = match_of(&comprehension.pattern, comprehension.predicate.clone(), span);
        let bound = self.bind_match(&clause);
        self.aggregates = AggregateContext::forbidden("in a pattern comprehension");
        let value = bound.and_then(|bound| Ok((bound, self.bind_expression(&comprehension.projection)?)));
        let first_own = around.first_own;
        self.leave_subquery(around);
        let (bound, value) = value?;
        Ok(self.collecting((vec![BoundClause::Match(bound)], value), Vec::new(), Vec::new(), first_own, span))
    }

    /// The list of the values that clauses and a RETURN of the value find. Beside what they mention of the row around
    /// they have `given`.
    pub(super) fn collecting(
        &mut self,
        (mut clauses, value): (Vec<BoundClause>, BoundExpression),
        order_by: Vec<SortKey>,
        given: Vec<(VariableId, BoundExpression)>,
        first_own: VariableId,
        span: Span,
    ) -> BoundExpression {
        let output = self.variable_for(&value);
        let items = vec![ProjectionItem { expression: value, variable: output }];
        let last = BoundProjection { is_return: true, order_by, ..BoundProjection::of(items) };
        clauses.push(BoundClause::Project(last));
        let branches = vec![BoundSingleQuery { clauses }];
        let mut imports = self.imports(&branches, first_own, span);
        imports.extend(given);
        let value = Some(self.variable_expression(output, span));
        let kind = SubqueryKind::Collect;
        subquery_expression(BoundSubquery { kind, imports, branches, union_all: true, value }, span)
    }

    /// A variable without a name that can hold what an expression gives.
    pub(super) fn variable_for(&mut self, expression: &BoundExpression) -> VariableId {
        let kind = match expression.kind {
            ExpressionKind::Variable(variable) => self.kind(variable).clone(),
            _ => self.kind_of_type(expression.data_type.clone(), &self.tables_inside(expression)),
        };
        let variable = self.new_anonymous(kind);
        self.note_contents(variable, expression);
        variable
    }

    /// `CALL { … }`. Its query sees what it imports, by `CALL (a, b) { … }` or by a WITH at its head.
    pub fn bind_call(&mut self, call: &ast::CallSubqueryClause) -> BindResult<BoundClause> {
        if let Some(part) = &call.in_transactions {
            return Err(BindError::not_supported("CALL { … } IN TRANSACTIONS", part.span));
        }
        let around = self.enter_subquery();
        let scope = self.imported_scope(call, &around.scope);
        let bound = scope.and_then(|scope| {
            self.around = if call.imports.is_some() { scope.clone() } else { Scope::default() };
            self.scope = scope;
            self.bind_subquery_branches(&call.query)
        });
        let first_own = around.first_own;
        self.leave_subquery(around);
        let (branches, columns) = bound?;
        Self::check_writes(call, &branches)?;
        let imports = self.imports(&branches, first_own, call.span);
        let imports = imports.into_iter().map(|(variable, _)| variable).collect();
        let mut outputs = None;
        if let Some(columns) = columns {
            let last = branches.first().and_then(|branch| branch.clauses.last());
            let Some(BoundClause::Project(projection)) = last else {
                return Err(Self::needs_return(&call.query.first));
            };
            let variables: Vec<VariableId> = projection.items.iter().map(|item| item.variable).collect();
            for ((name, _), variable) in columns.iter().zip(&variables) {
                if self.scope.find(name).is_some() {
                    let message = format!("variable {name} is bound already");
                    let error = BindError::new(BindErrorKind::Redefinition, call.span, message);
                    return Err(error.with_hint("Let the query return it under another name"));
                }
                self.scope.add(name, *variable);
                self.available.push(*variable);
            }
            outputs = Some(variables);
        }
        let union_all = call.query.unions.first().is_none_or(|part| part.all);
        let optional = call.optional;
        Ok(BoundClause::Call(BoundCall { optional, imports, branches, union_all, outputs }))
    }

    /// Writing clauses inside a CALL run for all rows, clause by clause.
    fn check_writes(call: &ast::CallSubqueryClause, branches: &[BoundSingleQuery]) -> BindResult<()> {
        if first_write(branches).is_some() && (call.optional || !is_row_by_row(branches)) {
            let what = "CALL { … } that writes and groups, sorts or joins branches";
            return Err(BindError::not_supported(what, call.span));
        }
        Ok(())
    }

    /// The names that the query of a CALL begins with.
    fn imported_scope(&self, call: &ast::CallSubqueryClause, outside: &Scope) -> BindResult<Scope> {
        let mut scope = Scope::default();
        match &call.imports {
            Some(ast::SubqueryImports::All) => return Ok(outside.clone()),
            Some(ast::SubqueryImports::Variables(names)) => {
                for name in names {
                    scope.add(name.as_str(), self.find_variable(name.as_str(), name.span)?);
                }
            }
            None => {
                // Each branch imports by a WITH at its head, which can only name variables.
                let queries = std::iter::once(&call.query.first);
                let queries = queries.chain(call.query.unions.iter().map(|part| &part.query));
                for clause in queries.filter_map(|query| query.clauses.first()) {
                    let ast::Clause::With(with) = clause else { continue };
                    if with.projection.star.is_some() {
                        return Ok(outside.clone());
                    }
                    for item in &with.projection.items {
                        if let Some(name) = item.expression.as_variable() {
                            scope.add(name, self.find_variable(name, item.span)?);
                        }
                    }
                }
            }
        }
        Ok(scope)
    }

    fn enter_subquery(&mut self) -> Around {
        let first_own = VariableId(self.variables.len() as u32);
        let around = std::mem::replace(&mut self.around, self.scope.clone());
        let aggregates = std::mem::replace(&mut self.aggregates, AggregateContext::forbidden("here"));
        Around { scope: self.scope.clone(), around, available: self.available.clone(), aggregates, first_own }
    }

    fn leave_subquery(&mut self, around: Around) {
        self.scope = around.scope;
        self.around = around.around;
        self.available = around.available;
        self.aggregates = around.aggregates;
    }

    /// The branches of a query that may end without RETURN, and the columns if it has one.
    fn bind_subquery_branches(
        &mut self,
        query: &Query,
    ) -> BindResult<(Vec<BoundSingleQuery>, Option<Columns>)> {
        let (scope, available) = (self.scope.clone(), self.available.clone());
        let (clauses, mut columns) = self.bind_clauses(&query.first)?;
        let mut branches = vec![BoundSingleQuery { clauses }];
        for part in &query.unions {
            self.scope = scope.clone();
            self.available = available.clone();
            let (clauses, more) = self.bind_clauses(&part.query)?;
            columns = match (columns, more) {
                (Some(before), Some(more)) => Some(self.union_columns(before, more, part)?),
                (None, None) => None,
                _ => {
                    let message = "either all branches of a UNION end with RETURN or none does";
                    return Err(BindError::new(BindErrorKind::InvalidClauses, part.span, message));
                }
            };
            branches.push(BoundSingleQuery { clauses });
        }
        if let (Some(columns), true) = (&columns, branches.len() > 1) {
            for branch in &mut branches {
                self.cast_branch(branch, columns)?;
            }
            self.widen_outputs(&mut branches, columns);
        }
        Ok((branches, columns))
    }

    /// The first branch of a UNION puts out what all branches find: nodes of all their tables, too.
    fn widen_outputs(&mut self, branches: &mut [BoundSingleQuery], columns: &Columns) {
        let outputs = |branch: &BoundSingleQuery| match branch.clauses.last() {
            Some(BoundClause::Project(last)) => last.items.iter().map(|item| item.variable).collect(),
            _ => Vec::new(),
        };
        let all: Vec<Vec<VariableId>> = branches.iter().map(outputs).collect();
        let Some(first) = all.first() else { return };
        let mut items = Vec::with_capacity(first.len());
        let mut widened = false;
        for (at, (variable, (name, _))) in first.iter().zip(columns).enumerate() {
            let expression = self.variable_expression(*variable, Span::default());
            let mut tables = Vec::new();
            for branch in &all {
                let Some(output) = branch.get(at) else { continue };
                tables.extend(self.tables_inside(&self.variable_expression(*output, Span::default())));
            }
            let tables = table_set(tables);
            let own = table_set(self.tables_inside(&expression));
            widened |= tables != own;
            let kind = match self.kind(*variable) {
                // A node may stand beside something else.
                VariableKind::Value(data_type) => VariableKind::Value(data_type.clone()),
                _ => self.kind_of_type(expression.data_type.clone(), &tables),
            };
            let output = self.new_variable(name, kind);
            if self.contents.contains_key(variable) {
                self.contents.insert(output, tables);
            }
            items.push(ProjectionItem { expression, variable: output });
        }
        if let (true, Some(branch)) = (widened, branches.first_mut()) {
            if let Some(BoundClause::Project(last)) = branch.clauses.last_mut() {
                last.is_return = false;
            }
            let last = BoundProjection { is_return: true, ..BoundProjection::of(items) };
            branch.clauses.push(BoundClause::Project(last));
        }
    }

    /// The only column of a query that is collected.
    fn collected(
        &self,
        branches: &[BoundSingleQuery],
        columns: Option<&Columns>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let last = branches.first().and_then(|branch| branch.clauses.last());
        match (columns.map(Vec::as_slice), last) {
            (Some([_]), Some(BoundClause::Project(projection))) => Ok(projection.items.first().map_or_else(
                || literal(Value::Null, span),
                |item| self.variable_expression(item.variable, span),
            )),
            _ => {
                let message = "COLLECT { … } needs a RETURN of one column";
                Err(BindError::new(BindErrorKind::InvalidClauses, span, message))
            }
        }
    }

    /// What the branches use of the row around, under its own name.
    fn imports(
        &mut self,
        branches: &[BoundSingleQuery],
        first_own: VariableId,
        span: Span,
    ) -> Vec<(VariableId, BoundExpression)> {
        let mut used = Vec::new();
        branches.iter().for_each(|branch| mentioned(&branch.clauses, &mut used));
        let mut imports: Vec<(VariableId, BoundExpression)> = Vec::new();
        for variable in used {
            if variable < first_own && !imports.iter().any(|(known, _)| *known == variable) {
                self.mark_used(variable);
                imports.push((variable, self.variable_expression(variable, span)));
            }
        }
        imports
    }
}

fn match_of(pattern: &PathPattern, predicate: Option<ast::Expression>, span: Span) -> MatchClause {
    MatchClause { optional: false, patterns: vec![pattern.clone()], predicate, span }
}

fn subquery_expression(query: BoundSubquery, span: Span) -> BoundExpression {
    let data_type = match (query.kind, &query.value) {
        (SubqueryKind::Exists, _) => DataType::Bool,
        (SubqueryKind::Count, _) => DataType::Int64,
        (SubqueryKind::Collect, value) => {
            DataType::list(value.as_ref().map_or(DataType::Null, |value| value.data_type.clone()))
        }
    };
    BoundExpression { kind: ExpressionKind::Subquery(Box::new(query)), data_type, span }
}
