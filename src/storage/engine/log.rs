//! The engine's side of the log: replaying it at open, and the writer, which is started when the first commit needs
//! it, so that a database which is only read leaves the log as it is.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use uuid::Uuid;

use super::options::{DurabilityMode, EngineOptions};
use crate::storage::backend::StorageBackend;
use crate::storage::delta::Delta;
use crate::storage::page::{LoggedRoot, Lsn, PageFile};
use crate::storage::wal::{
    BatchedRecord, CommitHead, LevelBuilder, RecordBatch, RecordKind, SEGMENT_HEADER_SIZE, WAL_FOLDER,
    WalConfig, WalReader, WalStats, WalWriter, last_segment, log_damage, remove_all_segments,
};
use crate::storage::{StorageError, StorageResult};

/// The log of an open database.
pub(super) struct Log {
    writer: OnceLock<WalWriter>,
    /// Reads the log to its end; the writer goes on from there.
    reader: Mutex<Option<WalReader>>,
    /// Opens the log anew, where the disk was full when it was to be written for the first time.
    source: Option<(Arc<dyn StorageBackend>, Uuid, Lsn)>,
    /// Its header says whether the log has begun.
    page_file: Arc<PageFile>,
    config: WalConfig,
    mode: DurabilityMode,
}

/// What the log held beyond the pages.
#[derive(Default)]
pub(super) struct Replayed {
    pub delta: Delta,
    /// Roots that commits have written pages for, oldest first.
    pub roots: Vec<LoggedRoot>,
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
        page_file: &Arc<PageFile>,
        options: &EngineOptions,
    ) -> StorageResult<(Log, Replayed)> {
        let mode = match backend.is_memory() {
            true => DurabilityMode::InMemory,
            false => options.durability,
        };
        let mut log = Log {
            writer: OnceLock::new(),
            reader: Mutex::new(None),
            source: None,
            page_file: Arc::clone(page_file),
            config: options.wal.clone(),
            mode,
        };
        if backend.is_memory() {
            return Ok((log, Replayed::default()));
        }
        let (shared, uuid, place) = (backend.shared(), page_file.uuid(), page_file.header().checkpoint);
        log.source = Some((Arc::clone(&shared), uuid, place));
        let mut reader = WalReader::open(shared, uuid, place)?;
        let total = reader.bytes_ahead()?;
        let mut replay = Replay::default();
        let mut read = 0;
        let take = |batch: RecordBatch| {
            read += batch.payloads.len() as u64;
            replay.take(batch)?;
            if let Some(progress) = &options.recovery_progress.0 {
                progress(read.min(total), total);
            }
            Ok(())
        };
        match total > BATCH_BYTES as u64 {
            true => read_ahead(&mut reader, take)?,
            false => read_in_turn(&mut reader, take)?,
        }
        let mut replayed = replay.finish()?;
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
            let writer = match whole.finish(self.config.clone()) {
                Ok(writer) => writer,
                Err(error) => {
                    if let (StorageError::DiskFull { .. }, Some((backend, uuid, place))) =
                        (&error, &self.source)
                    {
                        *reader = Some(WalReader::open(Arc::clone(backend), *uuid, *place)?);
                    }
                    return Err(error);
                }
            };
            self.note_beginning()?;
            return Ok(self.writer.get_or_init(|| writer));
        }
        self.writer.get().ok_or(crate::storage::StorageError::ReadOnly)
    }

    /// Before the first record: from here on a log without its first segment is damage. The segment is durable already.
    fn note_beginning(&self) -> StorageResult<()> {
        let Lsn { segment, offset } = self.page_file.header().checkpoint;
        match offset {
            0 => self
                .page_file
                .set_checkpoint(Lsn { segment: segment.max(1), offset: SEGMENT_HEADER_SIZE as u64 }),
            _ => Ok(()),
        }
    }

    /// Where a log would begin that has nothing of what this one has.
    pub fn next_beginning(&self) -> StorageResult<Lsn> {
        let checkpoint = self.page_file.header().checkpoint;
        let last = match (self.writer.get(), &self.source) {
            (Some(writer), _) => writer.last_segment(),
            (None, Some((backend, ..))) if checkpoint.offset > 0 => last_segment(&**backend)?,
            _ => return Ok(checkpoint),
        };
        Ok(Lsn { segment: last.max(checkpoint.segment) + 1, offset: 0 })
    }

    /// Leaves no log, when pages hold everything and nobody commits any more. The header says so before the first
    /// segment goes.
    pub fn retire(&self) -> StorageResult<()> {
        let Some((backend, ..)) = &self.source else { return Ok(()) };
        if self.page_file.header().checkpoint.offset > 0 {
            self.page_file.set_checkpoint(self.next_beginning()?)?;
        }
        // A header that could not be written twice may still be the older one.
        if self.page_file.check_writable().is_ok() {
            remove_all_segments(&**backend)?;
        }
        Ok(())
    }

    /// The writer, if something was written.
    pub fn started(&self) -> Option<&WalWriter> {
        self.writer.get()
    }

    /// How many segments there are, and how many bytes they have together; none before something was written.
    pub fn size(&self) -> StorageResult<(u64, u64)> {
        self.writer.get().map_or(Ok((0, 0)), WalWriter::size)
    }

    /// The bytes of all records since the database was opened.
    pub fn logged_bytes(&self) -> u64 {
        self.writer.get().map_or(0, WalWriter::logged_bytes)
    }

    /// What the log has done.
    pub fn stats(&self) -> WalStats {
        self.writer.get().map(WalWriter::stats).unwrap_or_default()
    }
}

/// Payloads of log that are read and checked at once.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that are read before the first of them is linked.
const BATCHES_AHEAD: usize = 4;

fn read_in_turn(
    reader: &mut WalReader,
    mut take: impl FnMut(RecordBatch) -> StorageResult<()>,
) -> StorageResult<()> {
    while let Some(batch) = reader.next_batch(BATCH_BYTES)? {
        take(batch)?;
    }
    Ok(())
}

/// The same with another thread that reads the file and checks the records, while this one links them.
fn read_ahead(
    reader: &mut WalReader,
    mut take: impl FnMut(RecordBatch) -> StorageResult<()>,
) -> StorageResult<()> {
    let (sender, batches) = sync_channel(BATCHES_AHEAD);
    std::thread::scope(|scope| {
        let read = move || {
            loop {
                let batch = reader.next_batch(BATCH_BYTES).transpose();
                let ended = !matches!(batch, Some(Ok(_)));
                // Whoever listens no longer has met an error.
                if batch.is_none_or(|batch| sender.send(batch).is_err()) || ended {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("quire-recovery".to_owned()).spawn_scoped(scope, read);
        thread.map_err(|source| StorageError::Io {
            operation: "start a thread to read",
            file: WAL_FOLDER.to_owned(),
            source,
        })?;
        batches.into_iter().try_for_each(|batch| take(batch?))
    })
}

/// Puts writesets together and links them.
#[derive(Default)]
struct Replay {
    /// Parts of writesets whose commit has not been read, by transaction.
    open: BTreeMap<u64, Vec<u8>>,
    level: LevelBuilder,
    /// The newest commit.
    last: Lsn,
    replayed: Replayed,
}

impl Replay {
    fn take(&mut self, batch: RecordBatch) -> StorageResult<()> {
        let mut begin = 0;
        for record in &batch.records {
            let payload = batch.payloads.get(begin..record.end).unwrap_or(&[]);
            begin = record.end;
            self.take_record(record, payload)?;
        }
        Ok(())
    }

    fn take_record(&mut self, record: &BatchedRecord, payload: &[u8]) -> StorageResult<()> {
        self.replayed.records += 1;
        self.replayed.last_transaction = self.replayed.last_transaction.max(record.transaction);
        match record.kind {
            RecordKind::LastPartAndCommit => match self.open.remove(&record.transaction) {
                Some(mut bytes) => {
                    bytes.extend_from_slice(payload);
                    self.link(&bytes, record.start)
                }
                None => self.link(payload, record.start),
            },
            RecordKind::Part => {
                self.open.entry(record.transaction).or_default().extend_from_slice(payload);
                Ok(())
            }
            _ => Err(log_damage(record.start, "the record is of a kind that no commit has")),
        }
    }

    fn link(&mut self, bytes: &[u8], place: Lsn) -> StorageResult<()> {
        let head = self.level.take(bytes).map_err(|damage| log_damage(place, damage.0))?;
        let CommitHead { version, root } = head;
        if version <= self.replayed.version {
            return Err(log_damage(place, "the commit is older than the one before it"));
        }
        self.replayed.version = version;
        self.replayed.roots.extend(root);
        self.last = place;
        Ok(())
    }

    fn finish(self) -> StorageResult<Replayed> {
        let delta = self.level.finish().map_err(|damage| log_damage(self.last, damage.0))?;
        Ok(Replayed { delta, ..self.replayed })
    }
}
