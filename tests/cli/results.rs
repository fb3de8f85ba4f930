//! How results look in every mode.

use super::{file, people, quire, succeed};

/// One row with what is hard to write: NULL, separators, markup, and values within values.
const ROW: &str = "RETURN 1 AS a, 'x|y,z' AS b, NULL AS c, [1, NULL] AS d, {k: '<&>'} AS e";

fn check(mode: &str, expected: &str) {
    assert_eq!(succeed(&["--mode", mode, "-c", ROW], ""), expected, "{mode}");
}

#[test]
fn every_mode_has_its_form() {
    check(
        "table",
        "\
+---+-------+------+------+----------+
| a | b     | c    | d    | e        |
+---+-------+------+------+----------+
| 1 | x|y,z | NULL | [1,] | {k: <&>} |
+---+-------+------+------+----------+
1 row
",
    );
    check("line", "a = 1\nb = x|y,z\nc = NULL\nd = [1,]\ne = {k: <&>}\n");
    check("csv", "a,b,c,d,e\n1,\"x|y,z\",,\"[1,NULL]\",{k: '<&>'}\n");
    check("tsv", "a\tb\tc\td\te\n1\tx|y,z\t\t[1,NULL]\t{k: '<&>'}\n");
    check("jsonl", "{\"a\":1,\"b\":\"x|y,z\",\"c\":null,\"d\":[1,null],\"e\":{\"k\":\"<&>\"}}\n");
    check(
        "markdown",
        "| a | b | c | d | e |\n| ---: | --- | --- | --- | --- |\n| 1 | x\\|y,z | NULL | [1,] | {k: \\<&>} |\n",
    );
    check(
        "html",
        "<table>\n<tr><th>a</th><th>b</th><th>c</th><th>d</th><th>e</th></tr>\n\
         <tr><td>1</td><td>x|y,z</td><td>NULL</td><td>[1,]</td><td>{k: &lt;&amp;&gt;}</td></tr>\n</table>\n",
    );
    check("trash", "");
}

#[test]
fn headers_and_nulls_are_as_wished() {
    let run =
        |arguments: &[&str], expected: &str| assert_eq!(succeed(arguments, ""), expected, "{arguments:?}");
    let query = "UNWIND [1, NULL] AS n RETURN n, n AS m";
    run(&["--no-header", "--mode", "csv", "-c", query], "1,1\n,\n");
    run(&["--null", "?", "--mode", "csv", "-c", query], "n,m\n1,1\n?,?\n");
    run(&["--null", "", "--no-header", "-c", query], "+---+---+\n| 1 | 1 |\n|   |   |\n+---+---+\n2 rows\n");
    run(&["--null", "-", "--mode", "line", "-c", query], "n = 1\nm = 1\n\nn = -\nm = -\n");
    run(&["--null", "nil", "--no-header", "--mode", "tsv", "-c", query], "1\t1\nnil\tnil\n");
}

#[test]
fn columns_are_as_wide_as_they_look() {
    let query = "UNWIND [{name: 'Zoë', n: 1.5}, {name: '東京', n: -20.0}, {name: 'a\\n\\tb', n: 3.0}] AS row \
                 RETURN row.name AS name, row.n AS n";
    let expected = "\
+--------+-------+
| name   | n     |
+--------+-------+
| Zoë    |   1.5 |
| 東京   | -20.0 |
| a\\n\\tb |   3.0 |
+--------+-------+
3 rows
";
    assert_eq!(succeed(&["-c", query], ""), expected);
}

#[test]
fn results_are_set_off_from_each_other() {
    let shown = succeed(&["-c", "RETURN 1 AS a; RETURN 2 AS b"], "");
    assert_eq!(
        shown,
        "+---+\n| a |\n+---+\n| 1 |\n+---+\n1 row\n\n+---+\n| b |\n+---+\n| 2 |\n+---+\n1 row\n"
    );
    assert_eq!(succeed(&["--mode", "csv", "-c", "RETURN 1 AS a; RETURN 2 AS b"], ""), "a\n1\nb\n2\n");
    let nothing = succeed(&["-c", "UNWIND [1] AS a WITH a WHERE a > 1 RETURN a"], "");
    assert_eq!(nothing, "+---+\n| a |\n+---+\n+---+\n0 rows\n");
}

#[test]
fn loads_tell_what_they_made() {
    let folder = tempfile::tempdir().unwrap();
    let shown = succeed(&["-c", &people(folder.path())], "");
    assert_eq!(shown, "3 nodes created\n3 relationships created\n");
}

#[test]
fn nodes_relationships_and_paths_show_their_properties() {
    let folder = tempfile::tempdir().unwrap();
    let query = people(folder.path())
        + "MATCH p = (a:Person)-[k:Knows]->(b:Person {id: 3}) WHERE a.id = 1 RETURN a, k, p;";
    let lines = succeed(&["--mode", "jsonl", "-c", &query], "");
    let row: serde_json::Value = serde_json::from_str(&lines).unwrap();
    let ada = serde_json::json!({"_id": "0:0", "_labels": ["Person"], "_label": "Person", "id": 1, "name": "Ada", "born": 1815});
    assert_eq!(row["a"], ada);
    assert_eq!(row["k"]["_label"], "Knows");
    assert_eq!((&row["k"]["_src"], &row["k"]["_dst"]), (&"0:0".into(), &"0:2".into()));
    assert_eq!(row["k"]["since"], 2001);
    assert_eq!(row["p"]["_nodes"][0], ada);
    assert_eq!(row["p"]["_nodes"][1]["name"], "Radia, \"R\"");
    assert_eq!(row["p"]["_rels"], serde_json::json!([row["k"]]));
}

#[test]
fn what_csv_shows_copy_reads() {
    let folder = tempfile::tempdir().unwrap();
    let all = "MATCH (p:Person) RETURN p.id AS id, p.name AS name, p.born AS born ORDER BY id;";
    let shown = succeed(&["--mode", "csv", "-c", &(people(folder.path()) + all)], "");
    assert_eq!(shown, "id,name,born\n1,Ada,1815\n2,Grace,1906\n3,\"Radia, \"\"R\"\"\",\n");
    let copy = file(folder.path(), "again.csv", &shown);
    let again = format!(
        "CREATE NODE TABLE Person(id INT64, name STRING, born INT64, PRIMARY KEY (id));\n\
         COPY Person FROM '{copy}' (HEADER = true);\n{all}"
    );
    assert_eq!(succeed(&["--mode", "csv"], &again), shown);
}

#[test]
fn the_timer_speaks_on_standard_error() {
    let run = quire(&["--timer", "--mode", "csv", "-c", "RETURN 1 AS a"], "");
    assert_eq!((run.status, run.out.as_str()), (0, "a\n1\n"));
    assert!(run.err.starts_with("time: ") && run.err.ends_with(" ms\n"), "{}", run.err);
}

#[test]
fn rows_are_shown_as_they_come() {
    let text = "UNWIND range(1, 1000) AS a UNWIND range(1, 1000) AS b RETURN a, b, 'some text to make it long' AS text";
    let limited = |mode: &str| crate::quire(&["--memory-limit", "16MB", "--mode", mode, "-c", text], "");
    for mode in ["csv", "jsonl"] {
        let run = limited(mode);
        assert_eq!(run.status, 0, "{mode}: {}", run.err);
        let lines = run.out.lines().count();
        assert_eq!(lines, 1_000_000 + usize::from(mode == "csv"), "{mode}");
    }
    // Widths of a table are known when all rows are.
    let run = limited("table");
    assert!(run.status == 1 && run.err.contains("out of memory"), "{}", run.err);
}

#[test]
fn an_error_follows_the_rows_before_it() {
    let text = "UNWIND range(1, 100000) AS n RETURN 1 / (n - 90000) AS x";
    let run = crate::quire(&["--mode", "csv", "-c", text], "");
    assert_eq!(run.status, 1);
    assert!(run.out.starts_with("x\n0\n") && run.err.contains("zero"), "{}", run.err);
    // Without rows there is no header either.
    let run = crate::quire(&["--mode", "csv", "-c", "RETURN 1 / 0 AS x"], "");
    assert_eq!((run.status, &*run.out), (1, ""), "{}", run.err);
}
