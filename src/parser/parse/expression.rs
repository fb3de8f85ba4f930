//! Operators: one flat list of operands and signs becomes a tree by precedence.

use super::{Builder, Pair, Result, Rule, has};
use crate::parser::MAX_DEPTH;
use crate::parser::ast::{
    BinaryOperator, ComparisonOperator, ComparisonPart, Expression, ExpressionKind, Literal, Span,
    UnaryOperator,
};
use crate::parser::error::ParseError;

/// An expression while its operators are sorted out.
pub(super) struct Built {
    pub(super) expression: Expression,
    /// With the parentheses around it.
    pub(super) outer: Span,
    /// How many levels of the tree it has.
    height: usize,
    /// Whether the next operand of the same kind joins its chain: `a AND b` can grow, `(a AND b)` not.
    open: bool,
}

pub(super) type Step = Result<Built>;

impl Builder<'_> {
    pub(super) fn expression(&self, pair: Pair<'_>) -> Result<Expression> {
        Ok(self.outer_expression(pair)?.0)
    }

    /// An expression and its place with parentheses.
    ///
    /// `tallest` carries heights past everything that is not an expression: an operand's height is one
    /// more than that of the tallest expression built inside of it, whatever stood between.
    pub(super) fn outer_expression(&self, pair: Pair<'_>) -> Result<(Expression, Span)> {
        let before = self.tallest.get();
        let built = self.operators(pair)?;
        self.tallest.set(before.max(built.height));
        let Built { expression, outer, .. } = built;
        Ok((expression, outer))
    }

    fn operators(&self, pair: Pair<'_>) -> Step {
        if pair.as_str().len() > MAX_DEPTH {
            self.check_prefixes(&pair)?;
        }
        let span = self.span(&pair);
        self.tighter_than(0, &mut pair.into_inner(), span)
    }

    /// Prefix operators are the one thing that nests in a flat list.
    fn check_prefixes(&self, pair: &Pair<'_>) -> Result<()> {
        let mut run = 0;
        for part in pair.clone().into_inner() {
            run = match part.as_rule() {
                Rule::op_not | Rule::op_negative | Rule::op_positive => run + 1,
                _ => 0,
            };
            if run > MAX_DEPTH {
                return Err(Box::new(ParseError::too_deep(self.span(&part), self.text)));
            }
        }
        Ok(())
    }

    pub(super) fn operand(&self, pair: Pair<'_>) -> Step {
        let before = self.tallest.replace(0);
        let outer = self.span(&pair);
        let in_parentheses = pair.as_rule() == Rule::parenthesized;
        let expression = self.atom(pair)?;
        // Parentheses leave no level of their own in the tree, unless they begin a pattern.
        let level = !in_parentheses || matches!(expression.kind, ExpressionKind::Pattern(_));
        let height = self.tallest.replace(before) + usize::from(level);
        self.grown(expression, outer, height)
    }

    fn grown(&self, expression: Expression, outer: Span, height: usize) -> Step {
        if height > MAX_DEPTH {
            return Err(Box::new(ParseError::too_deep(outer, self.text)));
        }
        Ok(Built { expression, outer, height, open: false })
    }

    pub(super) fn prefix(&self, sign: Pair<'_>, operand: Built) -> Step {
        let outer = self.span(&sign).join(operand.outer);
        let operator = match sign.as_rule() {
            Rule::op_not => UnaryOperator::Not,
            Rule::op_negative => UnaryOperator::Minus,
            _ => UnaryOperator::Plus,
        };
        let height = operand.height + 1;
        let kind = match (operator, operand.expression.kind) {
            // The smallest integer has no positive counterpart, so the sign belongs to the number.
            (UnaryOperator::Minus, ExpressionKind::Literal(Literal::Integer(number))) if number >= 0 => {
                ExpressionKind::Literal(Literal::Integer(-number))
            }
            (UnaryOperator::Minus, ExpressionKind::Literal(Literal::Float(number)))
                if number.is_sign_positive() =>
            {
                ExpressionKind::Literal(Literal::Float(-number))
            }
            (operator, kind) => {
                let operand = Box::new(Expression::new(kind, operand.expression.span));
                ExpressionKind::Unary { operator, operand }
            }
        };
        self.grown(Expression::new(kind, outer), outer, height)
    }

    pub(super) fn infix(&self, left: Built, sign: Pair<'_>, right: Built) -> Step {
        match sign.as_rule() {
            Rule::op_and | Rule::op_or | Rule::op_xor => self.logical(left, sign.as_rule(), right),
            rule => match comparison_operator(rule) {
                Some(operator) => self.comparison(left, operator, self.span(&sign), right),
                None => self.binary(left, sign, right),
            },
        }
    }

    fn binary(&self, left: Built, sign: Pair<'_>, right: Built) -> Step {
        let operator = self.required(binary_operator(sign.as_rule()), self.span(&sign))?;
        let outer = left.outer.join(right.outer);
        let height = left.height.max(right.height) + 1;
        let kind = ExpressionKind::Binary {
            operator,
            left: Box::new(left.expression),
            right: Box::new(right.expression),
        };
        self.grown(Expression::new(kind, outer), outer, height)
    }

    fn comparison(
        &self,
        left: Built,
        operator: ComparisonOperator,
        operator_span: Span,
        right: Built,
    ) -> Step {
        let outer = left.outer.join(right.outer);
        let part = ComparisonPart { operator, operator_span, right: right.expression };
        let (kind, height) = match (left.open, left.expression) {
            (true, Expression { kind: ExpressionKind::Comparison { first, mut rest }, .. }) => {
                rest.push(part);
                (ExpressionKind::Comparison { first, rest }, left.height.max(right.height + 1))
            }
            (_, first) => {
                let kind = ExpressionKind::Comparison { first: Box::new(first), rest: vec![part] };
                (kind, left.height.max(right.height) + 1)
            }
        };
        self.chain(kind, outer, height)
    }

    fn logical(&self, left: Built, rule: Rule, right: Built) -> Step {
        let outer = left.outer.join(right.outer);
        let (left_height, right_height) = (left.height, right.height);
        let (mut operands, joined) = match (rule, left.open, left.expression) {
            (Rule::op_and, true, Expression { kind: ExpressionKind::And(operands), .. })
            | (Rule::op_or, true, Expression { kind: ExpressionKind::Or(operands), .. })
            | (Rule::op_xor, true, Expression { kind: ExpressionKind::Xor(operands), .. }) => {
                (operands, true)
            }
            (_, _, expression) => (vec![expression], false),
        };
        operands.push(right.expression);
        let kind = match rule {
            Rule::op_and => ExpressionKind::And(operands),
            Rule::op_or => ExpressionKind::Or(operands),
            _ => ExpressionKind::Xor(operands),
        };
        let left_height = if joined { left_height } else { left_height + 1 };
        self.chain(kind, outer, left_height.max(right_height + 1))
    }

    fn chain(&self, kind: ExpressionKind, outer: Span, height: usize) -> Step {
        let mut built = self.grown(Expression::new(kind, outer), outer, height)?;
        built.open = true;
        Ok(built)
    }

    pub(super) fn postfix(&self, operand: Built, sign: Pair<'_>) -> Step {
        let before = self.tallest.replace(0);
        let height = operand.height;
        let expression = match sign.as_rule() {
            Rule::property => self.property(operand, sign)?,
            Rule::index => self.index(operand, sign)?,
            Rule::call_arguments => self.call(operand, sign)?,
            Rule::map_projection => self.map_projection(operand, sign)?,
            Rule::has_labels => self.has_labels(operand, sign)?,
            rule => {
                let span = operand.outer.join(self.span(&sign));
                let operand = Box::new(operand.expression);
                let kind = match rule {
                    Rule::op_is_null => ExpressionKind::IsNull { operand, negated: has(&sign, Rule::kw_not) },
                    _ => ExpressionKind::AllProperties(operand),
                };
                Expression::new(kind, span)
            }
        };
        let inside = self.tallest.replace(before);
        let span = expression.span;
        self.grown(expression, span, height.max(inside) + 1)
    }

    fn property(&self, operand: Built, sign: Pair<'_>) -> Result<Expression> {
        let key = self.name(self.parts(sign).need()?);
        let span = operand.outer.join(key.span);
        let target = Box::new(operand.expression);
        Ok(Expression::new(ExpressionKind::Property { target, key }, span))
    }

    fn has_labels(&self, operand: Built, sign: Pair<'_>) -> Result<Expression> {
        let labels = Box::new(self.label_expression(self.parts(sign).need()?)?);
        let span = operand.outer.join(labels.span);
        let target = Box::new(operand.expression);
        Ok(Expression::new(ExpressionKind::HasLabels { target, labels }, span))
    }

    fn index(&self, operand: Built, sign: Pair<'_>) -> Result<Expression> {
        let span = operand.outer.join(self.span(&sign));
        let target = Box::new(operand.expression);
        let (mut from, mut to, mut slice) = (None, None, false);
        for part in self.parts(sign) {
            match part.as_rule() {
                Rule::slice_dots => slice = true,
                _ if slice => to = Some(Box::new(self.expression(part)?)),
                _ => from = Some(Box::new(self.expression(part)?)),
            }
        }
        let kind = match (slice, from) {
            (true, from) => ExpressionKind::Slice { target, from, to },
            (false, Some(index)) => index_or_slice(target, *index),
            (false, None) => {
                return self.unexpected(span, "a position or range is missing between the brackets");
            }
        };
        Ok(Expression::new(kind, span))
    }
}

/// `list[a:b]` reads like a label predicate, which can never be a position.
fn index_or_slice(target: Box<Expression>, index: Expression) -> ExpressionKind {
    match index.kind {
        ExpressionKind::HasLabels { target: from, labels } if labels.as_name().is_some() => {
            let to = labels.as_name().map(|name| {
                Box::new(Expression::new(ExpressionKind::Variable(name.text.clone()), name.span))
            });
            ExpressionKind::Slice { target, from: Some(from), to }
        }
        kind => ExpressionKind::Index { target, index: Box::new(Expression::new(kind, index.span)) },
    }
}

fn comparison_operator(rule: Rule) -> Option<ComparisonOperator> {
    Some(match rule {
        Rule::op_equal => ComparisonOperator::Equal,
        Rule::op_not_equal => ComparisonOperator::NotEqual,
        Rule::op_less => ComparisonOperator::Less,
        Rule::op_less_equal => ComparisonOperator::LessOrEqual,
        Rule::op_greater => ComparisonOperator::Greater,
        Rule::op_greater_equal => ComparisonOperator::GreaterOrEqual,
        _ => return None,
    })
}

fn binary_operator(rule: Rule) -> Option<BinaryOperator> {
    Some(match rule {
        Rule::op_add => BinaryOperator::Add,
        Rule::op_subtract => BinaryOperator::Subtract,
        Rule::op_multiply => BinaryOperator::Multiply,
        Rule::op_divide => BinaryOperator::Divide,
        Rule::op_modulo => BinaryOperator::Modulo,
        Rule::op_power => BinaryOperator::Power,
        Rule::op_concat => BinaryOperator::Concat,
        Rule::op_bit_and => BinaryOperator::BitAnd,
        Rule::op_shift_left => BinaryOperator::ShiftLeft,
        Rule::op_shift_right => BinaryOperator::ShiftRight,
        Rule::op_in => BinaryOperator::In,
        Rule::op_starts => BinaryOperator::StartsWith,
        Rule::op_ends => BinaryOperator::EndsWith,
        Rule::op_contains => BinaryOperator::Contains,
        Rule::op_regex => BinaryOperator::RegexMatch,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::parser::parse_expression;

    /// What the text means, with every operator in parentheses.
    fn check(text: &str, expected: &str) {
        match parse_expression(text) {
            Ok(expression) => assert_eq!(expression.to_string(), expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn precedence() {
        check("1 + 2 * 3 ^ 2 ^ 2", "(1 + (2 * ((3 ^ 2) ^ 2)))");
        check("-3 ^ 2", "(-3 ^ 2)");
        check("-a ^ 2", "((- a) ^ 2)");
        check("a OR b XOR c AND NOT d = e", "(a OR (b XOR (c AND (NOT (d = e)))))");
        check("NOT a IS NULL", "(NOT (a IS NULL))");
        check("1 + 2 IN [3] = true", "(((1 + 2) IN [3]) = true)");
        check("a STARTS WITH 'x' + 'y'", "(a STARTS WITH ('x' + 'y'))");
        check("a.b[0].c:L IS NOT NULL", "(a.b[0].c:L IS NOT NULL)");
        check(
            "a % 2 = 0 and b =~ 'x.*' Or c contains 'd'",
            "((((a % 2) = 0) AND (b =~ 'x.*')) OR (c CONTAINS 'd'))",
        );
        check("a || b << 2 & c", "(((a || b) << 2) & c)");
        check("5 - 4 - 3 + 2", "(((5 - 4) - 3) + 2)");
    }

    #[test]
    fn chains() {
        check("a < b <= c", "(a < b <= c)");
        check("(a < b) < c", "((a < b) < c)");
        check("a < (b < c)", "(a < (b < c))");
        check("a AND b AND c", "(a AND b AND c)");
        check("a AND (b AND c)", "(a AND (b AND c))");
        check("NOT NOT a", "(NOT (NOT a))");
        check("- - 5", "(- -5)");
    }

    #[test]
    fn literals() {
        check("-9223372036854775808", "-9223372036854775808");
        check("[0x1F, 0o17, 1_000, .5, 1e3, 1.5E-2]", "[31, 15, 1000, 0.5, 1000.0, 0.015]");
        check(r"'a\n\t\'\\\u00e9\uD83D\uDE00'", "'a\n\t\\'\\\\é😀'");
        check("{a: 1, `b c`: [true, NULL], 'd': \"x\"}", "{a: 1, b c: [true, null], d: 'x'}");
        check("$a + $1 + $`b c`", "(($a + $1) + $b c)");
        check("/* x */ 1 // y", "1");
    }

    #[test]
    fn lists() {
        check("l[1..2][..3][4..][1:n]", "l[1..2][..3][4..][1..n]");
        check("[x IN l]", "[x IN l]");
        check("[(x IN l)]", "[(x IN l)]");
        check("[x IN l, 2]", "[(x IN l), 2]");
        check("[x IN l WHERE x > 1 | x * 2]", "[x IN l WHERE (x > 1) | (x * 2)]");
        check("[x IN l WHERE x:A | x.b]", "[x IN l WHERE x:A | x.b]");
        check("[x IN l WHERE x.y AND x:A | x]", "[x IN l WHERE (x.y AND x:A) | x]");
        check("[x IN l WHERE x:A|B | x]", "[x IN l WHERE x:(A|B) | x]");
        check("[p = (a)-[:R]->(b) WHERE b:C | p]", "[p = (a)-[:R]->(b) WHERE b:C | p]");
        check("[(a)<--(:B {c: 1}) | a.x]", "[(a)<-[]-(:B {c: 1}) | a.x]");
        check("[(a)-->(b), 1]", "[(a)-[]->(b), 1]");
    }

    #[test]
    fn calls() {
        check("count(*) + count(DISTINCT a.b)", "(count(*) + count(DISTINCT a.b))");
        check("apoc.text.join(a, ',')", "apoc.text.join(a, ',')");
        check(
            "all(x IN l WHERE x > 0) AND none(x IN l WHERE x)",
            "(all(x IN l WHERE (x > 0)) AND none(x IN l WHERE x))",
        );
        check("reduce(s = 0, x IN l | s + x)", "reduce(s = 0, x IN l | (s + x))");
        check("CAST(a AS INT64[])", "CAST(a AS INT64[])");
        check(
            "cast(a, 'STRUCT(b INT64, c MAP(STRING, DECIMAL(18, 3)))')",
            "CAST(a AS STRUCT(b INT64, c MAP(STRING, DECIMAL(18, 3))))",
        );
        check("list_transform(l, x -> x + 1)", "list_transform(l, (x) -> (x + 1))");
        check("list_reduce(l, (x, y) -> x + y)", "list_reduce(l, (x, y) -> (x + y))");
        check("f(a, b := 2)", "f(a, b := 2)");
        check("n {.a, .*, b: 1, c}", "n {.a, .*, b: 1, c}");
        check("CASE a WHEN 1 THEN 'x' ELSE end END", "CASE a WHEN 1 THEN 'x' ELSE end END");
        check("CASE WHEN a THEN b END", "CASE WHEN a THEN b END");
        check("shortestPath((a)-[:R*..3]->(b))", "(a)-[:R*..3]->(b)");
    }

    #[test]
    fn patterns_and_parentheses() {
        check("(a)-->(b)", "(a)-[]->(b)");
        check("(a) - (b)", "(a - b)");
        check("(a:A|B {x: 1})-[r:R|:S*2]-(b WHERE b.x)", "(a:(A|B) {x: 1})-[r:(R|S)*2..2]-(b WHERE b.x)");
        check("(a {x: 1})<--()", "(a {x: 1})<-[]-()");
        check("NOT (a)--(b) AND (c.d)", "((NOT (a)-[]-(b)) AND c.d)");
        check("exists((a)-->(b))", "exists((a)-[]->(b))");
        check("EXISTS { (a)-->(b) } = COUNT { MATCH (a) }", "(EXISTS { … } = COUNT { … })");
        check("n:A&!(B|C)", "n:(A&!(B|C))");
        check("(n:A)", "n:A");
    }

    #[test]
    fn the_span_is_what_was_written() {
        let text = "  (a + b) * f( 1 )  ";
        let expression = parse_expression(text).expect("it parses");
        assert_eq!(expression.span.of(text), "(a + b) * f( 1 )");
    }
}
