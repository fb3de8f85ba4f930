//! No query, however nested, may take more than linear time or end the process.

use std::time::{Duration, Instant};

use quiredb::parser::{MAX_DEPTH, MAX_QUERY_DEPTH, parse};

/// Each construct that can hold itself: what opens a level, what stands innermost, what closes a level,
/// and how many levels of brackets or of the tree one repetition takes.
const NESTINGS: &[(&str, &str, &str, usize)] = &[
    ("(", "1", ")", 1),
    ("[", "1", "]", 1),
    ("{a: ", "1", "}", 1),
    ("f(", "1", ")", 1),
    ("g.f(1, ", "1", ")", 1),
    ("l[", "1", "]", 1),
    ("l[1..", "1", "]", 1),
    ("1 + (", "1", ")", 1),
    ("NOT (", "true", ")", 1),
    ("-(", "1", ")", 1),
    ("a = 1 AND (", "true", ")", 1),
    ("a OR b AND c = d + e * f ^ -(", "1", ")", 8),
    ("CASE WHEN ", "1", " THEN 1 END", 1),
    ("CASE WHEN 1 THEN ", "1", " END", 1),
    ("CASE WHEN 1 THEN 2 ELSE ", "1", " END", 1),
    ("CASE ", "1", " WHEN 1 THEN 2 END", 1),
    ("[x IN ", "y", " WHERE x > 1 | x]", 1),
    ("[x IN y WHERE ", "y", " | x]", 1),
    ("[x IN y | ", "y", "]", 1),
    ("[(a)-->(b) WHERE ", "y", " | x]", 1),
    ("[(a)-->(b) | ", "y", "]", 1),
    ("[p = (a {x: ", "1", "})-->(b) | p]", 5),
    ("all(x IN y WHERE ", "x", ")", 1),
    ("any(x IN ", "y", " WHERE x)", 1),
    ("reduce(s = 0, x IN y | ", "s", ")", 1),
    ("CAST(", "s", " AS INT64)", 1),
    ("list_transform(l, x -> ", "x", ")", 1),
    ("n {.a, b: ", "1", "}", 1),
    ("({a: ", "1", "})", 2),
    ("(n {a: ", "1", "})-->()", 2),
    ("(:L {a: ", "1", "})-->()", 2),
    ("()-[{a: ", "1", "}]->()", 2),
    ("(a)-->(b WHERE ", "true", ")", 1),
    ("(a WHERE ", "true", ")-->(b)", 1),
    ("EXISTS { MATCH (a) WHERE ", "true", " }", 1),
    ("EXISTS { (a) WHERE ", "true", " }", 1),
    ("COUNT { MATCH (a {b: ", "1", "}) }", 3),
    ("COLLECT { RETURN ", "1", " AS x }", 1),
    ("(n:A|B {a: ", "1", "})-->()", 2),
    ("(n:(((A))) {a: ", "1", "})-->()", 2),
];

const PREFIX_AND_SUFFIX: &[(&str, &str)] =
    &[("RETURN ", ""), ("MATCH (n) WHERE ", " RETURN n"), ("UNWIND ", " AS x RETURN x ORDER BY x")];

/// Constructs that nest outside of expressions: around them, what opens, innermost, what closes.
const STATEMENTS: &[(&str, &str, &str, &str, &str)] = &[
    ("", "CALL { ", "RETURN 1 AS x", " } RETURN 1 AS x", ""),
    ("", "FOREACH (x IN y | ", "CREATE (n)", ")", ""),
    ("MATCH (n:", "(", "A", ")", ") RETURN n"),
    ("MATCH (n:", "!(A|", "A", ")", ") RETURN n"),
    ("RETURN n:", "(A&", "A", ")", ""),
    ("CREATE NODE TABLE t(a ", "STRUCT(b ", "INT64", ")", ", PRIMARY KEY (a))"),
    ("CREATE NODE TABLE t(a ", "MAP(STRING, ", "INT64", ")", ", PRIMARY KEY (a))"),
    ("COPY t FROM ", "(LOAD FROM ", "'x'", " RETURN *)", ""),
];

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    on_stack(2 << 20, work);
}

fn on_stack(bytes: usize, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(bytes).spawn(work).expect("a thread can start");
    thread.join().expect("the work does not fail");
}

/// Parses, walks the tree by its derived passes, and drops it.
fn exercise(text: &str) -> Duration {
    let start = Instant::now();
    match parse(text) {
        Ok(statements) => {
            let time = start.elapsed();
            let copy = statements.clone();
            assert!(copy == statements);
            assert!(!format!("{statements:?}").is_empty());
            time
        }
        Err(error) => panic!("{error} in {}", &text[..text.len().min(200)]),
    }
}

fn nested(depth: usize, nesting: &(&str, &str, &str, usize), around: &(&str, &str)) -> String {
    let (open, inner, close, _) = nesting;
    format!("{}{}{inner}{}{}", around.0, open.repeat(depth), close.repeat(depth), around.1)
}

#[test]
fn expressions_nest_deep_in_linear_time() {
    on_small_stack(|| {
        for nesting in NESTINGS {
            for around in PREFIX_AND_SUFFIX {
                let time = exercise(&nested(190 / nesting.3, nesting, around));
                assert!(time < Duration::from_millis(500), "{nesting:?} took {time:?}");
            }
        }
    });
}

#[test]
fn expressions_nest_to_the_limit_on_a_small_stack() {
    on_small_stack(|| {
        for nesting in NESTINGS {
            let depth = (MAX_DEPTH - 4) / nesting.3.max(2);
            exercise(&nested(depth, nesting, &PREFIX_AND_SUFFIX[1]));
            // At the very limit the answer may be a refusal, but there is one.
            for depth in [MAX_DEPTH - 2, MAX_DEPTH, MAX_DEPTH + 1, 20_000] {
                let _ = parse(&nested(depth, nesting, &PREFIX_AND_SUFFIX[0]));
            }
        }
    });
}

/// Up to this depth no thread is started for a text, so its parser must get along with the caller's stack.
#[test]
fn shallow_texts_need_little_of_the_stack() {
    on_stack(1 << 20, || {
        for nesting in NESTINGS {
            exercise(&nested(24 / nesting.3.min(3), nesting, &PREFIX_AND_SUFFIX[2]));
        }
    });
}

#[test]
fn statements_nest_to_the_limit_on_a_small_stack() {
    on_small_stack(|| {
        for (before, open, inner, close, after) in STATEMENTS {
            let text =
                |depth: usize| format!("{before}{}{inner}{}{after}", open.repeat(depth), close.repeat(depth));
            assert!(exercise(&text(190)) < Duration::from_millis(500), "{open}");
            let deepest = if open.contains("CALL") || open.contains("FOREACH") || open.contains("LOAD") {
                MAX_QUERY_DEPTH - 2
            } else {
                MAX_DEPTH - 4
            };
            exercise(&text(deepest));
            assert!(parse(&text(MAX_DEPTH + 1)).is_err());
        }
    });
}

#[test]
fn long_chains_are_no_nesting() {
    on_small_stack(|| {
        let or = vec!["n.id = 1"; 5000].join(" OR ");
        exercise(&format!("MATCH (n) WHERE {or} RETURN n"));
        let and = vec!["a < b < c"; 5000].join(" AND ");
        exercise(&format!("MATCH (n) WHERE {and} RETURN n"));
        exercise(&vec!["RETURN 1 AS x"; 2000].join(" UNION "));
        exercise(&format!("RETURN [{}]", vec!["1"; 20_000].join(", ")));
        exercise(&format!("MATCH (a){} RETURN a", "-->()".repeat(5000)));
    });
}

#[test]
fn chains_that_nest_in_the_tree_are_bounded() {
    on_small_stack(|| {
        for sign in [" + ", " - ", " * ", " ^ ", " IN ", " STARTS WITH "] {
            exercise(&format!("RETURN {}", vec!["1"; 400].join(sign)));
            assert!(parse(&format!("RETURN {}", vec!["1"; 4_000].join(sign))).is_err(), "{sign}");
        }
        for sign in ["NOT ", "- ", "+ "] {
            exercise(&format!("RETURN {}1", sign.repeat(400)));
            assert!(parse(&format!("RETURN {}1", sign.repeat(4_000))).is_err(), "{sign}");
        }
        for sign in [".a", "[0]", " IS NULL", ":A"] {
            exercise(&format!("RETURN a{}", sign.repeat(400)));
        }
        for sign in [".a", "[0]", " IS NULL"] {
            assert!(parse(&format!("RETURN a{}", sign.repeat(4_000))).is_err(), "{sign}");
        }
        assert!(parse(&format!("RETURN CAST(a AS INT64{})", "[]".repeat(4_000))).is_err());
        exercise(&format!("MATCH (a:{}A) RETURN a", "!".repeat(4_000)));
    });
}
