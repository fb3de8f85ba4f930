//! What a prepared lookup takes from the allocator once it is warm: its result and nothing else. The allocator is counted,
//! so this is a program of its own with one test.

#![allow(unsafe_code, reason = "an allocator is counted")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use quiredb::{Connection, Database, Params, Statement, params};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what this thread asks it for.
struct Counting;

fn counted() {
    // A thread that ends has no counter any more, and nobody asks for it.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: all calls are handed on as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted();
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer is from `alloc`, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        counted();
        // SAFETY: the pointer is from `alloc`, which is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

fn graph() -> Connection {
    let database = Database::builder().threads(2).in_memory().expect("a database");
    let connection = database.connect().expect("a connection");
    let run = |text: &str| connection.query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    run("CREATE NODE TABLE P(id INT64, age INT64, name STRING, PRIMARY KEY (id))");
    run("CREATE REL TABLE K(FROM P TO P, since INT64)");
    run("UNWIND range(0, 999) AS n CREATE (:P {id: n, age: n % 80, name: 'name ' + string(n)})");
    run("MATCH (a:P), (b:P) WHERE b.id = (a.id * 7 + 1) % 1000 CREATE (a)-[:K {since: a.id}]->(b)");
    run("CHECKPOINT");
    connection
}

/// Allocations of an execution, without those of its parameters; the least of some.
fn of(statement: &Statement, make: impl Fn(i64) -> Params) -> u64 {
    let mut least = u64::MAX;
    for round in 0..200i64 {
        let params = make(round * 37 % 1000);
        let mut result = None;
        let count = allocations(|| result = Some(statement.execute_with(params).expect("it runs")));
        assert_eq!(result.expect("a result").len(), 1);
        least = least.min(count);
    }
    least
}

#[test]
fn a_warm_lookup_allocates_its_result() {
    let connection = graph();
    let lookup = connection.prepare("MATCH (p:P {id: $id}) RETURN p.age").expect("it compiles");
    let wider = connection.prepare("MATCH (p:P {id: $id}) RETURN p.age, p.id, p.name").expect("it compiles");
    let one_hop = connection.prepare("MATCH (p:P {id: $id})-[:K]->(q:P) RETURN q.age").expect("it compiles");
    let by_id = |id: i64| params! { id: id };
    let found = [of(&lookup, by_id), of(&wider, by_id), of(&one_hop, by_id)];
    println!("{found:?}");
    // The column, the list of columns and that of chunks, and the latter two once more as they are handed out.
    assert!(found[0] <= 5, "{found:?}");
    assert!(found[1] <= found[0] + 2, "two columns more: {found:?}");
    // A pipeline is put together for each execution.
    assert!(found[2] <= 48, "{found:?}");
}
