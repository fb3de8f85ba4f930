//! Values as Rust types.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use crate::error::{Error, ErrorKind};
use crate::types::{GlobalId, Interval, NodeValue, PathValue, RelValue, Time, Value, Zoned};

/// A type that values can become. Integers become any integer type they fit into, and floats; floats and decimals
/// become floats; nothing else is converted on the way.
pub trait FromValue: Sized {
    /// The value, or the value given back when it does not fit.
    fn from_value(value: Value) -> Result<Self, Value>;

    /// A BLOB as a list of this type; only bytes can.
    #[doc(hidden)]
    fn from_bytes(_: &[u8]) -> Option<Vec<Self>> {
        None
    }
}

pub(super) fn conversion_error<T>(column: &str, value: &Value) -> Error {
    let wanted = std::any::type_name::<T>();
    let message = match value {
        Value::Null => format!("column {column} is NULL here, which {wanted} cannot hold"),
        value => format!("column {column} holds {} here, which does not fit {wanted}", value.data_type()),
    };
    let error = Error::new(ErrorKind::Result, message);
    if value.is_null() { error.with_hint(format!("Ask for Option<{wanted}>")) } else { error }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Value, Value> {
        Ok(value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Option<T>, Value> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! integers {
    ($($rust:ty),*) => {$(
        impl FromValue for $rust {
            fn from_value(value: Value) -> Result<$rust, Value> {
                value.as_i128().and_then(|number| <$rust>::try_from(number).ok()).ok_or(value)
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, i128, isize, u16, u32, u64, u128, usize);

impl FromValue for u8 {
    fn from_value(value: Value) -> Result<u8, Value> {
        value.as_i128().and_then(|number| u8::try_from(number).ok()).ok_or(value)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(bytes.to_vec())
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<f64, Value> {
        value.as_f64().ok_or(value)
    }
}

impl FromValue for f32 {
    fn from_value(value: Value) -> Result<f32, Value> {
        value.as_f64().map(|number| number as f32).ok_or(value)
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<bool, Value> {
        value.as_bool().ok_or(value)
    }
}

macro_rules! variants {
    ($($pattern:pat => $rust:ty = $result:expr),* $(,)?) => {$(
        impl FromValue for $rust {
            fn from_value(value: Value) -> Result<$rust, Value> {
                match value {
                    $pattern => Ok($result),
                    other => Err(other),
                }
            }
        }
    )*};
}

variants! {
    Value::String(text) | Value::Json(text) => String = text,
    Value::Interval(interval) => Interval = interval,
    Value::Time(time) => Time = time,
    Value::DateTime(point) => Zoned = point,
    Value::Id(id) => GlobalId = id,
    Value::Node(node) => NodeValue = *node,
    Value::Rel(rel) => RelValue = *rel,
    Value::Path(path) => PathValue = *path,
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Vec<T>, Value> {
        match value {
            Value::List(elements) => elements.into_iter().map(T::from_value).collect(),
            Value::Blob(bytes) => T::from_bytes(&bytes).ok_or(Value::Blob(bytes)),
            other => Err(other),
        }
    }
}

impl<K: FromValue + Eq + Hash, V: FromValue, S: BuildHasher + Default> FromValue for HashMap<K, V, S> {
    fn from_value(value: Value) -> Result<HashMap<K, V, S>, Value> {
        pairs_of(value)
    }
}

impl<K: FromValue + Ord, V: FromValue> FromValue for BTreeMap<K, V> {
    fn from_value(value: Value) -> Result<BTreeMap<K, V>, Value> {
        pairs_of(value)
    }
}

/// Entries of a MAP, or the fields of a STRUCT under their names.
fn pairs_of<K: FromValue, V: FromValue, C: FromIterator<(K, V)>>(value: Value) -> Result<C, Value> {
    match value {
        Value::Map(entries) => {
            entries.into_iter().map(|(key, value)| Ok((K::from_value(key)?, V::from_value(value)?))).collect()
        }
        Value::Struct(fields) => fields
            .into_iter()
            .map(|(name, value)| Ok((K::from_value(Value::String(name))?, V::from_value(value)?)))
            .collect(),
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_what_they_fit_into() {
        assert_eq!(u8::from_value(Value::Int64(255)), Ok(255));
        assert_eq!(u8::from_value(Value::Int64(256)), Err(Value::Int64(256)));
        assert_eq!(f64::from_value(Value::Int32(3)), Ok(3.0));
        assert_eq!(i64::from_value(Value::Double(3.0)), Err(Value::Double(3.0)));
        assert_eq!(Option::<i64>::from_value(Value::Null), Ok(None));
    }

    #[test]
    fn lists_blobs_and_maps_become_collections() {
        let list = Value::List(vec![Value::Int64(1), Value::Null]);
        assert_eq!(Vec::<Option<i64>>::from_value(list.clone()), Ok(vec![Some(1), None]));
        assert_eq!(Vec::<i64>::from_value(list), Err(Value::Null));
        assert_eq!(Vec::<u8>::from_value(Value::Blob(vec![1, 2])), Ok(vec![1, 2]));
        assert!(Vec::<i64>::from_value(Value::Blob(vec![1])).is_err());
        let fields = Value::Struct(vec![("a".to_owned(), Value::Int64(1))]);
        assert_eq!(HashMap::<String, i64>::from_value(fields), Ok(HashMap::from([("a".to_owned(), 1)])));
    }
}
