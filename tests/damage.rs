//! Damage on disk: in a database with tables of many types, bits flip in every page, pages are zeroed and change
//! places, and the file is cut. Queries that read everything give the right rows or an error that names the file and
//! the place; nothing panics, and no row is ever wrong.
//!
//! The ordinary run damages every page in a few ways; many ways each:
//!
//! ```text
//! QUIRE_LONG=1 cargo test --release --test damage -- --nocapture
//! ```

mod support;

use std::sync::Arc;

use quiredb::storage::backend::{OpenMode, SimulatedBackend, StorageBackend};
use quiredb::{Database, Error, ErrorKind};

use support::random::Random;
use support::{World, is_long, joined};

const PAGE: u64 = 4096;
const FILE: &str = "data.quire";

const SCHEMA: &str = "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, kind STRING, born DATE, height DOUBLE, \
     small INT8, wide INT128, price DECIMAL(18, 3), seen TIMESTAMP, at DATETIME, span INTERVAL, raw BLOB, u UUID, \
     flag BOOL, tags STRING[], point STRUCT(x DOUBLE, y INT64), m MAP(STRING, INT64), v UNION(n INT64, s STRING), \
     j JSON, f FLOAT[3]); \
     CREATE NODE TABLE Q(town STRING, number INT32, text STRING, PRIMARY KEY (town, number)); \
     CREATE REL TABLE KNOWS(FROM P TO P, since DATE, note STRING); \
     CREATE REL TABLE AT(FROM P TO Q, FROM Q TO P, w DOUBLE)";

/// Together they read every page that is in use: all columns, both directions, the key indexes.
const QUERIES: [&str; 9] = [
    "MATCH (p:P) RETURN p.id, p.name, p.kind, p.born, p.height, p.small, p.wide, p.price, p.seen",
    "MATCH (p:P) RETURN p.id, p.at, p.span, p.raw, p.u, p.flag, p.tags, p.point, p.m, p.v, p.j, p.f",
    "MATCH (q:Q) RETURN q.town, q.number, q.text",
    "MATCH (a:P)-[k:KNOWS]->(b:P) RETURN a.id, b.id, k.since, k.note",
    "MATCH (b:P)<-[k:KNOWS]-(a:P) WHERE b.id < 100 RETURN a.id, b.id, k.since",
    "MATCH (p:P)-[t:AT]-(q:Q) RETURN p.id, q.number, t.w",
    "MATCH (p:P {id: 77})-[:KNOWS]->(b) RETURN b.id",
    "UNWIND range(0, 159, 3) AS i MATCH (p:P {id: i}) RETURN p.id, p.name",
    "UNWIND range(0, 39) AS i MATCH (q:Q {town: 'Ulm', number: i}) RETURN q.text",
];

/// The database as a disk.
fn build() -> SimulatedBackend {
    let disk = SimulatedBackend::new(1);
    let world = World::of(open(disk.clone()).unwrap(), SCHEMA);
    let scale = if is_long() { 10 } else { 1 };
    for load in 0..2u64 {
        let rows = (0..80 * scale).map(|n| if n < 80 { load * 80 + n } else { load * 80 * scale + 160 + n });
        let text: String = rows.map(person).collect();
        world.copy("P", text, "").unwrap();
        let range = load * 20..load * 20 + 20;
        let text: String = range.map(|n| format!("Ulm,{n},{}\n", "text ".repeat(n as usize))).collect();
        world.copy("Q", text, "").unwrap();
        let ids = |n: u64| if n.is_multiple_of(2) || load == 0 { n * 7 % 80 } else { 80 + n * 31 % 80 };
        let text: String = (0..250)
            .map(|n| format!("{},{},2020-01-{:02},note {n}\n", ids(n), ids(n * 3), n % 28 + 1))
            .collect();
        world.copy("KNOWS", text, "").unwrap();
        let text: String = (0..60).map(|n| format!("{},Ulm,{},{n}.5\n", ids(n), n % 20)).collect();
        world.copy("AT", text, "from = 'P', to = 'Q'").unwrap();
        let text: String = (0..50).map(|n| format!("Ulm,{},{},{n}.25\n", n % 20, ids(n))).collect();
        world.copy("AT", text, "from = 'Q', to = 'P'").unwrap();
    }
    world.sound();
    drop(world.connection);
    world.database.close().unwrap();
    disk
}

fn person(n: u64) -> String {
    let null = |text: String| if n % 11 == 3 { String::new() } else { text };
    [
        n.to_string(),
        format!("\"person {n} {}\"", "x".repeat((n % 40) as usize)),
        ["red", "green", "blue"][(n % 3) as usize].to_owned(),
        null(format!("{}-03-{:02}", 1900 + n % 120, n % 28 + 1)),
        null(format!("{}.{}", n % 3, n)),
        null((n % 200).wrapping_sub(100).cast_signed().to_string()),
        format!("{}", u128::from(n) * 1_000_000_000_000_000_000_007),
        null(format!("{n}.125")),
        format!("2024-01-01 00:{:02}:{:02}.{:06}", n / 60 % 60, n % 60, n),
        null(format!("2024-06-01T12:00:{:02}+02:00", n % 60)),
        null(format!("{n} days")),
        null(format!("\\x{:02X}\\x00", n % 256)),
        format!("00000000-0000-4000-8000-{n:012x}"),
        n.is_multiple_of(7).to_string(),
        null(format!("\"[a{n},b,,]\"")),
        null(format!("\"{{x: {n}.5, y: {n}}}\"")),
        null(format!("\"{{k{n}={n}}}\"")),
        if n.is_multiple_of(2) { n.to_string() } else { format!("word{n}") },
        null(format!("\"{{\"\"n\"\": {n}}}\"")),
        format!("\"[{n},1.5,-2]\""),
    ]
    .join(",")
        + "\n"
}

fn open(disk: SimulatedBackend) -> Result<Database, Error> {
    Database::builder().threads(1).buffer_pool_size(8 << 20).backend(Arc::new(disk)).open("unused")
}

/// The answers of all queries, sorted.
fn answers(disk: &SimulatedBackend) -> Vec<Result<Vec<String>, Error>> {
    match open(disk.clone()).and_then(|database| database.connect()) {
        Ok(connection) => {
            let answer = |query: &&str| {
                let mut rows: Vec<String> =
                    connection.query(query)?.to_values().iter().map(|row| joined(row)).collect();
                rows.sort_unstable();
                Ok(rows)
            };
            QUERIES.iter().map(answer).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

/// What one damage did.
#[derive(Default)]
struct Tally {
    harmless: u64,
    told: u64,
    queries_failed: u64,
}

struct Case<'c> {
    expected: &'c [Vec<String>],
    tally: Tally,
}

impl Case<'_> {
    /// Right rows or an error with file and place.
    fn check(&mut self, disk: &SimulatedBackend, what: &str) {
        let mut failed = 0;
        for (at, answer) in answers(disk).into_iter().enumerate() {
            match answer {
                Ok(rows) => assert!(rows == self.expected[at], "{what}: wrong rows from {}", QUERIES[at]),
                Err(error) => {
                    failed += 1;
                    let message = error.to_string();
                    let is_io = error.kind() == ErrorKind::Io && message.contains("read");
                    assert!(
                        error.kind() == ErrorKind::Corruption || is_io,
                        "{what}: {:?} {message}",
                        error.kind()
                    );
                    assert!(message.contains(FILE), "{what}: {message}");
                    let place =
                        ["page", "header", "size", "usable"].iter().any(|word| message.contains(word));
                    assert!(place || is_io, "{what}: {message}");
                }
            }
        }
        self.tally.queries_failed += failed;
        if failed == 0 { self.tally.harmless += 1 } else { self.tally.told += 1 }
    }
}

/// Every page in a long run, else one of so many.
fn step(ordinary: usize) -> usize {
    if is_long() { 1 } else { ordinary }
}

fn with_database(run: impl FnOnce(&SimulatedBackend, u64, &mut Case<'_>)) {
    let disk = build();
    let bytes = disk.file_bytes(FILE).unwrap();
    let expected: Vec<Vec<String>> = answers(&disk).into_iter().map(|rows| rows.unwrap()).collect();
    assert!(expected.iter().all(|rows| !rows.is_empty()));
    let mut case = Case { expected: &expected, tally: Tally::default() };
    run(&disk, bytes.len() as u64 / PAGE, &mut case);
    let Tally { harmless, told, queries_failed } = case.tally;
    println!(
        "{} pages: {told} damages told by {queries_failed} queries, {harmless} harmless",
        bytes.len() as u64 / PAGE
    );
    assert!(told > 0);
}

fn overwrite(disk: &SimulatedBackend, page: u64, bytes: &[u8]) {
    disk.open(FILE, OpenMode::Write).unwrap().write_at(page * PAGE, bytes).unwrap();
}

fn page_of(disk: &SimulatedBackend, page: u64) -> Vec<u8> {
    let mut bytes = vec![0; PAGE as usize];
    disk.open(FILE, OpenMode::Read).unwrap().read_at(page * PAGE, &mut bytes).unwrap();
    bytes
}

/// Pages beyond the headers that are no header copy of their own: those are mended from each other.
const FIRST_PAGE: u64 = 2;

#[test]
fn a_flipped_bit_in_any_page_never_gives_wrong_rows() {
    let ways = if is_long() { 20 } else { 1 };
    with_database(|disk, pages, case| {
        let mut random = Random::new(1);
        for page in 0..pages {
            for _ in 0..ways {
                let damaged = disk.snapshot();
                let (offset, bit) = (page * PAGE + random.below(PAGE), random.below(8) as u8);
                assert!(damaged.flip_bit(FILE, offset, bit));
                case.check(&damaged, &format!("bit {bit} of byte {offset} in page {page}"));
            }
        }
        // Free pages and one of two headers may be damaged without harm, most others not.
        assert!(case.tally.told * 2 > pages * ways, "{} of {} were noticed", case.tally.told, pages * ways);
    });
}

#[test]
fn a_zeroed_page_never_gives_wrong_rows() {
    with_database(|disk, pages, case| {
        for page in (0..pages).step_by(step(2)) {
            let damaged = disk.snapshot();
            overwrite(&damaged, page, &[0; PAGE as usize]);
            case.check(&damaged, &format!("zeroed page {page}"));
        }
    });
}

#[test]
fn pages_that_change_places_never_give_wrong_rows() {
    with_database(|disk, pages, case| {
        let mut random = Random::new(2);
        for page in (0..pages).step_by(step(2)) {
            let other = match page {
                0 => 1,
                1 => pages - 1,
                _ => FIRST_PAGE + random.below(pages - FIRST_PAGE),
            };
            let damaged = disk.snapshot();
            let (first, second) = (page_of(disk, page), page_of(disk, other));
            overwrite(&damaged, page, &second);
            overwrite(&damaged, other, &first);
            case.check(&damaged, &format!("pages {page} and {other} swapped"));
        }
    });
}

/// A page as an earlier version of the database had it: a write that was lost.
#[test]
fn stale_pages_never_give_wrong_rows() {
    with_database(|disk, pages, case| {
        let older = page_versions(disk);
        for page in FIRST_PAGE..pages.min(older.len() as u64 / PAGE) {
            let stale = &older[(page * PAGE) as usize..((page + 1) * PAGE) as usize];
            if stale != page_of(disk, page) {
                let damaged = disk.snapshot();
                overwrite(&damaged, page, stale);
                case.check(&damaged, &format!("stale page {page}"));
            }
        }
    });
}

/// The same file after its pages were written anew: what a copy from another time holds.
fn page_versions(disk: &SimulatedBackend) -> Vec<u8> {
    let other = disk.snapshot();
    let world = World::of(open(other.clone()).unwrap(), "DROP TABLE KNOWS");
    world.connection.query("CREATE REL TABLE KNOWS(FROM P TO P, since DATE, note STRING)").unwrap();
    for _ in 0..2 {
        // Only then pages of before may be written over.
        world.connection.query("CHECKPOINT").unwrap();
        let text: String =
            (0..250).map(|n| format!("{},{},2021-01-01,other\n", n % 160, n * 7 % 160)).collect();
        world.copy("KNOWS", text, "").unwrap();
    }
    world.connection.query("CHECKPOINT").unwrap();
    drop(world);
    other.file_bytes(FILE).unwrap()
}

#[test]
fn a_cut_file_never_gives_wrong_rows() {
    with_database(|disk, pages, case| {
        for kept in (0..pages).step_by(step(8)) {
            for odd in [0, 1000] {
                let damaged = disk.snapshot();
                damaged.open(FILE, OpenMode::Write).unwrap().truncate(kept * PAGE + odd).unwrap();
                if kept == 0 && odd == 0 {
                    // An empty file may be what a crash left of a database that never was.
                    continue;
                }
                case.check(&damaged, &format!("cut after {kept} pages and {odd} bytes"));
            }
        }
    });
}
