//! The predicates that storage understands: one column against constants.

use super::{ColumnId, Value};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PredicateOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    IsNull,
    IsNotNull,
    /// One of `values`.
    In,
    /// From `values[0]` to `values[1]`, both included.
    Between,
    /// A string that starts with `values[0]`.
    StartsWith,
}

impl PredicateOp {
    /// The comparison with exchanged sides.
    pub fn mirrored(self) -> PredicateOp {
        match self {
            PredicateOp::Lt => PredicateOp::Gt,
            PredicateOp::Le => PredicateOp::Ge,
            PredicateOp::Gt => PredicateOp::Lt,
            PredicateOp::Ge => PredicateOp::Le,
            same => same,
        }
    }
}

/// `column op values`: rows that make it true survive; null and false do not.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPredicate {
    /// The column of the table that is scanned.
    pub column: ColumnId,
    /// The comparison.
    pub op: PredicateOp,
    /// None for the null tests, two for `Between`, any number for `In`, one otherwise; of the column's type.
    pub values: Vec<Value>,
}

impl ColumnPredicate {
    /// A predicate with one constant.
    pub fn new(column: ColumnId, op: PredicateOp, value: Value) -> Self {
        ColumnPredicate { column, op, values: vec![value] }
    }

    /// The constant of a comparison.
    pub fn value(&self) -> Option<&Value> {
        self.values.first()
    }
}
