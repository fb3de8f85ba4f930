//! When a log begins and ends: what the header promises, what is missing where something was taken away, and what a
//! crash in between leaves.

use super::durability::{add, log_files, with_mode};
use super::*;
use crate::storage::backend::OpenMode;
use crate::storage::engine::DurabilityMode;
use crate::storage::wal::WalConfig;

/// The page file of a database that was closed is all of it, whatever its last statement was.
#[test]
fn closing_leaves_no_log() {
    let check = |checkpoint_last: bool| {
        let disk = SimulatedBackend::new(18);
        let graph = Graph::with(&disk, &with_mode(DurabilityMode::Strict)).unwrap();
        for id in 0..10 {
            add(&graph, id).unwrap();
        }
        if checkpoint_last {
            graph.engine.checkpoint().unwrap();
            assert_eq!(log_files(&disk).len(), 1);
        }
        graph.engine.close().unwrap();
        drop(graph);
        assert_eq!(log_files(&disk), []);
        // What was removed may come back with the power; it is of no use then.
        for image in [disk.snapshot(), disk.crash(), disk.crash(), disk.crash()] {
            let again = Graph::with(&image, &with_mode(DurabilityMode::Strict)).unwrap();
            assert_eq!(again.content(&again.read()).rows.len(), 10);
            add(&again, 50).unwrap();
            let killed = Graph::with(&image.snapshot(), &options()).unwrap();
            assert_eq!(killed.content(&killed.read()).rows.len(), 11);
            again.engine.close().unwrap();
            drop(again);
            assert_eq!(log_files(&image), []);
        }
    };
    check(false);
    check(true);
}

#[test]
fn a_session_after_a_crash_that_only_reads_closes_the_log() {
    let disk = SimulatedBackend::new(19);
    let graph = Graph::with(&disk, &with_mode(DurabilityMode::Strict)).unwrap();
    add(&graph, 1).unwrap();
    graph.engine.checkpoint().unwrap();
    let killed = disk.snapshot();
    let again = Graph::with(&killed, &with_mode(DurabilityMode::Strict)).unwrap();
    again.engine.close().unwrap();
    drop(again);
    assert_eq!(log_files(&killed), []);
    let again = Graph::with(&killed, &options()).unwrap();
    assert_eq!(again.content(&again.read()).rows.len(), 1);
}

/// Whichever segment is gone or has no header, the database does not open as if its commits had never been.
#[test]
fn a_segment_that_is_gone_is_damage() {
    let check = |count: i64, checkpoint_at: Option<i64>| {
        let disk = SimulatedBackend::new(20);
        let wal = WalConfig::builder().segment_bytes(64 << 10).build().unwrap();
        let all = EngineOptions { wal, ..with_mode(DurabilityMode::Strict) };
        let graph = Graph::with(&disk, &all).unwrap();
        for id in 0..count {
            add(&graph, id).unwrap();
            if checkpoint_at == Some(id) {
                graph.engine.checkpoint().unwrap();
            }
        }
        let segments = log_files(&disk);
        assert!(segments.len() > usize::from(count > 1) || checkpoint_at.is_some());
        for (name, _) in segments {
            let gone = disk.snapshot();
            gone.remove(&name).unwrap();
            let empty = disk.snapshot();
            empty.open(&name, OpenMode::Write).unwrap().truncate(0).unwrap();
            let damaged = disk.snapshot();
            assert!(damaged.flip_bit(&name, 3, 2));
            for (image, wanted) in [(gone, "missing"), (empty, "shorter"), (damaged, "begin")] {
                for read_only in [true, false] {
                    let opened = Graph::with(&image, &EngineOptions { read_only, ..options() });
                    let error = opened.err().expect("the log is damaged").to_string();
                    assert!(error.contains(wanted) && error.contains(&name), "{name}: {error}");
                }
            }
        }
    };
    check(1, None);
    check(600, None);
    check(600, Some(599));
    check(600, Some(450));
}

/// Whatever fails or cuts the power between one session's last commit and the next one's first, what was acknowledged is
/// there and the log is not taken for damaged.
#[test]
fn no_fault_while_a_log_ends_or_begins_loses_anything() {
    let strict = || with_mode(DurabilityMode::Strict);
    let sessions = |disk: &SimulatedBackend, known: &mut usize| -> WriteResult<()> {
        for session in 0..3 {
            let graph = Graph::with(disk, &strict())?;
            add(&graph, 10 + 2 * session)?;
            *known += 1;
            if session == 1 {
                graph.engine.checkpoint()?;
            } else {
                add(&graph, 11 + 2 * session)?;
                *known += 1;
            }
            graph.engine.close()?;
        }
        Ok(())
    };
    let begun = |seed: u64| {
        let disk = SimulatedBackend::new(seed);
        let graph = Graph::with(&disk, &strict()).unwrap();
        add(&graph, 1).unwrap();
        disk
    };
    let whole = begun(500);
    let before = whole.operations();
    sessions(&whole, &mut 0).unwrap();
    let operations = whole.operations() - before;
    let step = if std::env::var_os("QUIRE_LONG").is_some() { 1 } else { 7 };
    for crashes in [true, false] {
        for at in (1..=operations).step_by(step) {
            let disk = begun(500 + at);
            match crashes {
                true => disk.crash_after(disk.operations() + at),
                false => disk.fail_operation(disk.operations() + at),
            }
            let mut known = 1;
            let _ = sessions(&disk, &mut known);
            for image in [disk.snapshot(), disk.crash(), disk.crash()] {
                let again =
                    Graph::with(&image, &strict()).unwrap_or_else(|error| panic!("{crashes} {at}: {error}"));
                let found = again.content(&again.read()).rows.len();
                assert!((known..=known + 1).contains(&found), "{crashes} {at}: {found} of {known}");
                add(&again, 1000).unwrap();
                again.engine.close().unwrap();
                drop(again);
                assert_eq!(log_files(&image), [], "{crashes} {at}");
                let again = Graph::with(&image.crash(), &strict()).unwrap();
                assert_eq!(again.content(&again.read()).rows.len(), found + 1, "{crashes} {at}");
            }
        }
    }
}
