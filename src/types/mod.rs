//! The values that quire stores and computes with: their logical types, how one value of each lies in memory, the ids
//! of tables, columns and entities, and the text forms. Nothing of ours stands below this module; storage, the vectors
//! and the query path all speak in its terms.

mod data_type;
mod data_type_parse;
pub mod decimal;
mod error;
mod ids;
mod interval;
mod physical;
mod predicate;
mod string_view;
mod time;
mod value;
mod zone;

pub use data_type::{DataType, Field, TimestampUnit};
pub use error::{TypeError, TypeResult};
pub use ids::{ColumnId, GlobalId, NODE_GROUP_ROWS, NodeOffset, TableId, VECTOR_SIZE};
pub use interval::Interval;
pub use physical::PhysicalType;
pub use predicate::{ColumnPredicate, PredicateOp};
pub use string_view::{INLINE_BYTES, StringView};
pub use time::{Time, Zoned};
pub use value::{NodeValue, PathValue, RelValue, Value};
pub use zone::ZoneId;
