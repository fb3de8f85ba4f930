//! A few new values of a large group: a checkpoint writes them beside the chunk, and everybody reads them.

use quiredb::{Connection, Database, params};

use super::rows;

const ACCOUNTS: i64 = 70_000;

fn query(connection: &Connection, text: &str) -> String {
    rows(&connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn set(connection: &Connection, changed: &[(i64, Option<f64>)]) {
    let statement = connection.prepare("MATCH (a:Account {id: $id}) SET a.balance = $balance").unwrap();
    for (id, balance) in changed {
        statement.execute_with(params! { id: *id, balance: *balance }).unwrap();
    }
}

/// What every account has, through scans, filters, zone maps and lookups.
fn check(connection: &Connection, changed: &[(i64, Option<f64>)]) {
    let mut balances: Vec<Option<f64>> = (0..ACCOUNTS).map(|id| Some((id % 100) as f64)).collect();
    changed.iter().for_each(|(id, balance)| balances[*id as usize] = *balance);
    let sum: f64 = balances.iter().flatten().sum();
    let nulls = balances.iter().filter(|balance| balance.is_none()).count();
    let large = balances.iter().flatten().filter(|balance| **balance > 1000.0).count();
    let count = |text: &str| query(connection, text).parse::<usize>().unwrap();
    assert_eq!(query(connection, "MATCH (a:Account) RETURN sum(a.balance)").parse::<f64>().unwrap(), sum);
    assert_eq!(count("MATCH (a:Account) WHERE a.balance IS NULL RETURN count(*)"), nulls);
    assert_eq!(count("MATCH (a:Account) WHERE a.balance > 1000 RETURN count(*)"), large);
    let lookup = connection.prepare("MATCH (a:Account {id: $id}) RETURN a.balance").unwrap();
    for id in changed.iter().map(|(id, _)| *id).chain([1, 2, 65_535, 65_536, ACCOUNTS - 1]) {
        let found = lookup.execute_with(params! { id: id }).unwrap();
        let found = found.first().unwrap().get::<Option<f64>>(0).unwrap();
        assert_eq!(found, balances[id as usize], "account {id}");
    }
}

#[test]
fn a_checkpoint_after_a_few_updates_writes_little() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let open = || Database::builder().checkpoint_threshold(0).open(&path).unwrap();
    let database = open();
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE Account(id INT64 PRIMARY KEY, name STRING, balance DOUBLE)").unwrap();
    let text = format!(
        "UNWIND range(0, {}) AS i CREATE (:Account {{id: i, name: 'account ' + i, balance: i % 100.0}})",
        ACCOUNTS - 1
    );
    connection.query(&text).unwrap();
    connection.query("CHECKPOINT").unwrap();
    let before = database.storage_stats().unwrap();

    let mut changed: Vec<(i64, Option<f64>)> =
        (0..100).map(|at| (at * 699, if at % 10 == 3 { None } else { Some(5000.0 + at as f64) })).collect();
    set(&connection, &changed);
    check(&connection, &changed);
    connection.query("CHECKPOINT").unwrap();
    let after = database.storage_stats().unwrap();
    let written = after.pages_written - before.pages_written;
    assert!(written <= 24, "{written} pages for a hundred values");
    assert_eq!(after.patch_segments_written - before.patch_segments_written, 2, "one for each group");
    check(&connection, &changed);
    let skipped =
        connection.query("PROFILE MATCH (a:Account) WHERE a.balance > 1000000 RETURN count(*)").unwrap();
    let lines: Vec<String> = skipped.rows().map(|row| row.get(0).unwrap()).collect();
    assert!(lines.iter().any(|line| line == "groups_skipped: 2"), "zone maps cover patches: {lines:?}");

    // Newer values over the patch: in a level, then in the next patch.
    let more: Vec<(i64, Option<f64>)> = (0..50).map(|at| (at * 1398, Some(at as f64 / 4.0))).collect();
    set(&connection, &more);
    changed.extend(&more);
    check(&connection, &changed);
    connection.query("CHECKPOINT").unwrap();
    check(&connection, &changed);
    drop((connection, database));

    let database = open();
    let connection = database.connect().unwrap();
    check(&connection, &changed);
    // One in sixteen is too many for a patch: the chunk is written again, and deleted rows go on being deleted.
    let many: Vec<(i64, Option<f64>)> = (0..4096).map(|at| (at * 3, Some(-1.0))).collect();
    let text = "UNWIND range(0, 4095) AS i MATCH (a:Account {id: i * 3}) SET a.balance = -1.0";
    connection.query(text).unwrap();
    changed.extend(&many);
    connection.query("CHECKPOINT").unwrap();
    assert_eq!(database.storage_stats().unwrap().patch_segments_written, 0);
    check(&connection, &changed);
    database.check().unwrap();
}

#[test]
fn patches_of_every_type_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let types = [
        ("INT32", "7"),
        ("STRING", "'a text that is longer than its view'"),
        ("BOOLEAN", "true"),
        ("DATE", "date('2026-11-21')"),
        ("INTERVAL", "interval('3 days')"),
        ("INT64[]", "[1, 2, 3]"),
        ("STRUCT(a INT64, b STRING)", "{a: 1, b: 'x'}"),
        ("DECIMAL(10, 2)", "1.25"),
    ];
    let columns: Vec<String> = (0..).zip(types).map(|(at, (name, _))| format!("c{at} {name}")).collect();
    let values: Vec<String> = (0..).zip(types).map(|(at, (_, value))| format!("n.c{at} = {value}")).collect();
    let wanted: Vec<String> = (0..types.len()).map(|at| format!("n.c{at}")).collect();
    {
        let database = Database::open(&path).unwrap();
        let connection = database.connect().unwrap();
        let text = format!("CREATE NODE TABLE N(id INT64 PRIMARY KEY, {})", columns.join(", "));
        connection.query(&text).unwrap();
        connection.query("UNWIND range(0, 99) AS i CREATE (:N {id: i})").unwrap();
        // Chunks that have something to stand beside.
        connection.query(&format!("MATCH (n:N) WHERE n.id < 50 SET {}", values.join(", "))).unwrap();
        connection.query("CHECKPOINT").unwrap();
        let nulls: Vec<String> = (0..types.len()).map(|at| format!("n.c{at} = NULL")).collect();
        connection.query(&format!("MATCH (n:N {{id: 3}}) SET {}", nulls.join(", "))).unwrap();
        connection.query(&format!("MATCH (n:N {{id: 77}}) SET {}", values.join(", "))).unwrap();
        connection.query("CHECKPOINT").unwrap();
        let stats = database.storage_stats().unwrap();
        assert_eq!(stats.patch_segments_written, types.len() as u64);
    }
    let database = Database::open(&path).unwrap();
    let connection = database.connect().unwrap();
    let of = |id: i64| query(&connection, &format!("MATCH (n:N {{id: {id}}}) RETURN {}", wanted.join(", ")));
    assert_eq!(of(77), of(49));
    assert_eq!(of(3), of(99));
    assert_ne!(of(3), of(77));
    let all = query(&connection, &format!("MATCH (n:N) WHERE n.id IN [49, 77] RETURN {}", wanted.join(", ")));
    assert!(all.contains(&of(77)), "{all}");
    database.check().unwrap();
}
