//! Transactions whose changes are larger than the memory for them: what they make, change and delete goes to pages
//! before the commit, in statements of every kind, beside loads and definitions of the same transaction.

use quiredb::{Database, ErrorKind};

use super::support::{World, sound};

const SCHEMA: &str = "CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING, n INT64, s SERIAL); \
     CREATE NODE TABLE Q(code STRING PRIMARY KEY); \
     CREATE REL TABLE K(FROM P TO P, w INT64); CREATE REL TABLE L(FROM P TO Q)";

/// What a reader sees of all tables.
const LOOKS: [&str; 6] = [
    "MATCH (p:P) RETURN count(*), sum(p.id), sum(p.n), min(p.name), max(p.name), count(DISTINCT p.s)",
    "MATCH (p:P)-[k:K]->(q:P) RETURN count(*), sum(k.w), sum(p.id * 3 + q.id), sum(q.n)",
    "MATCH (p:P)<-[k:K]-(q:P) WHERE p.id % 10 = 3 RETURN count(*), sum(k.w), sum(p.id), sum(q.id)",
    "MATCH (p:P)-[:L]->(q:Q) RETURN count(*), sum(p.id), min(q.code), max(q.code)",
    "UNWIND [1, 77, 1500, 5999, 6001, 90000, 103000] AS i OPTIONAL MATCH (p:P {id: i}) RETURN i, p.name, p.n",
    "MATCH (q:Q) RETURN count(*), min(q.code), max(q.code)",
];

fn world(memory: u64) -> World {
    let builder = Database::builder().threads(2).buffer_pool_size(16 << 20).memory_limit(memory);
    // Rows that a statement has collected go to files, which databases in memory do not have by themselves.
    let folder = std::env::temp_dir();
    World::with(builder.temp_directory(folder), SCHEMA)
}

fn looks(world: &World) -> Vec<Vec<String>> {
    LOOKS.iter().map(|look| world.rows(look)).collect()
}

fn people(from: i64, count: i64) -> String {
    (from..from + count).map(|id| format!("{id},loaded {id},{}\n", id % 7)).collect()
}

/// Runs the same statements with little and with plenty of memory.
fn check(statements: &[&str], early: bool) {
    let (small, plenty) = (world(2 << 20), world(1 << 30));
    let files = |world: &World| -> Vec<String> {
        let rows = |from: i64, count: i64| world.file(&format!("people{from}.csv"), people(from, count));
        vec![rows(100_000, 4000), rows(110_000, 4000), rows(120_000, 4000), rows(130_000, 4000)]
    };
    let (small_files, plenty_files) = (files(&small), files(&plenty));
    for statement in statements {
        let named = |files: &[String]| {
            let names = ["FILE0", "FILE1", "FILE2", "FILE3"].iter().zip(files);
            names.fold((*statement).to_owned(), |text, (name, file)| text.replace(name, file))
        };
        for (world, files) in [(&small, &small_files), (&plenty, &plenty_files)] {
            let done = world.connection.query(&named(files));
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        assert_eq!(looks(&small), looks(&plenty), "{statement}");
    }
    let written = |world: &World| world.database.storage_stats().unwrap().groups_written_early;
    assert_eq!((written(&small) > 0, written(&plenty)), (early, 0));
    small.sound();
    let before = looks(&small);
    small.connection.query("CHECKPOINT").unwrap();
    assert_eq!(looks(&small), before);
    small.sound();
}

const PEOPLE: &str =
    "UNWIND range(1, 6000) AS i CREATE (:P {id: i, name: 'person ' + toString(i), n: i % 10})";
const EDGES: &str = "MATCH (p:P) WHERE p.id < 90000 UNWIND range(1, 12) AS i WITH p, i, (p.id * 31 + i * 17) % 6000 + 1 AS to \
     MATCH (q:P {id: to}) CREATE (p)-[:K {w: i}]->(q)";

#[test]
fn statements_of_each_kind() {
    check(
        &[
            PEOPLE,
            EDGES,
            "UNWIND range(1, 20) AS i CREATE (:Q {code: 'c' + toString(i)})",
            "MATCH (p:P), (q:Q) WHERE p.id % 4 = 0 CREATE (p)-[:L]->(q)",
            "MATCH (p:P) SET p.name = 'a longer name for person ' + toString(p.id), p.n = p.n + 1",
            "MATCH (p:P)-[k:K]->() SET k.w = k.w + 1",
            "MATCH (p:P)-[k:K]->() WHERE p.id % 3 = 0 DELETE k",
            "MATCH (p:P) WHERE p.id % 5 = 0 DETACH DELETE p",
            "UNWIND range(1, 8000) AS i MERGE (p:P {id: i}) ON CREATE SET p.name = 'again', p.n = 0 ON MATCH SET p.n = 9",
            "MATCH (p:P) DETACH DELETE p",
        ],
        true,
    );
}

#[test]
fn one_transaction_of_many_statements() {
    check(
        &[
            PEOPLE,
            "BEGIN TRANSACTION",
            EDGES,
            "MATCH (p:P) SET p.name = 'changed ' + toString(p.id)",
            "MATCH (p:P)-[k:K]->() WHERE p.id % 2 = 0 DELETE k",
            "UNWIND range(6001, 12000) AS i CREATE (:P {id: i, name: 'late ' + toString(i), n: 1})",
            "MATCH (p:P) WHERE p.id > 5000 AND p.id % 3 = 0 DETACH DELETE p",
            "MATCH (p:P) WHERE p.id > 6000 MATCH (q:P {id: p.id - 5900}) CREATE (p)-[:K {w: 1}]->(q)",
            "COMMIT",
            "MATCH (p:P) SET p.n = 1",
        ],
        true,
    );
}

#[test]
fn loads_and_definitions_in_between() {
    check(
        &[
            PEOPLE,
            "BEGIN TRANSACTION",
            "COPY P(id, name, n) FROM 'FILE0'",
            "MATCH (p:P) SET p.name = 'one ' + toString(p.id)",
            "COPY P(id, name, n) FROM 'FILE1'",
            "MATCH (p:P) SET p.name = 'the second name of ' + toString(p.id)",
            "COPY P(id, name, n) FROM 'FILE2'",
            "COPY P(id, name, n) FROM 'FILE3'",
            EDGES,
            "CREATE REL TABLE M(FROM P TO P)",
            "MATCH (p:P) WHERE p.id <= 6000 UNWIND range(1, 5) AS i MATCH (q:P {id: i}) CREATE (p)-[:M]->(q)",
            "MATCH (p:P) WHERE p.name ENDS WITH '9' DETACH DELETE p",
            "DROP TABLE M",
            "CREATE NODE TABLE Passing(id INT64 PRIMARY KEY)",
            "UNWIND range(1, 30000) AS i CREATE (:Passing {id: i})",
            "DROP TABLE Passing",
            "COMMIT",
            "COPY P(id, name, n) FROM 'FILE0' (IGNORE_ERRORS=true)",
        ],
        true,
    );
}

#[test]
fn what_is_rolled_back_is_gone() {
    let world = world(2 << 20);
    world.connection.query(PEOPLE).unwrap();
    world.connection.query("CHECKPOINT").unwrap();
    let (before, pages) = (looks(&world), world.database.storage_stats().unwrap().pages);
    for round in 0..3 {
        world.connection.query("BEGIN TRANSACTION").unwrap();
        world.connection.query(EDGES).unwrap();
        world.connection.query("MATCH (p:P) SET p.name = 'gone ' + p.name").unwrap();
        // A statement that fails after much work takes back its own only.
        let inside = looks(&world);
        let failing = "MATCH (p:P)-[k:K]->() SET k.w = 100 / (p.id - 5990)";
        let error = world.connection.query(failing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Runtime, "{error}");
        assert_eq!(looks(&world), inside);
        world.connection.query("ROLLBACK").unwrap();
        assert_eq!(looks(&world), before);
        sound(&world.database);
        let stats = world.database.storage_stats().unwrap();
        assert_eq!(stats.reserved_pages, 0);
        assert!(stats.groups_written_early > 0 && (round == 0 || stats.pages < pages + 4000), "{stats:?}");
    }
}

#[test]
fn many_small_loads_are_a_large_transaction() {
    let world = world(2 << 20);
    world.connection.query("BEGIN TRANSACTION").unwrap();
    for load in 0..6 {
        let file = world.file(&format!("load{load}.csv"), people(load * 10_000, 6000));
        world.connection.query(&format!("COPY P(id, name, n) FROM '{file}'")).unwrap();
    }
    let stats = world.database.storage_stats().unwrap();
    assert!(stats.groups_written_early > 0, "{stats:?}");
    assert!(stats.memory.layers.peak <= 1 << 20, "{:?}", stats.memory.layers);
    let look = "MATCH (p:P) RETURN count(*), sum(p.id), count(DISTINCT p.s)";
    let seen = world.rows(look);
    world.connection.query("COMMIT").unwrap();
    assert_eq!((world.rows(look), &seen[0]), (seen.clone(), &"36000|1007982000|36000".to_owned()));
    world.sound();
}
