//! Named parameters of a statement.
//!
//! A parameter's type is that of its value, found anew at every execution. A parameter that the text names and the
//! caller does not give is an error; one that the caller gives and the text does not name is passed over, so that one
//! set of parameters can serve several statements.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crate::types::Value;

/// Names and values. Of two values with one name the last counts.
///
/// ```
/// use quiredb::{Params, Value, params};
/// let params = params! { id: 7, "name" => "Ada", born: None::<i64> };
/// assert_eq!(params.get("name"), Some(&Value::String("Ada".to_owned())));
/// assert_eq!(params.get("born"), Some(&Value::Null));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    pairs: Vec<(Cow<'static, str>, Value)>,
}

impl Params {
    /// No parameters.
    pub fn new() -> Params {
        Params::default()
    }

    /// With room for so many.
    pub fn with_capacity(count: usize) -> Params {
        Params { pairs: Vec::with_capacity(count) }
    }

    /// Adds a parameter; the name stands without its `$`.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> &mut Params {
        self.pairs.push((name.into(), value.into()));
        self
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.pairs.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Names and values in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// How many were given.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Takes the value of that name out, for the one reader of it.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let found = self.pairs.iter_mut().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| std::mem::take(value))
    }
}

impl From<&Params> for Params {
    fn from(params: &Params) -> Params {
        params.clone()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Params {
        Params { pairs: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>, const COUNT: usize> From<[(N, V); COUNT]> for Params {
    fn from(pairs: [(N, V); COUNT]) -> Params {
        pairs.into_iter().collect()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> From<Vec<(N, V)>> for Params {
    fn from(pairs: Vec<(N, V)>) -> Params {
        pairs.into_iter().collect()
    }
}

impl<V: Into<Value>, S> From<HashMap<String, V, S>> for Params {
    fn from(pairs: HashMap<String, V, S>) -> Params {
        pairs.into_iter().collect()
    }
}

impl<V: Into<Value>> From<BTreeMap<String, V>> for Params {
    fn from(pairs: BTreeMap<String, V>) -> Params {
        pairs.into_iter().collect()
    }
}

/// Parameters of a statement: `params! { id: 7, "name" => "Ada" }`.
#[macro_export]
macro_rules! params {
    (@add $params:ident) => {};
    (@add $params:ident $name:ident : $value:expr $(, $($rest:tt)*)?) => {
        $params.set(stringify!($name), $value);
        $( $crate::params!(@add $params $($rest)*); )?
    };
    (@add $params:ident $name:literal => $value:expr $(, $($rest:tt)*)?) => {
        $params.set($name, $value);
        $( $crate::params!(@add $params $($rest)*); )?
    };
    () => { $crate::Params::new() };
    ($($pairs:tt)+) => {{
        let mut params = $crate::Params::new();
        $crate::params!(@add params $($pairs)+);
        params
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts() {
        let params = params! { a: 1, "b c" => "x", a: 2.5, };
        assert_eq!(params.get("a"), Some(&Value::Double(2.5)));
        assert_eq!(params.get("b c"), Some(&Value::String("x".to_owned())));
        assert_eq!(params.get("c"), None);
        assert_eq!(params.len(), 3);
    }

    #[test]
    fn parameters_come_from_collections() {
        assert!(params! {}.is_empty());
        assert_eq!(Params::from([("a", 1), ("b", 2)]).get("b"), Some(&Value::Int32(2)));
        assert_eq!(Params::from(BTreeMap::from([("a".to_owned(), "x")])).get("a"), Some(&Value::from("x")));
    }
}
