//! The tags of ANY vectors: types whose values fit into a 16-byte word have a tag of their own.

use crate::types::{DataType, TimestampUnit};

/// The tag of a null.
pub const ANY_NULL: u8 = 0;
/// The tag of a value that stands in a typed child.
pub const ANY_CHILD: u8 = 255;

const TAGGED: [DataType; 27] = [
    DataType::Bool,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::Int128,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float,
    DataType::Double,
    DataType::String,
    DataType::Blob,
    DataType::Uuid,
    DataType::Date,
    DataType::Time,
    DataType::LocalTime,
    DataType::LocalDateTime,
    DataType::Timestamp(TimestampUnit::S),
    DataType::Timestamp(TimestampUnit::Ms),
    DataType::Timestamp(TimestampUnit::Us),
    DataType::Timestamp(TimestampUnit::Ns),
    DataType::TimestampTz,
    DataType::Json,
    DataType::Node,
    DataType::Id,
];

/// The tag of a type whose values fit into a word; none for DECIMAL, INTERVAL, DATETIME and nested types.
pub fn any_tag(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Null => Some(ANY_NULL),
        DataType::Serial => any_tag(&DataType::Int64),
        _ => TAGGED.iter().position(|tagged| tagged == data_type).map(|position| position as u8 + 1),
    }
}

/// The type of a tag.
pub fn any_type(tag: u8) -> Option<DataType> {
    match tag {
        ANY_NULL => Some(DataType::Null),
        _ => TAGGED.get(usize::from(tag) - 1).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_types_agree() {
        for data_type in &TAGGED {
            let tag = any_tag(data_type).unwrap();
            assert_eq!(any_type(tag).as_ref(), Some(data_type));
            assert!(data_type.physical().width() <= 16);
        }
        assert_eq!(any_tag(&DataType::Interval), None);
        assert_eq!(any_type(ANY_CHILD), None);
    }
}
