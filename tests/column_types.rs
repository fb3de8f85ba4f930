//! Comparisons of properties with constants, for columns of every type: those that storage can test and those that it
//! cannot give the same.

use quiredb::{Connection, Database};

/// A type, two of its values, and whether the first one is less than the other.
const TYPES: &[(&str, &str, &str, bool)] = &[
    ("BOOL", "false", "true", true),
    ("INT8", "-1", "2", true),
    ("UINT8", "1", "2", true),
    ("INT64", "-1", "2", true),
    ("INT128", "CAST('-1' AS INT128)", "CAST('170141183460469231731687303715884105727' AS INT128)", true),
    ("FLOAT", "-0.5", "0.25", true),
    ("DOUBLE", "-0.1", "0.1", true),
    ("DECIMAL(10,2)", "CAST('1.25' AS DECIMAL(10,2))", "CAST('1.3' AS DECIMAL(10,2))", true),
    ("STRING", "'a'", "'b'", true),
    ("BLOB", "CAST('a' AS BLOB)", "CAST('b' AS BLOB)", true),
    (
        "UUID",
        "CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a10' AS UUID)",
        "CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS UUID)",
        true,
    ),
    ("DATE", "date('2024-01-01')", "date('2024-01-02')", true),
    ("TIME", "time('12:00+01:00')", "time('12:00Z')", true),
    ("LOCALTIME", "localtime('11:00')", "localtime('12:00')", true),
    ("LOCALDATETIME", "localdatetime('2024-01-01T11:00')", "localdatetime('2024-01-01T12:00')", true),
    ("DATETIME", "datetime('2024-01-01T12:00+01:00')", "datetime('2024-01-01T12:00Z')", true),
    ("TIMESTAMP", "timestamp('2024-01-01 11:00:00')", "timestamp('2024-01-01 12:00:00')", true),
    ("INTERVAL", "duration({days: 1})", "duration({days: 2})", false),
    ("STRING[]", "['a', 'b']", "['a', 'c']", true),
    ("INT64[]", "[1]", "[1, 2]", true),
    ("INT64[][]", "[[1]]", "[[2], [1]]", true),
    ("INT64[2]", "[1, 2]", "[1, 3]", true),
    ("STRUCT(a INT64, b STRING)", "{a: 1, b: 'x'}", "{a: 1, b: 'y'}", false),
    ("MAP(STRING, INT64)", "map(['a'], [1])", "map(['a'], [2])", false),
];

fn ids(connection: &Connection, text: &str) -> Vec<i64> {
    let result = connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    result.rows().map(|row| row.get(0).expect("an id")).collect()
}

#[test]
fn a_property_of_any_type_is_compared_with_a_constant() {
    let database = Database::in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    for (number, (name, low, high, ordered)) in TYPES.iter().enumerate() {
        let run = |text: &str| {
            connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        };
        run(&format!("CREATE NODE TABLE N{number}(id INT64 PRIMARY KEY, c {name})"));
        run(&format!("CREATE REL TABLE R{number}(FROM N{number} TO N{number}, id INT64, c {name})"));
        run(&format!(
            "CREATE (:N{number} {{id: 1, c: {low}}}), (:N{number} {{id: 2, c: {high}}}), (:N{number} {{id: 3}})"
        ));
        run(&format!("MATCH (n:N{number}) CREATE (n)-[:R{number} {{id: n.id, c: n.c}}]->(n)"));
        for checkpointed in [false, true] {
            if checkpointed {
                run("CHECKPOINT");
            }
            for pattern in [format!("(e:N{number})"), format!("(a:N{number})-[e:R{number}]->(b)")] {
                let check = |condition: &str, expected: &[i64]| {
                    let text = format!("MATCH {pattern} WHERE {condition} RETURN e.id ORDER BY e.id");
                    assert_eq!(ids(&connection, &text), expected, "{name}, in pages: {checkpointed}: {text}");
                };
                check(&format!("e.c = {low}"), &[1]);
                check(&format!("{high} = e.c"), &[2]);
                check(&format!("e.c <> {low}"), &[2]);
                check(&format!("e.c IN [{low}]"), &[1]);
                check(&format!("e.c IN [{low}, {high}]"), &[1, 2]);
                if *ordered {
                    check(&format!("e.c < {high}"), &[1]);
                    check(&format!("e.c <= {high}"), &[1, 2]);
                    check(&format!("{low} < e.c"), &[2]);
                    check(&format!("e.c >= {high}"), &[2]);
                }
            }
        }
    }
}
