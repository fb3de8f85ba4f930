//! How a value of each logical type lies in a vector or a column chunk.

use super::DataType;

/// The in-memory form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhysicalType {
    Null,
    /// One byte, 0 or 1.
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Str,
    Time,
    Interval,
    Zoned,
    List,
    Struct,
    Union,
    Any,
}

impl PhysicalType {
    /// Bytes of one fixed-size value; a string counts its view, nested types count nothing.
    pub const fn width(self) -> usize {
        match self {
            PhysicalType::Bool | PhysicalType::I8 | PhysicalType::U8 => 1,
            PhysicalType::I16 | PhysicalType::U16 => 2,
            PhysicalType::I32 | PhysicalType::U32 | PhysicalType::F32 => 4,
            PhysicalType::I64 | PhysicalType::U64 | PhysicalType::F64 => 8,
            PhysicalType::I128 | PhysicalType::Str | PhysicalType::Time | PhysicalType::Any => 16,
            PhysicalType::Interval | PhysicalType::Zoned => 32,
            PhysicalType::Null | PhysicalType::List | PhysicalType::Struct | PhysicalType::Union => 0,
        }
    }
}

impl DataType {
    /// The in-memory form of this type's values.
    pub fn physical(&self) -> PhysicalType {
        match self {
            DataType::Null => PhysicalType::Null,
            DataType::Bool => PhysicalType::Bool,
            DataType::Int8 => PhysicalType::I8,
            DataType::Int16 => PhysicalType::I16,
            DataType::Int32 => PhysicalType::I32,
            DataType::Int64 | DataType::Serial => PhysicalType::I64,
            DataType::Date | DataType::LocalTime | DataType::Timestamp(_) | DataType::TimestampTz => {
                PhysicalType::I64
            }
            DataType::Int128 | DataType::Decimal { .. } | DataType::Uuid | DataType::LocalDateTime => {
                PhysicalType::I128
            }
            DataType::UInt8 => PhysicalType::U8,
            DataType::UInt16 => PhysicalType::U16,
            DataType::UInt32 => PhysicalType::U32,
            DataType::UInt64 | DataType::Node | DataType::Rel | DataType::Id => PhysicalType::U64,
            DataType::Float => PhysicalType::F32,
            DataType::Double => PhysicalType::F64,
            DataType::String | DataType::Blob | DataType::Json => PhysicalType::Str,
            DataType::Time => PhysicalType::Time,
            DataType::DateTime => PhysicalType::Zoned,
            DataType::Interval => PhysicalType::Interval,
            DataType::List(_) | DataType::Array(..) | DataType::Map(..) => PhysicalType::List,
            DataType::Struct(_) | DataType::Path => PhysicalType::Struct,
            DataType::Union(_) => PhysicalType::Union,
            DataType::Any => PhysicalType::Any,
        }
    }

    /// The types of the child vectors: one element for lists and maps (a map's element is a STRUCT of key and value),
    /// the members of a STRUCT or UNION, (id, source, destination) of a REL, (nodes, relationships) of a PATH.
    pub fn children(&self) -> Vec<DataType> {
        match self {
            DataType::List(element) | DataType::Array(element, _) => vec![(**element).clone()],
            DataType::Map(key, value) => vec![super::DataType::map_entry(key, value)],
            DataType::Struct(fields) | DataType::Union(fields) => {
                fields.iter().map(|field| field.data_type.clone()).collect()
            }
            DataType::Path => vec![DataType::list(DataType::Node), DataType::list(DataType::Rel)],
            _ => Vec::new(),
        }
    }

    /// The STRUCT that a map's list holds.
    pub fn map_entry(key: &DataType, value: &DataType) -> DataType {
        DataType::Struct(vec![
            super::Field::new("key", key.clone()),
            super::Field::new("value", value.clone()),
        ])
    }
}
