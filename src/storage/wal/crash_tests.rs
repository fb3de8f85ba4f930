//! The log on a disk that crashes, fails and flips bits.

use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::segment::{SEGMENT_HEADER_SIZE, segment_name};
use super::*;
use crate::storage::backend::SimulatedBackend;
use crate::storage::page::Lsn;
use crate::storage::{StorageError, StorageResult};

const UUID: Uuid = Uuid::from_u128(0x5151_7272);

#[derive(Debug, Clone, Copy)]
enum Step {
    Append(usize),
    /// Reserves for one record, appends another one, and then the reserved one.
    Reserve(usize),
    Write,
    Sync,
}

fn config() -> WalConfig {
    WalConfig::builder().segment_bytes(64 << 10).build().unwrap()
}

/// A payload that says which record it is.
fn payload(number: usize, size: usize) -> Vec<u8> {
    let seed = number as u8;
    (number as u64).to_le_bytes().into_iter().chain((0..size).map(|at| (at as u8) ^ seed)).collect()
}

fn open(disk: &SimulatedBackend) -> StorageResult<(Vec<WalRecord>, WalReader)> {
    let mut reader = WalReader::open(Arc::new(disk.clone()), UUID, Lsn::default())?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok((records, reader))
}

fn start(disk: &SimulatedBackend) -> StorageResult<WalWriter> {
    open(disk)?.1.finish(config())
}

/// What a program knows of its log.
#[derive(Debug, Default, Clone)]
struct Known {
    appended: Vec<Vec<u8>>,
    acknowledged: usize,
    last: Lsn,
}

impl Known {
    fn append(&mut self, room: Reservation<'_>, payload: Vec<u8>) -> StorageResult<()> {
        self.last =
            room.append(self.appended.len() as u64, RecordKind::LastPartAndCommit, payload.clone())?;
        self.appended.push(payload);
        Ok(())
    }

    fn step(&mut self, writer: &WalWriter, step: Step) -> StorageResult<()> {
        match step {
            Step::Append(size) => {
                let payload = payload(self.appended.len(), size);
                self.append(writer.reserve(payload.len())?, payload)
            }
            Step::Reserve(size) => {
                let room = writer.reserve(size + 8)?;
                let outcome = self.step(writer, Step::Append(size / 2));
                self.append(room, payload(self.appended.len(), size))?;
                outcome
            }
            Step::Write => writer.write(self.last),
            Step::Sync => {
                let count = self.appended.len();
                writer.sync(self.last)?;
                self.acknowledged = count;
                Ok(())
            }
        }
    }

    /// What a later open finds must be what was acknowledged, and nothing that was not appended.
    fn check(&self, records: &[WalRecord]) {
        assert!(records.len() >= self.acknowledged, "{} of {} are left", records.len(), self.acknowledged);
        assert!(records.len() <= self.appended.len(), "records were invented");
        for (record, expected) in records.iter().zip(&self.appended) {
            assert_eq!(&record.payload, expected);
        }
        assert!(records.windows(2).all(|pair| pair[0].end <= pair[1].start), "LSNs go up");
    }
}

/// Runs the steps; with `go_on` past errors, else up to the first one.
fn run(disk: &SimulatedBackend, steps: &[Step], go_on: bool) -> Known {
    let mut known = Known::default();
    let Ok(writer) = start(disk) else {
        return known;
    };
    for step in steps {
        if known.step(&writer, *step).is_err() && !go_on {
            break;
        }
    }
    known
}

/// Opens what a crash left, with further crashes while it is recovered, and goes on.
fn recover_and_go_on(disk: &SimulatedBackend, mut known: Known, turn: u64) {
    let (records, reader) = open(disk).unwrap();
    known.check(&records);
    // What a recovery has shown must not be gone after the next crash, even if this one did not end.
    disk.crash_after(disk.operations() + turn % 12);
    let finished = reader.finish(config());
    let shown = if finished.is_ok() { records.len() } else { 0 };
    let disk = disk.crash();
    let (records, reader) = open(&disk).unwrap();
    known.check(&records);
    assert!(records.len() >= shown);
    let writer = reader.finish(config()).unwrap();
    known.appended.truncate(records.len());
    known.acknowledged = records.len();
    for step in [Step::Append(600), Step::Sync, Step::Append(30_000), Step::Append(10), Step::Sync] {
        known.step(&writer, step).unwrap();
    }
    known.step(&writer, Step::Append(1000)).unwrap();
    known.check(&open(&disk.crash()).unwrap().0);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..900).prop_map(Step::Append),
        1 => (8_000usize..45_000).prop_map(Step::Append),
        1 => (0usize..3000).prop_map(Step::Reserve),
        1 => Just(Step::Write),
        4 => Just(Step::Sync),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_at_any_operation_loses_nothing_acknowledged(steps in steps(), seed: u64) {
        let whole = SimulatedBackend::new(seed);
        run(&whole, &steps, false);
        for operation in 0..=whole.operations() {
            let disk = SimulatedBackend::new(seed ^ operation);
            disk.crash_after(operation);
            let known = run(&disk, &steps, false);
            recover_and_go_on(&disk.crash(), known, operation);
        }
    }

    #[test]
    fn a_failing_operation_loses_nothing_acknowledged(steps in steps(), seed: u64) {
        let whole = SimulatedBackend::new(seed);
        run(&whole, &steps, false);
        for operation in 1..=whole.operations() {
            let disk = SimulatedBackend::new(seed ^ operation);
            disk.fail_operation(operation);
            let known = run(&disk, &steps, true);
            // Without and with a loss of power.
            recover_and_go_on(&disk.snapshot(), known.clone(), operation);
            recover_and_go_on(&disk.crash(), known, operation);
        }
    }
}

/// A log of several segments, whose last records are covered by a marker.
fn long_log() -> (SimulatedBackend, Known) {
    let disk = SimulatedBackend::new(1);
    let mut steps: Vec<Step> = (0..60).flat_map(|at| [Step::Append(at * 70), Step::Sync]).collect();
    steps.extend([Step::Append(20_000), Step::Append(3), Step::Sync, Step::Append(700), Step::Sync]);
    let known = run(&disk, &steps, false);
    assert_eq!(known.acknowledged, known.appended.len());
    (disk, known)
}

#[test]
fn flipped_bits_before_the_synced_place_are_reported() {
    let (disk, known) = long_log();
    let (records, reader) = open(&disk).unwrap();
    assert!(records.last().unwrap().end.segment >= 3);
    let in_record = |lsn: Lsn| {
        let header = lsn.offset < SEGMENT_HEADER_SIZE as u64;
        header || records.iter().any(|record| record.start <= lsn && lsn < record.end)
    };
    drop(reader);
    let mut reported = 0;
    for segment in 1..=records.last().unwrap().end.segment {
        let size = disk.file_bytes(&segment_name(segment)).unwrap().len() as u64;
        for offset in (0..40).chain((40..size).step_by(251)) {
            let damaged = disk.snapshot();
            assert!(damaged.flip_bit(&segment_name(segment), offset, (offset % 8) as u8));
            match open(&damaged) {
                Ok((found, _)) => {
                    assert!(!in_record(Lsn { segment, offset }), "segment {segment}, byte {offset}");
                    assert_eq!(found.len(), known.appended.len());
                    known.check(&found);
                }
                Err(StorageError::LogCorrupt { segment: named, offset: place, .. }) => {
                    assert!(named == segment && place <= offset);
                    reported += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(reported > 200, "{reported}");
}

#[test]
fn a_file_that_was_cut_or_lost_is_reported() {
    let (disk, known) = long_log();
    let last = open(&disk).unwrap().0.last().unwrap().clone();
    let check = |damage: &dyn Fn(&SimulatedBackend), reported: bool| {
        let disk = disk.snapshot();
        damage(&disk);
        match open(&disk) {
            Ok((records, _)) => {
                assert!(!reported);
                assert_eq!(records.len(), known.appended.len());
            }
            Err(error) => assert!(reported && matches!(error, StorageError::LogCorrupt { .. }), "{error}"),
        }
    };
    use crate::storage::backend::{OpenMode, StorageBackend};
    let cut = |disk: &SimulatedBackend, segment: u64, size: u64| {
        disk.open(&segment_name(segment), OpenMode::Write).unwrap().truncate(size).unwrap();
    };
    check(&|_| (), false);
    check(&|disk| cut(disk, last.end.segment, last.start.offset), true);
    check(&|disk| cut(disk, last.end.segment, last.start.offset + 30), true);
    check(&|disk| cut(disk, 1, 40_000), true);
    check(&|disk| cut(disk, 1, 32_768), true);
    check(&|disk| disk.remove(&segment_name(1)).unwrap(), true);
    check(&|disk| disk.remove(&segment_name(2)).unwrap(), true);
    let from = |disk: &SimulatedBackend, from: Lsn| {
        let mut reader = WalReader::open(Arc::new(disk.clone()), UUID, from)?;
        reader.next_record()
    };
    // The segment that the checkpoint names must be there, and reach as far.
    assert!(from(&disk, Lsn { segment: 9, offset: 32 }).is_err());
    assert!(from(&disk, Lsn { segment: 1, offset: 1 << 20 }).is_err());
    assert_eq!(from(&disk, last.start).unwrap().unwrap(), last);
    assert_eq!(from(&disk, last.end).unwrap(), None);
}
