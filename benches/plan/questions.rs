//! Queries of ten lines, as people write them, over a social network.

/// A name and a text.
pub const QUESTIONS: [(&str, &str); 8] = [
    (
        "long pattern",
        "MATCH (a:Person {id: 933})
      -[:knows]->(b:Person)
      -[:knows]->(c:Person)
      <-[:hasCreator]-(p:Post)
      -[:hasTag]->(t:Tag),
      (c)-[:isLocatedIn]->(city:Place)
      -[:isPartOf]->(country:Place)
WHERE b.firstName = 'Jan' AND p.length > 40
  AND country.name STARTS WITH 'B'
RETURN a.id, c.lastName, p.content, t.name, city.name",
    ),
    (
        "pipeline of WITH",
        "MATCH (p:Person)-[:knows]->(f:Person)
WHERE p.birthday < date('1990-01-01')
WITH p, count(f) AS friends
WHERE friends > 3
MATCH (p)<-[:hasCreator]-(post:Post)
WITH p, friends, count(post) AS posts, max(post.length) AS longest
WHERE posts > 1
RETURN p.firstName + ' ' + p.lastName AS name, friends, posts, longest
ORDER BY friends DESC, posts DESC, name
LIMIT 20",
    ),
    (
        "optional and exists",
        "MATCH (p:Person)-[k:knows]->(f:Person)
WHERE p.id = 933
  AND EXISTS { MATCH (f)-[:isLocatedIn]->(:Place {name: 'Bern'}) }
OPTIONAL MATCH (f)<-[:hasCreator]-(post:Post)
WHERE post.length > 100
WITH p, f, k, count(post) AS posts
WHERE posts > 0 OR NOT EXISTS { (f)-[:knows]->(p) }
RETURN f.firstName AS first, f.lastName AS last, k.since AS since, posts
ORDER BY posts DESC, last
LIMIT 10",
    ),
    (
        "aggregation",
        "MATCH (t:Tag)<-[:hasTag]-(post:Post)-[:hasCreator]->(p:Person)
MATCH (p)-[:isLocatedIn]->(city:Place)-[:isPartOf]->(country:Place)
WHERE post.created >= timestamp('2010-01-01 00:00:00')
  AND post.created < timestamp('2012-01-01 00:00:00')
  AND country.name IN ['Switzerland', 'Germany', 'Austria']
WITH country, t, count(DISTINCT p) AS people, avg(post.length) AS length,
     sum(CASE WHEN post.length > 100 THEN 1 ELSE 0 END) AS long
RETURN country.name AS country, t.name AS tag, people, length, long
ORDER BY people DESC, tag
LIMIT 20",
    ),
    (
        "recursion",
        "MATCH (p:Person {id: 933})-[:knows*1..3]-(f:Person)
WHERE f.firstName = $name
WITH DISTINCT p, f
MATCH path = shortestPath((p)-[:knows*..4]-(f))
MATCH (f)-[:isLocatedIn]->(city:Place)
OPTIONAL MATCH (f)-[w:workAt]->(o:Organisation)
WITH f, city, length(path) AS distance, collect(o.name) AS places
RETURN f.id AS id, f.lastName AS last, distance, city.name AS city, places
ORDER BY distance, last, id
LIMIT 20",
    ),
    (
        "cycle",
        "MATCH (a:Person)-[:knows]->(b:Person)-[:knows]->(c:Person),
      (a)-[:knows]->(c),
      (a)-[:isLocatedIn]->(x:Place)-[:isPartOf]->(country:Place),
      (b)-[:isLocatedIn]->(y:Place)-[:isPartOf]->(country),
      (c)-[:isLocatedIn]->(z:Place)-[:isPartOf]->(country)
WHERE a.id < b.id
  AND b.id < c.id
  AND country.name = $country
RETURN count(*) AS triangles,
       count(DISTINCT a) AS people",
    ),
    (
        "two branches",
        "MATCH (p:Person {id: $id})-[:knows]-(f:Person)<-[:hasCreator]-(m:Post)
WHERE m.created <= $until AND m.content IS NOT NULL
RETURN f.id AS person, f.firstName AS first, m.id AS message, m.created AS day
ORDER BY day DESC, message
LIMIT 20
UNION ALL
MATCH (p:Person {id: $id})-[:knows]-(f:Person)<-[:likes]-(m:Post)
WHERE m.created <= $until
RETURN f.id AS person, f.firstName AS first, m.id AS message, m.created AS day
LIMIT 20",
    ),
    (
        "lists and counts",
        "MATCH (f:Forum)-[:containerOf]->(post:Post)-[:hasTag]->(t:Tag)
WHERE size(t.name) > 3 AND NOT t.name ENDS WITH 's'
WITH f, collect(DISTINCT t.name) AS tags, count(*) AS uses
WHERE any(x IN tags WHERE x STARTS WITH 'A')
UNWIND tags AS tag
WITH f, tag, uses, COUNT { (f)-[:hasMember]->(:Person) } AS members
WITH tag, sum(members) AS members, collect(f.title)[0..3] AS titles
RETURN tag, members, [x IN titles | upper(x)] AS titles
ORDER BY members DESC, tag
LIMIT 5",
    ),
];

/// The tables that they ask, each with the lines of its file.
pub const TABLES: [(&str, u64, &str); 16] = [
    (
        "CREATE NODE TABLE Person(id INT64 PRIMARY KEY, firstName STRING, lastName STRING, birthday DATE)",
        2000,
        "#,name%17,surname%301,19@9@9-0@9-1@9",
    ),
    ("CREATE NODE TABLE Place(id INT64 PRIMARY KEY, name STRING)", 200, "#,place%150"),
    ("CREATE NODE TABLE Organisation(id INT64 PRIMARY KEY, name STRING)", 100, "#,office%100"),
    ("CREATE NODE TABLE Tag(id INT64 PRIMARY KEY, name STRING)", 500, "#,tag%500"),
    ("CREATE NODE TABLE Forum(id INT64 PRIMARY KEY, title STRING)", 300, "#,forum%300"),
    (
        "CREATE NODE TABLE Post(id INT64 PRIMARY KEY, content STRING, length INT64, created TIMESTAMP)",
        8000,
        "#,text%4000,%200,201@2-0@9-1@9 0@9:00:00",
    ),
    ("CREATE REL TABLE knows(FROM Person TO Person, since DATE)", 20_000, "%2000,%2000,200@9-0@9-1@9"),
    ("CREATE REL TABLE likes(FROM Person TO Post, since DATE)", 20_000, "%2000,%8000,200@9-0@9-1@9"),
    ("CREATE REL TABLE hasCreator(FROM Post TO Person)", 8000, "#,%2000"),
    ("CREATE REL TABLE hasTag(FROM Post TO Tag)", 16_000, "%8000,%500"),
    ("CREATE REL TABLE containerOf(FROM Forum TO Post)", 8000, "%300,#"),
    ("CREATE REL TABLE hasMember(FROM Forum TO Person)", 6000, "%300,%2000"),
    ("CREATE REL TABLE workAt(FROM Person TO Organisation, since INT64)", 1500, "%2000,%100,19@9@9"),
    ("CREATE REL TABLE studyAt(FROM Person TO Organisation, since INT64)", 1000, "%2000,%100,19@9@9"),
    ("CREATE REL TABLE isLocatedIn(FROM Person TO Place)", 2000, "#,%200"),
    ("CREATE REL TABLE isPartOf(FROM Place TO Place)", 200, "#,%40"),
];
