//! CASE: the simple form becomes the searched one, and all results get one type.

use super::bind::Binder;
use super::bound::*;
use super::error::BindResult;
use crate::parser::ast::{CaseBranch, CaseExpression, Expression, Span};
use crate::types::DataType;

impl Binder<'_> {
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    pub fn bind_case(&mut self, case: &CaseExpression, span: Span) -> BindResult<BoundExpression> {
        let operand = self.bind_optional(case.operand.as_ref())?;
        let mut conditions = Vec::with_capacity(case.branches.len());
        let mut results = Vec::with_capacity(case.branches.len() + 1);
        for branch in &case.branches {
            conditions.push(self.bind_when(operand.as_deref(), branch)?);
            results.push(self.bind_expression(&branch.then)?);
        }
        results.extend(self.bind_optional(case.otherwise.as_ref())?.map(|otherwise| *otherwise));
        self.case_of(conditions, results, span)
    }

    /// An expression that may be missing.
    pub fn bind_optional(
        &mut self,
        written: Option<&Expression>,
    ) -> BindResult<Option<Box<BoundExpression>>> {
        written.map(|written| self.bind_expression(written).map(Box::new)).transpose()
    }

    fn bind_when(
        &mut self,
        operand: Option<&BoundExpression>,
        branch: &CaseBranch,
    ) -> BindResult<BoundExpression> {
        let when = self.bind_expression(&branch.when)?;
        match operand {
            Some(operand) => self.equality(operand.clone(), when, branch.when.span),
            None => self.expect_boolean(when, "WHEN"),
        }
    }

    /// Conditions with their results; one result more is what stands behind ELSE.
    fn case_of(
        &mut self,
        conditions: Vec<BoundExpression>,
        results: Vec<BoundExpression>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let data_type: DataType = self.common_type(&results);
        let mut results = self.cast_all(results, &data_type)?;
        let otherwise = if results.len() > conditions.len() { results.pop().map(Box::new) } else { None };
        let branches = conditions.into_iter().zip(results).collect();
        Ok(BoundExpression { kind: ExpressionKind::Case { branches, otherwise }, data_type, span })
    }
}
