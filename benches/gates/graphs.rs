//! Paths in graphs: `study`, `lsqb` and `paths` of the shared benchmark.

use std::path::Path;
use std::time::Duration;

use quiredb::{Connection, Params, Statement, params};

use super::by_hand::{self, Lists};
use super::data::{Place, connection, copy, database, edges, numbers, places};
use super::measure::{Bench, Limit, timed};

/// Two times as long; queries that end after microseconds have a little more.
const TWICE: Limit = Limit::Times(2.0);
const TWICE_AND_START: Limit = Limit::TimesAnd(2.0, Duration::from_micros(50));

pub const PERSON: &str = "CREATE NODE TABLE Person(id INT64, name STRING, gender STRING, birthday DATE, \
     age INT64, isMarried BOOLEAN, PRIMARY KEY (id))";
pub const FOLLOWS: &str = "CREATE REL TABLE Follows(FROM Person TO Person)";

/// All threads of the machine.
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn number(statement: &Statement, params: &Params) -> i64 {
    let result = statement.execute_with(params).expect("an answer");
    result.first().expect("a row").get(0).expect("a number")
}

/// A gate whose answer is one number.
fn number_gate(
    bench: &mut Bench,
    name: &str,
    (threads, limit): (usize, Limit),
    (statement, params): (&Statement, Params),
    by_hand: impl Fn() -> i64,
) {
    bench.gate(name, threads, limit, || timed(|| number(statement, &params)), || timed(&by_hand));
}

pub fn study(bench: &mut Bench, place: &Place) {
    if !bench.wants_any(&["study"]) {
        return;
    }
    let files = place.suite("study-1");
    let database = database(&place.path("study"));
    let one = connection(&database, 1);
    let all = connection(&database, all_threads());
    copy(&one, PERSON, "Person", &files.join("persons.csv"));
    copy(&one, FOLLOWS, "Follows", &files.join("follows.csv"));

    let [ids, ages] = numbers(&files.join("persons.csv"), [0, 4]);
    let ages: Vec<u8> = ages.iter().map(|age| u8::try_from(*age).expect("an age")).collect();
    let places = places(&ids);
    let (from, to) = edges(&files.join("follows.csv"), &places, &places);
    let forward = Lists::new(ids.len(), &from, &to);
    let backward = Lists::new(ids.len(), &to, &from);

    let q8 = "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) RETURN count(*)";
    let q9 = "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) \
              WHERE b.age < $below AND c.age > $above RETURN count(*)";
    let statement = one.prepare(q8).expect("q8");
    number_gate(bench, "study q8", (1, TWICE_AND_START), (&statement, params! {}), || {
        by_hand::two_hops(&forward, &backward)
    });
    for (connection, threads) in [(&one, 1), (&all, all_threads())] {
        let statement = connection.prepare(q9).expect("q9");
        let values = params! { below: 50, above: 25 };
        number_gate(bench, "study q9", (threads, TWICE), (&statement, values), || {
            by_hand::two_hops_filtered(threads, (&forward, &backward), &ages, 50, 25)
        });
    }
}

/// People, whom they know, and what they are interested in.
pub fn load_friends(connection: &Connection, files: &Path) {
    let file = |name: &str| files.join(format!("{name}.csv"));
    copy(connection, "CREATE NODE TABLE Person(id INT64, PRIMARY KEY (id))", "Person", &file("Person"));
    copy(connection, "CREATE NODE TABLE Tag(id INT64, PRIMARY KEY (id))", "Tag", &file("Tag"));
    for (name, ends) in
        [("Person_knows_Person", "FROM Person TO Person"), ("Person_hasInterest_Tag", "FROM Person TO Tag")]
    {
        copy(connection, &format!("CREATE REL TABLE {name}({ends})"), name, &file(name));
    }
}

/// Nodes with groups and edges with weights.
pub fn load_paths(connection: &Connection, files: &Path) {
    let node = "CREATE NODE TABLE Node(id INT64, grp INT64, PRIMARY KEY (id))";
    copy(connection, node, "Node", &files.join("Node.csv"));
    let edge = "CREATE REL TABLE Edge(FROM Node TO Node, weight DOUBLE)";
    copy(connection, edge, "Edge", &files.join("Edge.csv"));
}

pub fn lsqb(bench: &mut Bench, place: &Place) {
    if !bench.wants_any(&["lsqb"]) {
        return;
    }
    let files = place.suite("lsqb-0.3");
    let database = database(&place.path("lsqb"));
    let one = connection(&database, 1);
    let all = connection(&database, all_threads());
    let file = |name: &str| files.join(format!("{name}.csv"));
    load_friends(&one, &files);

    let [people] = numbers(&file("Person"), [0]);
    let [tags] = numbers(&file("Tag"), [0]);
    let (people_places, tag_places) = (places(&people), places(&tags));
    let (from, to) = edges(&file("Person_knows_Person"), &people_places, &people_places);
    let friends = Lists::new(people.len(), &from, &to);
    let (from, to) = edges(&file("Person_hasInterest_Tag"), &people_places, &tag_places);
    let interests = Lists::new(people.len(), &from, &to);

    let q6 = "MATCH (p1:Person)-[:Person_knows_Person]->(p2:Person)-[:Person_knows_Person]->(p3:Person)\
              -[:Person_hasInterest_Tag]->(tag:Tag) WHERE id(p1) <> id(p3) RETURN count(*)";
    for (connection, threads) in [(&one, 1), (&all, all_threads())] {
        let statement = connection.prepare(q6).expect("q6");
        number_gate(bench, "lsqb q6", (threads, TWICE), (&statement, params! {}), || {
            by_hand::friends_interests(threads, &friends, &interests)
        });
    }
}

pub fn paths(bench: &mut Bench, place: &Place) {
    if !bench.wants_any(&["paths"]) {
        return;
    }
    let files = place.suite("paths-1");
    let database = database(&place.path("paths"));
    let one = connection(&database, 1);
    let (nodes_file, edges_file) = (files.join("Node.csv"), files.join("Edge.csv"));
    load_paths(&one, &files);

    let [ids] = numbers(&nodes_file, [0]);
    let places = places(&ids);
    let (from, to) = edges(&edges_file, &places, &places);
    let forward = Lists::new(ids.len(), &from, &to);
    let backward = Lists::new(ids.len(), &to, &from);

    let hop2 = "MATCH (a:Node)-[:Edge]->(b:Node)-[:Edge]->(c:Node) RETURN count(*)";
    let statement = one.prepare(hop2).expect("hop2_all");
    number_gate(bench, "paths hop2_all", (1, TWICE_AND_START), (&statement, params! {}), || {
        by_hand::two_hops(&forward, &backward)
    });

    let hub = (0..ids.len()).max_by_key(|node| forward.degree(*node)).expect("a node");
    let bfs = "MATCH p = (a:Node {id: $hub})-[:Edge* SHORTEST 1..20]->(b:Node) WHERE a.id <> b.id \
               RETURN length(p) AS d, count(*) ORDER BY d";
    let statement = one.prepare(bfs).expect("bfs_from_hub");
    let values = params! { hub: ids[hub] };
    let ours = || {
        let result = statement.execute_with(&values).expect("an answer");
        result.rows().map(|row| row.get::<i64>(1).expect("a count")).collect::<Vec<i64>>()
    };
    bench.gate("paths bfs_from_hub", 1, TWICE, || timed(ours), || timed(|| by_hand::levels(&forward, hub)));
}
