//! What can go wrong in a function, as data.

use crate::types::{DataType, TypeError};

/// A result of a function.
pub type FunctionResult<T> = Result<T, FunctionError>;

/// Faults of resolving or evaluating a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The result does not fit its type.
    #[error("{function}: the result is out of the range of {data_type}")]
    Overflow { function: &'static str, data_type: DataType },
    /// An integer or DECIMAL is divided by zero.
    #[error("division by zero (operator {function})")]
    DivisionByZero { function: &'static str },
    /// An argument that the function is not defined for.
    #[error("{function}: {detail}")]
    InvalidArgument { function: &'static str, detail: String },
    /// Whoever watches over the kernel ended it.
    #[error("{function}: ended before it was done")]
    Stopped { function: &'static str },
    /// A value cannot become one of another type.
    #[error("{0}")]
    Cast(#[from] TypeError),
    /// There is no such function.
    #[error("function {name} does not exist{}", did_you_mean(.similar))]
    UnknownFunction { name: String, similar: Vec<String> },
    /// The function exists, but not for these arguments.
    #[error("{function} is not defined for ({})", list(.arguments))]
    NoOverload { function: String, arguments: Vec<DataType> },
    /// No cast leads from one type to the other.
    #[error("{} cannot be cast to {to}", .from.with_article())]
    NoCast { from: DataType, to: DataType },
    /// A cast may lead there, but a column does not take it without one.
    #[error("it is {}, not {}", .from.with_article(), .to.with_article())]
    NotAssignable { from: DataType, to: DataType },
}

fn list(types: &[DataType]) -> String {
    types.iter().map(DataType::to_string).collect::<Vec<_>>().join(", ")
}

fn did_you_mean(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(" or ")) }
}

impl FunctionError {
    /// An argument that the function is not defined for.
    pub fn invalid(function: &'static str, detail: impl Into<String>) -> Self {
        FunctionError::InvalidArgument { function, detail: detail.into() }
    }
}
