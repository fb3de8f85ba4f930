//! Which type two types meet in.

use crate::types::{DataType, Field};

/// The type of arithmetic over two numbers: INT64, INT128 where UINT64 meets a sign, UINT64 among themselves, DECIMAL
/// with integers, FLOAT among themselves, else DOUBLE. None unless both are numbers.
pub fn numeric_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::*;
    if matches!(left, Null) && (right.is_numeric() || matches!(right, Null)) {
        return Some(if matches!(right, Null) { Int64 } else { numeric_type(right, right)? });
    }
    if matches!(right, Null) {
        return numeric_type(left, left);
    }
    if !left.is_numeric() || !right.is_numeric() {
        return None;
    }
    Some(match (left, right) {
        (Float, Float) => Float,
        _ if left.is_floating() || right.is_floating() => Double,
        (Decimal { .. }, _) | (_, Decimal { .. }) => common_decimal(left, right),
        (Int128, _) | (_, Int128) => Int128,
        (UInt64, UInt64) => UInt64,
        (UInt64, _) | (_, UInt64) => {
            if left.is_unsigned_integer() && right.is_unsigned_integer() {
                UInt64
            } else {
                Int128
            }
        }
        _ => Int64,
    })
}

/// The DECIMAL that holds both, as far as 38 digits allow.
fn common_decimal(left: &DataType, right: &DataType) -> DataType {
    let (left, right) = (decimal_form(left), decimal_form(right));
    let scale = left.1.max(right.1);
    let whole = (left.0 - left.1).max(right.0 - right.1);
    DataType::Decimal { precision: (whole + scale).min(DataType::DECIMAL_PRECISION_MAX), scale }
}

/// Precision and scale of a DECIMAL, or those that an integer type needs.
pub fn decimal_form(data_type: &DataType) -> (u8, u8) {
    match data_type {
        DataType::Decimal { precision, scale } => (*precision, *scale),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int128 => (38, 0),
        DataType::UInt64 => (20, 0),
        _ => (19, 0),
    }
}

/// The type in which values of both types can be held or compared: for lists, CASE, coalesce, UNION and comparison.
/// ANY where nothing narrower holds both.
pub fn common_type(left: &DataType, right: &DataType) -> DataType {
    use DataType::*;
    if left == right {
        return left.clone();
    }
    match (left, right) {
        (Null, other) | (other, Null) => other.clone(),
        (Serial, other) if !other.is_numeric() => Any,
        _ if left.is_integer() && right.is_integer() => common_integer(left, right),
        _ if left.is_numeric() && right.is_numeric() => match (left, right) {
            (Float | Double, _) | (_, Float | Double) => Double,
            _ => common_decimal(left, right),
        },
        (Date, Timestamp(unit)) | (Timestamp(unit), Date) => Timestamp(*unit),
        (Timestamp(left), Timestamp(right)) => Timestamp((*left).max(*right)),
        (TimestampTz, Date | Timestamp(_)) | (Date | Timestamp(_), TimestampTz) => TimestampTz,
        (LocalDateTime, Timestamp(_) | Date) | (Timestamp(_) | Date, LocalDateTime) => LocalDateTime,
        (Node, Id) | (Id, Node) => Id,
        (List(left), List(right) | Array(right, _)) | (Array(left, _), List(right) | Array(right, _)) => {
            DataType::list(common_type(left, right))
        }
        (Map(left_key, left), Map(right_key, right)) => {
            DataType::map(common_type(left_key, right_key), common_type(left, right))
        }
        (Struct(left), Struct(right)) if same_names(left, right) => Struct(
            left.iter()
                .zip(right)
                .map(|(left, right)| {
                    Field::new(left.name.clone(), common_type(&left.data_type, &right.data_type))
                })
                .collect(),
        ),
        _ => Any,
    }
}

fn same_names(left: &[Field], right: &[Field]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.name == right.name)
}

/// The narrowest integer type that holds both.
fn common_integer(left: &DataType, right: &DataType) -> DataType {
    use DataType::*;
    const SIGNED: [DataType; 5] = [Int8, Int16, Int32, Int64, Int128];
    const UNSIGNED: [DataType; 4] = [UInt8, UInt16, UInt32, UInt64];
    // The position is the width; a signed type needs one step more to hold an unsigned one.
    let width = |data_type: &DataType| {
        let data_type = if *data_type == Serial { &Int64 } else { data_type };
        SIGNED.iter().chain(&UNSIGNED).position(|known| known == data_type).map_or(3, |position| position % 5)
    };
    match (left.is_unsigned_integer(), right.is_unsigned_integer()) {
        (true, true) => UNSIGNED[width(left).max(width(right))].clone(),
        (false, false) => SIGNED[width(left).max(width(right))].clone(),
        (true, false) => SIGNED[(width(left) + 1).max(width(right))].clone(),
        (false, true) => SIGNED[width(left).max(width(right) + 1)].clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, common: &str) {
        let (left, right) = (DataType::parse(left).unwrap(), DataType::parse(right).unwrap());
        assert_eq!(common_type(&left, &right).to_string(), common);
        assert_eq!(common_type(&right, &left).to_string(), common);
    }

    #[test]
    fn types_meet() {
        check("INT8", "INT64", "INT64");
        check("UINT8", "INT8", "INT16");
        check("UINT64", "INT8", "INT128");
        check("UINT16", "UINT32", "UINT32");
        check("SERIAL", "INT8", "INT64");
        check("INT64", "FLOAT", "DOUBLE");
        check("DECIMAL(5,2)", "INT8", "DECIMAL(5, 2)");
        check("DATE", "TIMESTAMP", "TIMESTAMP");
        check("INT64", "STRING", "ANY");
        check("INT64[]", "DOUBLE[]", "DOUBLE[]");
        check("NULL", "STRING", "STRING");
    }
}
