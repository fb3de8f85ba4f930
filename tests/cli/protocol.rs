//! `--mode json` on a pipe, which other programs depend on.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{command, people, quire};

/// One answer per line, without the time.
fn answers(arguments: &[&str], input: impl AsRef<[u8]>) -> (i32, Vec<Value>) {
    let run = quire(&[&["--mode", "json"], arguments].concat(), input);
    assert_eq!(run.err, "");
    let lines = run.out.lines().map(|line| {
        let mut answer: Value = serde_json::from_str(line).expect("every line is JSON");
        if let Some(elapsed) = answer.as_object_mut().and_then(|answer| answer.remove("elapsed_ms")) {
            assert!(elapsed.as_f64().is_some_and(|elapsed| elapsed >= 0.0), "{line}");
        }
        answer
    });
    (run.status, lines.collect())
}

fn check(input: &str, expected: &[Value]) {
    let (_, answers) = answers(&[], input);
    assert_eq!(answers, expected, "{input}");
}

#[test]
fn every_statement_has_one_line() {
    check(
        "RETURN 1 AS a, 2.0 AS b;;\nUNWIND [1, 2] AS n\nRETURN n; // done;\nRETURN 'a;b' AS `c;d` /* ; */;",
        &[
            json!({"columns": ["a", "b"], "types": ["INT64", "DOUBLE"], "rows": [[1, 2.0]]}),
            json!({"columns": ["n"], "types": ["INT64"], "rows": [[1], [2]]}),
            json!({"columns": ["c;d"], "types": ["STRING"], "rows": [["a;b"]]}),
        ],
    );
    check(
        "UNWIND [1] AS n WITH n WHERE n > 1 RETURN n;",
        &[json!({"columns": ["n"], "types": ["INT64"], "rows": []})],
    );
}

#[test]
fn errors_are_answers_and_the_next_statement_runs() {
    let (status, answers) = answers(
        &[],
        "RETURN x;\nRETRUN 1;\nMATCH (n:Nobody)\nRETURN n;\nRETURN 1 %\n 0;\nRETURN 'after' AS a;\n",
    );
    assert_eq!(status, 1);
    assert_eq!(answers.len(), 5);
    let faults: Vec<_> = answers[..4].iter().map(|answer| &answer["error"]).collect();
    for (fault, code, phase, line, column) in [
        (faults[0], "BINDER", "compile", json!(1), json!(8)),
        (faults[1], "SYNTAX", "compile", json!(1), json!(1)),
        (faults[2], "BINDER", "compile", json!(1), json!(10)),
    ] {
        assert_eq!((&fault["code"], &fault["phase"]), (&json!(code), &json!(phase)), "{fault}");
        assert_eq!((&fault["line"], &fault["column"]), (&line, &column), "{fault}");
        assert!(fault["message"].as_str().is_some_and(|message| !message.is_empty()), "{fault}");
    }
    assert_eq!((&faults[3]["code"], &faults[3]["phase"]), (&json!("RUNTIME"), &json!("runtime")));
    assert_eq!(faults[1]["hint"], "Did you mean RETURN?");
    assert_eq!(answers[4]["rows"], json!([["after"]]));
}

#[test]
fn parameters_serve_one_statement() {
    let input =
        ":param a 5\n:param b [1.5, \"x\", null, {\"k\": true}]\nRETURN $a AS a, $b[0] AS b;\nRETURN $a;\n";
    let (status, answers) = answers(&[], input);
    assert_eq!(status, 1);
    assert_eq!(answers[0]["rows"], json!([[5, 1.5]]));
    assert_eq!(answers[1]["error"]["code"], "PARAMETER");
    assert_eq!(answers[1]["error"]["phase"], "compile");
}

#[test]
fn parameters_keep_their_types() {
    let check = |json: &str, data_type: &str, value: Value| {
        let (_, answers) = answers(&[], format!(":param a {json}\nRETURN $a AS a;\n"));
        assert_eq!(answers[0]["types"], json!([data_type]), "{json}");
        assert_eq!(answers[0]["rows"], json!([[value]]), "{json}");
    };
    check("-7", "INT64", json!(-7));
    check("9223372036854775808", "INT128", json!("9223372036854775808"));
    check("1e3", "DOUBLE", json!(1000.0));
    check("\"a\\u00e9;\\n\"", "STRING", json!("aé;\n"));
    check("true", "BOOL", json!(true));
    check("[1, 2]", "INT64[]", json!([1, 2]));
    check("{\"k\": 1}", "STRUCT(k INT64)", json!({"k": 1}));
}

#[test]
fn a_parameter_that_is_no_json_fails_its_statement_only() {
    let (status, answers) = answers(&[], ":param a [1,\nRETURN 1;\nRETURN 2 AS b;\n");
    assert_eq!(status, 1);
    assert_eq!(answers[0]["error"]["code"], "PARAMETER");
    assert_eq!(answers[1]["rows"], json!([[2]]));
}

#[test]
fn bytes_that_are_no_text_fail_their_statement_only() {
    let (_, answers) = answers(&[], b"RETURN '\xff;' AS a;\nRETURN 2 AS b;\n");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0]["error"]["code"], "SYNTAX");
    assert_eq!(answers[1]["rows"], json!([[2]]));
}

#[test]
fn changes_are_counted_and_reading_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (status, answers) = answers(&[], people(folder.path()) + "MATCH (p:Person) RETURN count(*) AS n;");
    assert_eq!(status, 0, "{answers:?}");
    let created =
        |answer: &Value| (answer["stats"]["nodes_created"].clone(), answer["stats"]["rels_created"].clone());
    assert_eq!(created(&answers[0]), (json!(0), json!(0)));
    assert_eq!(created(&answers[2]), (json!(3), json!(0)));
    assert_eq!(created(&answers[3]), (json!(0), json!(3)));
    let names: Vec<&str> = answers[2]["stats"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["labels_added", "nodes_created", "nodes_deleted", "properties_set", "rels_created", "rels_deleted"];
    assert_eq!(names, expected);
    assert_eq!(answers[4], json!({"columns": ["n"], "types": ["INT64"], "rows": [[3]]}));
}

#[test]
fn writing_clauses_count_what_they_do() {
    let script = "CREATE NODE TABLE A(id INT64 PRIMARY KEY, x INT64);\n\
        CREATE REL TABLE R(FROM A TO A);\n\
        CREATE (a:A {id: 1, x: 2})-[:R]->(b:A {id: 2}) RETURN a;\n\
        MERGE (a:A {id: 1}) ON MATCH SET a.x = 3;\n\
        MATCH (a:A) WHERE a.id < 0 SET a.x = 1 RETURN count(*) AS n;\n\
        :param rows [{\"id\": 7, \"x\": 1}, {\"id\": 8, \"x\": null}]\n\
        UNWIND $rows AS row CREATE (a:A) SET a = row;\n\
        MATCH (a:A {id: 1}) DETACH DELETE a;\n\
        CREATE (:A {id: 2});\n\
        CREATE (:A {id: 3, y: 2});\n";
    let (status, answers) = answers(&[], script);
    assert_eq!(status, 1);
    let counts = |answer: &Value, wanted: [u64; 6]| {
        let names = [
            "nodes_created",
            "nodes_deleted",
            "rels_created",
            "rels_deleted",
            "properties_set",
            "labels_added",
        ];
        let stats: serde_json::Map<String, Value> =
            names.iter().zip(wanted).map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
        assert_eq!(answer["stats"], Value::Object(stats), "{answer}");
    };
    counts(&answers[2], [2, 0, 1, 0, 3, 2]);
    assert_eq!(answers[2]["rows"][0][0]["x"], json!(2));
    counts(&answers[3], [0, 0, 0, 0, 1, 0]);
    assert_eq!(answers[3]["columns"], json!([]));
    assert_eq!(answers[3]["rows"], json!([]));
    counts(&answers[4], [0; 6]);
    // A key has to be known when the node is made.
    assert_eq!(answers[5]["error"]["phase"], "compile");
    counts(&answers[6], [0, 1, 0, 1, 0, 0]);
    let error = &answers[7]["error"];
    assert_eq!((&error["code"], &error["phase"]), (&json!("CONSTRAINT"), &json!("runtime")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("row 1 of CREATE"), "{error}");
    let error = &answers[8]["error"];
    assert_eq!(
        (&error["code"], &error["phase"], &error["column"]),
        (&json!("BINDER"), &json!("compile"), &json!(20))
    );
}

#[test]
fn values_have_their_forms() {
    let check = |expression: &str, expected: Value| {
        let (_, answers) = answers(&[], format!("RETURN {expression} AS a;\n"));
        assert_eq!(answers[0]["rows"], json!([[expected]]), "{expression}: {}", answers[0]);
    };
    check("date('2024-02-29')", json!("2024-02-29"));
    check("timestamp('2024-02-29 12:30:00')", json!("2024-02-29T12:30:00"));
    check("interval('2 hours')", json!("PT2H"));
    check("CAST(1.5 AS DECIMAL(18, 3))", json!("1.500"));
    check("CAST(7 AS INT128)", json!("7"));
    check("CAST(1.5 AS FLOAT)", json!(1.5));
    check("CAST('NaN' AS DOUBLE)", json!("NaN"));
    check("NULL", Value::Null);
    check("{a: [1, NULL], b: {c: 'x'}}", json!({"a": [1, null], "b": {"c": "x"}}));
    check("map([1, 2], ['x', 'y'])", json!([[1, "x"], [2, "y"]]));
    check("map(['k'], [1])", json!({"k": 1}));
}

#[test]
fn doubles_always_look_like_doubles() {
    let run = quire(&["--mode", "json"], "RETURN 1.0 AS a, 1e300 AS b, -0.0 AS c;\n");
    assert!(run.out.contains("\"rows\":[[1.0,1e300,-0.0]]"), "{}", run.out);
}

#[test]
fn a_database_that_cannot_be_opened_is_one_error_line() {
    let folder = tempfile::tempdir().unwrap();
    let database = quiredb::Database::open(folder.path()).unwrap();
    let (status, answers) = answers(&[folder.path().to_str().unwrap()], "RETURN 1;\nRETURN 2;\n");
    assert_eq!((status, answers.len()), (2, 1));
    assert_eq!(
        (&answers[0]["error"]["code"], &answers[0]["error"]["phase"]),
        (&json!("UNAVAILABLE"), &json!("compile"))
    );
    drop(database);
}

/// A program writes one statement, waits for its line, and then writes the next: nothing may be held back.
#[test]
fn answers_come_at_once() {
    let mut child = command(&["--mode", "json"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let started = Instant::now();
    for number in 0..20 {
        writeln!(input, ":param n {number}\nRETURN $n AS n;").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["rows"], json!([[number]]));
    }
    assert!(started.elapsed() < Duration::from_secs(20));
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn large_answers_are_one_line() {
    let (status, answers) =
        answers(&[], "UNWIND range(1, 50000) AS n RETURN n, 'text ' + CAST(n AS STRING) AS t;");
    assert_eq!(status, 0, "{answers:?}");
    let rows = answers[0]["rows"].as_array().unwrap();
    assert_eq!((answers.len(), rows.len()), (1, 50_000));
    assert_eq!(rows[49_999], json!([50_000, "text 50000"]));
}
