//! How files may be written: headers, delimiters, quotes, nulls, line ends, several files.

use crate::support::World;

const TABLE: &str = "CREATE NODE TABLE T(id INT64 PRIMARY KEY, name STRING, score DOUBLE)";
const ALL: &str = "MATCH (t:T) RETURN t.id, t.name, t.score ORDER BY t.id";

#[track_caller]
fn check(text: &[u8], options: &str, expected: &[&str]) {
    let world = World::new(TABLE);
    let loaded = world.copy("T", text, options);
    assert_eq!(loaded.map_err(|error| error.to_string()), Ok(expected.len() as i64));
    world.check(ALL, expected);
    world.sound();
}

#[test]
fn rfc_4180_is_the_default() {
    check(b"1,a,0.5\n2,b,1\n", "", &["1|a|0.5", "2|b|1.0"]);
    check(b"1,a,0.5\r\n2,b,1", "", &["1|a|0.5", "2|b|1.0"]);
    check(b"\xef\xbb\xbf1,a,0.5\n", "", &["1|a|0.5"]);
    check(b"1,\"a,\r\n\"\"b\"\"\",0.5\n2,\"\",\n", "", &["1|a,\r\n\"b\"|0.5", "2||NULL"]);
    check("1,größe 𝄞,-1e3\n".as_bytes(), "", &["1|größe 𝄞|-1000.0"]);
}

#[test]
fn the_empty_file_and_the_lone_header() {
    check(b"", "", &[]);
    check(b"", "HEADER = true", &[]);
    check(b"\xef\xbb\xbf", "", &[]);
    check(b"id,name,score\n", "HEADER = true", &[]);
    check(b"id,name,score", "HEADER = true", &[]);
}

#[test]
fn headers_and_skipped_lines() {
    check(b"id,name,score\n1,a,1\n", "HEADER = true", &["1|a|1.0"]);
    check(b"\xef\xbb\xbfid,name,score\n1,a,1\n", "HEADER", &["1|a|1.0"]);
    check(b"# a comment\nid,name,score\n1,a,1\n", "SKIP = 1, HEADER = true", &["1|a|1.0"]);
    check(b"x\ny\n1,a,1\n", "SKIP = 2", &["1|a|1.0"]);
    check(b"x\n", "SKIP = 5", &[]);
}

#[test]
fn other_delimiters_quotes_and_escapes() {
    check(b"1;a,b;0.5\n", "DELIM = ';'", &["1|a,b|0.5"]);
    check(b"1\ta\t0.5\n", "DELIM = '\\t'", &["1|a|0.5"]);
    check(b"1|'a|b'|0.5\n", "DELIM = '|', QUOTE = \"'\"", &["1|a|b|0.5"]);
    check(b"1,\"a\\\"b\\\\\",0.5\n", "ESCAPE = '\\\\'", &["1|a\"b\\|0.5"]);
    check(b"1,\"a,0.5\n", "QUOTE = ''", &["1|\"a|0.5"]);
}

#[test]
fn nulls_are_unquoted() {
    check(b"1,,\n2,\"\",1\n", "", &["1|NULL|NULL", "2||1.0"]);
    let nulls = "NULL_STRINGS = ['NA', '-']";
    check(b"1,NA,-\n2,\"NA\",1\n3,,2\n", nulls, &["1|NULL|NULL", "2|NA|1.0", "3||2.0"]);
}

#[test]
fn quoted_line_ends_far_into_the_file_are_text_on_any_thread() {
    let text: String =
        (0..20_000).map(|row| format!("{row},\"line {row}\n, \"\"{row}\"\"\r\n\",{row}\n")).collect();
    let mut answers = Vec::new();
    for threads in [1, 2, 4] {
        let world = World::new(TABLE);
        world.connection.set_threads(threads);
        assert_eq!(world.copy("T", &text, "").unwrap(), 20_000);
        answers.push(world.rows(ALL));
        assert_eq!(answers[0], answers[answers.len() - 1]);
    }
    assert_eq!(answers[0][19_999], "19999|line 19999\n, \"19999\"\r\n|19999.0");
}

#[test]
fn column_lists_choose_and_order_the_fields() {
    let world = World::new(TABLE);
    assert_eq!(world.copy("T (score, id)", "0.5,1\n1.5,2\n", "").unwrap(), 2);
    world.check(ALL, &["1|NULL|0.5", "2|NULL|1.5"]);
    let error = world.copy("T (score, name)", "0.5,a\n", "").unwrap_err().to_string();
    assert!(error.contains("property id of table T needs a value"), "{error}");
    let error = world.copy("T (id, nam)", "1,a\n", "").unwrap_err().to_string();
    assert!(error.contains("no property nam") && error.contains("name"), "{error}");
}

#[test]
fn globs_and_lists_of_files_keep_their_order() {
    let world = World::new("CREATE NODE TABLE T(n SERIAL PRIMARY KEY, name STRING)");
    for (name, text) in [("b2.csv", "c\n"), ("b1.csv", "a\nb\n"), ("x.txt", "z\n")] {
        world.file(name, text);
    }
    let folder = world.folder.path().display().to_string();
    assert_eq!(world.copy_from("T", &format!("'{folder}/b*.csv'"), "").unwrap(), 3);
    assert_eq!(world.copy_from("T", &format!("['{folder}/x.txt', '{folder}/b2.csv']"), "").unwrap(), 2);
    world.check("MATCH (t:T) RETURN t.n, t.name ORDER BY t.n", &["0|a", "1|b", "2|c", "3|z", "4|c"]);
    for (source, part) in [
        (format!("'{folder}/none*.csv'"), "no file matches"),
        (format!("'{folder}/none.csv'"), "none.csv"),
        (format!("['{folder}/x.txt', '{folder}/none.csv']"), "none.csv"),
        (format!("'{folder}'"), &*folder),
    ] {
        let error = world.copy_from("T", &source, "").unwrap_err().to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
    // A header stands in each of the files.
    world.file("h1.csv", "name\nd\n");
    world.file("h2.csv", "name\ne\n");
    assert_eq!(world.copy_from("T", &format!("'{folder}/h?.csv'"), "HEADER = true").unwrap(), 2);
    world.check("MATCH (t:T) WHERE t.n > 4 RETURN t.n, t.name ORDER BY t.n", &["5|d", "6|e"]);
}
