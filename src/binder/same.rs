//! When two expressions are the same.

use super::bound::{BoundExpression, BoundSubquery, ExpressionKind, VariableId, same_literal};
use super::grouping::variable_of;
use crate::parser::ast::Span;

/// Whether two expressions of a text are sure to have the same value in every row. Their places in it do not count, nor
/// do the variables that they bind themselves; queries are the same if they are written alike and take the same from
/// the row around.
pub(super) fn same_expression(text: &str, left: &BoundExpression, right: &BoundExpression) -> bool {
    Comparison { text, own: Vec::new() }.same(left, right)
}

struct Comparison<'t> {
    text: &'t str,
    /// Variables that the expressions bind themselves, in pairs.
    own: Vec<(VariableId, VariableId)>,
}

impl Comparison<'_> {
    fn same(&mut self, left: &BoundExpression, right: &BoundExpression) -> bool {
        left.data_type == right.data_type && self.same_kind(left, right) && !left.is_volatile()
    }

    fn all(&mut self, left: &[BoundExpression], right: &[BoundExpression]) -> bool {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| self.same(left, right))
    }

    fn maybe(&mut self, left: Option<&BoundExpression>, right: Option<&BoundExpression>) -> bool {
        match (left, right) {
            (None, None) => true,
            (Some(left), Some(right)) => self.same(left, right),
            _ => false,
        }
    }

    fn variable(&self, left: VariableId, right: VariableId) -> bool {
        let own = self.own.iter().rev().find(|(l, r)| *l == left || *r == right);
        own.map_or(left == right, |pair| *pair == (left, right))
    }

    fn same_kind(&mut self, left: &BoundExpression, right: &BoundExpression) -> bool {
        use ExpressionKind::*;
        match (&left.kind, &right.kind) {
            (Literal(left), Literal(right)) => same_literal(left, right),
            (Parameter(left), Parameter(right)) | (Aggregate(left), Aggregate(right)) => left == right,
            (Property { variable, name, .. }, Property { variable: other, name: other_name, .. }) => {
                self.variable(*variable, *other) && name == other_name
            }
            (HasLabel { variable, tables }, HasLabel { variable: other, tables: others }) => {
                self.variable(*variable, *other) && tables == others
            }
            (Call { function, arguments }, Call { function: other, arguments: others }) => {
                function == other && self.all(arguments, others)
            }
            (And(left), And(right)) | (Or(left), Or(right)) => self.all(left, right),
            (Not(left), Not(right)) => self.same(left, right),
            (IsNull { operand, negated }, IsNull { operand: other, negated: other_negated }) => {
                negated == other_negated && self.same(operand, other)
            }
            (Case { branches, otherwise }, Case { branches: others, otherwise: other }) => {
                branches.len() == others.len()
                    && branches
                        .iter()
                        .zip(others)
                        .all(|(left, right)| self.same(&left.0, &right.0) && self.same(&left.1, &right.1))
                    && self.maybe(otherwise.as_deref(), other.as_deref())
            }
            (
                ListComprehension { variable, list, filter, map },
                ListComprehension { variable: other, list: of, filter: other_filter, map: other_map },
            ) => {
                self.same(list, of)
                    && self.inside(*variable, *other, |inside| {
                        inside.maybe(filter.as_deref(), other_filter.as_deref())
                            && inside.maybe(map.as_deref(), other_map.as_deref())
                    })
            }
            (
                Quantifier { kind, variable, list, predicate },
                Quantifier { kind: other_kind, variable: other, list: of, predicate: other_predicate },
            ) => {
                kind == other_kind
                    && self.same(list, of)
                    && self.inside(*variable, *other, |inside| inside.same(predicate, other_predicate))
            }
            (Subquery(query), Subquery(other)) => self.same_query((left.span, query), (right.span, other)),
            (left, right) => match (variable_of(left), variable_of(right)) {
                (Some(variable), Some(other)) => {
                    self.variable(variable, other)
                        && std::mem::discriminant(left) == std::mem::discriminant(right)
                }
                _ => false,
            },
        }
    }

    /// Compares bodies in which the two variables stand for the same.
    fn inside(
        &mut self,
        left: VariableId,
        right: VariableId,
        compare: impl FnOnce(&mut Self) -> bool,
    ) -> bool {
        self.own.push((left, right));
        let same = compare(self);
        self.own.pop();
        same
    }

    fn same_query(&mut self, left: (Span, &BoundSubquery), right: (Span, &BoundSubquery)) -> bool {
        let (imports, others) = (&left.1.imports, &right.1.imports);
        left.1.kind == right.1.kind
            && imports.len() == others.len()
            && written_alike(left.0.of(self.text), right.0.of(self.text))
            && imports.iter().zip(others).all(|((_, value), (_, other))| self.same(value, other))
    }
}

/// Whether two pieces of text differ in white space at most.
fn written_alike(left: &str, right: &str) -> bool {
    let has_comment = |text: &str| text.contains("//") || text.contains("/*");
    if has_comment(left) || has_comment(right) {
        return left == right;
    }
    significant(left) == significant(right)
}

/// A text with white space only inside quotes and between words.
fn significant(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let is_sign = |c: char| "<>=+-*/%^|&!:.".contains(c);
    let mut kept = String::with_capacity(text.len());
    let (mut quote, mut gap, mut escaped) = (None, false, false);
    for c in text.chars() {
        if let Some(open) = quote {
            kept.push(c);
            if c == open && !escaped {
                quote = None;
            }
            // A name in backticks has no escapes.
            escaped = c == '\\' && !escaped && open != '`';
            continue;
        }
        if c.is_whitespace() {
            gap = true;
            continue;
        }
        // Signs that mean something else side by side than apart stay apart, too.
        let last = kept.chars().next_back();
        if gap && last.is_some_and(|last| is_word(last) && is_word(c) || is_sign(last) && is_sign(c)) {
            kept.push(' ');
        }
        gap = false;
        kept.push(c);
        if matches!(c, '\'' | '"' | '`') {
            (quote, escaped) = (Some(c), false);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::written_alike;

    fn check(left: &str, right: &str, expected: bool) {
        assert_eq!(written_alike(left, right), expected, "{left} and {right}");
    }

    #[test]
    fn white_space_counts_inside_quotes_and_between_words() {
        check("COUNT { (a)-->() }", "COUNT{(a)-->()}", true);
        check("COUNT { (a) -->\n() }", "COUNT { (a)-->() }", true);
        check("EXISTS { (a {x: 'b  c'}) }", "EXISTS { (a {x: 'b c'}) }", false);
        check(r"EXISTS { (a {x: 'b\' c'}) }", r"EXISTS { (a {x: 'b\'  c'}) }", false);
        check("EXISTS { (a {x: 'b'}) }", "EXISTS { (a  {x:'b'}) }", true);
        check("[(a)-->(b) | b.x]", "[(a)-->(b)|b.x]", true);
        check("COUNT { MATCH (a) }", "COUNT { MATCH (b) }", false);
        check(r"COUNT { (a {`x\`: b.`s  p`}) }", r"COUNT { (a {`x\`: b.`s p`}) }", false);
        check("a b", "ab", false);
        check("a < -b", "a <-b", false);
        check("a // b\n", "a //\nb", false);
    }
}
