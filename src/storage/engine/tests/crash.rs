//! Loss of power, failing calls and a full disk at every operation of a database's making and of its commits: it is
//! as before or as after, never between.

use super::*;

/// Makes a database and commits four times; stops at the first error. Gives the commits that were acknowledged.
fn life(backend: &dyn StorageBackend) -> (usize, StorageResult<()>) {
    let mut done = 0;
    let result = (|| {
        let engine = Engine::open(backend, &options())?;
        let table = commit_table(&engine, "T")?;
        done = 1;
        commit_groups(&engine, table, &[(0, Some(2)), (1, Some(5))])?;
        done = 2;
        commit_groups(&engine, table, &[(0, Some(6)), (100, Some(3))])?;
        done = 3;
        let turn = engine.begin_write(None)?;
        let mut catalog = (**turn.snapshot().catalog()).clone();
        let mut changes = CommitChanges { dropped: vec![table], ..CommitChanges::default() };
        let dropped = catalog.drop_table("T").map(|dropped| dropped.ids);
        assert_eq!(dropped, Ok(changes.dropped.clone()));
        changes.catalog = Some(catalog);
        turn.commit(changes)?;
        done = 4;
        engine.close()
    })();
    (done, result)
}

/// Which of the commits the database has; everything in it must fit.
fn commits_of(engine: &Arc<Engine>) -> usize {
    let snapshot = engine.snapshot();
    let has = |groups: &[(u64, Option<u64>)]| {
        for (group, marker) in groups {
            group_has(&snapshot, TableId(0), *group, *marker).unwrap();
        }
    };
    let commits = snapshot.version() as usize;
    assert_eq!(snapshot.catalog().node_table("T").is_some(), (1..4).contains(&commits));
    match commits {
        2 => has(&[(0, Some(2)), (1, Some(5)), (100, None)]),
        3 => has(&[(0, Some(6)), (1, Some(5)), (100, Some(3))]),
        _ => has(&[(0, None), (1, None), (100, None)]),
    }
    assert_sound(engine);
    commits
}

fn operations_of_a_life() -> u64 {
    let disk = SimulatedBackend::new(0);
    let (done, result) = life(&disk);
    result.unwrap();
    assert_eq!(done, 4);
    disk.operations()
}

#[test]
fn a_crash_at_any_operation_leaves_before_or_after() {
    for stop in 0..=operations_of_a_life() {
        let disk = SimulatedBackend::new(stop);
        disk.crash_after(stop);
        let (acknowledged, _) = life(&disk);
        for _ in 0..3 {
            let crashed = disk.crash();
            let engine = open(&crashed);
            let found = commits_of(&engine);
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "{found} after {acknowledged} at {stop}"
            );
            // And it can go on.
            let table = commit_table(&engine, "After").unwrap();
            commit_groups(&engine, table, &[(0, Some(1))]).unwrap();
            assert_sound(&engine);
        }
    }
}

#[test]
fn a_failing_call_leaves_before_or_after_and_says_so() {
    for failing in 1..=operations_of_a_life() {
        let disk = SimulatedBackend::new(failing);
        disk.fail_operation(failing);
        let (acknowledged, _) = life(&disk);
        disk.clear_faults();
        let engine = open(&disk.crash());
        let found = commits_of(&engine);
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "{found} after {acknowledged} at {failing}"
        );
    }
}

#[test]
fn a_full_disk_fails_the_commit_and_work_goes_on_when_there_is_room() {
    let disk = SimulatedBackend::new(9);
    let engine = open(&disk);
    let table = commit_table(&engine, "T").unwrap();
    commit_groups(&engine, table, &[(0, Some(2))]).unwrap();
    for room in 0..45 {
        disk.set_capacity(Some(disk.used_bytes() + room * PAGE_SIZE as u64));
        match commit_groups(&engine, table, &[(1, Some(3))]) {
            Ok(()) => break,
            Err(error) => assert!(matches!(error, StorageError::DiskFull { .. }), "{error}"),
        }
        group_has(&engine.snapshot(), table, 0, Some(2)).unwrap();
        group_has(&engine.snapshot(), table, 1, None).unwrap();
    }
    disk.set_capacity(None);
    commit_groups(&engine, table, &[(1, Some(3)), (2, Some(1))]).unwrap();
    group_has(&engine.snapshot(), table, 1, Some(3)).unwrap();
    assert_sound(&engine);
}
