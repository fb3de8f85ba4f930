//! What was appended to the log and is not in its file yet: records in order, the buffers that take them there, and how
//! far the log was appended, written and synced. `writer` guards it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::record::{LogPosition, RECORD_HEADER_SIZE, RecordKind, encode_record};
use super::segment::SECTOR_SIZE;
use super::stats::WalStats;
use crate::storage::backend::StorageFile;
use crate::storage::page::Lsn;
use crate::storage::{StorageError, StorageResult};

pub(super) const RECORD_BYTES: u64 = RECORD_HEADER_SIZE as u64;
/// Room for the record that ends a segment.
pub(super) const END_BYTES: u64 = RECORD_BYTES;
/// Room for a marker on a sector of its own, and for the end.
pub(super) const SLACK: u64 = SECTOR_SIZE + RECORD_BYTES + END_BYTES;

/// The segment that the log grows in.
pub(super) struct OpenSegment {
    pub number: u64,
    pub file: Arc<dyn StorageFile>,
    /// Where the next record goes.
    pub end: u64,
    /// How far the file reaches.
    pub size: u64,
}

/// Payloads up to this size are copied into the queue, so that whoever made them frees them, and not whoever writes them:
/// memory that goes from one thread to another costs more than a copy of it.
pub(super) const COPIED_MAX: usize = 4096;
/// Buffers of the queue that are larger are not kept for the next records.
const KEPT_MAX: usize = 1 << 20;

struct Pending {
    offset: u64,
    transaction: u64,
    kind: RecordKind,
    payload: Payload,
}

enum Payload {
    /// The next so many bytes of `Records::copied`.
    Copied(usize),
    Own(Vec<u8>),
}

/// Records in the order of the log.
#[derive(Default)]
pub(super) struct Records {
    records: Vec<Pending>,
    copied: Vec<u8>,
}

impl Records {
    pub fn push(&mut self, offset: u64, transaction: u64, kind: RecordKind, payload: Cow<'_, [u8]>) {
        let payload = match payload.len() <= COPIED_MAX {
            true => {
                self.copied.extend_from_slice(&payload);
                Payload::Copied(payload.len())
            }
            false => Payload::Own(payload.into_owned()),
        };
        self.records.push(Pending { offset, transaction, kind, payload });
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn clear(&mut self) {
        self.records.clear();
        self.copied.clear();
        if self.copied.capacity() > KEPT_MAX {
            self.copied = Vec::new();
        }
        if self.records.capacity() * size_of::<Pending>() > KEPT_MAX {
            self.records = Vec::new();
        }
    }
}

pub(super) struct Queue {
    pub segment: OpenSegment,
    /// Whether the file grew since it was synced.
    pub grown: bool,
    /// Bytes that reservations hold.
    pub promised: u64,
    /// Records without their bytes in the file, one behind the other.
    pub pending: Records,
    /// Buffers of earlier transfers.
    pub spare: (Records, Vec<u8>),
    /// The end of the last record that was appended, written, synced.
    pub appended: Lsn,
    pub written: Lsn,
    pub synced: Lsn,
    /// What had been appended when the last record was that is written, synced.
    pub counts_written: Counts,
    pub counts_synced: Counts,
    pub unsynced_since: Option<Instant>,
    pub busy: bool,
    pub syncing: bool,
    pub poison: Option<String>,
    pub stats: WalStats,
}

/// Of all records since the log was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub bytes: u64,
    pub commits: u64,
}

/// What one thread takes to the file.
pub(super) struct Transfer {
    pub file: Arc<dyn StorageFile>,
    pub grown: bool,
    pub uuid: Uuid,
    pub segment: u64,
    /// What was durable when the records were taken.
    pub synced: Lsn,
    pub offset: u64,
    /// Records that are not in `bytes` yet.
    pub records: Records,
    pub bytes: Vec<u8>,
}

impl Transfer {
    pub fn encode(&mut self) {
        let mut from = 0;
        for Pending { offset, transaction, kind, payload } in &self.records.records {
            let lsn = Lsn { segment: self.segment, offset: *offset };
            let payload = match payload {
                Payload::Own(payload) => payload,
                Payload::Copied(length) => {
                    let start = from;
                    from += length;
                    // Copied there together with the record.
                    self.records.copied.get(start..from).unwrap_or(&[])
                }
            };
            let position = LogPosition { uuid: self.uuid, lsn };
            encode_record(position, *kind, self.synced, *transaction, payload, &mut self.bytes);
        }
        self.records.clear();
    }

    pub fn run(&mut self) -> StorageResult<()> {
        self.encode();
        if self.grown {
            self.file.sync()?;
        }
        if !self.bytes.is_empty() {
            self.file.write_at(self.offset, &self.bytes)?;
        }
        Ok(())
    }
}

impl Queue {
    pub fn check(&self) -> StorageResult<()> {
        match &self.poison {
            Some(reason) => Err(StorageError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    pub fn lsn(&self, offset: u64) -> Lsn {
        Lsn { segment: self.segment.number, offset }
    }

    /// Takes all that waits out of the queue.
    pub fn take(&mut self, uuid: Uuid) -> Transfer {
        let (fresh, bytes) = std::mem::take(&mut self.spare);
        let records = std::mem::replace(&mut self.pending, fresh);
        Transfer {
            file: Arc::clone(&self.segment.file),
            grown: std::mem::take(&mut self.grown),
            uuid,
            segment: self.segment.number,
            synced: self.synced,
            offset: records.records.first().map_or(self.segment.end, |record| record.offset),
            records,
            bytes,
        }
    }

    /// Keeps the buffers of a transfer for the next one.
    pub fn recycle(&mut self, mut transfer: Transfer) {
        transfer.bytes.clear();
        if transfer.bytes.capacity() <= KEPT_MAX {
            self.spare = (transfer.records, transfer.bytes);
        }
    }

    /// Adds a record of the log's own behind what was taken.
    pub fn add_internal(&mut self, transfer: &mut Transfer, uuid: Uuid, kind: RecordKind) {
        transfer.encode();
        let position = LogPosition { uuid, lsn: self.lsn(self.segment.end) };
        encode_record(position, kind, self.synced, 0, &[], &mut transfer.bytes);
        self.segment.end += RECORD_BYTES;
    }

    pub fn counts(&self) -> Counts {
        Counts { bytes: self.stats.bytes, commits: self.stats.commits }
    }

    pub fn unsynced_bytes(&self) -> u64 {
        self.stats.bytes - self.counts_synced.bytes
    }

    pub fn set_synced(&mut self, synced: Lsn, counts: Counts) {
        self.synced = synced;
        self.stats.syncs += 1;
        self.stats.commits_synced += counts.commits - self.counts_synced.commits;
        self.counts_synced = counts;
        self.unsynced_since = (self.unsynced_bytes() > 0).then(Instant::now);
    }
}
