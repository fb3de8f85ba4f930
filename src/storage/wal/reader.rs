//! Reading the log after a crash or a clean end: the records from an LSN on, the place where they end, and why.
//!
//! A place without a valid record is the end of the log only if nothing says that the log was durable beyond it.
//! Otherwise it is damage, and nothing behind it is given.

use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::config::WalConfig;
use super::record::{
    LogPosition, NoRecord, RECORD_HEADER_SIZE, RecordKind, RecordView, WalRecord, encode_record, view_record,
};
use super::segment::{
    GROWTH_STEP, SECTOR_SIZE, SEGMENT_HEADER_SIZE, SegmentHeader, UnfinishedSegment, WAL_FOLDER, grown_size,
    is_begun, list_segments, log_damage, make_segment, remove_unfinished, segment_name,
};
use super::stats::WalStats;
use super::writer::{OpenSegment, WalWriter};
use crate::storage::StorageResult;
use crate::storage::backend::{OpenMode, StorageBackend};
use crate::storage::page::Lsn;

const FIRST_SEGMENT: u64 = 1;
const FIRST_RECORD: u64 = SEGMENT_HEADER_SIZE as u64;
/// How much is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// Where the records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalTail {
    /// The end of the last record; zero for a log without segments.
    pub end: Lsn,
    /// Bytes behind it that are no records, up to the last one that is not zero.
    pub bytes_cut: u64,
    /// Whether the segment was ended, so that the log goes on in the next one.
    pub ended: bool,
}

/// A record in the bytes of the segment at hand.
struct RecordPlace {
    start: Lsn,
    end: Lsn,
    synced: Lsn,
    transaction: u64,
    kind: RecordKind,
    payload: Range<usize>,
}

/// Records that follow each other.
#[derive(Debug, Default)]
pub struct RecordBatch {
    pub records: Vec<BatchedRecord>,
    /// All payloads, one behind the other.
    pub payloads: Vec<u8>,
}

/// A record whose payload stands in a batch.
#[derive(Debug)]
pub struct BatchedRecord {
    /// Where it begins in the log.
    pub start: Lsn,
    pub transaction: u64,
    pub kind: RecordKind,
    /// Where its payload ends in the batch; it begins where the one before ends.
    pub end: usize,
}

/// Gives the records of a log in order. It changes nothing before `finish`.
pub struct WalReader {
    backend: Arc<dyn StorageBackend>,
    uuid: Uuid,
    first_segment: u64,
    last_segment: u64,
    /// The place of the next record, and the bytes of its segment.
    position: Lsn,
    bytes: Vec<u8>,
    /// The highest LSN that a record so far calls synced.
    synced: Lsn,
    tail: Option<WalTail>,
    records: u64,
}

impl WalReader {
    /// Reads the log of the database `uuid` from `from` on, which is the end of a record. Offset 0 means from the
    /// beginning of that segment, the first one for 0, and that there need not be one. Segments before `from` are not
    /// looked at.
    pub fn open(backend: Arc<dyn StorageBackend>, uuid: Uuid, from: Lsn) -> StorageResult<WalReader> {
        let first = from.segment.max(FIRST_SEGMENT);
        let mut numbers = list_segments(&*backend)?;
        numbers.retain(|number| *number >= first);
        for (expected, number) in (first..).zip(&numbers) {
            if expected != *number {
                return Err(log_damage(Lsn { segment: expected, offset: 0 }, "the segment is missing"));
            }
        }
        let mut reader = WalReader {
            backend,
            uuid,
            first_segment: first,
            last_segment: numbers.last().copied().unwrap_or(0),
            position: Lsn { segment: first, offset: from.offset.max(FIRST_RECORD) },
            bytes: Vec::new(),
            synced: from,
            tail: None,
            records: 0,
        };
        match numbers.is_empty() {
            false => reader.load(first)?,
            true if from.offset == 0 => {
                reader.tail = Some(WalTail { end: from, bytes_cut: 0, ended: true });
            }
            true => return Err(log_damage(from, "the segment is missing")),
        }
        if reader.tail.is_none() && from.offset > reader.bytes.len() as u64 {
            return Err(log_damage(from, "the file was cut before the last checkpoint"));
        }
        Ok(reader)
    }

    /// The bytes of all segments from the first on that is read, about.
    pub fn bytes_ahead(&self) -> StorageResult<u64> {
        let mut bytes = self.bytes.len() as u64;
        for number in self.position.segment + 1..=self.last_segment {
            bytes += self.backend.open(&segment_name(number), OpenMode::Read)?.size()?;
        }
        Ok(bytes.saturating_sub(self.position.offset))
    }

    /// The next record, or `None` at the end of the log. Markers and ends are not given.
    pub fn next_record(&mut self) -> StorageResult<Option<WalRecord>> {
        let Some(place) = self.next_place()? else { return Ok(None) };
        let payload = self.payload(&place).to_vec();
        let RecordPlace { start, end, synced, transaction, kind, .. } = place;
        Ok(Some(WalRecord { start, end, synced, transaction, kind, payload }))
    }

    /// The next records, with at least as many bytes of payloads unless the log ends before; `None` at its end.
    pub fn next_batch(&mut self, bytes: usize) -> StorageResult<Option<RecordBatch>> {
        let mut batch = RecordBatch::default();
        while batch.payloads.len() < bytes
            && let Some(place) = self.next_place()?
        {
            batch.payloads.extend_from_slice(self.payload(&place));
            let end = batch.payloads.len();
            let RecordPlace { start, transaction, kind, .. } = place;
            batch.records.push(BatchedRecord { start, transaction, kind, end });
        }
        Ok((!batch.records.is_empty()).then_some(batch))
    }

    /// The payload of the record that was found last.
    fn payload(&self, place: &RecordPlace) -> &[u8] {
        self.bytes.get(place.payload.clone()).unwrap_or(&[])
    }

    fn next_place(&mut self) -> StorageResult<Option<RecordPlace>> {
        while self.tail.is_none() {
            let start = self.position;
            match self.view(start.offset) {
                Ok(view) if view.kind.is_internal() => {
                    let (kind, size, synced) = (view.kind, view.size(), view.synced);
                    self.synced = self.synced.max(synced);
                    self.position.offset += size as u64;
                    if kind == RecordKind::End {
                        self.leave_segment(start)?;
                    }
                }
                Ok(view) => {
                    let end = start.offset + view.size() as u64;
                    let place = RecordPlace {
                        start,
                        end: Lsn { offset: end, ..start },
                        synced: view.synced,
                        transaction: view.transaction,
                        kind: view.kind,
                        payload: end as usize - view.payload.len()..end as usize,
                    };
                    self.position = place.end;
                    self.synced = self.synced.max(place.synced);
                    self.records += 1;
                    return Ok(Some(place));
                }
                Err(why) => match self.marker_behind_gap() {
                    Some(offset) => self.position.offset = offset,
                    None => self.end_here(why)?,
                },
            }
        }
        Ok(None)
    }

    /// Where the records end, once `next_record` has said so.
    pub fn tail(&self) -> Option<WalTail> {
        self.tail
    }

    /// Whether there is nothing to mend or to keep: the log has no segments, or an empty one is the last.
    pub fn is_fresh(&self) -> bool {
        self.last_segment == 0 || self.tail.is_some_and(|tail| self.is_empty_segment(tail))
    }

    /// Cuts what is torn and goes on behind the last record, in a new segment unless the last one is empty. Records
    /// that were not asked for are passed over. Afterwards all that was read is durable.
    pub fn finish(mut self, config: WalConfig) -> StorageResult<WalWriter> {
        while self.next_place()?.is_some() {}
        let tail = self.tail.unwrap_or(WalTail { end: self.position, bytes_cut: 0, ended: false });
        let backend = Arc::clone(&self.backend);
        backend.create_dir(WAL_FOLDER)?;
        backend.sync_dir("")?;
        let next = if self.last_segment == 0 { self.first_segment } else { self.last_segment + 1 };
        remove_unfinished(&*backend, next)?;
        let segment = match self.last_segment {
            0 => self.name_segment(next, self.make_segment(next)?)?,
            number if self.is_empty_segment(tail) => self.open_empty(number)?,
            _ => {
                let made = self.make_segment(next)?;
                self.end_last_segment(tail.end)?;
                self.name_segment(next, made)?
            }
        };
        let stats =
            WalStats { records_replayed: self.records, bytes_cut: tail.bytes_cut, ..WalStats::default() };
        Ok(WalWriter::start(backend, self.uuid, config, segment, stats))
    }

    fn view(&self, offset: u64) -> Result<RecordView<'_>, NoRecord> {
        let bytes = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..));
        let lsn = Lsn { offset, ..self.position };
        view_record(LogPosition { uuid: self.uuid, lsn }, bytes.unwrap_or(&[]))
    }

    fn load(&mut self, number: u64) -> StorageResult<()> {
        let file = self.backend.open(&segment_name(number), OpenMode::Read)?;
        let size = file.size()? as usize;
        self.bytes.clear();
        self.bytes.resize(size, 0);
        for (piece, bytes) in self.bytes.chunks_mut(PIECE_BYTES).enumerate() {
            file.read_at((piece * PIECE_BYTES) as u64, bytes)?;
        }
        SegmentHeader { number, uuid: self.uuid }.check(&self.bytes)
    }

    /// Goes on behind the end of a segment.
    fn leave_segment(&mut self, end: Lsn) -> StorageResult<()> {
        if end.segment == self.last_segment {
            if !is_begun(&*self.backend, end.segment + 1)? {
                let next = Lsn { segment: end.segment + 1, offset: 0 };
                return Err(log_damage(next, "the segment is missing"));
            }
            self.tail = Some(WalTail { end, bytes_cut: 0, ended: true });
            return Ok(());
        }
        self.position = Lsn { segment: end.segment + 1, offset: FIRST_RECORD };
        self.load(end.segment + 1)
    }

    /// The place of a marker on the next sector, where only zeros lie before it.
    fn marker_behind_gap(&self) -> Option<u64> {
        let sector = self.position.offset.next_multiple_of(SECTOR_SIZE);
        let gap = self.bytes.get(self.position.offset as usize..sector as usize)?;
        let is_marker = self.view(sector).is_ok_and(|view| view.kind == RecordKind::Marker);
        (sector > self.position.offset && is_marker && is_zero(gap)).then_some(sector)
    }

    /// Ends the log at a place without a record, or finds that this is damage.
    fn end_here(&mut self, why: NoRecord) -> StorageResult<()> {
        let here = self.position;
        let damage = |detail: &str| Err(log_damage(here, detail));
        if here.segment < self.last_segment {
            return damage("there is no valid record, but the log goes on in the next segment");
        }
        if why == NoRecord::Cut {
            return damage("the record reaches beyond the end of the file, which was cut");
        }
        if let Some(synced) = self.synced_beyond() {
            return damage(&format!("there is no valid record, but the log was durable up to byte {synced}"));
        }
        let size = self.bytes.len() as u64;
        let whole = (size - size % GROWTH_STEP).max(FIRST_RECORD);
        if !is_zero(self.bytes.get(whole as usize..).unwrap_or(&[])) {
            return damage("the file has a size that no log has: it was cut, or something was added to it");
        }
        let bytes_cut = self.used_beyond(here.offset);
        self.tail = Some(WalTail { end: here, bytes_cut, ended: false });
        Ok(())
    }

    /// How far the log was durable, as far as a record anywhere behind this place says more than this place.
    fn synced_beyond(&self) -> Option<u64> {
        let here = self.position;
        let last = (self.bytes.len() as u64).saturating_sub(RECORD_HEADER_SIZE as u64);
        (here.offset + 1..=last).find_map(|offset| {
            let synced = self.view(offset).ok()?.synced;
            (synced > here).then_some(synced.offset)
        })
    }

    fn is_empty_segment(&self, tail: WalTail) -> bool {
        tail.end.offset == FIRST_RECORD && tail.bytes_cut == 0 && !tail.ended
    }

    fn open_empty(&self, number: u64) -> StorageResult<OpenSegment> {
        let file = self.backend.open(&segment_name(number), OpenMode::Write)?;
        // Its name may be newer than the last sync of its folder.
        self.backend.sync_dir(WAL_FOLDER)?;
        Ok(OpenSegment { number, file, end: FIRST_RECORD, size: FIRST_RECORD })
    }

    fn make_segment(&self, number: u64) -> StorageResult<UnfinishedSegment> {
        make_segment(&*self.backend, SegmentHeader { number, uuid: self.uuid }, 0)
    }

    fn name_segment(&self, number: u64, made: UnfinishedSegment) -> StorageResult<OpenSegment> {
        let (file, size) = made.publish(&*self.backend)?;
        Ok(OpenSegment { number, file, end: FIRST_RECORD, size })
    }

    /// The bytes from `offset` to the last one that is not zero.
    fn used_beyond(&self, offset: u64) -> u64 {
        let rest = self.bytes.get(offset as usize..).unwrap_or(&[]);
        rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
    }

    /// Zeroes what is torn and ends the segment. Each step is durable before the next, so that a crash in between
    /// leaves a log that ends at the same record. What is not known to be synced is written again: after a failed
    /// sync the system shows bytes that it no longer means to write.
    fn end_last_segment(&self, tail: Lsn) -> StorageResult<()> {
        let file = self.backend.open(&segment_name(tail.segment), OpenMode::Write)?;
        let synced = if self.synced.segment == tail.segment { self.synced.offset } else { 0 };
        let from = synced.clamp(FIRST_RECORD, tail.offset);
        let mut image = self.bytes.get(from as usize..tail.offset as usize).unwrap_or(&[]).to_vec();
        image.resize(image.len() + self.used_beyond(tail.offset) as usize, 0);
        let (size, needed) =
            (self.bytes.len() as u64, tail.offset - FIRST_RECORD + RECORD_HEADER_SIZE as u64);
        if grown_size(needed) > size {
            file.preallocate(size, grown_size(needed) - size)?;
        }
        file.write_at(from, &image)?;
        file.sync()?;
        let mut end = Vec::new();
        let position = LogPosition { uuid: self.uuid, lsn: tail };
        encode_record(position, RecordKind::End, tail, 0, &[], &mut end);
        file.write_at(tail.offset, &end)?;
        file.sync()
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
