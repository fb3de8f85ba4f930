//! The scalar functions, one file per family; each exports its own table.

mod arithmetic;
mod comparison;
mod conditional;
mod hash;
mod list;
mod logic;
mod map_struct;
mod membership;
mod numeric;
mod string;
mod temporal;
mod temporal_arithmetic;
mod temporal_compose;
mod temporal_part;
mod temporal_shift;

pub use map_struct::{PRESENT_KEYS, PRESENT_PROPERTIES, bind_struct_extract, bind_struct_pack};

use super::{Availability, Overload, ScalarFunction};
use crate::types::DataType;

/// The tables of all families.
pub fn tables() -> Vec<&'static [ScalarFunction]> {
    vec![
        arithmetic::TABLE,
        comparison::TABLE,
        logic::TABLE,
        membership::TABLE,
        string::TABLE,
        numeric::TABLE,
        conditional::TABLE,
        hash::TABLE,
        list::TABLE,
        map_struct::TABLE,
        temporal::TABLE,
        temporal_arithmetic::TABLE,
    ]
}

/// An entry that both dialects know.
const fn entry(name: &'static str, resolve: fn(&[DataType]) -> Option<Overload>) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], availability: Availability::Both, resolve }
}

/// The same under further names.
const fn aliased(
    name: &'static str,
    aliases: &'static [&'static str],
    resolve: fn(&[DataType]) -> Option<Overload>,
) -> ScalarFunction {
    ScalarFunction { name, aliases, availability: Availability::Both, resolve }
}

/// An entry of one dialect.
const fn only(
    availability: Availability,
    name: &'static str,
    resolve: fn(&[DataType]) -> Option<Overload>,
) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], availability, resolve }
}

/// Whether an argument can stand where a type is needed; NULL can stand anywhere.
fn fits(argument: &DataType, needed: &DataType) -> bool {
    argument == needed || *argument == DataType::Null
}

/// Whether an argument is an integer or NULL.
fn is_integer(argument: &DataType) -> bool {
    argument.is_integer() || *argument == DataType::Null
}
