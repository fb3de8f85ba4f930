//! What stands around a load: progress, interruption, time limits, read-only databases, no access to files, memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quiredb::{Database, ErrorKind, FileAccess, Progress};

use crate::support::{World, count};

const SCHEMA: &str =
    "CREATE NODE TABLE T(id INT64 PRIMARY KEY, name STRING); CREATE REL TABLE R(FROM T TO T)";

fn people(rows: u64) -> String {
    (0..rows).map(|id| format!("{id},\"a name for number {id}\"\n")).collect()
}

#[test]
fn progress_reaches_the_whole() {
    let world = World::new(SCHEMA);
    let text = people(50_000);
    let seen: Arc<parking_lot::Mutex<Vec<Progress>>> = Arc::default();
    let keep = Arc::clone(&seen);
    world.connection.set_progress(move |state| keep.lock().push(state));
    world.copy("T", &text, "").unwrap();
    let seen = seen.lock().clone();
    let last = seen.last().unwrap();
    assert_eq!(
        (last.bytes_read, last.bytes_total, last.rows),
        (text.len() as u64, text.len() as u64, 50_000)
    );
    assert!((last.fraction() - 1.0).abs() < 1e-9);
    assert!(
        seen.windows(2).all(|pair| pair[0].rows <= pair[1].rows && pair[0].bytes_read <= pair[1].bytes_read)
    );
    world.connection.clear_progress();
}

#[test]
fn an_interrupt_ends_the_load_and_leaves_nothing() {
    let world = World::new(SCHEMA);
    world.copy("T", "-1,first\n", "").unwrap();
    let before = world.database.storage_stats().unwrap();
    let handle = world.connection.interrupt_handle();
    let told = Arc::new(AtomicU64::new(0));
    let calls = Arc::clone(&told);
    world.connection.set_progress(move |state| {
        calls.fetch_add(1, Ordering::Relaxed);
        if state.bytes_read > 0 {
            handle.interrupt();
        }
    });
    let error = world.copy("T", people(200_000), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    assert!(told.load(Ordering::Relaxed) > 0);
    world.connection.clear_progress();
    let after = world.database.storage_stats().unwrap();
    assert_eq!(
        (after.version, after.generation, after.reserved_pages),
        (before.version, before.generation, 0)
    );
    assert_eq!(count(&world.connection, "MATCH (t:T) RETURN count(*)"), 1);
    world.sound();
    assert_eq!(world.copy("T", people(10), "").unwrap(), 10);
}

#[test]
fn the_time_limit_counts_for_loads() {
    let world = World::new(SCHEMA);
    world.connection.set_query_timeout(Some(Duration::from_millis(1)));
    let error = world.copy("T", people(300_000), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    world.connection.set_query_timeout(None);
    assert_eq!(world.copy("T", people(10), "").unwrap(), 10);
    world.sound();
}

#[test]
fn the_time_limit_counts_behind_the_last_row() {
    let world = World::new(SCHEMA);
    let limit = Duration::from_millis(1500);
    for rows in [10, 100_000] {
        // All text is read in time, and then time passes.
        world.connection.set_progress(move |state| {
            if state.bytes_read == state.bytes_total {
                std::thread::sleep(limit);
            }
        });
        world.connection.set_query_timeout(Some(limit));
        let error = world.copy("T", people(rows), "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        assert!(error.to_string().contains("1500 ms"), "{error}");
        world.connection.set_query_timeout(None);
        world.connection.clear_progress();
        assert_eq!(count(&world.connection, "MATCH (t:T) RETURN count(*)"), 0);
    }
    assert_eq!(world.copy("T", people(10), "").unwrap(), 10);
    world.sound();
}

#[test]
fn a_load_beyond_its_memory_fails_and_leaves_nothing() {
    let builder = Database::builder().threads(2).buffer_pool_size(64 << 20).memory_limit(1 << 20);
    let world = World::with(builder, SCHEMA);
    let error = world.copy("T", people(300_000), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert!(error.to_string().contains("COPY"), "{error}");
    assert_eq!(count(&world.connection, "MATCH (t:T) RETURN count(*)"), 0);
    world.sound();
    assert_eq!(world.copy("T", people(1000), "").unwrap(), 1000);
}

#[test]
fn read_only_databases_and_those_without_files_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let world = World::of(Database::open(&path).unwrap(), SCHEMA);
    world.copy("T", people(5), "").unwrap();
    let file = world.file("more.csv", "10,x\n");
    let World { database, connection, folder: files } = world;
    drop(connection);
    database.close().unwrap();
    let size = std::fs::metadata(path.join("data.quire")).unwrap().len();
    let copy = format!("COPY T FROM '{file}'");
    let database = Database::builder().read_only(true).open(&path).unwrap();
    let connection = database.connect().unwrap();
    let error = connection.query(&copy).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(count(&connection, "MATCH (t:T) RETURN count(*)"), 5);
    assert_eq!(std::fs::metadata(path.join("data.quire")).unwrap().len(), size);
    drop((connection, database));
    let database = Database::builder().file_access(FileAccess::None).open(&path).unwrap();
    let connection = database.connect().unwrap();
    let error = connection.query(&copy).unwrap_err();
    assert!(error.to_string().contains("without access to files"), "{error}");
    drop((connection, database));
    let database = Database::builder().file_access(FileAccess::Read).open(&path).unwrap();
    let connection = database.connect().unwrap();
    connection.query(&copy).unwrap();
    assert_eq!(count(&connection, "MATCH (t:T) RETURN count(*)"), 6);
    drop(files);
}

#[test]
fn a_snapshot_from_before_a_load_stays_as_it_was() {
    let world = World::new(SCHEMA);
    world.copy("T", "1,a\n2,b\n", "").unwrap();
    world.copy("R", "1,2\n", "").unwrap();
    let reader = world.database.connect().unwrap();
    let transaction = reader.begin_read_only().unwrap();
    world.copy("T", "3,c\n", "").unwrap();
    world.copy("R", "2,1\n3,1\n", "").unwrap();
    assert_eq!(count(&reader, "MATCH (t:T) RETURN count(*)"), 2);
    assert_eq!(count(&reader, "MATCH ()-[r:R]->() RETURN count(*)"), 1);
    drop(transaction);
    assert_eq!(count(&reader, "MATCH (t:T) RETURN count(*)"), 3);
    assert_eq!(count(&reader, "MATCH ()-[r:R]->() RETURN count(*)"), 3);
}

#[test]
fn an_empty_database_is_small_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    Database::open(&path).unwrap().close().unwrap();
    let bytes = size_of_directory(&path);
    assert!(bytes < 64 << 10, "{bytes} bytes");
}

/// Nothing of a database stays behind in the process: no open file and so no frames.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_database_lets_its_files_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db").canonicalize().unwrap_or(folder.path().join("db"));
    let open_files = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        files
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .filter(|to| to.starts_with(&path))
            .count()
    };
    let world = World::of(Database::open(&path).unwrap(), SCHEMA);
    world.copy("T", people(100), "").unwrap();
    assert!(open_files() > 0);
    drop(world);
    assert_eq!(open_files(), 0, "dropped");
    let database = Database::open(&path).unwrap();
    assert_eq!(count(&database.connect().unwrap(), "MATCH (t:T) RETURN count(*)"), 100);
    database.close().unwrap();
    assert_eq!(open_files(), 0, "closed");
}

fn size_of_directory(path: &std::path::Path) -> u64 {
    std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { size_of_directory(&entry.path()) } else { metadata.len() }
        })
        .sum()
}
