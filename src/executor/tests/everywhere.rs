//! Every form of a query inside a query, at every place where one may stand, beside what it should be by hand.

use super::graph::{Edge, Graph, How, PLAIN, Person};

const PERSONS: [Person; 5] = [
    (10, None, "Ada"),
    (20, Some(30), "Bob"),
    (30, Some(40), "Cid"),
    (40, Some(50), "Dan"),
    (50, Some(30), "Eve"),
];
const FOLLOWS: [Edge; 6] = [(1, 2, 5), (1, 2, 7), (2, 3, 1), (3, 2, 2), (4, 4, 9), (0, 1, 3)];
const LIKES: [Edge; 3] = [(0, 2, 1), (1, 2, 1), (2, 4, 4)];

/// A person by number, or none for NULL.
type Who = Option<usize>;

fn followed(who: Who) -> Vec<usize> {
    FOLLOWS.iter().filter(|edge| Some(edge.0) == who).map(|edge| edge.1).collect()
}

fn liked(who: Who) -> Vec<usize> {
    LIKES.iter().filter(|edge| Some(edge.0) == who).map(|edge| edge.1).collect()
}

fn followers(who: usize) -> Vec<usize> {
    different(FOLLOWS.iter().filter(|edge| edge.1 == who).map(|edge| edge.0).collect())
}

fn different(mut all: Vec<usize>) -> Vec<usize> {
    all.sort_unstable();
    all.dedup();
    all
}

fn id(who: Who) -> String {
    who.map_or("NULL".to_owned(), |at| PERSONS[at].0.to_string())
}

/// What is made of a form where a number or a truth value is needed; as a truth value it stands for "it is 1".
#[derive(Clone, Copy)]
enum Kind {
    Truth,
    Number,
    List,
}

use Kind::*;

type Form = (Kind, &'static str, fn(Who) -> usize);

/// Queries about the person `$`.
const FORMS: [Form; 20] = [
    (Truth, "EXISTS { ($)-[:Likes]->() }", |who| usize::from(!liked(who).is_empty())),
    (Truth, "NOT ($)-[:Likes]->()", |who| usize::from(liked(who).is_empty())),
    (Truth, "EXISTS { MATCH ($)-[:Follows]->(b) WITH b, count(*) AS n WHERE n > 1 RETURN b }", |who| {
        usize::from(followed(who).len() > different(followed(who)).len())
    }),
    (Truth, "EXISTS { MATCH ($)-[:Follows]->(b) WITH count(*) AS n WHERE n = 0 RETURN n }", |who| {
        usize::from(followed(who).is_empty())
    }),
    (
        Truth,
        "EXISTS { MATCH ($)-[:Follows]->(b) WHERE EXISTS { MATCH (b)-[:Likes]->(d) RETURN DISTINCT d } }",
        |who| usize::from(followed(who).iter().any(|b| !liked(Some(*b)).is_empty())),
    ),
    (
        Truth,
        "EXISTS { MATCH ($)-[:Likes]->(b) RETURN b.id AS i UNION MATCH ($)<-[:Likes]-(b) RETURN b.id AS i }",
        |who| usize::from(LIKES.iter().any(|edge| Some(edge.0) == who || Some(edge.1) == who)),
    ),
    (Truth, "any(y IN [$] WHERE EXISTS { (y)-[:Likes]->() })", |who| usize::from(!liked(who).is_empty())),
    (Number, "COUNT { ($)-[:Follows]->() }", |who| followed(who).len()),
    (Number, "COUNT { MATCH ($)-[:Follows]->(b) WHERE b.age > 45 }", |who| {
        followed(who).iter().filter(|b| PERSONS[**b].1 > Some(45)).count()
    }),
    (Number, "COUNT { MATCH ($)-[:Follows]->(b) RETURN DISTINCT b }", |who| different(followed(who)).len()),
    (Number, "COUNT { MATCH ($)-[:Follows]->(b) WITH b, count(*) AS n WHERE n < 2 RETURN n }", |who| {
        let all = followed(who);
        if all.len() == different(all.clone()).len() { all.len() } else { 0 }
    }),
    (Number, "COUNT { MATCH ($)-[:Follows]->(b) RETURN b ORDER BY b.id LIMIT 1 }", |who| {
        followed(who).len().min(1)
    }),
    (
        Number,
        "COUNT { MATCH ($)-[:Follows]->(b) RETURN b UNION ALL MATCH ($)-[:Likes]->(b) RETURN b }",
        |who| followed(who).len() + liked(who).len(),
    ),
    (
        Number,
        "COUNT { MATCH ($)-[:Follows]->(b) OPTIONAL MATCH (b)-[:Likes]->(d) \
         WHERE COUNT { MATCH (d)<-[:Follows]-(f) RETURN DISTINCT f } > 1 WITH d WHERE d IS NOT NULL RETURN d }",
        |who| {
            let each = |b: &usize| liked(Some(*b)).into_iter().filter(|d| followers(*d).len() > 1).count();
            followed(who).iter().map(each).sum()
        },
    ),
    (
        Number,
        "COUNT { MATCH ($)-[:Follows]->(b) CALL (b) { MATCH (b)-[:Likes]->(d) RETURN count(d) AS n } \
         WITH n WHERE n = 0 RETURN n }",
        |who| followed(who).iter().filter(|b| liked(Some(**b)).is_empty()).count(),
    ),
    (List, "COLLECT { MATCH ($)-[:Follows]->(b) RETURN DISTINCT b.id ORDER BY b.id }", |who| {
        different(followed(who)).len()
    }),
    (List, "COLLECT { MATCH ($)-[:Follows]->(b) RETURN sum(b.age) }", |_| 1),
    (List, "[($)-[:Follows]->(b) | b.name]", |who| followed(who).len()),
    (
        List,
        "[($)-[:Follows]->(b) WHERE COUNT { MATCH (b)<-[:Follows]-(d) RETURN DISTINCT d } > 1 \
         | COUNT { MATCH (b)-[:Likes]->(d) RETURN DISTINCT d }]",
        |who| followed(who).iter().filter(|b| followers(**b).len() > 1).count(),
    ),
    (List, "[y IN COLLECT { MATCH ($)-[:Follows]->(b) RETURN b } WHERE (y)-[:Likes]->() | y.id]", |who| {
        followed(who).iter().filter(|b| !liked(Some(**b)).is_empty()).count()
    }),
];

/// Rows of persons, and what a text makes of them by the number that a form has for each.
type Place = (&'static str, fn(&[Who], &dyn Fn(Who) -> usize) -> Vec<String>);

fn each(rows: &[Who], row: impl Fn(Who) -> Vec<String>) -> Vec<String> {
    rows.iter().flat_map(|who| row(*who)).collect()
}

/// The persons that pass, or NULL where none does.
fn or_null(passing: Vec<usize>) -> Vec<Who> {
    if passing.is_empty() { vec![None] } else { passing.into_iter().map(Some).collect() }
}

/// `#n` is the form's number for the person n, `?n` its truth.
const PLACES: [Place; 24] = [
    ("WITH a WHERE ?a RETURN a.id", |rows, n| {
        each(rows, |who| if n(who) == 1 { vec![id(who)] } else { vec![] })
    }),
    ("WITH a WHERE NOT (?a) OR a.id = 20 RETURN count(*)", |rows, n| {
        vec![rows.iter().filter(|who| n(**who) != 1 || **who == Some(1)).count().to_string()]
    }),
    ("MATCH (a WHERE ?a) RETURN a.id", |rows, n| {
        each(rows, |who| if who.is_some() && n(who) == 1 { vec![id(who)] } else { vec![] })
    }),
    ("RETURN a.id, #a AS n", |rows, n| each(rows, |who| vec![format!("{}|{}", id(who), n(who))])),
    ("RETURN sum(#a) AS n, count(DISTINCT #a) AS d", |rows, n| {
        let all: Vec<usize> = rows.iter().map(|who| n(*who)).collect();
        vec![format!("{}|{}", all.iter().sum::<usize>(), different(all.clone()).len())]
    }),
    ("RETURN #a AS n, count(*) AS times ORDER BY #a", |rows, n| {
        let all: Vec<usize> = rows.iter().map(|who| n(*who)).collect();
        let times = |n: &usize| all.iter().filter(|other| *other == n).count();
        different(all.clone()).iter().map(|n| format!("{n}|{}", times(n))).collect()
    }),
    ("RETURN DISTINCT #a + 1 AS n ORDER BY #a + 1", |rows, n| {
        different(rows.iter().map(|who| n(*who) + 1).collect()).iter().map(usize::to_string).collect()
    }),
    ("WITH a ORDER BY #a DESC, a.id LIMIT 2 RETURN a.id", |rows, n| {
        let mut all = rows.to_vec();
        all.sort_by_key(|who| (std::cmp::Reverse(n(*who)), who.is_none(), *who));
        all.iter().take(2).map(|who| id(*who)).collect()
    }),
    ("RETURN a.id, CASE WHEN ?a THEN #a ELSE -1 END AS n", |rows, n| {
        each(rows, |who| vec![format!("{}|{}", id(who), if n(who) == 1 { "1" } else { "-1" })])
    }),
    ("RETURN a.id, [x IN [1, 2] WHERE x > #a | x] AS l", |rows, n| {
        let above = |who| [1, 2].into_iter().filter(move |x| *x > n(who)).map(|x: usize| x.to_string());
        each(rows, |who| vec![format!("{}|[{}]", id(who), above(who).collect::<Vec<_>>().join(","))])
    }),
    ("WITH collect(a) AS all RETURN [x IN all | #x] AS l, size([x IN all WHERE ?x]) AS s", |rows, n| {
        let all: Vec<usize> = rows.iter().filter(|who| who.is_some()).map(|who| n(*who)).collect();
        let ones = all.iter().filter(|n| **n == 1).count();
        vec![format!("[{}]|{ones}", all.iter().map(usize::to_string).collect::<Vec<_>>().join(","))]
    }),
    (
        "WITH a, [a, null] AS l RETURN a.id, all(x IN l WHERE ?x) AS al, single(x IN l WHERE #x >= 0 AND x IS NOT NULL) AS s",
        |rows, n| {
            each(rows, |who| vec![format!("{}|{}|{}", id(who), n(who) == 1 && n(None) == 1, who.is_some())])
        },
    ),
    ("OPTIONAL MATCH (a)-[:Likes]->(w) WHERE ?w RETURN a.id, w.id", |rows, n| {
        let found = |who| or_null(liked(who).into_iter().filter(|w| n(Some(*w)) == 1).collect());
        each(rows, |who| found(who).into_iter().map(|w| format!("{}|{}", id(who), id(w))).collect())
    }),
    ("OPTIONAL MATCH (w:Person) WHERE w.id > 20 AND #w = #a RETURN a.id, w.id", |rows, n| {
        let found = |who| or_null((2..5).filter(|w| n(Some(*w)) == n(who)).collect());
        each(rows, |who| found(who).into_iter().map(|w| format!("{}|{}", id(who), id(w))).collect())
    }),
    (
        "OPTIONAL MATCH (a)-[:Likes]->(w) WHERE ?w OPTIONAL MATCH (w)-[:Follows]->(y) WHERE NOT (?y) RETURN count(w), count(y), count(*)",
        |rows, n| {
            let (mut ws, mut ys, mut all) = (0, 0, 0);
            for who in rows {
                for w in or_null(liked(*who).into_iter().filter(|w| n(Some(*w)) == 1).collect()) {
                    let found = or_null(followed(w).into_iter().filter(|y| n(Some(*y)) != 1).collect());
                    all += found.len();
                    ws += if w.is_some() { found.len() } else { 0 };
                    ys += found.iter().filter(|y| y.is_some()).count();
                }
            }
            vec![format!("{ws}|{ys}|{all}")]
        },
    ),
    ("UNWIND range(1, #a) AS u RETURN a.id, u", |rows, n| {
        each(rows, |who| (1..=n(who)).map(|u| format!("{}|{u}", id(who))).collect())
    }),
    ("OPTIONAL MATCH (w:Person {id: 10 * #a}) RETURN a.id, w.id", |rows, n| {
        let found = |who| n(who).checked_sub(1).filter(|at| *at < 5);
        each(rows, |who| vec![format!("{}|{}", id(who), id(found(who)))])
    }),
    (
        "CALL (a) { MATCH (a)-[:Follows]->(w) WHERE ?w RETURN count(w) AS c, sum(#w) AS s } RETURN a.id, c, s",
        |rows, n| {
            each(rows, |who| {
                let ones = followed(who).into_iter().filter(|w| n(Some(*w)) == 1).count();
                vec![format!("{}|{ones}|{ones}", id(who))]
            })
        },
    ),
    ("CALL (a) { OPTIONAL MATCH (a)-[:Likes]->(w) WHERE ?w RETURN w } RETURN a.id, w.id", |rows, n| {
        let found = |who| or_null(liked(who).into_iter().filter(|w| n(Some(*w)) == 1).collect());
        each(rows, |who| found(who).into_iter().map(|w| format!("{}|{}", id(who), id(w))).collect())
    }),
    ("CALL (a) { RETURN #a AS n UNION RETURN #a + 1 AS n } RETURN a.id, n", |rows, n| {
        each(rows, |who| (0..2).map(|more| format!("{}|{}", id(who), n(who) + more)).collect())
    }),
    ("WITH a WHERE EXISTS { MATCH (a)-[:Follows]->(w) WHERE ?w AND ?a } RETURN a.id", |rows, n| {
        let has = |who| n(who) == 1 && followed(who).into_iter().any(|w| n(Some(w)) == 1);
        each(rows, |who| if has(who) { vec![id(who)] } else { vec![] })
    }),
    (
        "RETURN a.id, COUNT { MATCH (a)-[:Follows]->(w) WITH w, #w AS v WHERE v <> 1 RETURN DISTINCT w } AS c",
        |rows, n| {
            let others = |who| different(followed(who)).into_iter().filter(|w| n(Some(*w)) != 1).count();
            each(rows, |who| vec![format!("{}|{}", id(who), others(who))])
        },
    ),
    (
        "RETURN a.id, COLLECT { MATCH (a)-[:Follows]->(w) RETURN #w ORDER BY #w } AS l, size([(a)-[:Follows]->(w) WHERE ?w | #w]) AS s",
        |rows, n| {
            each(rows, |who| {
                let mut all: Vec<usize> = followed(who).into_iter().map(|w| n(Some(w))).collect();
                all.sort_unstable();
                let ones = all.iter().filter(|n| **n == 1).count();
                let list = all.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
                vec![format!("{}|[{list}]|{ones}", id(who))]
            })
        },
    ),
    (
        "MATCH p = (a)-[:Follows*1..2]->(w) WHERE all(x IN nodes(p) WHERE ?x) RETURN a.id, length(p), w.id",
        |rows, n| {
            let one = |who: &Who| n(*who) == 1;
            each(rows, |who| {
                let mut found = Vec::new();
                for (first, edge) in FOLLOWS.iter().enumerate().filter(|(_, edge)| Some(edge.0) == who) {
                    if one(&who) && one(&Some(edge.1)) {
                        found.push(format!("{}|1|{}", id(who), id(Some(edge.1))));
                    }
                    for (_, next) in FOLLOWS.iter().enumerate().filter(|(at, _)| *at != first) {
                        if next.0 == edge.1 && [who, Some(edge.1), Some(next.1)].iter().all(one) {
                            found.push(format!("{}|2|{}", id(who), id(Some(next.1))));
                        }
                    }
                }
                found
            })
        },
    ),
];

#[test]
fn every_form_has_its_value_at_every_place() {
    let graph = Graph::new(&PERSONS, &["Ulm"]);
    graph.load_edges("Follows", &FOLLOWS);
    graph.load_edges("Likes", &LIKES);
    let contexts: [(&str, Vec<Who>); 3] = [
        ("MATCH (a:Person)", (0..5).map(Some).collect()),
        (
            "MATCH (z:Person) OPTIONAL MATCH (z)-[:Likes]->(a:Person)",
            vec![Some(2), Some(2), Some(4), None, None],
        ),
        ("UNWIND [20, 20, 70] AS i OPTIONAL MATCH (a:Person {id: i})", vec![Some(1), Some(1), None]),
    ];
    let mut asked = 0;
    // Every form at every place, in one of the contexts.
    let contexts_each = if std::env::var_os("QUIRE_LONG").is_some() { contexts.len() } else { 1 };
    for (at, (kind, form, value)) in FORMS.into_iter().enumerate() {
        for (number, (place, expected)) in PLACES.into_iter().enumerate() {
            for (context, rows) in contexts.iter().cycle().skip(at + number).take(contexts_each) {
                let about = |text: String, name: &str| {
                    let form = form.replace('$', name);
                    let (number, truth) = match kind {
                        Truth => (format!("CASE WHEN {form} THEN 1 ELSE 0 END"), form),
                        Number => (form.clone(), format!("{form} = 1")),
                        List => (format!("size({form})"), format!("size({form}) = 1")),
                    };
                    text.replace(&format!("#{name}"), &number).replace(&format!("?{name}"), &truth)
                };
                let mut text = format!("{context} {place}");
                for name in ["a", "w", "x", "y"] {
                    text = about(text, name);
                }
                let mut expected = expected(rows, &|who| value(who));
                asked += 1;
                let how = How { vector_size: [2048, 3, 2][asked % 3], threads: 1 + asked / 3 % 2, ..PLAIN };
                let mut found = graph.rows(&text, how);
                if !place.contains("ORDER BY #a") {
                    expected.sort();
                    found.sort();
                }
                assert_eq!(found, expected, "{text}");
            }
        }
    }
}
