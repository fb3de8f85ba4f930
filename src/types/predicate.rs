//! The predicates that storage understands: one column against constants.

use super::{ColumnId, DataType, Value};

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

/// Whether storage has tests for columns of a type: where its values are numbers or bytes that are in the order of the
/// values. All others are compared by functions.
pub fn has_column_tests(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Bool | T::Float | T::Double | T::Decimal { .. } | T::String | T::Blob | T::Uuid => true,
        T::Date | T::LocalTime | T::LocalDateTime | T::Timestamp(_) | T::TimestampTz | T::Id | T::Node => {
            true
        }
        _ => data_type.is_integer(),
    }
}
