//! Bad files: the error names file, line, column and raw text, and the database is as if nothing had been tried.

use quiredb::{Database, ErrorKind};

use crate::support::{World, count, loaded};

const SCHEMA: &str = "CREATE NODE TABLE T(id INT64 PRIMARY KEY, name STRING NOT NULL, age INT8, mail STRING UNIQUE); \
     CREATE REL TABLE R(FROM T TO T, w DOUBLE, code INT64 UNIQUE)";

fn filled() -> World {
    let world = World::new(SCHEMA);
    world.copy("T", "1,a,10,a@x\n2,b,,b@x\n", "").unwrap();
    world.copy("R", "1,2,0.5,100\n", "").unwrap();
    world
}

/// Everything that a failed load could have changed.
fn trace(world: &World) -> (Vec<String>, Vec<String>, [u64; 5]) {
    let stats = world.database.storage_stats().unwrap();
    (
        world.rows("MATCH (t:T) RETURN t.id, t.name, t.age, t.mail ORDER BY t.id"),
        world.rows("MATCH (a:T)-[r:R]->(b:T) RETURN a.id, b.id, r.w, r.code ORDER BY a.id, b.id"),
        [stats.generation, stats.version, stats.reserved_pages, stats.free_pages, stats.pages],
    )
}

/// A load that fails with all of these texts, and leaves nothing.
#[track_caller]
fn check(table: &str, text: impl AsRef<[u8]>, options: &str, kind: ErrorKind, parts: &[&str]) {
    for threads in [1, 3] {
        let world = filled();
        world.connection.set_threads(threads);
        let before = trace(&world);
        let error = world.copy(table, &text, options).expect_err("the file is bad");
        let message = error.to_string();
        for part in parts {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
        assert!(message.contains("t.csv"), "{message:?} lacks the file");
        assert_eq!(error.kind(), kind, "{message}");
        assert_eq!(trace(&world), before);
        world.sound();
        // And a good file loads afterwards.
        world.copy("T", "77,ok,1,ok@x\n", "").unwrap();
    }
}

#[test]
fn fields_that_are_no_values() {
    let line = "8,h,0,h@x\n";
    let bad = |row: &str| format!("{line}{row}\n9,i,0,i@x\n");
    check(
        "T",
        bad("x7,g,1,g@x"),
        "",
        ErrorKind::Csv,
        &["line 2", "column 1 (id, INT64)", "\"x7\"", "x7,g,1,g@x"],
    );
    check("T", bad("7,g,128,g@x"), "", ErrorKind::Csv, &["line 2", "column 3 (age, INT8)", "\"128\""]);
    check("T", bad("7,g,1.5,g@x"), "", ErrorKind::Csv, &["line 2", "column 3 (age, INT8)", "\"1.5\""]);
    check("T", bad("7,g,\" \",g@x"), "", ErrorKind::Csv, &["line 2", "column 3 (age, INT8)"]);
    check("R", "1,2,0.5,1\n2,1,half,2\n", "", ErrorKind::Csv, &["line 2", "column 3 (w, DOUBLE)", "half"]);
    let header = "id,name,age,mail\n7,\"a\nb\",1,\n8,h,old,\n";
    check("T", header, "HEADER = true", ErrorKind::Csv, &["line 4", "column 3 (age, INT8)", "old"]);
}

#[test]
fn ragged_rows_and_broken_quotes() {
    let good = "8,h,0,h@x\n";
    check("T", format!("{good}7,g,1\n"), "", ErrorKind::Csv, &["line 2", "expected 4, found 3", "7,g,1"]);
    check("T", format!("{good}7,g,1,m,m\n"), "", ErrorKind::Csv, &["line 2", "expected 4, found 5"]);
    check("T", format!("{good}7,\"g,1,m\n9,i,0,\n"), "", ErrorKind::Csv, &["line 2", "never closed"]);
    check(
        "T",
        format!("{good}7,\"g\"x,1,m\n"),
        "",
        ErrorKind::Csv,
        &["line 2", "text follows a closing quote"],
    );
    check("T", b"7,g\xff,1,m\n", "", ErrorKind::Csv, &["line 1", "UTF-8"]);
    check("T", "id,name\n1,2,3,4\n", "HEADER = true", ErrorKind::Csv, &["header", "line 1"]);
}

#[test]
fn keys_that_are_null_or_come_twice() {
    check(
        "T",
        "8,h,,\n,g,,\n",
        "",
        ErrorKind::Constraint,
        &["line 2", "column 1 (id, INT64)", "null", ",g,,"],
    );
    let within = "8,h,,\n9,i,,\n10,j,,\n9,k,,\n8,l,,\n";
    check("T", within, "", ErrorKind::Constraint, &["line 4", "line 2", "column 1 (id, INT64)", "9,k,,"]);
    let against = "8,h,,\n2,i,,\n1,j,,\n";
    check(
        "T",
        against,
        "",
        ErrorKind::Constraint,
        &["line 2", "column 1 (id, INT64)", "of the table", "2,i,,"],
    );
}

#[test]
fn null_and_repeated_properties() {
    check(
        "T",
        "8,h,,\n9,,,\n",
        "",
        ErrorKind::Constraint,
        &["line 2", "column 2 (name, STRING)", "null", "9,,,"],
    );
    check(
        "T",
        "8,h,,q\n9,i,,q\n",
        "",
        ErrorKind::Constraint,
        &["line 2", "column 4 (mail, STRING)", "9,i,,q"],
    );
    check(
        "T",
        "8,h,,q\n9,i,,b@x\n",
        "",
        ErrorKind::Constraint,
        &["line 2", "column 4 (mail, STRING)", "table"],
    );
    check("R", "2,1,,100\n", "", ErrorKind::Constraint, &["line 1", "column 4 (code, INT64)", "table"]);
    check("R", "2,1,,7\n2,2,,8\n1,1,,7\n", "", ErrorKind::Constraint, &["line 3", "column 4 (code, INT64)"]);
}

#[test]
fn ends_that_are_unknown_or_null() {
    check(
        "R",
        "1,2,,1\n1,3,,2\n",
        "",
        ErrorKind::Constraint,
        &["line 2", "column 2", "TO", "no T with the key 3", "1,3,,2"],
    );
    check("R", "4,2,,1\n", "", ErrorKind::Constraint, &["line 1", "column 1", "FROM", "no T with the key 4"]);
    check("R", "1,2,,1\n,2,,2\n", "", ErrorKind::Constraint, &["line 2", "column 1", "null"]);
    check("R", "1,,,1\n", "", ErrorKind::Constraint, &["line 1", "column 2", "null"]);
}

#[test]
fn the_first_bad_row_of_the_files_is_the_error() {
    let world = filled();
    let mut text: String = (10..60_010).map(|id| format!("{id},name,1,\n")).collect();
    text.push_str("5,a,999,\n6,b\n");
    let first = world.file("first.csv", "3,c,1,\n");
    let second = world.file("second.csv", text);
    let third = world.file("third.csv", "x\n");
    for threads in [1, 4] {
        world.connection.set_threads(threads);
        let files = format!("['{first}', '{second}', '{third}']");
        let error = world.copy_from("T", &files, "").unwrap_err().to_string();
        assert!(error.contains("second.csv, line 60001, column 3 (age, INT8)"), "{error}");
        assert!(error.contains("5,a,999,"), "{error}");
    }
    world.sound();
}

#[test]
fn ignored_rows_are_counted_and_all_others_loaded() {
    let world = filled();
    let text =
        "3,c,1,\n4,,1,\n1,a,1,\n5,e,300,\n6,f\n3,g,1,\n,h,1,\n7,i,1,b@x\n8,j,1,j@x\n9,k,1,j@x\n10,l,,\n";
    let path = world.file("t.csv", text);
    let copy = format!("COPY T FROM '{path}' (IGNORE_ERRORS = true)");
    let result = world.connection.query(&copy).unwrap();
    assert_eq!(loaded(&result), 3);
    assert_eq!(result.summary().rows_rejected, 8);
    world.check("MATCH (t:T) RETURN t.id ORDER BY t.id", &["1", "2", "3", "8", "10"]);
    assert_eq!(
        world.copy("R", "1,2,,1\n1,99,,2\n3,8,x,3\n10,10,,1\n8,8,,4\n", "IGNORE_ERRORS = true").unwrap(),
        2
    );
    world.check(
        "MATCH (a)-[r:R]->(b) RETURN a.id, b.id, r.code ORDER BY r.code",
        &["1|2|1", "8|8|4", "1|2|100"],
    );
    let error = world.copy("T", "x,a,1,\n20,b,1,\ny,c,1,\n", "IGNORE_ERRORS = 1").unwrap_err().to_string();
    assert!(error.contains("more than 1 rows were rejected") && error.contains("line 3"), "{error}");
    world.check("MATCH (t:T {id: 20}) RETURN t.id", &[]);
    world.sound();
}

#[test]
fn ignored_rows_are_the_same_on_any_thread() {
    let mut text = String::new();
    for row in 0..30_000 {
        match row % 10 {
            3 => text.push_str(&format!("{},twice,1,\n", row / 2)),
            7 => text.push_str(&format!("{row},,1,\n")),
            9 => text.push_str(&format!("{row},x,1000,\n")),
            _ => text.push_str(&format!("{},name,{},\"m{row}\"\n", row + 100, row % 100)),
        }
    }
    let mut seen: Vec<(i64, u64, Vec<String>)> = Vec::new();
    for threads in [1, 2, 5] {
        let world = World::new(SCHEMA);
        world.connection.set_threads(threads);
        let path = world.file("t.csv", &text);
        let result = world.connection.query(&format!("COPY T FROM '{path}' (IGNORE_ERRORS = true)")).unwrap();
        let stored = loaded(&result);
        assert_eq!(stored as u64 + result.summary().rows_rejected, 30_000);
        let rows = world.rows("MATCH (t:T) RETURN t.id, t.name, t.mail ORDER BY t.id");
        assert_eq!(rows.len() as i64, stored);
        seen.push((stored, result.summary().rows_rejected, rows));
        assert_eq!(seen[0], seen[seen.len() - 1]);
        world.sound();
    }
}

/// A failed load takes pages; the next one must get them again.
#[test]
fn failed_loads_do_not_let_the_file_grow() {
    let text: String = (0..70_000).map(|id| format!("{id},a name of {id},1,\"m{id}\"\n")).collect();
    let edges: String = (0..70_000).map(|id| format!("{id},{},1.5,{id}\n", id * 31 % 70_000)).collect();
    let sizes = |failures: usize| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let database = Database::builder().threads(1).buffer_pool_size(64 << 20).open(&path).unwrap();
        let world = World::of(database, SCHEMA);
        for _ in 0..failures {
            assert!(world.copy("T", format!("{text}0,b,,\n"), "").is_err());
        }
        world.copy("T", &text, "").unwrap();
        for _ in 0..failures {
            assert!(world.copy("R", format!("{edges}0,70000,,\n"), "").is_err());
        }
        world.copy("R", &edges, "").unwrap();
        assert_eq!(count(&world.connection, "MATCH (a:T)-[r:R]->(b:T) RETURN count(*)"), 70_000);
        world.sound();
        drop(world.connection);
        world.database.close().unwrap();
        std::fs::metadata(path.join("data.quire")).unwrap().len()
    };
    let (without, with) = (sizes(0), sizes(1));
    assert!(with <= without + (64 << 10), "{with} bytes after failures, {without} without");
}

/// Whatever is wrong with the second row, the first bad one is the error.
#[test]
fn the_first_bad_row_is_told_whatever_is_wrong_with_it() {
    let world = World::new(
        "CREATE NODE TABLE N(id INT64 PRIMARY KEY, v INT64 NOT NULL CHECK (v > 0), u INT64 UNIQUE); \
         CREATE REL TABLE E(FROM N TO N, w INT64 CHECK (w > 0)); \
         CREATE REL TABLE ONE(FROM N TO N, MANY_ONE)",
    );
    world.copy("N", "1,1,1\n2,1,2\n", "").unwrap();
    let check = |table: &str, text: &str, line: u64, reason: &str| {
        for threads in [1, 3] {
            world.connection.set_threads(threads);
            let error = world.copy(table, text, "").expect_err("the file is bad").to_string();
            assert!(error.contains(&format!("line {line}")) && error.contains(reason), "{text:?}: {error}");
        }
        assert_eq!(count(&world.connection, "MATCH (n:N) RETURN count(*)"), 2);
    };
    let faults = [
        ("x,1,9", "is not an INT64"),
        ("9,1", "too few fields"),
        ("9,,9", "must not be null"),
        ("9,-1,9", "breaks CHECK"),
        ("1,1,9", "that of a row of the table"),
        ("5,1,9", "the key is that of"),
        ("9,1,2", "the value is that of a row of the table"),
        ("9,1,5", ".csv, line 1 already"),
    ];
    for (first, reason) in faults {
        for (second, _) in faults {
            check("N", &format!("5,1,5\n6,1,6\n{first}\n7,1,7\n{second}\n"), 3, reason);
        }
    }
    let faults = [
        ("1,x,1", "is not an INT64"),
        ("1,9,1", "there is no N with the key 9"),
        ("9,1,1", "there is no N with the key 9"),
        ("1,,1", "null"),
        ("1,2,-1", "breaks CHECK"),
    ];
    for (first, reason) in faults {
        for (second, _) in faults {
            check("E", &format!("1,2,1\n{first}\n{second}\n"), 2, reason);
        }
    }
    check("ONE", "1,2\n1,1\nx,1\n", 2, "the table allows one");
    check("ONE", "1,2\nx,1\n1,1\n", 2, "is not an INT64");
}
