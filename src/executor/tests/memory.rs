//! What a query does where its memory is short, beside the rows that it answers with.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::graph::{Graph, PLAIN};
use crate::executor::rows::Rows;
use crate::executor::summaries::Summaries;
use crate::executor::{ExecutionError, QueryContext, QueryProgress, execute};
use crate::storage::StorageError;
use crate::storage::memory::MemoryAccountant;
use crate::transaction::ReadTransaction;

const COUNTS: &str = "MATCH (a:Person)-[:Follows]->(b)-[:Follows]->(c) RETURN count(*)";

fn graph() -> Graph {
    let graph = Graph::new(&[(10, None, "Ada"), (20, Some(30), "Bob"), (30, Some(40), "Cid")], &[]);
    graph.load_edges("Follows", &[(1, 2, 5), (1, 2, 7), (2, 1, 1)]);
    graph
}

#[test]
fn a_plan_without_arrays_is_tried_only_where_it_may_help() {
    const LIMIT: u64 = 8 << 20;
    let mut query = QueryContext::new(ReadTransaction::over(graph().snapshot()));
    query.own_memory = Some(MemoryAccountant::new(LIMIT));
    let out_of_memory = |operator: &str, needed: u64| {
        let operator = operator.to_owned();
        ExecutionError::from(StorageError::OutOfMemory { operator, needed, limit: LIMIT })
    };
    let check = |error: &ExecutionError, expected: bool| {
        query.note_end(error);
        assert_eq!(query.may_do_without_arrays(error), expected, "{error}");
    };
    check(&out_of_memory("passing counts along relationships", 1), true);
    check(&out_of_memory("CountJoin", 1), true);
    // Nothing but the rows themselves is held.
    check(&out_of_memory("collecting rows", 1), false);
    check(&ExecutionError::Interrupted, false);
    check(&StorageError::PoolTooSmall { limit: LIMIT, needed: 1, waited_ms: 0 }.into(), false);
    // Little is held by arrays.
    let mut arrays = query.account_of_arrays();
    arrays.force(LIMIT / 100);
    check(&out_of_memory("collecting rows", 1), false);
    // Much of it is, but what is missed is more.
    arrays.force(LIMIT / 4);
    check(&out_of_memory("collecting rows", LIMIT / 3), false);
    check(&out_of_memory("collecting rows", LIMIT / 5), true);
    drop(arrays);
    // What was given back before the error does not count, what is noted of the same end does.
    assert!(query.may_do_without_arrays(&out_of_memory("Sort", 1)));
    let again = query.without_arrays(&graph().plan(COUNTS, PLAIN));
    assert!(!again.may_do_without_arrays(&out_of_memory("Sort", 1)));
}

#[test]
fn progress_goes_on_where_a_query_begins_again() {
    let graph = graph();
    let (first, second) = (graph.plan(COUNTS, PLAIN), graph.plan("MATCH (a:Person) RETURN a.id", PLAIN));
    let mut query = QueryContext::new(ReadTransaction::over(graph.snapshot()));
    let progress = Arc::new(QueryProgress::of(&first, None));
    query.progress = Some(Arc::clone(&progress));
    execute(&first, &query).expect("it runs");
    let before = progress.read();
    let again = query.without_arrays(&second);
    assert!(Arc::ptr_eq(again.progress.as_ref().expect("it is told"), &progress));
    assert_eq!((progress.read().done, progress.read().total), (before.done, before.total));
    execute(&second, &again).expect("it runs");
    let after = progress.read();
    assert!(after.rows > before.rows && after.done >= before.done, "{before:?} {after:?}");
    assert!(after.done <= after.total && after.total == before.total, "{before:?} {after:?}");
    progress.finish();
    assert_eq!(progress.read().done, after.total);
}

#[test]
fn an_interrupt_is_met_while_summaries_are_collected() {
    let graph = graph();
    let query = QueryContext::new(ReadTransaction::over(graph.snapshot()));
    let person = query.transaction.catalog().node_table("Person").expect("the table").id;
    let rows = Rows::open(person, &query).expect("it opens");
    assert!(rows.table().group_count() > 0);
    assert!(Summaries::of(&rows, &[], &query).is_ok());
    query.interrupt.store(true, Ordering::Relaxed);
    let ended = Summaries::of(&rows, &[], &query).err();
    assert!(matches!(ended, Some(ExecutionError::Interrupted)), "{ended:?}");
}
