//! One value of any type, owned: results, parameters, constants and defaults.

use super::{DataType, Field, GlobalId, Interval, Time, TimestampUnit, Zoned};

/// A value that owns its parts. `==` is structural (NaN differs from itself); the language's three relations are
/// [`Value::equals`], [`Value::order`] and [`Value::equivalent`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Int128(i128),
    UInt8(u8),
    UInt16(u16),
    UInt32(u32),
    UInt64(u64),
    Float(f32),
    Double(f64),
    /// The unscaled number, precision and scale.
    Decimal(i128, u8, u8),
    String(String),
    Blob(Vec<u8>),
    /// The 128 bits with the highest one flipped, so that signed order is the order of the bytes.
    Uuid(i128),
    /// Days since 1970-01-01.
    Date(i64),
    Time(Time),
    /// Nanoseconds since midnight.
    LocalTime(i64),
    /// Nanoseconds since 1970-01-01T00:00:00.
    LocalDateTime(i128),
    DateTime(Zoned),
    Timestamp(TimestampUnit, i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampTz(i64),
    Interval(Interval),
    List(Vec<Value>),
    Struct(Vec<(String, Value)>),
    Map(Vec<(Value, Value)>),
    /// The member's name and its value.
    Union(String, Box<Value>),
    Node(Box<NodeValue>),
    Rel(Box<RelValue>),
    Path(Box<PathValue>),
    Id(GlobalId),
    Json(String),
}

/// A node as a result shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeValue {
    pub id: GlobalId,
    pub labels: Vec<String>,
    pub properties: Vec<(String, Value)>,
}

/// A relationship as a result shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RelValue {
    pub id: GlobalId,
    pub src: GlobalId,
    pub dst: GlobalId,
    pub label: String,
    pub properties: Vec<(String, Value)>,
}

/// A path: one node more than relationships.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PathValue {
    pub nodes: Vec<NodeValue>,
    pub rels: Vec<RelValue>,
}

impl Value {
    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The type that fits this value; lists and maps of mixed values are of ANY.
    pub fn data_type(&self) -> DataType {
        match self {
            Value::Null => DataType::Null,
            Value::Bool(_) => DataType::Bool,
            Value::Int8(_) => DataType::Int8,
            Value::Int16(_) => DataType::Int16,
            Value::Int32(_) => DataType::Int32,
            Value::Int64(_) => DataType::Int64,
            Value::Int128(_) => DataType::Int128,
            Value::UInt8(_) => DataType::UInt8,
            Value::UInt16(_) => DataType::UInt16,
            Value::UInt32(_) => DataType::UInt32,
            Value::UInt64(_) => DataType::UInt64,
            Value::Float(_) => DataType::Float,
            Value::Double(_) => DataType::Double,
            Value::Decimal(_, precision, scale) => DataType::Decimal { precision: *precision, scale: *scale },
            Value::String(_) => DataType::String,
            Value::Blob(_) => DataType::Blob,
            Value::Uuid(_) => DataType::Uuid,
            Value::Date(_) => DataType::Date,
            Value::Time(_) => DataType::Time,
            Value::LocalTime(_) => DataType::LocalTime,
            Value::LocalDateTime(_) => DataType::LocalDateTime,
            Value::DateTime(_) => DataType::DateTime,
            Value::Timestamp(unit, _) => DataType::Timestamp(*unit),
            Value::TimestampTz(_) => DataType::TimestampTz,
            Value::Interval(_) => DataType::Interval,
            Value::List(elements) => DataType::list(common_type(elements.iter())),
            Value::Struct(fields) => DataType::Struct(
                fields.iter().map(|(name, value)| Field::new(name.clone(), value.data_type())).collect(),
            ),
            Value::Map(entries) => DataType::map(
                common_type(entries.iter().map(|(key, _)| key)),
                common_type(entries.iter().map(|(_, value)| value)),
            ),
            Value::Union(name, value) => DataType::Union(vec![Field::new(name.clone(), value.data_type())]),
            Value::Node(_) => DataType::Node,
            Value::Rel(_) => DataType::Rel,
            Value::Path(_) => DataType::Path,
            Value::Id(_) => DataType::Id,
            Value::Json(_) => DataType::Json,
        }
    }

    /// The value as a wide integer, if it is an integer of any width.
    pub fn as_i128(&self) -> Option<i128> {
        Some(match self {
            Value::Int8(value) => i128::from(*value),
            Value::Int16(value) => i128::from(*value),
            Value::Int32(value) => i128::from(*value),
            Value::Int64(value) => i128::from(*value),
            Value::Int128(value) => *value,
            Value::UInt8(value) => i128::from(*value),
            Value::UInt16(value) => i128::from(*value),
            Value::UInt32(value) => i128::from(*value),
            Value::UInt64(value) => i128::from(*value),
            _ => return None,
        })
    }

    /// The value as INT64, if it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128().and_then(|value| i64::try_from(value).ok())
    }

    /// The value as a float, if it is a number; wide integers and decimals are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(f64::from(*value)),
            Value::Double(value) => Some(*value),
            Value::Decimal(value, _, scale) => Some(*value as f64 / 10f64.powi(i32::from(*scale))),
            other => other.as_i128().map(|value| value as f64),
        }
    }

    /// The text of a STRING or JSON.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The truth of a BOOL.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

/// The type that all the values share; nulls fit anything, a mixture is ANY.
fn common_type<'v>(values: impl Iterator<Item = &'v Value>) -> DataType {
    let mut common = DataType::Null;
    for value in values.filter(|value| !value.is_null()) {
        let data_type = value.data_type();
        common = unify(common, data_type);
        if common == DataType::Any {
            break;
        }
    }
    common
}

/// The narrower of two observed types where one extends the other by NULL parts, else ANY.
fn unify(left: DataType, right: DataType) -> DataType {
    match (left, right) {
        (DataType::Null, other) | (other, DataType::Null) => other,
        (left, right) if left == right => left,
        (DataType::List(left), DataType::List(right)) => DataType::list(unify(*left, *right)),
        (DataType::Map(left_key, left), DataType::Map(right_key, right)) => {
            DataType::map(unify(*left_key, *right_key), unify(*left, *right))
        }
        (DataType::Struct(left), DataType::Struct(right)) if same_names(&left, &right) => DataType::Struct(
            left.into_iter()
                .zip(right)
                .map(|(left, right)| Field {
                    data_type: unify(left.data_type, right.data_type),
                    name: left.name,
                })
                .collect(),
        ),
        _ => DataType::Any,
    }
}

fn same_names(left: &[Field], right: &[Field]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.name == right.name)
}

macro_rules! value_from {
    ($($rust:ty => $variant:ident),* $(,)?) => {$(
        impl From<$rust> for Value {
            fn from(value: $rust) -> Value {
                Value::$variant(value)
            }
        }
    )*};
}

value_from! {
    bool => Bool, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64, i128 => Int128,
    u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64, f32 => Float, f64 => Double,
    String => String, Interval => Interval, Time => Time, Zoned => DateTime, GlobalId => Id,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

/// A list; bytes become a list of numbers too, a BLOB is `Value::Blob`.
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Value {
        Value::List(elements.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
