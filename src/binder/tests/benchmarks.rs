//! The questions of the shared benchmark bind over its schemas.

use super::{bind_text, catalog_of};
use crate::binder::BoundStatement;
use crate::catalog::{Catalog, Dialect};

fn columns(bound: &BoundStatement) -> String {
    match bound {
        BoundStatement::Query(query) => {
            let column = |(name, data_type): &(String, _)| format!("{name} {data_type}");
            query.columns.iter().map(column).collect::<Vec<_>>().join(", ")
        }
        other => panic!("{other:?}"),
    }
}

/// Each text binds in both dialects and has these columns.
#[track_caller]
fn check_all(catalog: &Catalog, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        for dialect in [Dialect::OpenCypher, Dialect::Kuzu] {
            match bind_text(text, catalog, dialect) {
                Ok(bound) => assert_eq!(columns(&bound), *expected, "{text}"),
                Err(error) => panic!("{text}: {error} at {:?}", error.span.of(text)),
            }
        }
    }
}

#[test]
fn study() {
    let catalog = catalog_of(&[
        "CREATE NODE TABLE Person(id INT64, name STRING, gender STRING, birthday DATE, age INT64, isMarried BOOLEAN, PRIMARY KEY(id))",
        "CREATE NODE TABLE City(id INT64, city STRING, state STRING, country STRING, lat DOUBLE, lon DOUBLE, population INT32, PRIMARY KEY(id))",
        "CREATE NODE TABLE State(id INT64, state STRING, country STRING, PRIMARY KEY(id))",
        "CREATE NODE TABLE Country(id INT64, country STRING, PRIMARY KEY(id))",
        "CREATE NODE TABLE Interest(id INT64, interest STRING, PRIMARY KEY(id))",
        "CREATE REL TABLE Follows(FROM Person TO Person)",
        "CREATE REL TABLE LivesIn(FROM Person TO City)",
        "CREATE REL TABLE HasInterest(FROM Person TO Interest)",
        "CREATE REL TABLE CityIn(FROM City TO State)",
        "CREATE REL TABLE StateIn(FROM State TO Country)",
    ]);
    check_all(
        &catalog,
        &[
            (
                "MATCH (follower:Person)-[:Follows]->(person:Person) RETURN person.id AS personID, person.name AS name, \
                 count(follower.id) AS numFollowers ORDER BY numFollowers DESC, personID LIMIT 3",
                "personID INT64, name STRING, numFollowers INT64",
            ),
            (
                "MATCH (follower:Person)-[:Follows]->(person:Person) WITH person, count(follower.id) AS numFollowers ORDER BY numFollowers DESC, person.id LIMIT 1 \
                 MATCH (person)-[:LivesIn]->(city:City) RETURN person.name AS name, numFollowers, city.city AS city, city.state AS state, city.country AS country",
                "name STRING, numFollowers INT64, city STRING, state STRING, country STRING",
            ),
            (
                "MATCH (p:Person)-[:LivesIn]->(c:City)-[*1..2]->(co:Country) WHERE co.country = $s \
                 RETURN c.city AS city, avg(p.age) AS averageAge ORDER BY averageAge, city LIMIT 5",
                "city STRING, averageAge DOUBLE",
            ),
            (
                "MATCH (p:Person)-[:LivesIn]->(ci:City)-[*1..2]->(country:Country) WHERE p.age >= $i AND p.age <= $i \
                 RETURN country.country AS countries, count(country) AS personCounts ORDER BY personCounts DESC, countries LIMIT 3",
                "countries STRING, personCounts INT64",
            ),
            (
                "MATCH (p:Person)-[:HasInterest]->(i:Interest) WHERE lower(i.interest) = lower($s) AND lower(p.gender) = lower($s) WITH p, i \
                 MATCH (p)-[:LivesIn]->(c:City) WHERE c.city = $s AND c.country = $s RETURN count(p) AS numPersons",
                "numPersons INT64",
            ),
            (
                "MATCH (p:Person)-[:HasInterest]->(i:Interest) WHERE lower(i.interest) = lower($s) AND lower(p.gender) = lower($s) WITH p, i \
                 MATCH (p)-[:LivesIn]->(c:City) RETURN count(p.id) AS numPersons, c.city AS city, c.country AS country ORDER BY numPersons DESC, city LIMIT 5",
                "numPersons INT64, city STRING, country STRING",
            ),
            (
                "MATCH (p:Person)-[:LivesIn]->(:City)-[:CityIn]->(s:State) WHERE p.age >= $i AND p.age <= $i AND s.country = $s WITH p, s \
                 MATCH (p)-[:HasInterest]->(i:Interest) WHERE lower(i.interest) = lower($s) \
                 RETURN count(p.id) AS numPersons, s.state AS state, s.country AS country ORDER BY numPersons DESC, state LIMIT 1",
                "numPersons INT64, state STRING, country STRING",
            ),
            (
                "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) RETURN count(*) AS numPaths",
                "numPaths INT64",
            ),
            (
                "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) WHERE b.age < $i AND c.age > $i RETURN count(*) AS numPaths",
                "numPaths INT64",
            ),
        ],
    );
}

#[test]
fn flights() {
    let catalog = catalog_of(&[
        "CREATE NODE TABLE Airport(iata STRING, name STRING, city STRING, state STRING, country STRING, latitude DOUBLE, longitude DOUBLE, PRIMARY KEY(iata))",
        "CREATE REL TABLE Route(FROM Airport TO Airport, flights INT64)",
        "CREATE REL TABLE Flight(FROM Airport TO Airport, departure TIMESTAMP, delay INT64, distance INT64)",
    ]);
    check_all(
        &catalog,
        &[
            (
                "MATCH ()-[f:Flight]->() RETURN count(*), sum(f.distance), min(f.delay), max(f.delay)",
                "count(*) INT64, sum(f.distance) INT64, min(f.delay) INT64, max(f.delay) INT64",
            ),
            (
                "MATCH ()-[f:Flight]->() WHERE f.departure >= timestamp($s) AND f.departure < timestamp($s) RETURN count(*) AS n",
                "n INT64",
            ),
            (
                "MATCH (a:Airport)-[f:Flight]->(b:Airport) WHERE f.delay > $i RETURN a.iata AS origin, b.iata AS goal, f.delay AS d, f.departure AS t ORDER BY d DESC, t, origin, goal LIMIT 20",
                "origin STRING, goal STRING, d INT64, t TIMESTAMP",
            ),
            (
                "MATCH (a:Airport)-[f:Flight]->(b:Airport) RETURN a.iata AS origin, b.iata AS goal, count(*) AS n ORDER BY n DESC, origin, goal LIMIT 10",
                "origin STRING, goal STRING, n INT64",
            ),
            (
                "MATCH (a:Airport)-[f:Flight]->(:Airport) RETURN a.state AS s, count(*), avg(f.delay) ORDER BY s",
                "s STRING, count(*) INT64, avg(f.delay) DOUBLE",
            ),
            (
                "MATCH ()-[f:Flight]->() RETURN date_part('hour', f.departure) AS h, count(*), avg(f.delay) ORDER BY h",
                "h INT64, count(*) INT64, avg(f.delay) DOUBLE",
            ),
            (
                "MATCH (a:Airport)-[f:Flight]->(b:Airport) WHERE a.state <> b.state AND f.distance < 300 RETURN a.state AS a, b.state AS b, count(*) AS n ORDER BY n DESC, a, b LIMIT 10",
                "a STRING, b STRING, n INT64",
            ),
            (
                "MATCH (a:Airport {iata: $s})-[f:Flight]->(b:Airport) RETURN b.iata AS b, count(*) AS n, min(f.delay), max(f.delay) ORDER BY n DESC, b",
                "b STRING, n INT64, min(f.delay) INT64, max(f.delay) INT64",
            ),
            (
                "MATCH (a:Airport {iata: $s})-[f:Flight]->(b:Airport {iata: $s}) RETURN count(*), avg(f.delay)",
                "count(*) INT64, avg(f.delay) DOUBLE",
            ),
            (
                "MATCH (a:Airport {iata: $s})-[f:Flight]->(b:Airport)-[g:Flight]->(c:Airport {iata: $s}) WHERE f.departure >= timestamp($s) \
                 AND g.departure > f.departure + interval('2 hours') AND g.departure < f.departure + interval('6 hours') RETURN b.iata AS b, count(*) AS n ORDER BY n DESC, b",
                "b STRING, n INT64",
            ),
            (
                "MATCH (:Airport)-[:Flight]->(b:Airport)-[:Flight]->(:Airport) RETURN count(*)",
                "count(*) INT64",
            ),
            (
                "MATCH (a:Airport)-[:Route]->(b:Airport)-[:Route]->(c:Airport)-[:Route]->(a) RETURN count(*)",
                "count(*) INT64",
            ),
            (
                "MATCH p = (a:Airport {iata: $s})-[:Route* SHORTEST 1..10]->(b:Airport {iata: $s}) RETURN length(p)",
                "length(p) INT64",
            ),
            (
                "MATCH (a:Airport) WHERE NOT EXISTS { MATCH (a)-[:Flight]->() } RETURN a.state AS s, count(*) AS n",
                "s STRING, n INT64",
            ),
            (
                "MATCH (a:Airport) OPTIONAL MATCH (a)-[:Route]->(b) RETURN a.iata AS a, COUNT { (a)-[:Flight]->(b) } AS n, COLLECT { MATCH (b)-[f:Flight]->() RETURN f.departure } AS times, \
                 [(a)-[f:Flight]->() | f.delay] AS delays",
                "a STRING, n INT64, times TIMESTAMP[], delays INT64[]",
            ),
            (
                "MATCH p = (a:Airport {iata: $s})-[:Route* SHORTEST 1..10]->(b:Airport) WHERE a.iata <> b.iata RETURN length(p) AS legs, count(*) ORDER BY legs",
                "legs INT64, count(*) INT64",
            ),
            (
                "MATCH p = (a:Airport)-[e:Route* WSHORTEST(flights) 1..20]->(b:Airport) RETURN cost(e)",
                "cost(e) DOUBLE",
            ),
        ],
    );
}

#[test]
fn paths() {
    let catalog = catalog_of(&[
        "CREATE NODE TABLE Node(id INT64, grp INT64, PRIMARY KEY(id))",
        "CREATE REL TABLE Edge(FROM Node TO Node, weight DOUBLE)",
    ]);
    check_all(
        &catalog,
        &[
            (
                "MATCH (:Node)-[e:Edge]->(:Node) RETURN count(*), min(e.weight), max(e.weight)",
                "count(*) INT64, min(e.weight) DOUBLE, max(e.weight) DOUBLE",
            ),
            (
                "MATCH (a:Node)-[:Edge]->(:Node) RETURN a.id AS id, count(*) AS d ORDER BY d DESC, id LIMIT 10",
                "id INT64, d INT64",
            ),
            (
                "MATCH (a:Node)-[e:Edge]->(b:Node) RETURN a.grp AS g, sum(e.weight), count(*) ORDER BY g",
                "g INT64, sum(e.weight) DOUBLE, count(*) INT64",
            ),
            (
                "MATCH (a:Node {id: $i})-[e:Edge]->(b:Node) RETURN b.id, e.weight",
                "b.id INT64, e.weight DOUBLE",
            ),
            (
                "MATCH (a:Node {id: $i})-[:Edge]->(b:Node)-[:Edge]->(c:Node) RETURN count(*), count(DISTINCT c.id)",
                "count(*) INT64, count(DISTINCT c.id) INT64",
            ),
            (
                "MATCH (a:Node)-[x:Edge]->(b:Node)-[y:Edge]->(c:Node) WHERE a.grp = 3 AND c.grp = 5 AND x.weight < y.weight RETURN count(*)",
                "count(*) INT64",
            ),
            (
                "MATCH (a:Node)-[:Edge]->(b:Node)-[:Edge]->(c:Node), (a)-[:Edge]->(c) WHERE a.grp = 7 AND b.grp = 7 RETURN count(*)",
                "count(*) INT64",
            ),
            (
                "MATCH (a:Node {id: $i})-[:Edge*1..2]->(b:Node) RETURN count(DISTINCT b.id)",
                "count(DISTINCT b.id) INT64",
            ),
            (
                "MATCH p = (a:Node {id: $i})-[:Edge* SHORTEST 1..20]-(b:Node {id: $i}) RETURN length(p)",
                "length(p) INT64",
            ),
            (
                "MATCH p = (a:Node {id: $i})-[:Edge* ALL SHORTEST 1..20]->(b:Node {id: $i}) RETURN count(*), min(length(p))",
                "count(*) INT64, min(length(p)) INT64",
            ),
            (
                "MATCH p = (a:Node {id: $i})-[:Edge* SHORTEST 1..20]->(b:Node) WHERE a.id <> b.id RETURN length(p) AS d, count(*) ORDER BY d",
                "d INT64, count(*) INT64",
            ),
            (
                "MATCH p = (a:Node)-[:Edge* SHORTEST 1..2]->(b:Node) WHERE a.id < $i AND a.id <> b.id RETURN count(*)",
                "count(*) INT64",
            ),
        ],
    );
}

#[test]
fn lsqb() {
    let nodes =
        ["Company", "University", "Country", "City", "Tag", "TagClass", "Forum", "Comment", "Post", "Person"];
    let rels = [
        "City_isPartOf_Country",
        "Comment_hasCreator_Person",
        "Comment_hasTag_Tag",
        "Comment_replyOf_Comment",
        "Comment_replyOf_Post",
        "Forum_containerOf_Post",
        "Forum_hasMember_Person",
        "Person_hasInterest_Tag",
        "Person_isLocatedIn_City",
        "Person_knows_Person",
        "Person_likes_Comment",
        "Person_likes_Post",
        "Post_hasCreator_Person",
        "Post_hasTag_Tag",
        "Tag_hasType_TagClass",
    ];
    let nodes = nodes.map(|node| format!("CREATE NODE TABLE {node}(id INT64, PRIMARY KEY(id))"));
    let rels = rels.map(|rel| {
        let parts: Vec<&str> = rel.split('_').collect();
        format!("CREATE REL TABLE {rel}(FROM {} TO {})", parts[0], parts[2])
    });
    let all: Vec<&str> = nodes.iter().chain(&rels).map(String::as_str).collect();
    let tagged = "(tag1:Tag)<-[:Post_hasTag_Tag|Comment_hasTag_Tag]-(message:Post|Comment)";
    let q4 = format!(
        "MATCH {tagged}, (message)-[:Post_hasCreator_Person|Comment_hasCreator_Person]->(creator:Person), \
         (message)<-[:Person_likes_Comment|Person_likes_Post]-(liker:Person), \
         (message)<-[:Comment_replyOf_Comment|Comment_replyOf_Post]-(comment:Comment) RETURN count(*) AS count"
    );
    let q5 = format!(
        "MATCH {tagged}<-[:Comment_replyOf_Post|Comment_replyOf_Comment]-(comment:Comment)-[:Comment_hasTag_Tag]->(tag2:Tag) \
         WHERE id(tag1) <> id(tag2) RETURN count(*) AS count"
    );
    let counted = "count INT64";
    check_all(
        &catalog_of(&all),
        &[
            (
                "MATCH (:Country)<-[:City_isPartOf_Country]-(:City)<-[:Person_isLocatedIn_City]-(:Person)<-[:Forum_hasMember_Person]-(:Forum)\
                 -[:Forum_containerOf_Post]->(:Post)<-[:Comment_replyOf_Post]-(:Comment)-[:Comment_hasTag_Tag]->(:Tag)-[:Tag_hasType_TagClass]->(:TagClass) RETURN count(*) AS count",
                counted,
            ),
            (
                "MATCH (person1:Person)-[:Person_knows_Person]->(person2:Person), (person1)<-[:Comment_hasCreator_Person]-(comment:Comment)\
                 -[:Comment_replyOf_Post]->(post:Post)-[:Post_hasCreator_Person]->(person2) RETURN count(*) AS count",
                counted,
            ),
            (
                "MATCH (country:Country) MATCH (p1:Person)-[:Person_isLocatedIn_City]->(:City)-[:City_isPartOf_Country]->(country) \
                 MATCH (p2:Person)-[:Person_isLocatedIn_City]->(:City)-[:City_isPartOf_Country]->(country) \
                 MATCH (p3:Person)-[:Person_isLocatedIn_City]->(:City)-[:City_isPartOf_Country]->(country) \
                 MATCH (p1)-[:Person_knows_Person]->(p2)-[:Person_knows_Person]->(p3)-[:Person_knows_Person]->(p1) RETURN count(*) AS count",
                counted,
            ),
            (&q4, counted),
            (&q5, counted),
            (
                "MATCH (p1:Person)-[:Person_knows_Person]->(p2:Person)-[:Person_knows_Person]->(p3:Person)-[:Person_hasInterest_Tag]->(tag:Tag) \
                 WHERE id(p1) <> id(p3) RETURN count(*) AS count",
                counted,
            ),
            (
                "MATCH (:Country)<-[:City_isPartOf_Country]-(:City)<-[:Person_isLocatedIn_City]-(:Person)<-[:Forum_hasMember_Person]-(:Forum)\
                 -[:Forum_containerOf_Post]->(:Post)<-[:Comment_replyOf_Post]-(:Comment)-[:Comment_hasTag_Tag]->(:Tag)-[:Tag_hasType_TagClass]->(k:TagClass) \
                 RETURN k.id AS id, count(*) AS n ORDER BY n DESC, id LIMIT 10",
                "id INT64, n INT64",
            ),
        ],
    );
}
