//! Every named mechanism has a counter, shown by PROFILE, `storage_stats()` or `buffer_pool_stats()`, and works in at
//! least one query here: a mechanism that is never taken is found before it is missed.

use std::fmt::Write as _;
use std::sync::LazyLock;

use quiredb::storage::memory::MemoryAccountant;
use quiredb::{Connection, Database, QueryStream};

const PERSONS: u64 = 250_000;

/// For each counter of a query, one in which it moves.
const WORKS: &[(&str, &str)] = &[
    ("groups_skipped", "MATCH (p:Person) WHERE p.id > 240000 RETURN count(*), max(p.noise)"),
    ("groups_answered_by_zone_map", "MATCH (p:Person) RETURN max(p.noise)"),
    ("rows_scanned", "MATCH (p:Person) RETURN sum(p.noise)"),
    ("rows_represented", "MATCH (a:Person)-[:Knows]->(b:Person)-[:Likes]->(c:Person) RETURN count(*)"),
    ("rows_materialized", "MATCH (a:Person {id: 7})-[:Knows]->(b:Person) RETURN b.id"),
    ("groups_borrowed", "MATCH (a:Person {id: 7})-[:Knows]->(b:Person) RETURN b.id"),
    ("groups_merged", "MATCH (a:Person {id: 7})-[:Likes]->(b:Person) RETURN b.id"),
    ("groups_with_levels", "MATCH (n:Note) RETURN sum(n.weight)"),
    ("births_scanned", "MATCH (n:Note) RETURN sum(n.weight)"),
    ("batches_patched", "MATCH (n:Note) RETURN sum(n.weight)"),
    ("windows_cut", "MATCH (w:Wide) RETURN max(size(w.text))"),
    ("pieces_cut", "UNWIND range(1, 20) AS i RETURN max(size(repeat('ab', 1000000 + i)))"),
    ("patch_segments_read", "MATCH (p:Person) RETURN max(p.most)"),
    ("changed_lists", "MATCH (a:Note {id: 1})-[:Links]->(b:Note) RETURN b.id"),
    ("messages_passed", "MATCH (a:Person)-[:Knows]->(b:Person)-[:Likes]->(c:Person) RETURN count(*)"),
    (
        "messages_scattered",
        "MATCH (a:Person)-[:Knows]->(b:Person) WHERE b.id < 45 RETURN count(*), sum(a.noise)",
    ),
    ("signed_terms", "MATCH (a:Person)-[:Knows]->(b:Person)-[:Knows]->(c:Person) RETURN count(*)"),
    ("node_bitmaps", "MATCH (a:Person)-[:Knows]->(b:Person) WHERE b.noise < 1000 RETURN count(*)"),
    ("degrees_multiplied", "MATCH (a:Person)-[:Knows]->(b:Person)-[:Likes]->(c:Person) RETURN count(*)"),
    (
        "lists_intersected",
        "MATCH (a:Person)-[:Knows]->(b:Person)-[:Likes]->(c:Person), (a)-[:Likes]->(c) RETURN count(*)",
    ),
    ("rows_sorted_by_two_prefixes", "MATCH (p:Person) RETURN p.id ORDER BY p.noise % 100, p.id DESC"),
    (
        "lists_marked",
        "MATCH (a:Topic {id: 7})-[:Near]->(b:Topic)-[:Near]->(c:Topic), (a)-[:Near]->(c) RETURN count(*)",
    ),
    ("dense_groupings", "MATCH (a:Person)-[:Knows]->(b:Person) RETURN b, count(a.noise)"),
    (
        "neighbours_filtered",
        "MATCH (a:Topic)-[:Near]->(b:Topic) WHERE a.weight < 90 AND b.weight < 80 RETURN a.id, b.id",
    ),
    (
        "rows_counted_in_order",
        "MATCH (a:Topic)-[x:Roads]->(b:Topic)-[y:Roads]->(c:Topic) WHERE x.miles < y.miles RETURN count(*)",
    ),
    (
        "rows_skipped_by_bitmap",
        "MATCH (a:Topic)-[x:Roads]->(b:Topic)-[y:Roads]->(c:Topic) \
         WHERE a.weight < 7 AND c.weight < 10 AND x.miles < y.miles RETURN count(*)",
    ),
    (
        "rels_scattered",
        "MATCH (a:Topic)-[x:Roads]->(b:Topic)-[:Near]->(c:Topic) WHERE x.miles < 3 RETURN c.id, count(*)",
    ),
    ("run_groupings", "MATCH (p:Person) RETURN p.id / 1000 AS part, max(p.noise)"),
    ("dictionary_groupings", "MATCH (p:Person) RETURN p.kind, max(p.noise)"),
    // A CASE of constants is a dictionary of its branches.
    (
        "dictionary_groupings",
        "MATCH (p:Person) RETURN CASE WHEN p.noise % 9 < 2 THEN 'low' WHEN p.noise % 9 < 5 THEN 'mid' END, max(p.noise)",
    ),
    ("coded_groupings", "MATCH (p:Person) RETURN p.kind, p.noise % 20, max(p.noise)"),
    ("numbered_groupings", "MATCH (p:Person) RETURN p.kind, p.noise, max(p.more)"),
    ("dense_distincts", "MATCH (a:Person {id: 7})-[:Knows]->(b:Person) RETURN count(DISTINCT b), count(*)"),
    ("integer_distincts", "MATCH (p:Person) RETURN count(DISTINCT p.noise % 100)"),
    ("rows_passed_ungrouped", "MATCH (p:Person) WITH p.id * 3 AS id, count(*) AS n RETURN max(n)"),
    ("partitions_grouped", "MATCH (p:Person) RETURN count(DISTINCT toString(p.id))"),
    ("rows_fetched", "MATCH (p:Person) RETURN p.noise, p.kind ORDER BY p.id LIMIT 3"),
    (
        "columns_kept",
        "MATCH (a:Topic)-[:Near]->(b:Topic)-[:Near]->(c:Topic) WHERE a.weight = c.weight RETURN count(*)",
    ),
    ("key_lookups", "MATCH (p:Person {id: 7}) RETURN p.noise"),
    ("levels_bottom_up", "MATCH (a:Topic {id: 7})-[:Spread*1..9]->(b:Topic) RETURN count(DISTINCT b)"),
    ("nodes_visited", "MATCH (a:Person {id: 7})-[:Knows*1..3]->(b:Person) RETURN count(DISTINCT b)"),
    (
        "multi_source_searches",
        "MATCH (a:Topic)-[:Spread* SHORTEST 1..2]->(b:Topic) WHERE a.id < 50 RETURN count(*)",
    ),
    (
        "bidirectional_meets",
        "MATCH (a:Topic {id: 7})-[e:Roads* WSHORTEST(miles) 1..30]->(b:Topic {id: 199}) RETURN cost(e)",
    ),
    ("nodes_expanded", "MATCH (a:Person {id: 7})-[:Knows*1..2]->(b:Person) RETURN b.id"),
    ("rows_cut_by_top_k", "MATCH (p:Person) RETURN p.id ORDER BY p.id LIMIT 3"),
    ("rows_built", "MATCH (a:Person), (b:Person) WHERE a.noise = b.noise RETURN count(*), collect(a.id)[0]"),
    ("rows_probed", "MATCH (a:Person), (b:Person) WHERE a.noise = b.noise RETURN count(*), collect(a.id)[0]"),
    (
        "rows_shared",
        "MATCH (a:Topic) WHERE a.id < 20 \
         CALL (a) { MATCH (a)-[:Near]->(b:Topic) RETURN b ORDER BY b.weight LIMIT 2 } RETURN a.id, b.id",
    ),
    (
        "nodes_settled",
        "MATCH (a:Topic {id: 7})-[e:Roads* WSHORTEST(miles) 1..30]->(b:Topic) WHERE b.id < 9 RETURN cost(e)",
    ),
    ("point_lookups", "MATCH (p:Person {id: 7}) RETURN p.noise"),
    (
        "rows_numbered",
        "MATCH (a:Person {id: 7})-[:Knows]->(b:Person) OPTIONAL MATCH (b)-[:Likes]->(c) RETURN b.id, c.id",
    ),
    (
        "sets_prepared",
        "MATCH (p:Person) WHERE p.id < 100 WITH collect(p.noise) AS l MATCH (b:Person) WHERE b.noise IN l RETURN count(*)",
    ),
    (
        "sub_plans_left",
        "MATCH (a:Topic) WHERE EXISTS { (a)-[:Near]->()-[:Near]->()-[:Near]->(d) WHERE d.weight + 1000 > a.weight } \
         RETURN a.id LIMIT 3",
    ),
    ("rows_first_distinct", "MATCH (p:Person) RETURN DISTINCT p.kind LIMIT 3"),
    (
        "lists_shared",
        "MATCH (p:Person) WHERE p.id < 100 WITH collect(p.noise) AS l MATCH (b:Topic) \
         WITH l, b ORDER BY b.weight, b.id RETURN l[0], b.id",
    ),
    (
        "edges_looked_up",
        "MATCH (a:Person {id: 7})-[:Knows]->(b:Person) WHERE NOT (a)-[:Likes]->(b) RETURN b.id",
    ),
    ("rows_weighed", "MATCH (a:Person) WHERE EXISTS { (a)-[:Likes]->() } RETURN count(*), max(a.noise)"),
    ("morsels_stolen", "MATCH (p:Person) RETURN sum(p.noise), min(p.kind)"),
];

/// A database in memory with two relationship types, of which one was loaded twice.
static GRAPH: LazyLock<Database> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the files");
    let database = Database::builder().threads(2).in_memory().expect("a database in memory opens");
    let connection = database.connect().expect("it can be used");
    load(&connection, folder.path());
    database
});

fn run(connection: &Connection, text: &str) {
    connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Numbers without an order, the same each time.
fn noise(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24
}

fn load(connection: &Connection, folder: &std::path::Path) {
    run(
        connection,
        "CREATE NODE TABLE Person(id INT64, noise INT64, more INT64, most INT64, kind STRING, PRIMARY KEY (id))",
    );
    run(connection, "CREATE REL TABLE Knows(FROM Person TO Person)");
    run(connection, "CREATE NODE TABLE Topic(id INT64, weight INT64, PRIMARY KEY (id))");
    run(connection, "CREATE REL TABLE Near(FROM Topic TO Topic)");
    run(connection, "CREATE REL TABLE Spread(FROM Topic TO Topic)");
    run(connection, "CREATE REL TABLE Roads(FROM Topic TO Topic, miles INT64)");
    run(connection, "CREATE REL TABLE Likes(FROM Person TO Person)");
    let copy = |table: &str, line: &dyn Fn(u64) -> String, rows: std::ops::Range<u64>| {
        let path = folder.join(format!("{table}.csv"));
        let mut text = String::new();
        rows.for_each(|row| writeln!(text, "{}", line(row)).expect("texts grow"));
        std::fs::write(&path, text).expect("the file can be written");
        run(connection, &format!("COPY {table} FROM '{}'", path.display()));
    };
    let person = |row: u64| {
        let wide = |seed: u64| row.wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) as i64;
        format!("{row},{},{},{},kind {}", noise(row), wide(1), wide(2), noise(row) % 7)
    };
    copy("Person", &person, 0..PERSONS);
    let edge = |row: u64| format!("{},{}", noise(row) % 300, noise(row + 1_000_000) % 300);
    // Enough nodes have an edge for a run that is read as it lies.
    copy("Knows", &|row| format!("{},{}", row % 5000, noise(row) % 300), 0..8000);
    // Many neighbours among few nodes.
    copy("Topic", &|row| format!("{row},{}", noise(row) % 100), 0..300);
    copy("Near", &edge, 0..6000);
    // Every node is soon reached from every other.
    copy("Spread", &|row| format!("{},{}", row % 300, (row * 31 + row / 300 * 17) % 300), 0..3000);
    copy(
        "Roads",
        &|row| format!("{},{},{}", row % 300, (row * 31 + row / 300 * 17) % 300, row % 11),
        0..3000,
    );
    copy("Likes", &edge, 0..6000);
    copy("Likes", &edge, 6000..6500);
    // A few values that stand beside their chunk.
    run(connection, "CREATE NODE TABLE Wide(id INT64, text STRING, PRIMARY KEY (id))");
    run(
        connection,
        "UNWIND range(1, 40) AS i CREATE (:Wide {id: i, text: toString(i) + repeat('xyz ', 50000)})",
    );
    run(connection, "MATCH (p:Person {id: 5}) SET p.most = 1");
    run(connection, "CHECKPOINT");
    // Some rows and values that no page has yet.
    run(connection, "CREATE NODE TABLE Note(id INT64, weight INT64, PRIMARY KEY (id))");
    run(connection, "CREATE REL TABLE Links(FROM Note TO Note)");
    copy("Note", &|row| format!("{row},{}", row % 9), 0..300);
    run(connection, "MATCH (n:Note {id: 3}) SET n.weight = 500");
    run(connection, "CREATE (:Note {id: 1000, weight: 7})");
    run(connection, "MATCH (a:Note {id: 1}), (b:Note {id: 1000}) CREATE (a)-[:Links]->(b)");
}

/// What PROFILE says about a counter; it leaves out those that did not move.
fn counted(connection: &Connection, counter: &str, text: &str) -> u64 {
    let result =
        connection.query(&format!("PROFILE {text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
    let lines = result.rows().map(|row| row.get::<String>(0).expect("PROFILE shows texts"));
    let found = lines.filter_map(|line| line.strip_prefix(counter)?.strip_prefix(": ")?.parse::<u64>().ok());
    found.sum()
}

#[test]
fn every_mechanism_of_queries_works_somewhere() {
    let connection = GRAPH.connect().expect("a connection");
    for (counter, text) in WORKS {
        // A second thread may come too late for a short query.
        let tries = if *counter == "morsels_stolen" { 200 } else { 1 };
        let moved = (0..tries).any(|_| counted(&connection, counter, text) > 0);
        assert!(moved, "{counter} stands still in {text}");
    }
}

#[test]
fn scanned_rows_are_those_that_were_tested() {
    let connection = GRAPH.connect().expect("a connection");
    let check = |text: &str, passed: u64, scanned: std::ops::RangeInclusive<u64>| {
        let rows: i64 =
            connection.query(text).expect("it runs").first().expect("a row").get(0).expect("a count");
        assert_eq!(rows as u64, passed, "{text}");
        let counted = counted(&connection, "rows_scanned", text);
        assert!(scanned.contains(&counted), "{counted} rows were scanned by {text}");
    };
    let kept = (0..PERSONS).filter(|row| noise(*row).is_multiple_of(2)).count() as u64;
    let text = "MATCH (p:Person) WHERE p.noise % 2 = 0 RETURN count(*), max(p.more)";
    check(text, kept, PERSONS..=PERSONS);
    let limit = 1 << 39;
    let kept = (0..PERSONS).filter(|row| noise(*row) > limit).count() as u64;
    let text = format!("MATCH (p:Person) WHERE p.noise > {limit} RETURN count(*), max(p.more)");
    check(&text, kept, PERSONS..=PERSONS);
    let text = "MATCH (a:Topic)-[x:Roads]->(b:Topic) WHERE x.miles > 9 RETURN count(*), max(x.miles)";
    check(text, (0..3000).filter(|row| row % 11 > 9).count() as u64, 3000..=3600);
    // Groups that zone maps leave out are not looked at.
    let text = "MATCH (p:Person) WHERE p.id > 240000 RETURN count(*), max(p.noise)";
    check(text, PERSONS - 240_001, 9999..=PERSONS / 2);
}

/// For each counter of rows that are put aside, a query that needs more memory than it gets.
const WORKS_SHORT_OF_MEMORY: &[(&str, &str)] = &[
    ("bytes_spilled", "MATCH (p:Person) WITH p.id AS id, p.noise AS noise ORDER BY noise RETURN max(id)"),
    ("bytes_read_back", "MATCH (p:Person) WITH p.id AS id, p.noise AS noise ORDER BY noise RETURN max(id)"),
    (
        "partitions_spilled",
        "MATCH (p:Person) WITH DISTINCT p.noise % 100000 AS noise, p.kind AS kind RETURN count(*)",
    ),
    (
        "batches_joined_with_parts",
        "MATCH (p:Person) WHERE p.id < 60000 WITH p.id AS id, p.noise AS noise CALL { WITH id UNWIND [id] AS n RETURN max(n) AS most } RETURN max(most), max(noise)",
    ),
    (
        "products_in_pieces",
        "MATCH (p:Person) WHERE p.id < 100000 WITH DISTINCT p.noise % 3 AS a MATCH (q:Person) RETURN max(q.id + a), max(q.noise - a)",
    ),
];

#[test]
fn rows_are_put_aside_where_memory_is_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |limit: u64| {
        let builder = Database::builder().threads(2).memory_limit(limit);
        builder.open(folder.path().join("graph")).expect("the database opens")
    };
    let database = open(256 << 20);
    let connection = database.connect().expect("a connection");
    run(&connection, "CREATE NODE TABLE Person(id INT64, noise INT64, kind STRING, PRIMARY KEY (id))");
    let mut text = String::new();
    (0..PERSONS).for_each(|row| writeln!(text, "{row},{},{}", noise(row), row % 3).expect("texts grow"));
    let path = folder.path().join("persons.csv");
    std::fs::write(&path, text).expect("the file can be written");
    run(&connection, &format!("COPY Person FROM '{}'", path.display()));
    drop(connection);
    database.close().expect("the database closes");
    let database = open(8 << 20);
    let connection = database.connect().expect("a connection");
    for (counter, text) in WORKS_SHORT_OF_MEMORY {
        assert!(counted(&connection, counter, text) > 0, "{counter} stands still in {text}");
    }
}

/// For each counter of what cannot be put aside, a query that has to do without.
const WORKS_WITHOUT_ROOM: &[(&str, &str)] = &[(
    "arrays_given_up",
    "MATCH (a:Person)-[:Knows]->(b:Person)-[:Likes]->(c:Person)-[:Likes]->(d:Person) RETURN count(*)",
)];

#[test]
fn queries_do_without_arrays_where_memory_is_short() {
    let connection = GRAPH.connect().expect("a connection");
    for (counter, text) in WORKS_WITHOUT_ROOM {
        let rows = || connection.query(text).expect("it runs").to_values();
        let expected = rows();
        connection.set_trial_memory(Some(MemoryAccountant::new(1 << 20)));
        assert!(counted(&connection, counter, text) > 0, "{counter} stands still in {text}");
        assert_eq!(rows(), expected, "{text}");
        let streamed = connection.stream(text).and_then(QueryStream::collect_all).expect("it runs");
        assert_eq!(streamed.to_values(), expected, "{text}");
        let mut stream = connection.stream(text).expect("it runs");
        stream.next_chunk().expect("it runs").expect("a row");
        let rows = stream.progress().expect("it is told where the query began again").rows;
        assert!(rows > 0, "{text}");
        connection.set_trial_memory(None);
    }
}

/// For each counter of rows that are handed over while their query runs, such a query.
const WORKS_STREAMING: &[(&str, &str)] = &[
    ("batches_streamed", "MATCH (p:Person) RETURN p.id"),
    ("waits_for_reader", "MATCH (a:Person), (b:Person) RETURN a.id, b.id"),
];

#[test]
fn rows_are_handed_over_while_a_query_runs() {
    let connection = GRAPH.connect().expect("a connection");
    for (counter, text) in WORKS_STREAMING {
        let mut stream = connection.stream(text).expect("it runs");
        stream.next_row().expect("it runs").expect("a row");
        let counted = || stream.counters().iter().any(|(name, count)| name == counter && *count > 0);
        let moved = (0..2000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            counted()
        });
        assert!(moved, "{counter} stands still in {text}");
    }
}

#[test]
fn every_counter_of_queries_is_asked_for() {
    let source = include_str!("../src/executor/counters.rs");
    let (_, list) = source.split_once("\ncounters! {").expect("the list of counters");
    let (list, _) = list.split_once("\n}").expect("its end");
    let names = list.lines().filter_map(|line| line.trim().strip_suffix(','));
    let names: Vec<&str> = names.filter(|name| !name.starts_with("//")).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let short = WORKS_SHORT_OF_MEMORY.iter().chain(WORKS_WITHOUT_ROOM);
        let mut asked = WORKS.iter().chain(short).chain(WORKS_STREAMING);
        assert!(asked.any(|(counter, _)| *counter == name), "{name} is in no query of this test");
    }
}

#[test]
fn pools_hit_miss_evict_and_read_ahead() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |bytes: u64| {
        let builder = Database::builder().threads(1).buffer_pool_size(bytes);
        builder.open(folder.path().join("graph")).expect("the database opens")
    };
    let database = open(64 << 20);
    load(&database.connect().expect("a connection"), folder.path());
    let loaded = database.storage_stats().expect("figures");
    assert!(loaded.pages_written > 0 && loaded.syncs > 0 && loaded.generation > 0, "{loaded:?}");
    assert!(loaded.file_bytes > 3 << 20, "{loaded:?}");
    assert!(loaded.checkpoints > 0 && loaded.patch_segments_written > 0, "{loaded:?}");
    database.close().expect("it closes");

    let scans = ["noise", "more", "most"].map(|column| format!("MATCH (p:Person) RETURN avg(p.{column})"));
    let database = open(4 << 20);
    let connection = database.connect().expect("a connection");
    scans.iter().chain(&scans).chain(&scans[2..]).for_each(|text| run(&connection, text));
    let profiled = |text: &str, cached: bool| {
        let result = connection.query(&format!("PROFILE {text}")).expect("it runs");
        let summary = result.summary();
        assert_eq!(summary.plan_cached, cached, "{text}");
        let lines: Vec<String> = result.rows().map(|row| row.get(0).expect("a text")).collect();
        let used = summary.pool.expect("what is profiled says what it read");
        for line in [
            format!("plan_cache: {}", if cached { "hit" } else { "miss" }),
            format!("buffer_pool_hits: {}", used.hits),
            format!("buffer_pool_misses: {}", used.misses),
        ] {
            assert!(lines.contains(&line), "{line} is not in {lines:#?}");
        }
        used
    };
    // The text ran before: its plan is there, while its pages come and go in so small a pool.
    let used = [(); 4].map(|()| profiled(&scans[0], true));
    assert!(used.iter().any(|used| used.hits > 0) && used[0].misses > 0, "{used:?}");
    let other = "MATCH (p:Person {id: 7}) RETURN p.most";
    profiled(other, false);
    profiled(&format!("  {other}"), true);
    let used = profiled(other, true);
    assert!(used.hits > 0 && used.misses == 0, "one page that stays: {used:?}");
    assert!(connection.query(other).expect("it runs").summary().plan_cached);
    assert_eq!(connection.query(other).expect("it runs").summary().pool, None);
    let pool = database.buffer_pool_stats();
    assert!(pool.hits > 0 && pool.misses > 0 && pool.evictions > 0, "{pool:?}");
    assert!(pool.reads > 0 && pool.reads < pool.misses, "one read brings several blocks: {pool:?}");
    assert!(pool.peak_bytes <= pool.limit_bytes && pool.resident_bytes > 0, "{pool:?}");
    let stats = database.storage_stats().expect("figures");
    assert!(stats.pages_read > 0 && (1..=20).contains(&stats.pages_read_at_open), "{stats:?}");
    drop(connection);
    database.close().expect("it closes");

    let database = open(16 << 20);
    run(&database.connect().expect("a connection"), &scans[0]);
    let pool = database.buffer_pool_stats();
    assert!(pool.read_ahead_blocks > 0 && pool.evictions == 0, "{pool:?}");
}

#[test]
fn plans_are_found_again() {
    let connection = Database::in_memory().expect("a database").connect().expect("a connection");
    let statement = connection.prepare("RETURN $n + 1").expect("it compiles");
    for number in 0..5 {
        statement.execute_with(quiredb::params! { n: number }).expect("it runs");
    }
    run(&connection, "RETURN 2");
    run(&connection, "RETURN 2");
    let stats = connection.plan_cache_stats();
    assert_eq!((stats.hits, stats.misses, stats.plans), (5, 2, 2), "{stats:?}");
}

/// A constant list is laid out and prepared once, whatever it is made of and however many threads ask.
#[test]
fn a_constant_list_is_prepared_once_for_all_threads() {
    let connection = GRAPH.connect().expect("a connection");
    let list: Vec<String> = (0..3000).map(|number| (number * 7).to_string()).collect();
    for list in [format!("[{}]", list.join(",")), "range(0, 21000, 7)".to_owned()] {
        let text = format!(
            "MATCH (p:Person) WHERE p.more IN {list} OR p.noise IN {list} RETURN count(*), max(p.kind)"
        );
        // A second thread may come too late for a short query.
        let shared = (0..200).any(|_| {
            let lines = connection.query(&format!("PROFILE {text}")).expect("a profile");
            let lines: Vec<String> = lines.rows().map(|row| row.get(0).expect("a line")).collect();
            let value = |counter: &str| {
                lines.iter().find_map(|line| line.strip_prefix(counter)?.parse::<u64>().ok()).unwrap_or(0)
            };
            assert_eq!(value("sets_prepared: "), 2, "{}", lines.join("\n"));
            value("morsels_stolen: ") > 0
        });
        assert!(shared);
    }
}
