//! What a second thread gains: heavy queries on one thread and on two, beside the same for loops written by hand. A
//! query passes that is 1.8 times as fast, or has 0.9 of what the loop gains where memory is what both wait for.

use quiredb::{Connection, Params, Statement, params};

use super::by_hand::{self, Lists, WeightedLists};
use super::data::{Place, Places, connection, copy, database, edges, floats, numbers, places};
use super::graphs::{load_friends, load_paths};
use super::measure::Bench;

/// A statement for one thread and the same one for two.
struct Both<'s> {
    statements: [Statement; 2],
    params: &'s Params,
}

impl<'s> Both<'s> {
    fn new(connections: &[Connection; 2], text: &str, params: &'s Params) -> Both<'s> {
        let statements = [0, 1].map(|at| connections[at].prepare(text).expect("a statement"));
        Both { statements, params }
    }

    /// All numbers of a column.
    fn run(&self, threads: usize, column: usize) -> Vec<i64> {
        let result = self.statements[threads - 1].execute_with(self.params).expect("an answer");
        result.rows().map(|row| row.get::<i64>(column).expect("a number")).collect()
    }
}

pub fn gains(bench: &mut Bench, place: &Place) {
    if bench.wants_any(&["gain friends"]) {
        friends(bench, place);
    }
    if bench.wants_any(&["gain forums"]) {
        forums(bench, place);
    }
    if bench.wants_any(&["gain paths"]) {
        paths(bench, place);
    }
}

fn friends(bench: &mut Bench, place: &Place) {
    let files = place.suite("lsqb-0.3");
    let database = database(&place.path("gain_friends"));
    let connections = [connection(&database, 1), connection(&database, 2)];
    load_friends(&connections[0], &files);
    let [people] = numbers(&files.join("Person.csv"), [0]);
    let people_places = places(&people);
    let (from, to) = edges(&files.join("Person_knows_Person.csv"), &people_places, &people_places);
    let friends = Lists::new(people.len(), &from, &to);

    let none = params! {};
    let knows = "-[:Person_knows_Person]->";
    let triangles =
        format!("MATCH (a:Person){knows}(b:Person){knows}(c:Person), (a){knows}(c) RETURN count(*)");
    let both = Both::new(&connections, &triangles, &none);
    bench.gain(
        "gain friends triangles",
        |threads| both.run(threads, 0),
        |threads| vec![by_hand::triangles(threads, &friends, |_| true)],
    );
    let strangers = format!(
        "MATCH (a:Person){knows}(b:Person){knows}(c:Person) \
         WHERE NOT EXISTS {{ MATCH (a){knows}(c) }} AND id(a) <> id(c) RETURN count(*)"
    );
    let both = Both::new(&connections, &strangers, &none);
    bench.gain(
        "gain friends strangers",
        |threads| both.run(threads, 0),
        |threads| vec![by_hand::strangers(threads, &friends)],
    );
}

/// Counts along a chain, where both sides wait for memory.
fn forums(bench: &mut Bench, place: &Place) {
    let files = place.suite("lsqb-0.3");
    let database = database(&place.path("gain_forums"));
    let connections = [connection(&database, 1), connection(&database, 2)];
    let file = |name: &str| files.join(format!("{name}.csv"));
    let [people, forums, posts, comments, tags] = ["Person", "Forum", "Post", "Comment", "Tag"].map(|name| {
        let table = format!("CREATE NODE TABLE {name}(id INT64, PRIMARY KEY (id))");
        copy(&connections[0], &table, name, &file(name));
        let [ids] = numbers(&file(name), [0]);
        places(&ids)
    });
    let lists = |from: &str, kind: &str, to: &str, [from_places, to_places]: [&Places; 2]| {
        let name = format!("{from}_{kind}_{to}");
        let table = format!("CREATE REL TABLE {name}(FROM {from} TO {to})");
        copy(&connections[0], &table, &name, &file(&name));
        edges(&file(&name), from_places, to_places)
    };
    let (from, to) = lists("Forum", "hasMember", "Person", [&forums, &people]);
    let members = Lists::new(forums.len(), &from, &to);
    let (from, to) = lists("Forum", "containerOf", "Post", [&forums, &posts]);
    let contents = Lists::new(forums.len(), &from, &to);
    let (from, to) = lists("Comment", "replyOf", "Post", [&comments, &posts]);
    let replies = Lists::new(posts.len(), &to, &from);
    let (from, to) = lists("Comment", "hasTag", "Tag", [&comments, &tags]);
    let topics = Lists::new(comments.len(), &from, &to);

    let none = params! {};
    let text = "MATCH (:Person)<-[:Forum_hasMember_Person]-(:Forum)-[:Forum_containerOf_Post]->(:Post)\
                <-[:Comment_replyOf_Post]-(:Comment)-[:Comment_hasTag_Tag]->(:Tag) RETURN count(*)";
    let both = Both::new(&connections, text, &none);
    bench.gain(
        "gain forums chain",
        |threads| both.run(threads, 0),
        |threads| vec![by_hand::forum_chain(threads, &members, &contents, &replies, &topics)],
    );
}

fn paths(bench: &mut Bench, place: &Place) {
    let files = place.suite("paths-1");
    let database = database(&place.path("gain_paths"));
    let connections = [connection(&database, 1), connection(&database, 2)];
    load_paths(&connections[0], &files);
    let [ids, groups] = numbers(&files.join("Node.csv"), [0, 1]);
    let groups: Vec<u8> = groups.iter().map(|group| u8::try_from(*group).expect("a group")).collect();
    let places = places(&ids);
    let (from, to) = edges(&files.join("Edge.csv"), &places, &places);
    let forward = WeightedLists::new(ids.len(), &from, &to, &floats(&files.join("Edge.csv"), 2));

    let none = params! {};
    let text = "MATCH (a:Node)-[e:Edge]->(b:Node) RETURN a.grp AS g, sum(e.weight), count(*) ORDER BY g";
    let both = Both::new(&connections, text, &none);
    bench.gain(
        "gain paths weights by group",
        |threads| both.run(threads, 2),
        |threads| by_hand::weights_by_group(threads, &forward, &groups),
    );
    let text = "MATCH (a:Node)-[x:Edge]->(b:Node)-[y:Edge]->(c:Node) \
                WHERE a.grp = 3 AND c.grp = 5 AND x.weight < y.weight RETURN count(*)";
    let both = Both::new(&connections, text, &none);
    bench.gain(
        "gain paths rising weights",
        |threads| both.run(threads, 0),
        |threads| vec![by_hand::rising_weights(threads, &forward, &groups, 3, 5)],
    );
    let text = "MATCH (a:Node)-[:Edge]->(b:Node)-[:Edge]->(c:Node), (a)-[:Edge]->(c) \
                WHERE a.grp = 7 AND b.grp = 7 RETURN count(*)";
    let both = Both::new(&connections, text, &none);
    bench.gain(
        "gain paths triangles of a group",
        |threads| both.run(threads, 0),
        |threads| vec![by_hand::triangles(threads, &forward.lists, |node| groups[node] == 7)],
    );
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    let limit = sorted[sorted.len() / 1000];
    let starts: Vec<u32> = (0..).zip(&ids).filter(|(_, id)| **id < limit).map(|(start, _)| start).collect();
    let text = "MATCH p = (a:Node)-[:Edge* SHORTEST 1..2]->(b:Node) WHERE a.id < $limit AND a.id <> b.id \
                RETURN count(*)";
    let limit = params! { limit: limit };
    let both = Both::new(&connections, text, &limit);
    bench.gain(
        "gain paths two steps from many",
        |threads| both.run(threads, 0),
        |threads| vec![by_hand::within_two_steps(threads, &forward.lists, &starts)],
    );
}
