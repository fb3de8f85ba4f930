//! Structs and maps. Field names are constants of a query, so they come in as types, not as values: the binder asks for
//! `struct_pack` and `struct_extract` by [`bind_struct_pack`] and [`bind_struct_extract`].

use super::super::kernel::{mistyped, push_rows, strings};
use super::super::{
    BoundScalar, FunctionError, FunctionResult, Kernel, Overload, ScalarFunction, common_type,
};
use super::{aliased, entry};
use crate::types::{DataType, Field, Value};
use crate::vector::{Shape, Validity, Values};

/// The names of the properties that an entity has; no text can name it. See `present`.
pub const PRESENT_KEYS: &str = " keys";
/// A map of the properties that an entity has; no text can name it. See `present`.
pub const PRESENT_PROPERTIES: &str = " properties";

pub const TABLE: &[ScalarFunction] = &[
    entry("keys", keys),
    entry(PRESENT_KEYS, |types| present(types, DataType::list(DataType::String))),
    entry(PRESENT_PROPERTIES, |types| present(types, DataType::Any)),
    aliased("map", &[], map),
    aliased("map_extract", &["element_at"], map_extract),
    entry("map_keys", |types| map_part(types, 0)),
    entry("map_values", |types| map_part(types, 1)),
    aliased("[]", &["struct_extract"], dynamic_extract),
];

/// A STRUCT of the given fields; the arguments are its members in order.
pub fn bind_struct_pack(fields: Vec<Field>) -> BoundScalar {
    let kernel: Kernel = |_, call, out| {
        let members = out.members_mut().ok_or_else(|| mistyped(call.function.name))?;
        for (member, argument) in members.iter_mut().zip(call.arguments) {
            member.append_range(argument, 0, call.length);
        }
        out.finish_rows(call.length, Validity::AllValid);
        Ok(())
    };
    let arguments: Vec<DataType> = fields.iter().map(|field| field.data_type.clone()).collect();
    BoundScalar::new("struct_pack", Overload::new(arguments, DataType::Struct(fields), kernel).seeing_nulls())
}

/// The member of that name of a STRUCT or UNION; of ANY, the member or null.
pub fn bind_struct_extract(data_type: &DataType, name: &str) -> FunctionResult<BoundScalar> {
    let (position, member) = data_type.field(name).ok_or_else(|| {
        FunctionError::invalid("struct_extract", format!("{data_type} has no field '{name}'"))
    })?;
    // A kernel is a plain function: the position travels in the result's place among the members, as a constant.
    let kernel: Kernel = match data_type {
        DataType::Union(_) => |_, call, out| {
            let (Some(Values::Union { tags, children }), Some(position)) =
                (call.arguments[0].values(), member_position(call))
            else {
                return Err(mistyped(call.function.name));
            };
            let constant = matches!(call.arguments[0].shape, Shape::Constant(_));
            let child = children.get(position);
            push_rows(call, out, |row, out| {
                let row = if constant { 0 } else { row };
                if usize::from(tags[row]) == position {
                    out.append_row(&child, row)
                } else {
                    out.push_null()
                }
                Ok(())
            })
        },
        _ => |_, call, out| {
            let (Some(Values::Struct(members)), Some(position)) =
                (call.arguments[0].values(), member_position(call))
            else {
                return Err(mistyped(call.function.name));
            };
            let constant = matches!(call.arguments[0].shape, Shape::Constant(_));
            let member = members.get(position);
            if !constant && call.active.is_all_valid() {
                out.append_range(&member, 0, call.length);
                return Ok(());
            }
            push_rows(call, out, |row, out| {
                out.append_row(&member, if constant { 0 } else { row });
                Ok(())
            })
        },
    };
    let overload = Overload::new([data_type.clone()], member.clone(), kernel);
    Ok(BoundScalar { member: Some(position), ..BoundScalar::new("struct_extract", overload) })
}

fn member_position(call: &super::super::Call<'_>) -> Option<usize> {
    call.function.member
}

/// The names of a STRUCT's fields, or a map's keys where they are strings.
fn keys(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = match only {
        DataType::Struct(_) => |_, call, out| {
            let data_type = call.function.arguments[0].clone();
            let names: Vec<Value> = data_type
                .fields()
                .unwrap_or(&[])
                .iter()
                .map(|field| Value::String(field.name.clone()))
                .collect();
            let names = Value::List(names);
            push_rows(call, out, |_, out| Ok(out.push_value(&names)?))
        },
        DataType::Map(key, _) if **key == DataType::String => return map_part(types, 0),
        _ => return None,
    };
    Some(Overload::new([only.clone()], DataType::list(DataType::String), kernel))
}

/// What an entity has of its properties: the arguments are its id, then names and values by turns.
fn present(types: &[DataType], result: DataType) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        push_rows(call, out, |row, out| {
            if call.arguments.first().is_none_or(|id| id.is_null(row)) {
                out.push_null();
                return Ok(());
            }
            let arguments = call.arguments.iter().zip(&call.function.arguments).skip(1);
            let mut values = arguments.map(|(argument, data_type)| argument.value(row, data_type));
            let mut found: Vec<(String, Value)> = Vec::new();
            while let (Some(Value::String(name)), Some(value)) = (values.next(), values.next()) {
                if !value.is_null() {
                    found.push((name, value));
                }
            }
            let value = match out.data_type() {
                DataType::Any => Value::Struct(found),
                _ => Value::List(found.into_iter().map(|(name, _)| Value::String(name)).collect()),
            };
            Ok(out.push_value(&value)?)
        })
    };
    Some(Overload::new(types, result, kernel).seeing_nulls())
}

/// A map from a list of keys and a list of values.
fn map(types: &[DataType]) -> Option<Overload> {
    let [keys, values] = types else { return None };
    let result = DataType::map(keys.element()?.clone(), values.element()?.clone());
    let kernel: Kernel = |_, call, out| {
        let types = call.function.arguments.clone();
        push_rows(call, out, |row, out| {
            let sides = (call.arguments[0].value(row, &types[0]), call.arguments[1].value(row, &types[1]));
            let (Value::List(keys), Value::List(values)) = sides else {
                return Err(mistyped(call.function.name));
            };
            if keys.len() != values.len() {
                return Err(FunctionError::invalid(
                    call.function.name,
                    "there must be as many keys as values",
                ));
            }
            if keys.iter().any(Value::is_null) {
                return Err(FunctionError::invalid(call.function.name, "a key must not be null"));
            }
            let twice = keys
                .iter()
                .enumerate()
                .find(|(at, key)| keys[..*at].iter().any(|other| other.equivalent(key)));
            if let Some((_, key)) = twice {
                return Err(FunctionError::invalid(
                    call.function.name,
                    format!("the key {key} occurs twice"),
                ));
            }
            Ok(out.push_value(&Value::Map(keys.into_iter().zip(values).collect()))?)
        })
    };
    Some(Overload::new([keys.clone(), values.clone()], result, kernel))
}

/// The values of a key, as a list of one or none, as Kuzu has it.
fn map_extract(types: &[DataType]) -> Option<Overload> {
    let [map, wanted] = types else { return None };
    let DataType::Map(key, value) = map else { return None };
    if common_type(key, wanted) == DataType::Any {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
        let types = call.function.arguments.clone();
        push_rows(call, out, |row, out| {
            let (map, wanted) =
                (call.arguments[0].value(row, &types[0]), call.arguments[1].value(row, &types[1]));
            let Value::Map(entries) = map else { return Err(mistyped(call.function.name)) };
            let found =
                entries.into_iter().filter(|(key, _)| key.equivalent(&wanted)).map(|(_, value)| value);
            Ok(out.push_value(&Value::List(found.collect()))?)
        })
    };
    let result = DataType::list((**value).clone());
    Some(Overload::new([map.clone(), wanted.clone()], result, kernel))
}

fn map_part(types: &[DataType], part: usize) -> Option<Overload> {
    let [map @ DataType::Map(key, value)] = types else { return None };
    let (element, kernel): (&DataType, Kernel) = match part {
        0 => (key, |_, call, out| map_part_kernel(call, out, |(key, _)| key)),
        _ => (value, |_, call, out| map_part_kernel(call, out, |(_, value)| value)),
    };
    Some(Overload::new([map.clone()], DataType::list(element.clone()), kernel))
}

fn map_part_kernel(
    call: &super::super::Call<'_>,
    out: &mut crate::vector::VectorBuffer,
    part: impl Fn((Value, Value)) -> Value,
) -> FunctionResult<()> {
    let data_type = call.function.arguments[0].clone();
    push_rows(call, out, |row, out| {
        let Value::Map(entries) = call.arguments[0].value(row, &data_type) else {
            return Err(mistyped(call.function.name));
        };
        Ok(out.push_value(&Value::List(entries.into_iter().map(&part).collect()))?)
    })
}

/// `container[key]` where the key is a value: a member of a STRUCT by its name, or a map's value.
fn dynamic_extract(types: &[DataType]) -> Option<Overload> {
    let [container, wanted] = types else { return None };
    match container {
        DataType::Struct(fields) if super::fits(wanted, &DataType::String) => {
            let result =
                fields.iter().fold(DataType::Null, |meeting, field| common_type(&meeting, &field.data_type));
            let kernel: Kernel = |_, call, out| {
                let (data_type, names) = (call.function.arguments[0].clone(), strings(call, 1)?);
                push_rows(call, out, |row, out| {
                    let Value::Struct(fields) = call.arguments[0].value(row, &data_type) else {
                        return Err(mistyped(call.function.name));
                    };
                    let name = names.text(row);
                    let found = fields.into_iter().find(|(known, _)| known == name).map(|(_, value)| value);
                    let value = super::super::cast_value(&found.unwrap_or_default(), &call.function.result)?;
                    Ok(out.push_value(&value)?)
                })
            };
            Some(Overload::new([container.clone(), DataType::String], result, kernel))
        }
        DataType::Map(key, value) if common_type(key, wanted) != DataType::Any => {
            let kernel: Kernel = |_, call, out| {
                let types = call.function.arguments.clone();
                push_rows(call, out, |row, out| {
                    let (map, key) =
                        (call.arguments[0].value(row, &types[0]), call.arguments[1].value(row, &types[1]));
                    let Value::Map(entries) = map else { return Err(mistyped(call.function.name)) };
                    let found = entries.into_iter().find(|(known, _)| known.equivalent(&key));
                    Ok(out.push_value(&found.map_or(Value::Null, |(_, value)| value))?)
                })
            };
            Some(Overload::new([container.clone(), wanted.clone()], (**value).clone(), kernel))
        }
        _ => None,
    }
}
