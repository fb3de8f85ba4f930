//! All functions by name. The registry only puts the families' tables together.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::any_dispatch::{bind_any, bind_null};
use super::{
    AggregateFunction, BoundAggregate, BoundScalar, Dialect, FunctionError, FunctionResult, ScalarFunction,
};
use crate::types::{DataType, edit_distance};

struct Registry {
    scalars: HashMap<String, Vec<&'static ScalarFunction>>,
    aggregates: HashMap<String, &'static AggregateFunction>,
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut scalars: HashMap<String, Vec<&'static ScalarFunction>> = HashMap::new();
        for function in super::scalar::tables().into_iter().flatten() {
            for name in std::iter::once(&function.name).chain(function.aliases) {
                scalars.entry(name.to_lowercase()).or_default().push(function);
            }
        }
        let mut aggregates = HashMap::new();
        for function in super::aggregate::TABLE {
            for name in std::iter::once(&function.name).chain(function.aliases) {
                aggregates.insert(name.to_lowercase(), function);
            }
        }
        Registry { scalars, aggregates }
    })
}

/// Whether a dialect knows a scalar function or operator of this name.
pub fn scalar_exists(name: &str, dialect: Dialect) -> bool {
    entries(name, dialect).next().is_some()
}

/// Whether there is an aggregate of this name.
pub fn aggregate_exists(name: &str) -> bool {
    registry().aggregates.contains_key(&name.to_lowercase())
}

fn entries(name: &str, dialect: Dialect) -> impl Iterator<Item = &'static ScalarFunction> {
    let known = registry().scalars.get(&name.to_lowercase()).map_or(&[][..], Vec::as_slice);
    known.iter().copied().filter(move |function| function.availability.includes(dialect))
}

/// The function or operator for the given argument types. Where `arguments` of the result differ from the types given,
/// the caller casts (`bind_cast`).
pub fn resolve_scalar(name: &str, dialect: Dialect, arguments: &[DataType]) -> FunctionResult<BoundScalar> {
    let mut known = entries(name, dialect).peekable();
    let Some(first) = known.peek().copied() else {
        return Err(FunctionError::UnknownFunction { name: name.to_owned(), similar: similar_names(name) });
    };
    for function in known {
        if let Some(overload) = (function.resolve)(arguments) {
            return Ok(BoundScalar::new(function.name, overload));
        }
    }
    let known: Vec<&'static ScalarFunction> = entries(name, dialect).collect();
    let unknown = |data_type: &DataType| arguments.contains(data_type);
    let late = if unknown(&DataType::Any) { bind_any(known.clone(), arguments) } else { None };
    let late = late.or_else(|| if unknown(&DataType::Null) { bind_null(&known, arguments) } else { None });
    late.ok_or_else(|| FunctionError::NoOverload {
        function: first.name.to_owned(),
        arguments: arguments.to_vec(),
    })
}

/// The aggregate for the given argument types.
pub fn resolve_aggregate(name: &str, arguments: &[DataType]) -> FunctionResult<BoundAggregate> {
    let Some(function) = registry().aggregates.get(&name.to_lowercase()) else {
        return Err(FunctionError::UnknownFunction { name: name.to_owned(), similar: similar_names(name) });
    };
    (function.resolve)(arguments).ok_or_else(|| FunctionError::NoOverload {
        function: function.name.to_owned(),
        arguments: arguments.to_vec(),
    })
}

/// All names, aliases included, sorted: for completion.
pub fn function_names() -> Vec<String> {
    let registry = registry();
    let mut names: Vec<String> = registry.scalars.keys().chain(registry.aggregates.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// At most three known names that are close to a mistyped one.
pub fn similar_names(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let bound = 1 + name.chars().count() / 4;
    let is_word = |known: &String| known.starts_with(|letter: char| letter.is_alphabetic());
    let mut close: Vec<(usize, String)> = function_names()
        .into_iter()
        .filter(is_word)
        .filter_map(|known| Some((edit_distance(&name, &known, bound)?, known)))
        .collect();
    close.sort();
    close.into_iter().take(3).map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_typos_have_a_hint() {
        assert!(scalar_exists("toLower", Dialect::OpenCypher) && scalar_exists("TOLOWER", Dialect::Kuzu));
        assert!(aggregate_exists("count") && !scalar_exists("nonsense", Dialect::Kuzu));
        assert_eq!(similar_names("tolowr").first().map(String::as_str), Some("tolower"));
        let error = resolve_scalar("colaesce", Dialect::Kuzu, &[]).unwrap_err();
        assert_eq!(error.to_string(), "function colaesce does not exist; did you mean coalesce or collect?");
    }
}
