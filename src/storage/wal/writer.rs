//! Appending records and making them durable. Appending only puts a record into a queue and gives it its place;
//! who waits for a sync first writes and syncs for all that wait, and the others find their records durable.
//!
//! What always holds:
//! 1. The file has room, reserved on disk, for the queue, for every reservation and for the record that ends the
//!    segment; so a full disk can only meet whoever reserves.
//! 2. The file's size is synced before a record is written into the part that it grew by.
//! 3. A segment is whole, ended and synced before the next one gets its name.
//! 4. One thread at a time writes to the file: the one that set `busy`, or the holder of the queue while it is clear.
//!    One at a time syncs it, the one that set `syncing`, since the system tells of a lost write only one of two; others
//!    write on meanwhile, which that sync says nothing of, unless the file has grown.
//! 5. No byte of a record is ever written with another value.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use uuid::Uuid;

use super::at_once::Turn;
use super::config::WalConfig;
pub(super) use super::queue::OpenSegment;
use super::queue::{Counts, END_BYTES, Queue, RECORD_BYTES, Records, SLACK};
use super::record::{PAYLOAD_BYTES_MAX, RecordKind};
use super::segment::{
    SECTOR_SIZE, SEGMENT_HEADER_SIZE, SegmentHeader, WAL_FOLDER, grown_size, list_segments, make_segment,
    next_size, segment_name,
};
use super::stats::WalStats;
use crate::storage::backend::{OpenMode, StorageBackend};
use crate::storage::page::Lsn;
use crate::storage::patience::patiently;
use crate::storage::{StorageError, StorageResult};

/// The end of the log. All methods may be called from several threads at once.
///
/// After a failed write or sync it takes no more records until the log is opened again, since nobody knows what the
/// disk has; a full disk fails only the reservation that met it.
pub struct WalWriter {
    backend: Arc<dyn StorageBackend>,
    uuid: Uuid,
    config: WalConfig,
    queue: Mutex<Queue>,
    /// Rung when `busy` becomes clear.
    has_written: Condvar,
    /// How often it was rung, for those who wait awake.
    rung: AtomicU64,
    /// Rung when `syncing` becomes clear.
    has_synced: Condvar,
    /// The queue's `stats.bytes`, `counts_written.bytes` and `counts_synced.bytes`, to be read without its lock.
    logged_bytes: AtomicU64,
    written_bytes: AtomicU64,
    synced_bytes: AtomicU64,
}

impl WalWriter {
    /// Goes on in a segment whose records are all durable.
    pub(super) fn start(
        backend: Arc<dyn StorageBackend>,
        uuid: Uuid,
        config: WalConfig,
        segment: OpenSegment,
        stats: WalStats,
    ) -> WalWriter {
        let end = Lsn { segment: segment.number, offset: segment.end };
        let counts = Counts { bytes: stats.bytes, commits: stats.commits };
        let queue = Queue {
            segment,
            grown: true,
            promised: 0,
            pending: Records::default(),
            spare: Default::default(),
            appended: end,
            written: end,
            synced: end,
            counts_written: counts,
            counts_synced: counts,
            unsynced_since: None,
            busy: false,
            syncing: false,
            poison: None,
            stats,
        };
        let logged_bytes = AtomicU64::new(queue.stats.bytes);
        let written_bytes = AtomicU64::new(queue.counts_written.bytes);
        let synced_bytes = AtomicU64::new(queue.counts_synced.bytes);
        WalWriter {
            backend,
            uuid,
            config,
            queue: Mutex::new(queue),
            has_written: Condvar::new(),
            rung: AtomicU64::new(0),
            has_synced: Condvar::new(),
            logged_bytes,
            written_bytes,
            synced_bytes,
        }
    }

    /// Makes sure that the disk has room for a record with a payload of at most `payload_bytes`, beginning a new
    /// segment where it is time for one. Any error but that of a poisoned log leaves the log as it was.
    pub fn reserve(&self, payload_bytes: usize) -> StorageResult<Reservation<'_>> {
        if payload_bytes > PAYLOAD_BYTES_MAX {
            let what = "the payload of one log record, in bytes,".to_owned();
            return Err(StorageError::Limit { what, limit: PAYLOAD_BYTES_MAX as u64 });
        }
        let bytes = RECORD_BYTES + payload_bytes as u64;
        let mut queue = self.queue.lock();
        queue.check()?;
        self.rotate_when_full(&mut queue, bytes)?;
        let needed = queue.segment.end + queue.promised + bytes + SLACK;
        if needed > queue.segment.size {
            let (before, bytes) = (queue.segment.size, needed - SEGMENT_HEADER_SIZE as u64);
            let mut size = next_size(before, bytes, self.config.segment_bytes());
            if queue.segment.file.preallocate(before, size - before).is_err() {
                // Perhaps the disk has room for what is needed now.
                size = grown_size(bytes);
                queue.segment.file.preallocate(before, size - before)?;
            }
            queue.segment.size = size;
            queue.grown = true;
        }
        queue.promised += bytes;
        Ok(Reservation { writer: self, bytes })
    }

    /// Reserves and appends a record; gives where it ends. It is neither written nor durable yet.
    pub fn append(&self, transaction: u64, kind: RecordKind, payload: Vec<u8>) -> StorageResult<Lsn> {
        self.reserve(payload.len())?.append(transaction, kind, payload)
    }

    /// Waits until the log is durable up to `lsn`, which `append` gave. One sync serves all that wait.
    pub fn sync(&self, lsn: Lsn) -> StorageResult<()> {
        self.reach(lsn, true)
    }

    /// Waits until the operating system has the log up to `lsn`: it outlives this process, not a loss of power.
    pub fn write(&self, lsn: Lsn) -> StorageResult<()> {
        self.reach(lsn, false)
    }

    /// Makes everything durable that was appended before the call; gives where that ends.
    pub fn flush(&self) -> StorageResult<Lsn> {
        let lsn = self.queue.lock().appended;
        self.sync(lsn).map(|()| lsn)
    }

    /// Flushes when as many bytes are unsynced, or one for as long, as the configuration allows.
    pub fn sync_if_due(&self) -> StorageResult<bool> {
        let due = {
            let queue = self.queue.lock();
            let age = queue.unsynced_since.map(|since| since.elapsed());
            queue.unsynced_bytes() >= self.config.buffered_sync_bytes()
                || age.is_some_and(|age| age >= self.config.buffered_sync_interval())
        };
        if due { self.flush().map(|_| true) } else { Ok(false) }
    }

    /// Whether as many bytes are unsynced as the configuration allows. Takes no lock.
    pub fn has_many_unsynced(&self) -> bool {
        let synced = self.synced_bytes.load(Ordering::Relaxed);
        self.logged_bytes().saturating_sub(synced) >= self.config.buffered_sync_bytes()
    }

    /// Removes the segments before `number`, which a checkpoint made superfluous, oldest first; gives how many.
    pub fn remove_segments_before(&self, number: u64) -> StorageResult<u64> {
        let limit = number.min(self.queue.lock().segment.number);
        let mut removed = 0;
        for number in list_segments(&*self.backend)?.into_iter().take_while(|number| *number < limit) {
            self.backend.remove(&segment_name(number))?;
            removed += 1;
        }
        if removed > 0 {
            self.backend.sync_dir(WAL_FOLDER)?;
        }
        Ok(removed)
    }

    /// The segment that the log grows in.
    pub fn last_segment(&self) -> u64 {
        self.queue.lock().segment.number
    }

    /// How many segments there are, and how many bytes they have together.
    pub fn size(&self) -> StorageResult<(u64, u64)> {
        let (last, mut bytes) = {
            let queue = self.queue.lock();
            (queue.segment.number, queue.segment.size)
        };
        let mut segments = 1;
        for number in list_segments(&*self.backend)?.into_iter().filter(|number| *number < last) {
            match self.backend.open(&segment_name(number), OpenMode::Read) {
                Ok(file) => (segments, bytes) = (segments + 1, bytes + file.size()?),
                // A checkpoint has removed it meanwhile.
                Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok((segments, bytes))
    }

    /// Where the last appended record ends.
    pub fn appended(&self) -> Lsn {
        self.queue.lock().appended
    }

    /// Up to where the log is durable.
    pub fn synced(&self) -> Lsn {
        self.queue.lock().synced
    }

    /// The bytes of all records since the log was opened.
    pub fn logged_bytes(&self) -> u64 {
        self.logged_bytes.load(Ordering::Relaxed)
    }

    /// What the log has done since it was opened.
    pub fn stats(&self) -> WalStats {
        self.queue.lock().stats
    }

    fn reach(&self, lsn: Lsn, durable: bool) -> StorageResult<()> {
        let mut queue = self.queue.lock();
        // Nobody can wait for a record that was never appended.
        let lsn = lsn.min(queue.appended);
        let mut is_awake = !durable;
        loop {
            let reached = if durable { queue.synced } else { queue.written };
            if reached >= lsn {
                return Ok(());
            }
            queue.check()?;
            let writes = queue.written < lsn;
            let syncs = durable || writes && queue.grown;
            if syncs && queue.syncing {
                self.has_synced.wait(&mut queue);
            } else if queue.busy && writes {
                match is_awake {
                    true => {
                        let rung = self.rung();
                        is_awake = MutexGuard::unlocked(&mut queue, || self.watch(rung));
                    }
                    false => self.has_written.wait(&mut queue),
                }
            } else {
                queue.syncing |= syncs;
                let outcome = self.lead(&mut queue, writes, durable);
                if syncs {
                    queue.syncing = false;
                    self.has_synced.notify_all();
                }
                outcome?;
            }
        }
    }

    /// Waits awake until somebody has written; false when that takes longer than a write does.
    pub(super) fn watch(&self, rung: u64) -> bool {
        patiently(|| (self.rung.load(Ordering::Acquire) != rung).then_some(())).is_some()
    }

    /// Takes the queue to the file for all that wait, who can append more meanwhile; then syncs it, if that is asked.
    fn lead(&self, queue: &mut MutexGuard<'_, Queue>, writes: bool, durable: bool) -> StorageResult<()> {
        if writes {
            self.write_pending(queue)?;
        }
        if durable { self.sync_written(queue) } else { Ok(()) }
    }

    fn write_pending(&self, queue: &mut MutexGuard<'_, Queue>) -> StorageResult<()> {
        let mut turn = self.take_turn(queue);
        let outcome = MutexGuard::unlocked(queue, || turn.transfer.run());
        self.end_turn(queue, turn, outcome)
    }

    /// The turn to write what is in the queue, for a thread that nobody is busy beside.
    pub(super) fn take_turn(&self, queue: &mut Queue) -> Turn {
        queue.busy = true;
        Turn { transfer: queue.take(self.uuid), appended: queue.appended, counts: queue.counts() }
    }

    /// Notes what became of it.
    pub(super) fn end_turn(
        &self,
        queue: &mut Queue,
        turn: Turn,
        outcome: StorageResult<()>,
    ) -> StorageResult<()> {
        queue.recycle(turn.transfer);
        match &outcome {
            Err(error) => queue.poison = Some(error.to_string()),
            Ok(()) => self.set_written(queue, turn.appended, turn.counts),
        }
        self.stop_writing(queue);
        outcome
    }

    fn set_written(&self, queue: &mut Queue, written: Lsn, counts: Counts) {
        (queue.written, queue.counts_written) = (written, counts);
        self.written_bytes.store(counts.bytes, Ordering::Release);
    }

    /// Puts a record behind all others. There is room for it.
    pub(super) fn place(
        &self,
        queue: &mut Queue,
        transaction: u64,
        kind: RecordKind,
        payload: Cow<'_, [u8]>,
    ) -> Lsn {
        let (offset, bytes) = (queue.segment.end, RECORD_BYTES + payload.len() as u64);
        queue.segment.end += bytes;
        queue.appended = queue.lsn(queue.segment.end);
        queue.unsynced_since.get_or_insert_with(Instant::now);
        queue.stats.appends += 1;
        queue.stats.commits += u64::from(kind.is_commit());
        queue.stats.bytes += bytes;
        queue.pending.push(offset, transaction, kind, payload);
        self.logged_bytes.store(queue.stats.bytes, Ordering::Relaxed);
        queue.appended
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// How often writing has ended.
    pub(super) fn rung(&self) -> u64 {
        self.rung.load(Ordering::Relaxed)
    }

    /// Whether the operating system has the first so many bytes of records.
    pub(super) fn has_written_bytes(&self, bytes: u64) -> bool {
        self.written_bytes.load(Ordering::Acquire) >= bytes
    }

    fn stop_writing(&self, queue: &mut Queue) {
        queue.busy = false;
        self.wake_writers();
    }

    fn wake_writers(&self) {
        self.rung.fetch_add(1, Ordering::Release);
        self.has_written.notify_all();
    }

    /// Makes durable what is written by now.
    fn sync_written(&self, queue: &mut MutexGuard<'_, Queue>) -> StorageResult<()> {
        let (file, written, counts) = (Arc::clone(&queue.segment.file), queue.written, queue.counts_written);
        let outcome = MutexGuard::unlocked(queue, || file.sync());
        match &outcome {
            Err(error) => queue.poison = Some(error.to_string()),
            Ok(()) => {
                self.set_synced(queue, written, counts);
                self.mark(queue);
            }
        }
        outcome
    }

    /// After the last sync of a burst: writes, without syncing it, what is synced. It stands on a sector of its own,
    /// so that a torn write of it cannot harm a durable record.
    fn mark(&self, queue: &mut MutexGuard<'_, Queue>) {
        let offset = queue.segment.end.next_multiple_of(SECTOR_SIZE);
        let room = queue.segment.size.saturating_sub(queue.promised + END_BYTES);
        let is_last = !queue.busy && queue.pending.is_empty() && queue.synced == queue.appended;
        if !is_last || queue.grown || offset + RECORD_BYTES > room {
            return;
        }
        queue.segment.end = offset;
        let mut transfer = queue.take(self.uuid);
        queue.add_internal(&mut transfer, self.uuid, RecordKind::Marker);
        queue.stats.markers += 1;
        queue.busy = true;
        self.has_synced.notify_all();
        // The records that were synced are durable all the same, so only what comes later meets the error.
        if let Err(error) = MutexGuard::unlocked(queue, || transfer.run()) {
            queue.poison = Some(error.to_string());
        }
        self.stop_writing(queue);
    }

    fn set_synced(&self, queue: &mut Queue, synced: Lsn, counts: Counts) {
        queue.set_synced(synced, counts);
        self.synced_bytes.store(counts.bytes, Ordering::Relaxed);
    }

    pub(super) fn is_full(&self, queue: &Queue, bytes: u64) -> bool {
        let end = queue.segment.end;
        end > SEGMENT_HEADER_SIZE as u64 && end + queue.promised + bytes + SLACK > self.config.segment_bytes()
    }

    fn rotate_when_full(&self, queue: &mut MutexGuard<'_, Queue>, bytes: u64) -> StorageResult<()> {
        while self.is_full(queue, bytes) {
            if queue.busy || queue.syncing {
                if queue.busy { &self.has_written } else { &self.has_synced }.wait(queue);
                queue.check()?;
                continue;
            }
            // The new segment takes over what is promised, so it is made before anything happens to the old one.
            let header = SegmentHeader { number: queue.segment.number + 1, uuid: self.uuid };
            let made = make_segment(&*self.backend, header, queue.promised + bytes + SLACK)?;
            let switched = self.end_segment(queue).and_then(|()| made.publish(&*self.backend));
            let (file, size) = switched.inspect_err(|error| {
                queue.poison = Some(error.to_string());
                self.wake_all();
            })?;
            let end = SEGMENT_HEADER_SIZE as u64;
            queue.segment = OpenSegment { number: header.number, file, end, size };
            queue.stats.rotations += 1;
            let (start, counts) = (queue.lsn(end), queue.counts());
            queue.appended = start;
            self.set_written(queue, start, counts);
            self.set_synced(queue, start, counts);
            self.wake_all();
        }
        Ok(())
    }

    fn wake_all(&self) {
        self.wake_writers();
        self.has_synced.notify_all();
    }

    /// Writes what waits and the end of the segment, durably.
    fn end_segment(&self, queue: &mut Queue) -> StorageResult<()> {
        let mut transfer = queue.take(self.uuid);
        queue.add_internal(&mut transfer, self.uuid, RecordKind::End);
        transfer.run()?;
        transfer.file.sync()
    }
}

/// Room on disk for one record; given back when it is dropped.
pub struct Reservation<'w> {
    writer: &'w WalWriter,
    bytes: u64,
}

impl Reservation<'_> {
    /// Appends a record that is not larger than what was reserved; gives where it ends. Neither waits nor touches
    /// the disk, so it may stand in a critical section.
    pub fn append(mut self, transaction: u64, kind: RecordKind, payload: Vec<u8>) -> StorageResult<Lsn> {
        assert!(!kind.is_internal(), "markers and ends are the log's own");
        let bytes = RECORD_BYTES + payload.len() as u64;
        if bytes > self.bytes {
            let what = "a log record beyond its reservation".to_owned();
            return Err(StorageError::Limit { what, limit: self.bytes });
        }
        let mut queue = self.writer.lock();
        queue.check()?;
        let end = self.writer.place(&mut queue, transaction, kind, payload.into());
        // Kept: the room is used now.
        queue.promised -= std::mem::take(&mut self.bytes);
        Ok(end)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.writer.queue.lock().promised -= self.bytes;
        }
    }
}
