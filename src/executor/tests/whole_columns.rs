//! Columns that are kept whole: what they hold, when they are given up, and that queries find the same with them.

use super::graph::{Graph, How, PLAIN};
use crate::executor::QueryContext;
use crate::storage::memory::{MemoryAccountant, MemoryClass};
use crate::transaction::ReadTransaction;
use crate::types::{DataType, Value};

type Row = (i64, Option<i64>, &'static str);

fn persons() -> Vec<Row> {
    (0..300).map(|id| (id, (id % 3 != 0).then_some(id % 17), NAMES[id as usize * 7 % 5])).collect()
}

const NAMES: [&str; 5] = ["Ada, Countess of Lovelace", "Bob", "Cid", "Ada", ""];

#[test]
fn a_column_is_kept_while_there_is_memory() {
    let persons = persons();
    let graph = Graph::new(&persons, &[]);
    let check = |limit: u64, others: u64, (kept, stays): (bool, bool)| {
        let mut query = QueryContext::new(ReadTransaction::over(graph.snapshot()));
        let memory = MemoryAccountant::new(limit);
        query.own_memory = Some(memory.clone());
        let table = query.transaction.node_table(graph.person).unwrap();
        let age = table.layout().columns[1].id;
        let mut context = query.worker().unwrap();
        let mut get = || query.whole_columns.get(&table, age, &DataType::Int64, &mut context).unwrap();
        let whole = get();
        assert_eq!(whole.is_some(), kept, "of {limit} bytes");
        let Some(whole) = whole else { return };
        let values = whole.values.vector();
        for (row, (_, age, _)) in persons.iter().enumerate() {
            assert_eq!(
                values.value(row, &DataType::Int64),
                age.map_or(Value::Null, Value::Int64),
                "row {row}"
            );
        }
        drop(whole);
        assert!(memory.stats().total.used >= 300 * 8);
        let mut held = memory.reservation(MemoryClass::Operators);
        held.force(others);
        assert_eq!(query.whole_columns.are_given_up(&query), !stays);
        assert_eq!(get().is_some(), stays, "beside {others} bytes of others");
        assert_eq!(memory.stats().total.used > others, stays);
    };
    check(1 << 20, 1 << 10, (true, true));
    check(1 << 20, 1 << 20, (true, false));
    check(1 << 14, 0, (false, false));
}

/// Many ways through a small table, so that each of its rows is asked for again and again.
#[test]
fn queries_find_the_same_in_columns_that_are_kept() {
    let graph = Graph::new(&persons(), &["Ulm"]);
    let edges: Vec<(usize, usize, i64)> = (0..2400)
        .map(|at| (at % 300, at * 31 % 300 + at / 300 % 2, at as i64 % 23))
        .filter(|e| e.1 < 300)
        .collect();
    graph.load_edges("Follows", &edges);
    let check = |text: &str| {
        let expected = graph.rows(text, PLAIN);
        let kept = graph.counter(text, "columns_kept");
        assert!(kept > 0, "no column is kept in {text}");
        for (vector_size, threads) in [(3, 1), (3, 2), (64, 2), (2048, 2)] {
            let how = How { vector_size, threads, ..PLAIN };
            assert_eq!(graph.rows(text, how), expected, "{text} with {vector_size} rows a batch");
        }
    };
    check(
        "MATCH (a:Person)-[:Follows]->(b:Person)-[:Follows]->(c:Person) WHERE a.name = c.name RETURN count(*)",
    );
    check(
        "MATCH (a:Person)-[:Follows]->(b)-[:Follows]->(c) WHERE a.age < c.age RETURN max(a.age + c.age), min(c.name)",
    );
    check(
        "MATCH (a:Person)-[:Follows]->(b)-[:Follows]->(c) WHERE a.age < c.age RETURN c.name AS n, count(*) AS k, sum(a.age) ORDER BY n, k",
    );
    check(
        "MATCH (a:Person)-[:Follows]->(b)-[f:Follows]->(c) WHERE a.age + f.weight = c.age RETURN a.name, c.name, f.weight",
    );
}
