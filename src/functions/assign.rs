//! What may be written into a column: more than an implicit cast (any number that fits, texts that are read as points
//! in time and the like), less than CAST (no fraction is cut off, no text becomes a number or the other way round).

use super::{FunctionError, FunctionResult, cast_value, implicit_cost};
use crate::types::{DataType, TypeError, Value};

/// Whether values of one type can be written into a column of another. What a single value holds is seen when it is
/// there: a number may not fit, a text may be no date.
pub fn assignable(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    if implicit_cost(from, to).is_some() {
        return true;
    }
    match (from, to) {
        _ if from.is_numeric() && to.is_numeric() => true,
        (String, _) => !to.is_numeric() && !matches!(to, List(_) | Array(..) | Struct(_) | Map(..)),
        (LocalDateTime, Timestamp(_)) | (DateTime, TimestampTz) => true,
        (List(from) | Array(from, _), List(to) | Array(to, _)) => assignable(from, to),
        (Map(from_key, from), Map(to_key, to)) => assignable(from_key, to_key) && assignable(from, to),
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && to.iter().all(|to| {
                    from.iter().any(|from| from.name == to.name && assignable(&from.data_type, &to.data_type))
                })
        }
        (_, Union(fields)) => fields.iter().any(|field| assignable(from, &field.data_type)),
        _ => false,
    }
}

/// The value as one of the column's type.
pub fn assign_value(value: &Value, to: &DataType) -> FunctionResult<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let from = value.data_type();
    if !assignable(&from, to) {
        return Err(FunctionError::NotAssignable { from, to: to.clone() });
    }
    if loses_fraction(value, to) {
        let value = value.to_string();
        return Err(TypeError::Fraction { data_type: to.clone(), value }.into());
    }
    match (value, to) {
        // Fields are found by name; the order is the column's.
        (Value::Struct(fields), DataType::Struct(wanted)) => {
            let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            let assigned = wanted.iter().map(|to| {
                let value = assign_value(field(&to.name).unwrap_or(&Value::Null), &to.data_type)?;
                Ok((to.name.clone(), value))
            });
            Ok(Value::Struct(assigned.collect::<FunctionResult<_>>()?))
        }
        (Value::List(elements), DataType::List(to)) => {
            let assigned = elements.iter().map(|element| assign_value(element, to));
            Ok(Value::List(assigned.collect::<FunctionResult<_>>()?))
        }
        _ => cast_value(value, to),
    }
}

fn loses_fraction(value: &Value, to: &DataType) -> bool {
    let whole = to.is_integer() || *to == DataType::Serial;
    whole
        && matches!(value, Value::Float(_) | Value::Double(_) | Value::Decimal(..))
        && value.as_f64().is_some_and(|number| number.fract() != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, to: &str, expected: Option<Value>) {
        let to = DataType::parse(to).expect("a type name of this test");
        assert_eq!(assign_value(&value, &to).ok(), expected, "{value} as {to}");
    }

    #[test]
    fn numbers_are_written_where_they_fit() {
        check(Value::Int64(5), "INT8", Some(Value::Int8(5)));
        check(Value::Int64(500), "INT8", None);
        check(Value::Double(5.0), "INT64", Some(Value::Int64(5)));
        check(Value::Double(5.5), "INT64", None);
        check(Value::Int64(5), "DOUBLE", Some(Value::Double(5.0)));
        check(Value::Null, "INT64", Some(Value::Null));
    }

    #[test]
    fn texts_are_read_but_never_as_numbers() {
        check(Value::String("2024-01-02".into()), "DATE", Some(Value::Date(19724)));
        check(Value::String("soon".into()), "DATE", None);
        check(Value::String("5".into()), "INT64", None);
        check(Value::Int64(5), "STRING", None);
    }

    #[test]
    fn parts_are_written_like_values() {
        let list = |values: &[i64]| Value::List(values.iter().map(|value| Value::Int64(*value)).collect());
        check(list(&[1, 2]), "INT8[]", Some(Value::List(vec![Value::Int8(1), Value::Int8(2)])));
        check(list(&[1, 200]), "INT8[]", None);
        check(Value::List(vec![Value::Double(0.5)]), "INT64[]", None);
        let fields = |y: Value, x: Value| Value::Struct(vec![("y".into(), y), ("x".into(), x)]);
        let turned = Value::Struct(vec![("x".into(), Value::Double(2.0)), ("y".into(), Value::Int8(1))]);
        check(fields(Value::Int64(1), Value::Int64(2)), "STRUCT(x DOUBLE, y INT8)", Some(turned));
    }
}
