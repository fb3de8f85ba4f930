//! The text of one cell to a value of any type, for what the short loops of `convert` do not take.

use crate::types::{DataType, TypeError, TypeResult, Value};

/// The value that a text stands for.
pub(super) fn parse_text(data_type: &DataType, text: &[u8]) -> TypeResult<Value> {
    let refused = || TypeError::parse(data_type, text, "");
    let trimmed = std::str::from_utf8(text).map_err(|_| refused())?.trim();
    let value = match data_type {
        DataType::Double => trimmed.parse().ok().map(Value::Double),
        DataType::Float => trimmed.parse().ok().map(Value::Float),
        DataType::Bool => trimmed.to_ascii_lowercase().parse().ok().map(Value::Bool),
        other if other.is_integer() => trimmed.parse().ok().map(Value::Int128),
        _ => None,
    };
    value.ok_or_else(refused)
}
