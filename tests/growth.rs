//! Rows that come one by one, in transactions of 1, 10 and 1000: memory and the log stay bounded, checkpoints come by
//! themselves, and in the end the database is hardly larger than one that was loaded by COPY.
//!
//! The ordinary run has some thousand rows and small limits. A million rows of each kind (or as many as `QUIRE_ROWS` says):
//!
//! ```text
//! QUIRE_LONG=1 cargo test --release --test growth -- --nocapture --test-threads=1
//! ```

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use quiredb::{Connection, Database, DatabaseBuilder, DurabilityMode, WalConfig, params};

use support::{count, is_long, loaded, number_of, sound};

const DEFINITIONS: &str = "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, score DOUBLE, n INT64); \
     CREATE REL TABLE K(FROM P TO P, w INT64)";

/// What a run may take.
struct Limits {
    rows: u64,
    memory: u64,
    threshold: u64,
    segment: u64,
}

fn limits() -> Limits {
    let many = number_of("QUIRE_ROWS").unwrap_or(1_000_000);
    match is_long() {
        true => Limits { rows: many, memory: 256 << 20, threshold: many * 16, segment: 4 << 20 },
        false => Limits { rows: 1_500, memory: 64 << 20, threshold: 8 << 10, segment: 1 << 20 },
    }
}

/// The row's name, score and number; every fifth row also has a relationship to an older one.
fn row(id: u64) -> (String, f64, i64) {
    (format!("person {} of {}", id, id % 1000), (id * 7919 % 100_000) as f64 / 8.0, (id % 64) as i64)
}

fn builder(limits: &Limits) -> DatabaseBuilder {
    let wal = WalConfig::builder().segment_bytes(limits.segment).build().unwrap();
    let builder = Database::builder().threads(1).buffer_pool_size(16 << 20).memory_limit(limits.memory);
    builder.checkpoint_threshold(limits.threshold).wal_config(wal)
}

/// The bytes of all files of a directory.
fn disk_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| entry.metadata().unwrap())
        .map(|data| if data.is_file() { data.len() } else { 0 })
        .sum::<u64>()
        + ["wal", "tmp"]
            .iter()
            .map(|name| folder.join(name))
            .filter(|path| path.is_dir())
            .map(|path| disk_bytes(&path))
            .sum::<u64>()
}

/// The most memory that this process has had, where the system tells.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

fn check_content(connection: &Connection, rows: u64) {
    let check = |text: &str, expected: u64| assert_eq!(count(connection, text), expected as i64, "{text}");
    check("MATCH (p:P) RETURN count(*)", rows);
    check("MATCH (p:P) RETURN sum(p.n)", (0..rows).map(|id| id % 64).sum());
    check("MATCH (:P)-[k:K]->(:P) RETURN count(k)", rows / 5);
    check(
        "MATCH (a:P)-[k:K]->(b:P) WHERE b.id * 2 <= a.id RETURN sum(k.w)",
        (0..rows / 5).map(|at| at % 16).sum(),
    );
}

/// The same rows by COPY: how many bytes they take.
fn copied(limits: &Limits, folder: &Path) -> u64 {
    let path = folder.join("copied");
    let database = builder(limits).open(&path).unwrap();
    let connection = database.connect().unwrap();
    connection.query(DEFINITIONS).unwrap();
    let (mut nodes, mut rels) = (String::new(), String::new());
    for id in 0..limits.rows {
        let (name, score, n) = row(id);
        writeln!(nodes, "{id},{name},{score},{n}").unwrap();
        if id % 5 == 4 {
            writeln!(rels, "{id},{},{}", id / 2, id / 5 % 16).unwrap();
        }
    }
    for (table, text) in [("P", nodes), ("K", rels)] {
        let file = folder.join("t.csv");
        std::fs::write(&file, &text).unwrap();
        let result = connection.query(&format!("COPY {table} FROM '{}'", file.display())).unwrap();
        assert_eq!(loaded(&result) as usize, text.lines().count());
    }
    check_content(&connection, limits.rows);
    drop(connection);
    database.close().unwrap();
    disk_bytes(&path)
}

/// The most that a run has taken.
#[derive(Debug, Default)]
struct Most {
    log: u64,
    levels: u64,
    accounted: u64,
}

fn insert(limits: &Limits, path: &Path, per_transaction: u64, mode: DurabilityMode) -> Most {
    let database = builder(limits).durability(mode).open(path).unwrap();
    let connection = database.connect().unwrap();
    connection.query(DEFINITIONS).unwrap();
    let node = connection.prepare("CREATE (:P {id: $id, name: $name, score: $score, n: $n})").unwrap();
    let rel =
        connection.prepare("MATCH (a:P {id: $from}), (b:P {id: $to}) CREATE (a)-[:K {w: $w}]->(b)").unwrap();
    let (mut most, mut open) = (Most::default(), None);
    for id in 0..limits.rows {
        if per_transaction > 1 && open.is_none() {
            open = Some(connection.begin().unwrap());
        }
        let (name, score, n) = row(id);
        node.execute_with(params! { id: id as i64, name: name, score: score, n: n }).unwrap();
        if id % 5 == 4 {
            rel.execute_with(params! { from: id as i64, to: (id / 2) as i64, w: (id / 5 % 16) as i64 })
                .unwrap();
        }
        if (id + 1) % per_transaction == 0
            && let Some(transaction) = open.take()
        {
            transaction.commit().unwrap();
        }
        if id % 64 == 0 {
            let stats = database.storage_stats().unwrap();
            most.log = most.log.max(stats.wal_bytes);
            most.levels = most.levels.max(stats.delta_bytes);
            most.accounted = most.accounted.max(stats.memory.total.peak);
        }
    }
    if let Some(transaction) = open {
        transaction.commit().unwrap();
    }
    check_content(&connection, limits.rows);
    let checkpoints = database.storage_stats().unwrap().checkpoints;
    assert!(checkpoints > 1, "{checkpoints} checkpoints by themselves");
    database.close().unwrap();
    most
}

#[test]
fn rows_that_come_one_by_one() {
    let limits = limits();
    let folder = tempfile::tempdir().unwrap();
    let by_copy = copied(&limits, folder.path());
    println!("{} rows by COPY: {} KiB on disk", limits.rows, by_copy >> 10);
    let largest = if is_long() { 1000 } else { 100 };
    for (per_transaction, mode) in
        [(largest, DurabilityMode::Strict), (10, DurabilityMode::Buffered), (1, DurabilityMode::Buffered)]
    {
        let path = folder.path().join(per_transaction.to_string());
        let started = Instant::now();
        let most = insert(&limits, &path, per_transaction, mode);
        let (time, bytes) = (started.elapsed(), disk_bytes(&path));
        println!(
            "transactions of {per_transaction} ({mode:?}): {:.1} s, {} KiB on disk ({:.2} of COPY's); at most {} KiB of log, \
             {} KiB in levels, {} KiB accounted, {} MiB of the process",
            time.as_secs_f64(),
            bytes >> 10,
            bytes as f64 / by_copy as f64,
            most.log >> 10,
            most.levels >> 10,
            most.accounted >> 10,
            peak_memory() >> 20,
        );
        // Commits wait for a checkpoint at four times the threshold; what is not yet removed and the room that was
        // made beforehand come on top.
        assert!(most.log <= 5 * limits.threshold + 3 * limits.segment, "{most:?}");
        assert!(most.accounted <= limits.memory, "{most:?}");
        // The free pages of the last checkpoints weigh more where there is little else.
        let slack = if is_long() { 0 } else { 512 << 10 };
        assert!(
            bytes as f64 <= by_copy as f64 * 1.5 + slack as f64,
            "{bytes} bytes on disk, {by_copy} by COPY"
        );
        let database = builder(&limits).open(&path).unwrap();
        check_content(&database.connect().unwrap(), limits.rows);
        sound(&database);
    }
}
