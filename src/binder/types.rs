//! Types: type names as written, and the type that different values share.

use super::bind::Binder;
use super::error::{BindError, BindErrorKind, BindResult};
use crate::functions::common_type;
use crate::parser::ast::{TypeName, TypeNameKind, TypedName};
use crate::types::{DataType, Field, closest_name};

/// Names of types for "did you mean".
const TYPE_NAMES: &[&str] = &[
    "BOOL",
    "BOOLEAN",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "INT128",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "STRING",
    "BLOB",
    "UUID",
    "DATE",
    "TIME",
    "LOCALTIME",
    "LOCALDATETIME",
    "DATETIME",
    "TIMESTAMP",
    "INTERVAL",
    "DURATION",
    "SERIAL",
    "JSON",
    "ANY",
    "STRUCT",
    "MAP",
    "UNION",
];

impl Binder<'_> {
    /// The type that a name stands for.
    pub fn data_type(&self, name: &TypeName) -> BindResult<DataType> {
        Ok(match &name.kind {
            TypeNameKind::Named { name: text, arguments } => return named_type(name, text, arguments),
            TypeNameKind::List(element) => DataType::list(self.data_type(element)?),
            TypeNameKind::Array(element, length) => {
                let Some(length) = u32::try_from(*length).ok().filter(|length| *length > 0) else {
                    let message = format!("an array cannot have {length} elements");
                    return Err(BindError::new(BindErrorKind::NumberOutOfRange, name.span, message));
                };
                DataType::Array(Box::new(self.data_type(element)?), length)
            }
            TypeNameKind::Struct(fields) => DataType::Struct(self.fields(fields)?),
            TypeNameKind::Union(fields) => DataType::Union(self.fields(fields)?),
            TypeNameKind::Map(key, value) => DataType::map(self.data_type(key)?, self.data_type(value)?),
        })
    }

    fn fields(&self, names: &[TypedName]) -> BindResult<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::with_capacity(names.len());
        for typed in names {
            if fields.iter().any(|field| field.name == typed.name.text) {
                let message = format!("the field {} appears twice", typed.name.text);
                return Err(BindError::new(BindErrorKind::DuplicateColumn, typed.name.span, message));
            }
            fields.push(Field::new(typed.name.text.clone(), self.data_type(&typed.type_name)?));
        }
        Ok(fields)
    }
}

fn named_type(name: &TypeName, text: &str, arguments: &[u64]) -> BindResult<DataType> {
    let numbers: Vec<String> = arguments.iter().map(u64::to_string).collect();
    let written =
        if numbers.is_empty() { text.to_owned() } else { format!("{text}({})", numbers.join(", ")) };
    DataType::parse(&written).map_err(|_| {
        let known = TYPE_NAMES.iter().any(|known| known.eq_ignore_ascii_case(text));
        let message = if known {
            format!("{written} is not a valid use of the type {text}")
        } else {
            format!("there is no type named {text}")
        };
        let suggestion = if known { None } else { closest_name(text, TYPE_NAMES.iter().copied()) };
        BindError::new(BindErrorKind::UnknownType, name.span, message).did_you_mean(suggestion)
    })
}

/// The type that values of both types can have without loss of meaning: nulls fit anything, equal types stay, lists and
/// structs are unified part by part, anything else is a mixture. With `widen` they become the narrowest type that holds both.
pub(super) fn unify(left: &DataType, right: &DataType, widen: bool) -> DataType {
    match (left, right) {
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (left, right) if left == right => left.clone(),
        (DataType::List(left), DataType::List(right)) => DataType::list(unify(left, right, widen)),
        (DataType::Map(left_key, left), DataType::Map(right_key, right)) => {
            DataType::map(unify(left_key, right_key, widen), unify(left, right, widen))
        }
        (DataType::Struct(left), DataType::Struct(right)) if same_names(left, right) => {
            let fields = left.iter().zip(right);
            DataType::Struct(
                fields
                    .map(|(left, right)| {
                        Field::new(left.name.clone(), unify(&left.data_type, &right.data_type, widen))
                    })
                    .collect(),
            )
        }
        (left, right) if widen => common_type(left, right),
        _ => DataType::Any,
    }
}

fn same_names(left: &[Field], right: &[Field]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.name == right.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, widen: bool, expected: &str) {
        let parse = |text| DataType::parse(text).expect("a type name of this test");
        for (left, right) in [(left, right), (right, left)] {
            assert_eq!(unify(&parse(left), &parse(right), widen).to_string(), expected, "{left} {right}");
        }
    }

    #[test]
    fn values_share_the_narrowest_type_that_keeps_them() {
        check("INT64", "INT64", false, "INT64");
        check("INT64", "DOUBLE", false, "ANY");
        check("INT64", "DOUBLE", true, "DOUBLE");
        check("INT32", "UINT32", true, "INT64");
        check("INT8", "INT64", true, "INT64");
        check("UINT64", "INT8", true, "INT128");
        check("INT64[]", "STRING[]", false, "ANY[]");
        check("STRING", "DATE", true, "ANY");
        check("STRUCT(a INT64)", "STRUCT(a INT32)", true, "STRUCT(a INT64)");
        check("STRUCT(a INT64)", "STRUCT(b INT64)", true, "ANY");
    }
}
