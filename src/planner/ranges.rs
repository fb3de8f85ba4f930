//! Ranges that predicates stand for, so that storage can leave out groups by their least and greatest values.

use std::cmp::Ordering;

use crate::binder::bound::{BoundExpression, ExpressionKind};
use crate::types::{DataType, PredicateOp, Value};

/// Comparisons that follow from `left IN right` or `left STARTS WITH right`, and whether they say the same.
pub fn tests_of(
    operator: &str,
    left: &BoundExpression,
    right: &BoundExpression,
) -> Option<(Vec<(PredicateOp, Value)>, bool)> {
    let ExpressionKind::Literal(right) = &right.kind else { return None };
    match (operator, right) {
        ("STARTS WITH", Value::String(prefix)) if left.data_type == DataType::String => {
            let low = (PredicateOp::Ge, Value::String(prefix.clone()));
            let high = after_prefix(prefix).map(|next| (PredicateOp::Lt, Value::String(next)));
            Some((std::iter::once(low).chain(high).collect(), true))
        }
        ("IN", Value::List(values)) => {
            let values: Vec<&Value> = values.iter().filter(|value| **value != Value::Null).collect();
            let fits = |value: &&&Value| value.data_type() == left.data_type && !is_nan(value);
            if values.is_empty() || !values.iter().all(|value| fits(&value)) {
                return None;
            }
            let ordered = |a: &&&Value, b: &&&Value| -> Ordering { a.order(b) };
            let (low, high) = (values.iter().min_by(ordered)?, values.iter().max_by(ordered)?);
            if low.order(high) == Ordering::Equal {
                return Some((vec![(PredicateOp::Eq, (*low).clone())], true));
            }
            let bounds = vec![(PredicateOp::Ge, (*low).clone()), (PredicateOp::Le, (*high).clone())];
            Some((bounds, false))
        }
        _ => None,
    }
}

fn is_nan(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_nan(),
        Value::Double(number) => number.is_nan(),
        _ => false,
    }
}

/// The least text that is greater than all texts with the prefix; none where there is none.
pub fn after_prefix(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // Between the last letter below the surrogates and the first above them there is nothing.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_a_prefix_end_before_the_next_one() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_prefix(""), None);
        assert_eq!(after_prefix("\u{10FFFF}"), None);
    }
}
