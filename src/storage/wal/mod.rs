//! The write-ahead log: numbered segments of self-delimiting records, laid out as `specs/format/wal.md` says. The
//! writer appends payloads that it does not understand and makes them durable, one sync for all that wait; the reader
//! gives them back after a crash, cuts a torn tail and reports damage before it. What the payloads mean is decided
//! above.

mod at_once;
mod config;
#[cfg(test)]
mod crash_tests;
mod level_builder;
mod queue;
mod reader;
mod record;
mod segment;
mod stats;
pub(super) mod values;
mod writer;
#[cfg(test)]
mod writer_tests;
mod writeset;

pub use at_once::Placed;
pub use config::{WalConfig, WalConfigBuilder};
pub use level_builder::LevelBuilder;
pub use reader::{BatchedRecord, RecordBatch, WalReader, WalTail};
pub use record::{
    LogPosition, PAYLOAD_BYTES_MAX, RECORD_FORMAT_VERSION, RECORD_HEADER_SIZE, RecordKind, WalRecord,
    decode_record, encode_record,
};
pub use segment::{
    GROWTH_STEP, SECTOR_SIZE, SEGMENT_FORMAT_VERSION, SEGMENT_HEADER_SIZE, SEGMENT_MAGIC, SegmentHeader,
    WAL_FOLDER, segment_name,
};
pub(super) use segment::{last_segment, log_damage, remove_all_segments};
pub use stats::WalStats;
pub(super) use values::{decode_vector, encode_vector};
pub use writer::{Reservation, WalWriter};
pub use writeset::{
    CommitHead, CommittedLevel, WRITESET_FORMAT_VERSION, WRITESET_WITH_ROOT_VERSION, Writeset,
};
