//! The logical types.

use std::fmt;

/// The unit in which a TIMESTAMP counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimestampUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds: what plain TIMESTAMP means.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimestampUnit {
    /// Units in one second.
    pub const fn per_second(self) -> i64 {
        match self {
            TimestampUnit::S => 1,
            TimestampUnit::Ms => 1_000,
            TimestampUnit::Us => 1_000_000,
            TimestampUnit::Ns => 1_000_000_000,
        }
    }

    /// Nanoseconds in one unit.
    pub const fn nanos(self) -> i64 {
        1_000_000_000 / self.per_second()
    }
}

/// A named member of a STRUCT or UNION.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name as written.
    pub name: String,
    /// The type of the member.
    pub data_type: DataType,
}

impl Field {
    /// A field of the given name and type.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Field { name: name.into(), data_type }
    }
}

/// The type of a column, of an expression or of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    Null,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Int128,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float,
    Double,
    /// At most 38 digits, `scale` of them after the point.
    Decimal {
        precision: u8,
        scale: u8,
    },
    String,
    Blob,
    Uuid,
    Date,
    /// Time of day with an offset from UTC.
    Time,
    LocalTime,
    LocalDateTime,
    /// An instant with an offset or a zone.
    DateTime,
    Timestamp(TimestampUnit),
    /// An instant in microseconds; shown in UTC.
    TimestampTz,
    Interval,
    Serial,
    List(Box<DataType>),
    Array(Box<DataType>, u32),
    Struct(Vec<Field>),
    Map(Box<DataType>, Box<DataType>),
    Union(Vec<Field>),
    Json,
    /// Every value carries its own type.
    Any,
    Node,
    Rel,
    Path,
    Id,
}

impl DataType {
    /// The largest precision of a DECIMAL.
    pub const DECIMAL_PRECISION_MAX: u8 = 38;

    /// A list of this type.
    pub fn list(element: DataType) -> DataType {
        DataType::List(Box::new(element))
    }

    /// A map from keys to values.
    pub fn map(key: DataType, value: DataType) -> DataType {
        DataType::Map(Box::new(key), Box::new(value))
    }

    /// Signed or unsigned, SERIAL included.
    pub fn is_integer(&self) -> bool {
        self.is_signed_integer() || self.is_unsigned_integer()
    }

    /// INT8 to INT128, and SERIAL.
    pub fn is_signed_integer(&self) -> bool {
        use DataType::*;
        matches!(self, Int8 | Int16 | Int32 | Int64 | Int128 | Serial)
    }

    /// UINT8 to UINT64.
    pub fn is_unsigned_integer(&self) -> bool {
        use DataType::*;
        matches!(self, UInt8 | UInt16 | UInt32 | UInt64)
    }

    /// FLOAT and DOUBLE.
    pub fn is_floating(&self) -> bool {
        matches!(self, DataType::Float | DataType::Double)
    }

    /// Integers, floats and DECIMAL.
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || self.is_floating() || matches!(self, DataType::Decimal { .. })
    }

    /// Points in time, of day or both; no INTERVAL.
    pub fn is_temporal(&self) -> bool {
        use DataType::*;
        matches!(self, Date | Time | LocalTime | LocalDateTime | DateTime | Timestamp(_) | TimestampTz)
    }

    /// Types whose values hold other values.
    pub fn is_nested(&self) -> bool {
        use DataType::*;
        matches!(self, List(_) | Array(..) | Struct(_) | Map(..) | Union(_) | Rel | Path)
    }

    /// Whether types stand inside each other at more than so many levels.
    pub fn is_deeper_than(&self, levels: usize) -> bool {
        let Some(below) = levels.checked_sub(1) else { return true };
        match self {
            DataType::List(element) | DataType::Array(element, _) => element.is_deeper_than(below),
            DataType::Map(key, value) => key.is_deeper_than(below) || value.is_deeper_than(below),
            DataType::Struct(fields) | DataType::Union(fields) => {
                fields.iter().any(|field| field.data_type.is_deeper_than(below))
            }
            _ => false,
        }
    }

    /// The type of the elements of a LIST or ARRAY.
    pub fn element(&self) -> Option<&DataType> {
        match self {
            DataType::List(element) | DataType::Array(element, _) => Some(element),
            _ => None,
        }
    }

    /// The members of a STRUCT or UNION.
    pub fn fields(&self) -> Option<&[Field]> {
        match self {
            DataType::Struct(fields) | DataType::Union(fields) => Some(fields),
            _ => None,
        }
    }

    /// Position and type of a member; names are compared without regard to case, as Kuzu does.
    pub fn field(&self, name: &str) -> Option<(usize, &DataType)> {
        let fields = self.fields()?;
        let exact = fields.iter().position(|field| field.name == name);
        let found =
            exact.or_else(|| fields.iter().position(|field| field.name.eq_ignore_ascii_case(name)))?;
        Some((found, &fields[found].data_type))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            DataType::Null => "NULL",
            DataType::Bool => "BOOL",
            DataType::Int8 => "INT8",
            DataType::Int16 => "INT16",
            DataType::Int32 => "INT32",
            DataType::Int64 => "INT64",
            DataType::Int128 => "INT128",
            DataType::UInt8 => "UINT8",
            DataType::UInt16 => "UINT16",
            DataType::UInt32 => "UINT32",
            DataType::UInt64 => "UINT64",
            DataType::Float => "FLOAT",
            DataType::Double => "DOUBLE",
            DataType::Decimal { precision, scale } => {
                return write!(formatter, "DECIMAL({precision}, {scale})");
            }
            DataType::String => "STRING",
            DataType::Blob => "BLOB",
            DataType::Uuid => "UUID",
            DataType::Date => "DATE",
            DataType::Time => "TIME",
            DataType::LocalTime => "LOCALTIME",
            DataType::LocalDateTime => "LOCALDATETIME",
            DataType::DateTime => "DATETIME",
            DataType::Timestamp(TimestampUnit::S) => "TIMESTAMP_S",
            DataType::Timestamp(TimestampUnit::Ms) => "TIMESTAMP_MS",
            DataType::Timestamp(TimestampUnit::Us) => "TIMESTAMP",
            DataType::Timestamp(TimestampUnit::Ns) => "TIMESTAMP_NS",
            DataType::TimestampTz => "TIMESTAMP_TZ",
            DataType::Interval => "INTERVAL",
            DataType::Serial => "SERIAL",
            DataType::List(element) => return write!(formatter, "{element}[]"),
            DataType::Array(element, length) => return write!(formatter, "{element}[{length}]"),
            DataType::Struct(fields) => return write_fields(formatter, "STRUCT", fields),
            DataType::Map(key, value) => return write!(formatter, "MAP({key}, {value})"),
            DataType::Union(fields) => return write_fields(formatter, "UNION", fields),
            DataType::Json => "JSON",
            DataType::Any => "ANY",
            DataType::Node => "NODE",
            DataType::Rel => "REL",
            DataType::Path => "RECURSIVE_REL",
            DataType::Id => "INTERNAL_ID",
        };
        formatter.write_str(name)
    }
}

fn write_fields(formatter: &mut fmt::Formatter<'_>, name: &str, fields: &[Field]) -> fmt::Result {
    write!(formatter, "{name}(")?;
    for (position, field) in fields.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(formatter, "{separator}{} {}", quoted_name(&field.name), field.data_type)?;
    }
    formatter.write_str(")")
}

/// A field's name in backticks unless it is a plain identifier, so that the text parses back.
fn quoted_name(name: &str) -> String {
    let plain = name.chars().enumerate().all(|(position, letter)| {
        letter == '_' || letter.is_alphabetic() || (position > 0 && letter.is_alphanumeric())
    });
    if plain && !name.is_empty() { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}
