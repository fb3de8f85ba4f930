//! Reading through levels beside reading the same from the base.

use super::world::{Numbers, Table, connection, database, folder, in_turns, load, number, run};

const ROUNDS: usize = 15;

fn ask(connection: &quiredb::Connection, text: &str) {
    number(connection, text);
}

/// Scans of a table whose first group is changed, behind that group, beside an unchanged twin.
pub fn clean_groups(table: &mut Table) {
    let folder = folder();
    let database = database(&folder.path().join("clean"));
    let one = connection(&database);
    for name in ["Clean", "Touched"] {
        run(&one, &format!("CREATE NODE TABLE {name}(id INT64, v INT64, PRIMARY KEY (id))"));
        let mut numbers = Numbers(7);
        load(&one, folder.path(), name, 4_000_000, |row| format!("{row},{}", numbers.below(1 << 40)));
    }
    for id in [3, 700, 65_000] {
        run(&one, &format!("MATCH (n:Touched {{id: {id}}}) SET n.v = 5"));
    }
    let text =
        |name: &str| format!("MATCH (n:{name}) WHERE n.id > 70000 AND n.v < 500000000000 RETURN sum(n.v)");
    let (ours, theirs) = (text("Touched"), text("Clean"));
    assert_eq!(number(&one, &ours), number(&one, &theirs));
    let times = in_turns(ROUNDS, &mut || ask(&one, &ours), &mut || ask(&one, &theirs));
    table.add_times("clean groups beside touched ones", times, 1.05);
}

/// A million rows in a level and the same in the base.
pub fn only_in_a_level(table: &mut Table) {
    const ROWS: u64 = 1_000_000;
    let folder = folder();
    let database = database(&folder.path().join("births"));
    let one = connection(&database);
    for name in ["Base", "Level"] {
        run(&one, &format!("CREATE NODE TABLE {name}(id INT64, v INT64, name STRING, PRIMARY KEY (id))"));
    }
    let line =
        |row: u64| format!("{row},{},{}", row * 7919 % 1_000_003, ["red", "green", "blue"][row as usize % 3]);
    load(&one, folder.path(), "Base", ROWS, line);
    for first in (0..ROWS).step_by(100_000) {
        run(
            &one,
            &format!(
                "UNWIND range({first}, {}) AS row CREATE (:Level {{id: row, v: row * 7919 % 1000003, \
                 name: ['red', 'green', 'blue'][row % 3]}})",
                first + 99_999
            ),
        );
    }
    for (what, condition) in [
        ("a million rows only in a level, sum", ""),
        ("the same, filter and sum", "WHERE n.v < 500000"),
        ("the same, filter on strings", "WHERE n.name = 'green'"),
    ] {
        let text = |name: &str| format!("MATCH (n:{name}) {condition} RETURN sum(n.v)");
        let (ours, theirs) = (text("Level"), text("Base"));
        assert_eq!(number(&one, &ours), number(&one, &theirs));
        let times = in_turns(ROUNDS, &mut || ask(&one, &ours), &mut || ask(&one, &theirs));
        table.add_times(what, times, 2.0);
    }
}

/// Query 9 of `study` on graphs of the same edges, some of which are in a level of one of them.
pub fn two_hops(table: &mut Table) {
    const NODES: u64 = 100_000;
    const EDGES: u64 = 2_400_000;
    let folder = folder();
    let database = database(&folder.path().join("hops"));
    let one = connection(&database);
    for name in ["Plain", "Mixed"] {
        run(&one, &format!("CREATE NODE TABLE {name}(id INT64, age INT64, PRIMARY KEY (id))"));
        run(&one, &format!("CREATE REL TABLE {name}Follows(FROM {name} TO {name})"));
        load(&one, folder.path(), name, NODES, |row| format!("{row},{}", row * 31 % 90));
    }
    let (mut numbers, touched) = (Numbers(3), NODES / 100);
    let mut edge = |row: u64| match row {
        row if row < touched => (row * 97 % NODES, row * 89 % NODES),
        _ => (numbers.below(NODES), numbers.below(NODES)),
    };
    let edges: Vec<(u64, u64)> = (0..EDGES).map(&mut edge).collect();
    let line = |row: u64| format!("{},{}", edges[row as usize].0, edges[row as usize].1);
    load(&one, folder.path(), "PlainFollows", EDGES, line);
    load(&one, folder.path(), "MixedFollows", EDGES - touched, |row| line(row + touched));
    // One edge each at 1 % of the sources, and as many destinations.
    run(
        &one,
        &format!(
            "UNWIND range(0, {}) AS row MATCH (a:Mixed {{id: row * 97 % {NODES}}}), (b:Mixed {{id: row * 89 % {NODES}}}) \
             CREATE (a)-[:MixedFollows]->(b)",
            touched - 1
        ),
    );
    let text = |name: &str| {
        format!(
            "MATCH (a:{name})-[:{name}Follows]->(b:{name})-[:{name}Follows]->(c:{name}) \
             WHERE b.age < 50 AND c.age > 25 RETURN count(*)"
        )
    };
    let (ours, theirs) = (text("Mixed"), text("Plain"));
    for what in ["two filtered hops, 1 % of the nodes touched", "the same after a checkpoint"] {
        assert_eq!(number(&one, &ours), number(&one, &theirs));
        let times = in_turns(ROUNDS, &mut || ask(&one, &ours), &mut || ask(&one, &theirs));
        table.add_times(what, times, 1.3);
        run(&one, "CHECKPOINT");
    }
}
