//! The engine's side of the log: replaying it at open, and the writer, which is started when the first commit needs
//! it, so that a database which is only read or loaded in bulk leaves the log as it is.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use parking_lot::Mutex;

use super::options::{DurabilityMode, EngineOptions};
use crate::storage::StorageResult;
use crate::storage::backend::StorageBackend;
use crate::storage::delta::Delta;
use crate::storage::page::{Lsn, PageFile};
use crate::storage::wal::{
    CommittedLevel, RecordKind, WalConfig, WalReader, WalRecord, WalStats, WalWriter, log_damage,
};

/// The log of an open database.
pub(super) struct Log {
    writer: OnceLock<WalWriter>,
    /// Reads the log to its end; the writer goes on from there.
    reader: Mutex<Option<WalReader>>,
    config: WalConfig,
    mode: DurabilityMode,
}

/// What the log held beyond the pages.
#[derive(Default)]
pub(super) struct Replayed {
    pub delta: Delta,
    /// The version of the newest commit; 0 without one.
    pub version: u64,
    pub records: u64,
    /// Where the log goes on.
    pub end: Lsn,
    /// The number of the newest transaction in the log.
    pub last_transaction: u64,
}

impl Log {
    /// Replays what commits have written since the last checkpoint. Nothing is changed for a reader; for a writer a
    /// torn tail is cut, so that what was found stays.
    pub fn open(
        backend: &dyn StorageBackend,
        page_file: &PageFile,
        options: &EngineOptions,
    ) -> StorageResult<(Log, Replayed)> {
        let mode = match backend.is_memory() {
            true => DurabilityMode::InMemory,
            false => options.durability,
        };
        let mut log =
            Log { writer: OnceLock::new(), reader: Mutex::new(None), config: options.wal.clone(), mode };
        if backend.is_memory() {
            return Ok((log, Replayed::default()));
        }
        let mut reader = WalReader::open(backend.shared(), page_file.uuid(), page_file.header().checkpoint)?;
        let total = reader.bytes_ahead()?;
        let mut replay = Replay::default();
        let mut read = 0;
        while let Some(record) = reader.next_record()? {
            read += record.payload.len() as u64;
            if let Some(progress) = &options.recovery_progress.0 {
                progress(read.min(total), total);
            }
            replay.take(record)?;
        }
        let mut replayed = replay.replayed;
        replayed.end = reader.tail().map_or(page_file.header().checkpoint, |tail| tail.end);
        if !options.read_only {
            let fresh = reader.is_fresh();
            *log.reader.get_mut() = Some(reader);
            if !fresh {
                replayed.end = log.writer()?.appended();
            }
        }
        Ok((log, replayed))
    }

    /// When a commit counts as durable; `InMemory` wherever there is no log.
    pub fn mode(&self) -> DurabilityMode {
        self.mode
    }

    /// The end of the log, which is mended and opened for writing at the first call.
    pub fn writer(&self) -> StorageResult<&WalWriter> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let mut reader = self.reader.lock();
        if let Some(whole) = reader.take() {
            let writer = whole.finish(self.config.clone())?;
            return Ok(self.writer.get_or_init(|| writer));
        }
        self.writer.get().ok_or(crate::storage::StorageError::ReadOnly)
    }

    /// The writer, if something was written.
    pub fn started(&self) -> Option<&WalWriter> {
        self.writer.get()
    }

    /// How many segments there are, and how many bytes they have together; none before something was written.
    pub fn size(&self) -> StorageResult<(u64, u64)> {
        self.writer.get().map_or(Ok((0, 0)), WalWriter::size)
    }

    /// What the log has done.
    pub fn stats(&self) -> WalStats {
        self.writer.get().map(WalWriter::stats).unwrap_or_default()
    }
}

/// Puts writesets together and links them.
#[derive(Default)]
struct Replay {
    /// Parts of writesets whose commit has not been read, by transaction.
    open: BTreeMap<u64, Vec<u8>>,
    replayed: Replayed,
}

impl Replay {
    fn take(&mut self, record: WalRecord) -> StorageResult<()> {
        self.replayed.records += 1;
        self.replayed.last_transaction = self.replayed.last_transaction.max(record.transaction);
        let bytes = match self.open.remove(&record.transaction) {
            Some(mut bytes) => {
                bytes.extend_from_slice(&record.payload);
                bytes
            }
            None => record.payload,
        };
        match record.kind {
            RecordKind::LastPartAndCommit => self.link(&bytes, record.start),
            RecordKind::Part => {
                self.open.insert(record.transaction, bytes);
                Ok(())
            }
            _ => Err(log_damage(record.start, "the record is of a kind that no commit has")),
        }
    }

    fn link(&mut self, bytes: &[u8], place: Lsn) -> StorageResult<()> {
        let version = CommittedLevel::decode_over(&mut self.replayed.delta, bytes);
        let version = version.map_err(|damage| log_damage(place, damage.0))?;
        if version <= self.replayed.version {
            return Err(log_damage(place, "the commit is older than the one before it"));
        }
        self.replayed.version = version;
        Ok(())
    }
}
