//! The values that quire stores and computes with: their logical types, how one value of each lies in memory, the ids
//! of tables, columns and entities, and the text forms. Nothing of ours stands below this module; storage, the vectors
//! and the query path all speak in its terms.

mod byte_count;
pub mod calendar;
mod data_type;
mod data_type_parse;
pub mod decimal;
mod error;
pub mod format;
mod ids;
mod interval;
mod interval_text;
mod leave;
pub mod parse;
mod physical;
mod predicate;
mod spelling;
mod stop;
mod string_view;
mod text_reader;
mod time;
mod value;
mod value_compare;
mod value_format;
mod value_parse;
mod zone;

pub use byte_count::ByteCount;
pub use data_type::{DataType, Field, TimestampUnit};
pub use error::{TypeError, TypeResult};
pub use ids::{
    ColumnId, DST_COLUMN, GlobalId, LABELS_COLUMN, NODE_GROUP_ROWS, NodeOffset, SRC_COLUMN, TableId,
    VECTOR_SIZE,
};
pub use interval::Interval;
pub use interval_text::{interval_iso, interval_text, parse_interval};
pub use leave::{leave_if_stopped, leave_vector_if_stopped};
pub use physical::PhysicalType;
pub use predicate::{ColumnPredicate, PredicateOp, has_column_tests};
pub use spelling::{closest_name, edit_distance};
pub use stop::{
    ASKED_EVERY, AskCaller, Helpers, Stop, ask_caller, has_caller, has_statement, must_stop, was_interrupted,
};
pub use string_view::{INLINE_BYTES, StringView};
pub use time::{Time, Zoned};
pub use value::{NodeValue, PathValue, RelValue, Value};
pub use value_compare::{GroupKey, hash_float, hash_integer, order_floats, order_integer_float};
pub use value_parse::{integer_value, parse_text};
pub use zone::ZoneId;

#[cfg(test)]
mod tests;
