//! Least and greatest values and counts without grouping are taken from zone maps where these say all: always the same
//! as looking at every row, whatever was written, deleted or checkpointed, and whoever asks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quiredb::{Connection, Database};

use super::rows;

fn query(connection: &Connection, text: &str) -> String {
    rows(&connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn answered(connection: &Connection, text: &str) -> u64 {
    let result =
        connection.query(&format!("PROFILE {text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
    let lines = result.rows().map(|row| row.get::<String>(0).unwrap());
    lines.filter_map(|line| line.strip_prefix("groups_answered_by_zone_map: ")?.parse::<u64>().ok()).sum()
}

/// The numbers of one history: the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

const COLUMNS: [&str; 9] = ["a", "u", "x", "f", "day", "at", "yes", "name", "price"];

/// A value of each column as it is written in a query; some are null.
fn literal(column: &str, dice: &mut Dice) -> String {
    let number = dice.below(1000) as i64 - 500;
    if dice.below(6) == 0 {
        return "NULL".to_owned();
    }
    match column {
        "a" => number.to_string(),
        "u" => (number + 500).to_string(),
        "x" if dice.below(40) == 0 => "0.0 / 0.0".to_owned(),
        "x" if dice.below(40) == 0 => "-0.0".to_owned(),
        "x" | "f" => format!("{}.25", number),
        "day" => format!("date('{}-0{}-11')", 2000 + number / 20, 1 + number.unsigned_abs() % 9),
        "at" => format!("timestamp('{}-01-02 03:04:05')", 2000 + number / 20),
        "yes" => (number % 7 != 0).to_string(),
        "name" if dice.below(3) == 0 => format!("'a text longer than its bound {number}'"),
        "name" => format!("'text {number}'"),
        _ => format!("{}.5", number),
    }
}

/// The same question to the zone maps and to every row.
fn same(connection: &Connection, alone: &str, what: &str) {
    let mut wanted: Vec<String> = vec!["count(*)".to_owned(), "count(n)".to_owned()];
    for column in COLUMNS {
        let mut texts = vec![format!("count(n.{column})")];
        texts.extend(["min", "max"].map(|function| format!("{function}(n.{column})")));
        // Beside a column that has to be looked at the others are, too.
        if ["x", "name", alone].contains(&column) {
            let pattern = format!("MATCH (n:N) RETURN {}", texts.join(", "));
            let scanned = format!("MATCH (n:N) WHERE n.id >= -1 RETURN {}", texts.join(", "));
            assert_eq!(query(connection, &pattern), query(connection, &scanned), "{what}: {pattern}");
        }
        wanted.extend(texts.into_iter().filter(|text| !text.contains("n.x") && !text.contains("n.name")));
    }
    let wanted = wanted.join(", ");
    let (short, long) =
        (format!("MATCH (n:N) RETURN {wanted}"), format!("MATCH (n:N) WHERE n.id >= -1 RETURN {wanted}"));
    assert_eq!(query(connection, &short), query(connection, &long), "{what}");
    let weights = "min(r.w), max(r.w), count(r.w), count(*)";
    assert_eq!(
        query(connection, &format!("MATCH ()-[r:R]->() RETURN {weights}")),
        query(connection, &format!("MATCH ()-[r:R]->() WHERE r.id >= -1 RETURN {weights}")),
        "{what}"
    );
}

/// Against what was written, without another query.
fn plain(connection: &Connection, model: &BTreeMap<u64, Option<i64>>, what: &str) {
    let values: Vec<i64> = model.values().copied().flatten().collect();
    let found = connection.query("MATCH (n:N) RETURN min(n.a), max(n.a), count(n.a), count(*)").unwrap();
    let found = found.first().unwrap();
    let found: Vec<Option<i64>> = (0..4).map(|at| found.get(at).unwrap()).collect();
    let (low, high) = (values.iter().min().copied(), values.iter().max().copied());
    assert_eq!(found, [low, high, Some(values.len() as i64), Some(model.len() as i64)], "{what}");
}

fn history(seed: u64, threads: usize, vector_size: usize) -> u64 {
    let database = Database::builder().threads(threads).vector_size(vector_size).in_memory().unwrap();
    let connection = database.connect().unwrap();
    let types = "a INT64, u UINT16, x DOUBLE, f FLOAT, day DATE, at TIMESTAMP, yes BOOLEAN, name STRING, \
                 price DECIMAL(10, 2)";
    connection.query(&format!("CREATE NODE TABLE N(id INT64 PRIMARY KEY, {types})")).unwrap();
    connection.query("CREATE REL TABLE R(FROM N TO N, id INT64, w INT32)").unwrap();
    let mut dice = Dice(seed);
    let mut model: BTreeMap<u64, Option<i64>> = BTreeMap::new();
    let mut next = 0;
    let mut from_zone_maps = 0;
    let number = |text: &str| text.parse::<i64>().ok();
    for step in 0..10 {
        let before = model.clone();
        let is_transaction = dice.below(3) == 0;
        if is_transaction {
            connection.query("BEGIN TRANSACTION").unwrap();
        }
        let least = if step == 0 { 5 } else { 0 };
        for _ in 0..dice.below(6).max(least) {
            let known: Vec<u64> = model.keys().copied().collect();
            let some = (!known.is_empty()).then(|| known[dice.below(known.len().max(1) as u64) as usize]);
            match (dice.below(8), some) {
                // A page with a deleted row is always looked at.
                (0, Some(id)) if step > 5 => {
                    connection.query(&format!("MATCH (n:N {{id: {id}}}) DETACH DELETE n")).unwrap();
                    model.remove(&id);
                }
                (1..=4, Some(id)) => {
                    let column = COLUMNS[dice.below(COLUMNS.len() as u64) as usize];
                    let value = literal(column, &mut dice);
                    let text = format!("MATCH (n:N {{id: {id}}}) SET n.{column} = {value}");
                    connection.query(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                    if column == "a" {
                        model.insert(id, number(&value));
                    }
                }
                (5, Some(id)) => {
                    let text = match dice.below(3) {
                        0 => format!("MATCH (:N {{id: {id}}})-[r:R]->() DELETE r"),
                        1 => format!("MATCH (:N {{id: {id}}})-[r:R]->() SET r.w = r.w * 3"),
                        _ => format!(
                            "MATCH (n:N {{id: {id}}}), (m:N {{id: {}}}) CREATE (n)-[:R {{id: 1, w: {id} % 99}}]->(m)",
                            known[0]
                        ),
                    };
                    connection.query(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                }
                _ => {
                    for _ in 0..1 + dice.below(6) {
                        let values: Vec<(&str, String)> =
                            COLUMNS.iter().map(|column| (*column, literal(column, &mut dice))).collect();
                        let fields: Vec<String> =
                            values.iter().map(|(column, value)| format!("{column}: {value}")).collect();
                        let text = format!("CREATE (:N {{id: {next}, {}}})", fields.join(", "));
                        connection.query(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                        model.insert(next, number(&values[0].1));
                        next += 1;
                    }
                }
            }
        }
        let what = format!("seed {seed}, step {step}");
        plain(&connection, &model, &what);
        same(&connection, COLUMNS[step % COLUMNS.len()], &what);
        if is_transaction {
            let is_kept = dice.below(2) == 0;
            connection.query(if is_kept { "COMMIT" } else { "ROLLBACK" }).unwrap();
            if !is_kept {
                model = before;
            }
            plain(&connection, &model, &what);
        }
        if dice.below(2) == 0 {
            connection.query("CHECKPOINT").unwrap();
            plain(&connection, &model, &what);
            same(&connection, COLUMNS[step % COLUMNS.len()], &what);
        }
        from_zone_maps += answered(&connection, "MATCH (n:N) RETURN min(n.a), max(n.day), count(*)");
    }
    from_zone_maps
}

#[test]
fn zone_maps_and_rows_say_the_same() {
    let ways = [(1, 2048), (2, 2048), (1, 3), (2, 3)];
    let answered: u64 = (0..6).zip(ways.iter().cycle()).map(|(seed, way)| history(seed, way.0, way.1)).sum();
    assert!(answered > 0, "no group was ever answered by its zone map");
}

#[test]
fn only_groups_that_changed_are_scanned() {
    const ROWS: u64 = 140_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let mut text = String::new();
    for row in 0..ROWS {
        let known = if row % 5 == 0 { String::new() } else { (row * 7919 % 100_003).to_string() };
        writeln!(text, "{row},{known},{}", row % 10).unwrap();
    }
    std::fs::write(&path, &text).unwrap();
    let database = Database::builder().threads(2).checkpoint_threshold(0).in_memory().unwrap();
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE N(id INT64 PRIMARY KEY, a INT64, b INT64)").unwrap();
    connection.query(&format!("COPY N FROM '{}'", path.display())).unwrap();
    let mut values: Vec<Option<Option<i64>>> =
        (0..ROWS as i64).map(|row| Some((row % 5 != 0).then_some(row * 7919 % 100_003))).collect();
    let asked = "MATCH (n:N) RETURN min(n.a), max(n.a), count(n.a), count(*)";
    let check = |values: &[Option<Option<i64>>], groups: u64, what: &str| {
        let known: Vec<i64> = values.iter().copied().flatten().flatten().collect();
        let row = connection.query(asked).unwrap();
        let row = row.first().unwrap();
        let found: Vec<i64> = (0..4).map(|at| row.get(at).unwrap()).collect();
        let all = values.iter().flatten().count();
        let expected =
            vec![*known.iter().min().unwrap(), *known.iter().max().unwrap(), known.len() as i64, all as i64];
        assert_eq!(found, expected, "{what}");
        assert_eq!(answered(&connection, asked), groups, "{what}");
    };
    check(&values, 3, "as loaded");
    connection.query("MATCH (n:N {id: 7}) SET n.a = 5000000").unwrap();
    values[7] = Some(Some(5_000_000));
    check(&values, 2, "a value that no page has");
    assert_eq!(answered(&connection, "MATCH (n:N) RETURN max(n.b)"), 3, "another column was set");
    connection.query("CHECKPOINT").unwrap();
    check(&values, 2, "a value beside its chunk");
    connection.query("MATCH (n:N {id: 7}) SET n.a = 3").unwrap();
    values[7] = Some(Some(3));
    connection.query("CHECKPOINT").unwrap();
    check(&values, 2, "the zone map still has the greatest value that was");
    connection.query("MATCH (n:N {id: 139999}) DELETE n").unwrap();
    values[139_999] = None;
    check(&values, 1, "a deletion that no page has");
    connection.query("CHECKPOINT").unwrap();
    check(&values, 1, "a deletion on the page");
    let other = database.connect().unwrap();
    other.query("BEGIN TRANSACTION READ ONLY").unwrap();
    other.query(asked).unwrap();
    let before = rows(&other.query(asked).unwrap());
    connection.query("BEGIN TRANSACTION").unwrap();
    connection.query("MATCH (n:N {id: 70000}) SET n.a = -1").unwrap();
    connection.query("CREATE (:N {id: 1000000, a: 9000000})").unwrap();
    values[70_000] = Some(Some(-1));
    values.push(Some(Some(9_000_000)));
    check(&values, 0, "own writes");
    connection.query("COMMIT").unwrap();
    check(&values, 0, "after the commit");
    assert_eq!(rows(&other.query(asked).unwrap()), before, "the snapshot is what it was");
}
