//! What `WITH` and `RETURN` share.

use super::{Builder, Pair, Result, Rule, has};
use crate::parser::ast::{Projection, ProjectionItem, SortItem};

impl Builder<'_> {
    pub(super) fn projection(&self, pair: Pair<'_>) -> Result<Projection> {
        let mut projection = Projection {
            distinct: has(&pair, Rule::kw_distinct),
            star: None,
            items: Vec::new(),
            order_by: Vec::new(),
            skip: None,
            limit: None,
            span: self.span(&pair),
        };
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::star => projection.star = Some(self.span(&part)),
                Rule::projection_item => projection.items.push(self.projection_item(part)?),
                Rule::order_part => projection.order_by = self.order_part(part)?,
                Rule::skip_part => projection.skip = Some(self.expression(self.parts(part).need()?)?),
                _ => projection.limit = Some(self.expression(self.parts(part).need()?)?),
            }
        }
        Ok(projection)
    }

    pub(super) fn projection_item(&self, pair: Pair<'_>) -> Result<ProjectionItem> {
        let mut parts = self.parts(pair);
        let (expression, outer) = self.outer_expression(parts.need()?)?;
        let alias = parts.next().map(|alias| self.name(alias));
        let (name, span) = match &alias {
            Some(alias) => (alias.text.clone(), outer.join(alias.span)),
            None => (outer.of(self.text).to_owned(), outer),
        };
        Ok(ProjectionItem { expression, alias, name, span })
    }

    fn order_part(&self, pair: Pair<'_>) -> Result<Vec<SortItem>> {
        self.parts(pair).map(|item| self.sort_item(item)).collect()
    }

    fn sort_item(&self, pair: Pair<'_>) -> Result<SortItem> {
        let span = self.span(&pair);
        let descending = has(&pair, Rule::kw_desc) || has(&pair, Rule::kw_descending);
        let mut parts = self.parts(pair);
        let expression = self.expression(parts.need()?)?;
        let nulls_first = parts.next().map(|nulls| has(&nulls, Rule::kw_first_word));
        Ok(SortItem { expression, descending, nulls_first, span })
    }
}
