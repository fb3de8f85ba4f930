//! What goes wrong: where it is said, how it points at the text, and the exit status.

use super::{file, people, quire, succeed};

/// Runs a text by -c that fails, and gives what stands on standard error.
#[track_caller]
fn check(text: &str, expected: &str) {
    let run = quire(&["-c", text], "");
    assert_eq!((run.status, run.err.as_str()), (1, expected), "{text}");
}

#[test]
fn errors_underline_the_text() {
    check(
        "MATCH (n)\n  WHERE n.x = RETURN n",
        "error: unexpected `RETURN`, expected an expression (line 2, column 15)\n    WHERE n.x = RETURN n\n                ^^^^^^\n\
         hint: Put quotes around it: 'RETURN'\n",
    );
    check(
        "MATCH (n) RETRUN n",
        "error: unexpected `RETRUN`, expected the end of the statement, a clause, USE or WHERE (line 1, column 11)\n  MATCH (n) RETRUN n\n            ^^^^^^\n\
         hint: Did you mean RETURN?\n",
    );
    check(
        "MATCH (n RETURN n",
        "error: `(` is never closed (line 1, column 7)\n  MATCH (n RETURN n\n        ^\n",
    );
    check(
        "RETURN 1 +",
        "error: the statement ends too early, expected an expression (line 1, column 11)\n  RETURN 1 +\n            ^\n",
    );
}

#[test]
fn names_that_are_nearly_right_are_suggested() {
    let table = "CREATE NODE TABLE Airport(iata STRING PRIMARY KEY, city STRING);\n";
    check(
        &format!("{table}MATCH (a:Airprot) RETURN a"),
        "error: there is no node table named Airprot (line 2, column 10)\n  MATCH (a:Airprot) RETURN a\n           \
         ^^^^^^^\nhint: Did you mean Airport?\n",
    );
    check(
        &format!("{table}MATCH (a:Airport) RETURN a.citi"),
        "error: table Airport has no property citi (line 2, column 28)\n  MATCH (a:Airport) RETURN a.citi\n  \
         \x20                          ^^^^\nhint: Did you mean city?\n",
    );
    check(
        "RETURN uper('a')",
        "error: there is no function named uper (line 1, column 8)\n  RETURN uper('a')\n         ^^^^\n\
         hint: Did you mean upper?\n",
    );
}

#[test]
fn clauses_that_are_not_executed_yet_say_so() {
    let table = "CREATE NODE TABLE A(id INT64 PRIMARY KEY);";
    let run = quire(&["-c", &format!("{table} MATCH (a:A) FOREACH (x IN [1] | SET a.id = x)")], "");
    assert_eq!(run.status, 1);
    assert!(run.err.starts_with("error: FOREACH is not supported yet (line 1, column 56)"), "{}", run.err);
}

#[test]
fn errors_at_run_time_name_the_statement() {
    let run = quire(&["-c", "RETURN 1;\n\nRETURN 9223372036854775807 + 1"], "");
    assert_eq!(run.status, 1);
    assert!(run.err.ends_with("(statement of line 3)\n"), "{}", run.err);
}

#[test]
fn bad_rows_name_file_and_line_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("db");
    let database = database.to_str().unwrap();
    let bad = file(folder.path(), "bad.csv", "id,name\n1,Ada\nzwei,Grace\n");
    let twice = file(folder.path(), "twice.csv", "id,name\n1,Ada\n1,Grace\n");
    succeed(&[database, "-c", "CREATE NODE TABLE Person(id INT64, name STRING, PRIMARY KEY (id))"], "");
    for (path, line) in [(bad, "zwei"), (twice, "1,Grace")] {
        let run = quire(&[database, "-c", &format!("COPY Person FROM '{path}' (HEADER = true)")], "");
        assert_eq!(run.status, 1, "{path}");
        assert!(
            run.err.contains(&path) && run.err.contains("line 3") && run.err.contains(line),
            "{}",
            run.err
        );
    }
    let count = succeed(&[database, "--mode", "csv", "-c", "MATCH (p:Person) RETURN count(*) AS n"], "");
    assert_eq!(count, "n\n0\n");
}

#[test]
fn files_that_are_missing_are_named() {
    let run = quire(&["-f", "/no/such/file.cypher", "-c", "RETURN 1"], "");
    assert_eq!((run.status, run.out.as_str()), (1, ""));
    assert_eq!(
        run.err,
        "error: /no/such/file.cypher cannot be read: No such file or directory (os error 2)\n"
    );
    let run = quire(&["-c", "CREATE NODE TABLE A(id INT64 PRIMARY KEY); COPY A FROM '/no/such.csv'"], "");
    assert_eq!(run.status, 1);
    assert!(run.err.contains("/no/such.csv"), "{}", run.err);
}

#[test]
fn the_command_line_itself_can_be_wrong() {
    for arguments in
        [&["--bogus"][..], &["--mode", "xml"], &["--threads", "0"], &["--buffer-pool", "many"], &["a", "b"]]
    {
        let run = quire(arguments, "");
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{arguments:?}");
        assert!(run.err.starts_with("error: "), "{}", run.err);
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let plain = file(folder.path(), "plain", "no database");
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    for arguments in
        [&[plain.as_str()][..], &["--read-only", missing], &["--read-only"], &["--schema", "flexible"]]
    {
        let run = quire(arguments, "RETURN 1;");
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{arguments:?}");
        assert!(run.err.contains("cannot be opened"), "{}", run.err);
    }
    assert!(!folder.path().join("missing").exists());
}

#[test]
fn a_locked_database_names_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let database = quiredb::Database::open(folder.path()).unwrap();
    let run = quire(&[path, "-c", "RETURN 1"], "");
    assert_eq!(run.status, 2);
    let holder = format!("locked by process {}", std::process::id());
    assert!(run.err.contains(&holder), "{}", run.err);
    database.close().unwrap();
    assert_eq!(quire(&[path, "-c", "RETURN 1"], "").status, 0);
}

#[test]
fn a_database_open_for_reading_refuses_changes() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("db");
    let database = database.to_str().unwrap();
    succeed(&[database, "-c", &people(folder.path())], "");
    let names = ["--read-only", database, "--mode", "csv", "-c", "MATCH (p:Person) RETURN count(*) AS n"];
    assert_eq!(succeed(&names, ""), "n\n3\n");
    for change in ["CREATE NODE TABLE A(id INT64 PRIMARY KEY)", "DROP TABLE Knows"] {
        let run = quire(&["--read-only", database, "-c", change], "");
        assert_eq!(run.status, 1);
        assert!(run.err.contains("read-only"), "{}", run.err);
    }
}
