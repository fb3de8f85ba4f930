//! What the planner and the binder ask of an expression, and of a pattern.

use std::collections::BTreeSet;

use super::bound::{BoundExpression, BoundPattern, ExpressionKind, VariableId};
use crate::types::Value;

impl BoundExpression {
    /// Whether a query is part of it.
    pub fn has_subquery(&self) -> bool {
        self.any(&|part| matches!(part.kind, ExpressionKind::Subquery(_)))
    }

    /// Whether it has another value each time it is computed.
    pub fn is_volatile(&self) -> bool {
        self.any(&|part| matches!(&part.kind, ExpressionKind::Call { function, .. } if function.volatile))
    }

    /// Whether it may end in an error for some values, as a division does: a condition that stands before it in the
    /// text may be there to keep such values from it.
    pub fn may_fail(&self) -> bool {
        self.any(&|part| match &part.kind {
            ExpressionKind::Call { function, .. } => !function.is_total(),
            ExpressionKind::Subquery(_) => true,
            _ => false,
        })
    }

    fn any(&self, asked: &dyn Fn(&BoundExpression) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |part| found |= asked(part));
        found
    }
}

impl BoundPattern {
    /// Its nodes, relationships and paths, whether it binds them or not.
    pub fn variables(&self) -> BTreeSet<VariableId> {
        let edges = self.edges.iter().map(|edge| edge.variable);
        let paths = self.paths.iter().map(|path| path.variable);
        self.nodes.iter().copied().chain(edges).chain(paths).collect()
    }
}

/// Whether two literals are one value to every function: `0.0` equals `-0.0` and is another value all the same.
pub fn same_literal(left: &Value, right: &Value) -> bool {
    left == right && (!has_zero(left) || format!("{left:?}") == format!("{right:?}"))
}

/// Whether a value is, or may have in it, a float that equals one with another sign.
fn has_zero(value: &Value) -> bool {
    match value {
        Value::Double(number) => *number == 0.0,
        Value::Float(number) => *number == 0.0,
        Value::List(_) | Value::Struct(_) | Value::Map(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_different_signs_are_different_literals() {
        let list = |number| Value::List(vec![Value::Double(number)]);
        assert!(!same_literal(&Value::Double(0.0), &Value::Double(-0.0)));
        assert!(!same_literal(&list(0.0), &list(-0.0)));
        assert!(same_literal(&list(-0.0), &list(-0.0)));
        assert!(same_literal(&Value::Double(1.5), &Value::Double(1.5)));
        assert!(!same_literal(&Value::Double(f64::NAN), &Value::Double(f64::NAN)));
    }
}
