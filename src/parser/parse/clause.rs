//! Queries and the clauses that read.

use super::{Builder, Pair, Result, Rule, has, keyword};
use crate::parser::ast::{
    CallProcedureClause, CallSubqueryClause, Clause, InTransactions, LoadCsvClause, LoadFromClause,
    MatchClause, OnError, Query, ReturnClause, SingleQuery, SubqueryImports, UnionPart, UnwindClause,
    UseClause, WithClause, Yield, YieldItem,
};

impl Builder<'_> {
    /// A query. `open` allows it to end without result or effect, as inside `EXISTS { … }`.
    pub(super) fn query(&self, pair: Pair<'_>, open: bool) -> Result<Query> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let first = self.single_query(parts.need()?, open)?;
        let unions = parts.map(|part| self.union_part(part, open)).collect::<Result<Vec<_>>>()?;
        Ok(Query { first, unions, span })
    }

    fn union_part(&self, pair: Pair<'_>, open: bool) -> Result<UnionPart> {
        let span = self.span(&pair);
        let all = has(&pair, Rule::kw_all);
        Ok(UnionPart { all, query: self.single_query(self.parts(pair).need()?, open)?, span })
    }

    fn single_query(&self, pair: Pair<'_>, open: bool) -> Result<SingleQuery> {
        let span = self.span(&pair);
        let clauses = self.inside_query(span, || self.clauses(pair))?;
        self.check_order(&clauses, open)?;
        Ok(SingleQuery { clauses, span })
    }

    /// `RETURN` comes last, and without it something must have an effect.
    fn check_order(&self, clauses: &[Clause], open: bool) -> Result<()> {
        let returned = clauses.iter().position(|clause| matches!(clause, Clause::Return(_)));
        if let Some(behind) = returned.and_then(|position| clauses.get(position + 1)) {
            let message = format!("{} cannot follow RETURN", behind.name());
            return self.hinted(behind.span(), message, "RETURN ends a query; WITH passes rows on");
        }
        match clauses.last() {
            Some(
                last @ (Clause::Match(_)
                | Clause::Unwind(_)
                | Clause::With(_)
                | Clause::LoadCsv(_)
                | Clause::LoadFrom(_)
                | Clause::Use(_)),
            ) if !open => {
                let message = format!("a query cannot end with {}", last.name());
                self.hinted(last.span(), message, "Add RETURN and what the query shall give")
            }
            _ => Ok(()),
        }
    }

    fn clauses(&self, pair: Pair<'_>) -> Result<Vec<Clause>> {
        self.parts(pair).map(|part| self.clause(part)).collect()
    }

    pub(super) fn clause(&self, pair: Pair<'_>) -> Result<Clause> {
        match pair.as_rule() {
            Rule::match_clause => self.match_clause(pair),
            Rule::return_clause => self.return_clause(pair),
            Rule::with_clause => self.with_clause(pair),
            Rule::unwind_clause => self.unwind_clause(pair),
            Rule::create_clause => self.create_clause(pair),
            Rule::merge_clause => self.merge_clause(pair),
            Rule::set_clause => self.set_clause(pair),
            Rule::delete_clause => self.delete_clause(pair),
            Rule::remove_clause => self.remove_clause(pair),
            Rule::foreach_clause => self.foreach_clause(pair),
            Rule::call_subquery => self.call_subquery(pair),
            Rule::call_procedure => self.call_procedure(pair),
            Rule::load_csv => self.load_csv(pair),
            Rule::load_from => self.load_from(pair),
            _ => self.use_clause(pair),
        }
    }

    fn use_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let graph = self.names(self.parts(pair).need()?);
        Ok(Clause::Use(UseClause { graph, span }))
    }

    fn match_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let optional = has(&pair, Rule::kw_optional);
        let mut parts = self.parts(pair);
        let patterns = self.pattern_list(parts.need()?)?;
        let predicate = self.where_part(parts.next())?;
        Ok(Clause::Match(MatchClause { optional, patterns, predicate, span }))
    }

    fn unwind_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let list = self.expression(parts.need()?)?;
        let variable = self.name(parts.need()?);
        Ok(Clause::Unwind(UnwindClause { list, variable, span }))
    }

    fn with_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let projection = self.projection(parts.need()?)?;
        let predicate = self.where_part(parts.next())?;
        Ok(Clause::With(WithClause { projection, predicate, span }))
    }

    fn return_clause(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let projection = self.projection(self.parts(pair).need()?)?;
        Ok(Clause::Return(ReturnClause { projection, span }))
    }

    fn call_procedure(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let optional = has(&pair, Rule::kw_optional);
        let mut parts = self.parts(pair);
        let procedure = self.names(parts.need()?);
        let arguments = match parts.take_if(Rule::call_arguments) {
            Some(arguments) => Some(self.arguments(arguments)?),
            None => None,
        };
        let yields = match parts.next() {
            Some(yields) => Some(self.yield_part(yields)?),
            None => None,
        };
        Ok(Clause::CallProcedure(CallProcedureClause { optional, procedure, arguments, yields, span }))
    }

    fn yield_part(&self, pair: Pair<'_>) -> Result<Yield> {
        let mut result = Yield { star: false, items: Vec::new(), predicate: None, span: self.span(&pair) };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::star => result.star = true,
                Rule::where_part => result.predicate = self.where_part(Some(part))?,
                _ => {
                    let mut names = self.names(part).into_iter();
                    let column = self.required(names.next(), result.span)?;
                    result.items.push(YieldItem { column, alias: names.next() });
                }
            }
        }
        Ok(result)
    }

    fn call_subquery(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let optional = has(&pair, Rule::kw_optional);
        let mut parts = self.parts(pair);
        let imports = parts.take_if(Rule::subquery_imports).map(|imports| self.subquery_imports(imports));
        let query = self.query(parts.need()?, false)?;
        let in_transactions = match parts.next() {
            Some(part) => Some(self.in_transactions(part)?),
            None => None,
        };
        let clause = CallSubqueryClause { optional, imports, query, in_transactions, span };
        Ok(Clause::CallSubquery(Box::new(clause)))
    }

    fn subquery_imports(&self, pair: Pair<'_>) -> SubqueryImports {
        match has(&pair, Rule::star) {
            true => SubqueryImports::All,
            false => SubqueryImports::Variables(self.names(pair)),
        }
    }

    fn in_transactions(&self, pair: Pair<'_>) -> Result<InTransactions> {
        let span = self.span(&pair);
        let mut result = InTransactions { concurrent: None, rows: None, on_error: None, status: None, span };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::concurrent_part => {
                    let number = self.parts(part).next();
                    result.concurrent = Some(number.map(|number| self.atom(number)).transpose()?);
                }
                Rule::rows_part => result.rows = Some(self.expression(self.parts(part).need()?)?),
                Rule::on_error_part => result.on_error = Some(on_error(&part)),
                _ => result.status = Some(self.name(self.parts(part).need()?)),
            }
        }
        Ok(result)
    }

    fn load_csv(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let with_headers = parts.take_if(Rule::csv_headers).is_some();
        let source = self.expression(parts.need()?)?;
        let variable = self.name(parts.need()?);
        let field_terminator = parts.next().map(|part| self.expression(part)).transpose()?;
        Ok(Clause::LoadCsv(LoadCsvClause { with_headers, source, variable, field_terminator, span }))
    }

    fn load_from(&self, pair: Pair<'_>) -> Result<Clause> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let headers = match parts.take_if(Rule::header_columns) {
            Some(columns) => self.typed_names(columns)?,
            None => Vec::new(),
        };
        let source = self.scan_source(parts.need()?)?;
        let options = self.options(parts.take_if(Rule::options))?;
        let predicate = self.where_part(parts.next())?;
        Ok(Clause::LoadFrom(Box::new(LoadFromClause { headers, source, options, predicate, span })))
    }
}

fn on_error(pair: &Pair<'_>) -> OnError {
    match (has(pair, Rule::kw_continue), has(pair, Rule::kw_break), keyword(pair)) {
        (true, _, _) => OnError::Continue,
        (_, true, _) => OnError::Break,
        _ => OnError::Fail,
    }
}
