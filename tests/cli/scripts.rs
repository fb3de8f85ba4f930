//! Texts, files and standard input: their order, when they stop, and the commands between statements.

use super::{file, people, quire, succeed};

#[test]
fn texts_and_files_run_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let two = file(folder.path(), "two.cypher", "// A script; with a comment.\nRETURN 2 AS n");
    let arguments =
        ["--mode", "csv", "--no-header", "-c", "RETURN 1 AS n", "-f", &two, "-c", "RETURN 3 AS n;;"];
    assert_eq!(succeed(&arguments, "RETURN 4;"), "1\n2\n3\n");
}

#[test]
fn standard_input_is_a_script() {
    let script = "RETURN ';' AS a;\n/* ; */ RETURN\n 'it\\'s;' AS b; RETURN 3 AS `c;d` // no end";
    assert_eq!(succeed(&["--mode", "csv"], script), "a\n;\nb\nit's;\nc;d\n3\n");
    assert_eq!(succeed(&[], ""), "");
    assert_eq!(succeed(&["--mode", "csv"], "RETURN 1 AS a;\r\nRETURN 2 AS b;\r\n"), "a\n1\nb\n2\n");
}

#[test]
fn errors_stop_texts_and_files_but_not_input() {
    let check = |arguments: &[&str], input: &str, expected: &str| {
        let arguments = [&["--mode", "csv", "--no-header"], arguments].concat();
        let run = quire(&arguments, input);
        assert_eq!((run.status, run.out.as_str()), (1, expected), "{arguments:?}");
        assert!(run.err.contains("RETRUN"), "{}", run.err);
    };
    let text = "RETURN 1; RETRUN 2; RETURN 3;";
    check(&["-c", text], "", "1\n");
    check(&["-c", text, "-c", "RETURN 4"], "", "1\n");
    check(&["--no-bail", "-c", text, "-c", "RETURN 4"], "", "1\n3\n4\n");
    check(&["--bail", "--no-bail", "-c", text], "", "1\n3\n");
    check(&[], text, "1\n3\n");
    check(&["--bail"], text, "1\n");
    let folder = tempfile::tempdir().unwrap();
    let script = file(folder.path(), "script.cypher", text);
    check(&["-f", &script, "-c", "RETURN 4"], "", "1\n");
    check(&["--no-bail", "-f", &script], "", "1\n3\n");
}

#[test]
fn errors_of_a_script_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = file(folder.path(), "script.cypher", "RETURN 1;\n  RETURN 2; RETURN x;");
    let run = quire(&["-f", &script], "");
    assert!(run.err.contains(&format!("({script}, line 2, column 20)")), "{}", run.err);
    assert!(run.err.contains("\n  RETURN x\n         ^\n"), "{}", run.err);
}

#[test]
fn a_database_on_disk_is_still_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("people.quire");
    let database = database.to_str().unwrap();
    succeed(&[database, "-c", &people(folder.path())], "");
    let query =
        "MATCH (a:Person)-[k:Knows]->(b:Person) RETURN a.name AS a, b.id AS b, k.since AS s ORDER BY s";
    assert_eq!(
        succeed(&[database, "--mode", "csv", "-c", query], ""),
        "a,b,s\nAda,2,1990\nGrace,3,1999\nAda,3,2001\n"
    );
    for limits in [
        &["--buffer-pool", "8MiB", "--threads", "1"],
        &["--memory-limit", "64MB", "--durability", "buffered"],
    ] {
        let arguments = [&[database, "--mode", "trash", "-c", query][..], limits].concat();
        assert_eq!(succeed(&arguments, ""), "");
    }
}

#[test]
fn the_dialect_says_whether_a_relationship_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let person = file(folder.path(), "a.csv", "1\n");
    let knows = file(folder.path(), "b.csv", "1,1\n");
    let query = format!(
        "CREATE NODE TABLE A(id INT64 PRIMARY KEY); CREATE REL TABLE B(FROM A TO A); COPY A FROM '{person}'; \
         COPY B FROM '{knows}'; MATCH (:A)-[:B]->(:A)-[:B]->(:A) RETURN count(*) AS n"
    );
    let count =
        |dialect: &str| succeed(&["--mode", "csv", "--no-header", "--dialect", dialect, "-c", &query], "");
    assert_eq!((count("opencypher").as_str(), count("kuzu").as_str()), ("0\n", "1\n"));
}

#[test]
fn commands_stand_between_statements() {
    let folder = tempfile::tempdir().unwrap();
    let script = file(folder.path(), "inner.cypher", ":print inner\nRETURN $x AS x;\n");
    let target = folder.path().join("out.csv");
    let input = format!(
        ":mode csv\n\
         :param x [1, {{\"a\": null}}]\n\
         RETURN $x AS x;\n\
         .print outer\n\
         :param $x 7\n\
         :read {script}\n\
         :output {}\n\
         RETURN 'to a file' AS y;\n\
         :output\n\
         :mode\n\
         :quit\n\
         RETURN 'never';\n",
        target.display()
    );
    let shown = succeed(&[], &input);
    assert_eq!(shown, "x\n\"[1,{a: NULL}]\"\nouter\ninner\nx\n7\ncsv\n");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "y\nto a file\n");
}

#[test]
fn commands_show_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let shown = succeed(&[], &(people(folder.path()) + ":tables\n:schema\n:schema Knows\n:stats\n"));
    let knows = "CREATE REL TABLE Knows(FROM Person TO Person, since INT64);\n";
    assert!(shown.contains("Person (node)\nKnows (rel)\n"), "{shown}");
    assert!(
        shown.contains("CREATE NODE TABLE Person(id INT64, name STRING, born INT64, PRIMARY KEY (id));\n"),
        "{shown}"
    );
    assert_eq!(shown.matches(knows).count(), 2, "{shown}");
    assert!(shown.contains("buffer pool"), "{shown}");
}

#[test]
fn commands_load_files() {
    let folder = tempfile::tempdir().unwrap();
    let names = file(folder.path(), "names.csv", "id,name\n1,Ada\n2,Grace\n");
    let input = format!(
        "CREATE NODE TABLE Person(id INT64 PRIMARY KEY, name STRING);\n:import {names} Person\n:mode csv\n\
         MATCH (p:Person) RETURN p.name AS name ORDER BY name;\n"
    );
    let shown = succeed(&[], &input);
    assert!(shown.starts_with("2 rows in ") && shown.ends_with("name\nAda\nGrace\n"), "{shown}");
}

#[test]
fn commands_that_make_no_sense_are_told_and_passed_over() {
    for (line, expected) in [
        (":nonsense", "there is no command :nonsense"),
        (":mode xml", "there is no mode xml"),
        (":read /no/such/file", "/no/such/file cannot be read"),
        (":schema Nobody", "there is no table Nobody"),
    ] {
        let run = quire(&["--mode", "csv"], format!("{line}\nRETURN 1 AS a;\n"));
        assert_eq!((run.status, run.out.as_str()), (1, "a\n1\n"), "{line}");
        assert!(run.err.contains(expected), "{line}: {}", run.err);
    }
}

#[test]
fn scripts_that_read_themselves_come_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("self.cypher");
    std::fs::write(&script, format!(":read {}\n", script.display())).unwrap();
    let run = quire(&["-f", script.to_str().unwrap()], "");
    assert_eq!(run.status, 1);
    assert!(run.err.contains("too deep"), "{}", run.err);
}

#[test]
fn help_and_version_are_there() {
    let help = succeed(&["--help"], "");
    for word in ["--command", "--file", "--mode", "--read-only", "--dialect", "Examples:", "exit status"] {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(succeed(&["--version"], ""), format!("quire {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn tables_and_loads_of_a_transaction_come_and_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("people.quire");
    let database = database.to_str().unwrap();
    let people = file(folder.path(), "people.csv", "1,Ada\n2,Bob\n");
    let made = format!(
        "BEGIN TRANSACTION; CREATE NODE TABLE P(id INT64 PRIMARY KEY, name STRING); COPY P FROM '{people}'; \
         MATCH (p:P {{id: 2}}) SET p.name = 'Bea'"
    );
    let names = "MATCH (p:P) RETURN p.name AS name ORDER BY name";
    let arguments = [database, "--mode", "csv", "--no-header", "-c"];
    let with = |text: &str| {
        [&arguments[..], &[text]].concat().iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()
    };
    let succeeds = |text: &str| {
        let arguments = with(text);
        succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "")
    };
    assert_eq!(succeeds(&format!("{made}; {names}; ROLLBACK")), "Ada\nBea\n");
    let arguments = with(names);
    let run = quire(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    assert!(run.status == 1 && run.err.contains("there is no"), "{}", run.err);
    assert_eq!(succeeds(&format!("{made}; COMMIT")), "");
    assert_eq!(succeeds(names), "Ada\nBea\n");
    // A process that ends without COMMIT leaves nothing, and a load that fails says where.
    let bad = file(folder.path(), "bad.csv", "3,Cid\n1,Ada\n");
    let arguments = with("BEGIN TRANSACTION; DROP TABLE P; CREATE NODE TABLE Q(id INT64 PRIMARY KEY)");
    let run = quire(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    assert!(run.status == 1 && run.err.starts_with("error: BEGIN without COMMIT"), "{run:?}");
    assert_eq!(succeeds(names), "Ada\nBea\n");
    let arguments = with(&format!("BEGIN TRANSACTION; COPY P FROM '{bad}'; COMMIT"));
    let run = quire(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    assert!(run.status == 1 && run.err.contains("bad.csv") && run.err.contains("line 2"), "{}", run.err);
    assert_eq!(succeeds(names), "Ada\nBea\n");
}

/// However the input ends, a transaction that is still open is told of.
#[test]
fn an_open_transaction_at_the_end_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("d.quire");
    let database = database.to_str().unwrap();
    succeed(&[database, "-c", "CREATE NODE TABLE P(id INT64 PRIMARY KEY)"], "");
    let script = file(folder.path(), "open.cypher", "BEGIN TRANSACTION;\nCREATE (:P {id: 1});\n");
    let text = "BEGIN TRANSACTION; CREATE (:P {id: 1});";
    for (arguments, input) in [
        (vec![database, "-c", text], ""),
        (vec![database, "-f", &script], ""),
        (vec![database], text),
        (vec![database, "-c", "BEGIN TRANSACTION", "-c", "CREATE (:P {id: 1})"], ""),
    ] {
        let run = quire(&arguments, input);
        assert_eq!(run.status, 1, "{run:?}");
        assert!(run.err.contains("BEGIN without COMMIT") && run.err.contains("rolled back"), "{run:?}");
    }
    let reading = "BEGIN TRANSACTION READ ONLY; MATCH (p:P) RETURN count(*) AS n";
    assert_eq!(succeed(&[database, "--mode", "csv", "-c", reading], ""), "n\n0\n");
}

#[test]
fn a_closed_database_is_its_page_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.quire");
    let database = path.to_str().unwrap();
    let made = "CREATE NODE TABLE P(id INT64 PRIMARY KEY); UNWIND range(1, 2000) AS i CREATE (:P {id: i})";
    for (name, text) in [("one", made), ("two", "CREATE (:P {id: 0}); CHECKPOINT")] {
        succeed(&[database, "-c", text], "");
        assert_eq!(std::fs::read_dir(path.join("wal")).unwrap().count(), 0, "{name}");
        let copy = folder.path().join(name);
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(path.join("data.quire"), copy.join("data.quire")).unwrap();
        let count = "MATCH (p:P) RETURN count(*) >= 2000 AS n";
        let copy = copy.to_str().unwrap();
        for arguments in [vec![copy, "--read-only"], vec![copy]] {
            let arguments = [&arguments[..], &["--mode", "csv", "-c", count]].concat();
            assert_eq!(succeed(&arguments, ""), "n\ntrue\n");
        }
    }
}

#[test]
fn statements_that_change_nothing_say_so() {
    let made = "CREATE NODE TABLE P(id INT64 PRIMARY KEY);";
    let told = |text: &str| succeed(&["-c", &format!("{made} {text}")], "");
    assert_eq!(told("UNWIND [] AS i CREATE (:P {id: i})"), "0 changes\n");
    assert_eq!(told("MATCH (p:P) DELETE p"), "0 changes\n");
    assert_eq!(told("CREATE (:P {id: 1})"), "1 node created, 1 property set\n");
    assert_eq!(told("BEGIN TRANSACTION; COMMIT; CHECKPOINT"), "");
}

#[test]
fn a_profile_of_a_write_tells_its_changes() {
    let text = "CREATE NODE TABLE P(id INT64 PRIMARY KEY); PROFILE UNWIND [1, 2] AS i CREATE (:P {id: i})";
    let shown = succeed(&["--mode", "csv", "-c", text], "");
    for line in ["nodes created: 2", "properties set: 2"] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn stats_tell_of_log_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("d.quire");
    let input = "CREATE NODE TABLE P(id INT64 PRIMARY KEY);\nCREATE (:P {id: 1});\n:stats\n";
    let shown = succeed(&[database.to_str().unwrap()], input);
    assert!(shown.contains("bytes in 1 files; ") && shown.contains("beside the buffer pool"), "{shown}");
    assert!(!shown.contains("log           0 bytes"), "{shown}");
}
