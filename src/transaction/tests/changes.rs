//! One and several writing transactions against what they mean.

use super::*;
use crate::transaction::Deleted;

fn graph() -> Graph {
    Graph::new(&SimulatedBackend::new(1))
}

#[track_caller]
fn check_refused<T>(outcome: WriteResult<T>, expected: &str) {
    let error = outcome.err().expect("the write is refused").to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn own_changes_are_seen_before_and_by_all_after_the_commit() {
    let graph = graph();
    let mut transaction = graph.begin();
    let first = graph.insert(&mut transaction, &[10, 20]).unwrap();
    let view = transaction.view();
    assert_eq!(graph.find(&view, 20), Some(first + 1));
    assert_eq!(graph.find(&graph.read(), 20), None);
    graph.set(&mut transaction, "name", first, Value::String("new".to_owned())).unwrap();
    assert_eq!(graph.value(&view, "name", first), Value::String("name 10".to_owned()));
    assert_eq!(graph.value(&transaction.view(), "name", first), Value::String("new".to_owned()));
    assert_eq!(graph.value(&transaction.view(), "number", first + 1), Value::Int64(1));
    let before = graph.read();
    let version = transaction.commit().unwrap();
    assert_eq!(version, before.version() + 1);
    assert_eq!(graph.find(&before, 10), None);
    let after = graph.read();
    assert_eq!((graph.find(&after, 10), after.version()), (Some(first), version));
    assert_eq!(after.node_table(graph.person).unwrap().row_count(), 2);
}

#[test]
fn what_is_not_committed_leaves_nothing() {
    let graph = graph();
    let mut transaction = graph.begin();
    let first = graph.insert(&mut transaction, &[1]).unwrap();
    transaction.rollback();
    let mut transaction = graph.begin();
    assert_eq!(graph.insert(&mut transaction, &[1]).unwrap(), first);
    let savepoint = transaction.savepoint();
    graph.insert(&mut transaction, &[2]).unwrap();
    transaction.rollback_to(savepoint);
    assert_eq!(graph.find(&transaction.view(), 2), None);
    assert_eq!(graph.find(&transaction.view(), 1), Some(first));
    graph.insert(&mut transaction, &[2]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(graph.read().node_table(graph.person).unwrap().row_count(), 2);
    assert_eq!(graph.engine.intents().open_transactions(), 0);
}

#[test]
fn constraints_name_what_they_refuse() {
    let graph = graph();
    let mut transaction = graph.begin();
    let first = graph.insert(&mut transaction, &[1, 2]).unwrap();
    check_refused(graph.insert(&mut transaction, &[3, 1]), "primary key 1 already");
    check_refused(graph.insert(&mut transaction, &[3, 3]), "primary key 3 already");
    assert_eq!(graph.find(&transaction.view(), 3), None);
    let nobody = buffer(DataType::Int64, [Value::Null]);
    let name = buffer(DataType::String, [Value::String("x".to_owned())]);
    let columns = [(graph.column("id"), nobody.vector()), (graph.column("name"), name.vector())];
    check_refused(transaction.insert_nodes(graph.person, &columns, 1), "cannot be NULL");
    check_refused(transaction.insert_nodes(graph.person, &columns[1..], 1), "cannot be NULL");
    check_refused(graph.set(&mut transaction, "name", first, Value::Null), "Person.name cannot be NULL");
    graph.set(&mut transaction, "mail", first, Value::String("a@b".to_owned())).unwrap();
    graph.set(&mut transaction, "mail", first, Value::String("a@b".to_owned())).unwrap();
    check_refused(
        graph.set(&mut transaction, "mail", first + 1, Value::String("a@b".to_owned())),
        "the value a@b of the UNIQUE column Person.mail",
    );
    check_refused(graph.set(&mut transaction, "id", first + 1, Value::Int64(1)), "primary key 1 already");
    transaction.commit().unwrap();
}

#[test]
fn keys_move_and_come_back() {
    let graph = graph();
    let mut transaction = graph.begin();
    let first = graph.insert(&mut transaction, &[14, 24]).unwrap();
    graph.set(&mut transaction, "id", first + 1, Value::Int64(44)).unwrap();
    transaction.commit().unwrap();
    let mut transaction = graph.begin();
    check_refused(graph.set(&mut transaction, "id", first, Value::Int64(44)), "primary key 44 already");
    graph.set(&mut transaction, "id", first, Value::Int64(24)).unwrap();
    transaction.commit().unwrap();
    let view = graph.read();
    let found = [14, 24, 44].map(|id| graph.find(&view, id));
    assert_eq!(found, [None, Some(first), Some(first + 1)]);
    // Two rows change places within one call.
    let mut transaction = graph.begin();
    let swapped = buffer(DataType::Int64, [Value::Int64(44), Value::Int64(24)]);
    transaction.update(graph.person, graph.column("id"), &[first, first + 1], &swapped.vector()).unwrap();
    transaction.commit().unwrap();
    let view = graph.read();
    assert_eq!([24, 44].map(|id| graph.find(&view, id)), [Some(first + 1), Some(first)]);
    let mut transaction = graph.begin();
    transaction.delete_nodes(graph.person, &[first], false).unwrap();
    let again = graph.insert(&mut transaction, &[44]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(graph.find(&graph.read(), 44), Some(again));
}

#[test]
fn the_first_writer_wins() {
    let graph = graph();
    let mut setup = graph.begin();
    let first = graph.insert(&mut setup, &[1, 2, 3]).unwrap();
    setup.commit().unwrap();
    let check = |a: &dyn Fn(&mut WriteTransaction),
                 b: &dyn Fn(&mut WriteTransaction) -> WriteResult<()>,
                 conflict: bool| {
        for committed in [false, true] {
            let (mut one, mut two) = (graph.begin(), graph.begin());
            a(&mut one);
            let mut open = Some(one);
            if committed {
                // Rolled back in place of committed, nothing would be in the way.
                let savepoint = open.take().unwrap();
                savepoint.commit().unwrap();
            }
            let outcome = b(&mut two);
            assert_eq!(outcome.is_err(), conflict);
            if let Err(error) = outcome {
                assert!(error.is_retryable());
                assert_eq!(error.holder().is_some(), !committed);
            }
        }
    };
    let set = |row: u64| {
        let graph = &graph;
        move |transaction: &mut WriteTransaction| {
            graph.set(transaction, "name", first + row, Value::String("x".to_owned()))
        }
    };
    check(&|one| set(0)(one).unwrap(), &set(0), true);
    check(&|one| set(0)(one).unwrap(), &set(1), false);
    let link = |transaction: &mut WriteTransaction| {
        graph.link(transaction, graph.knows, first, first + 1).map(|_| ())
    };
    check(&|one| link(one).unwrap(), &link, false);
    check(&|one| link(one).unwrap(), &|two| two.delete_nodes(graph.person, &[first], true).map(|_| ()), true);
    let own = |transaction: &mut WriteTransaction| {
        graph.link(transaction, graph.owns, first + 2, first).map(|_| ())
    };
    let mut one = graph.begin();
    own(&mut one).unwrap();
    let mut two = graph.begin();
    assert!(own(&mut two).unwrap_err().is_retryable());
    one.commit().unwrap();
    drop(two);
    check_refused(own(&mut graph.begin()), "one outgoing relationship of type OWNS only");
    let insert = |transaction: &mut WriteTransaction| graph.insert(transaction, &[99]).map(|_| ());
    let (mut one, mut two) = (graph.begin(), graph.begin());
    insert(&mut one).unwrap();
    assert!(insert(&mut two).unwrap_err().is_retryable());
    one.rollback();
    insert(&mut two).unwrap();
}

#[test]
fn nodes_go_with_or_without_their_relationships() {
    let graph = graph();
    let mut transaction = graph.begin();
    let first = graph.insert(&mut transaction, &[1, 2, 3]).unwrap();
    graph.link(&mut transaction, graph.knows, first, first + 1).unwrap();
    graph.link(&mut transaction, graph.knows, first, first).unwrap();
    graph.link(&mut transaction, graph.owns, first + 2, first).unwrap();
    transaction.commit().unwrap();
    let mut transaction = graph.begin();
    check_refused(
        transaction.delete_nodes(graph.person, &[first + 1], false),
        "still has relationships of type KNOWS",
    );
    let rows = [first, first, first + 1];
    let deleted = transaction.delete_nodes(graph.person, &rows, true).unwrap();
    assert_eq!(deleted, Deleted { nodes: 2, rels: 3 });
    assert_eq!(transaction.delete_nodes(graph.person, &rows, true).unwrap(), Deleted::default());
    transaction.commit().unwrap();
    let view = graph.read();
    assert_eq!(view.node_table(graph.person).unwrap().row_count(), 1);
    assert_eq!(view.rel_table(graph.knows).unwrap().row_count(), 0);
    assert_eq!([1, 2, 3].map(|id| graph.find(&view, id)), [None, None, Some(first + 2)]);
}

#[test]
fn definitions_wait_for_writers_and_writers_for_them() {
    let graph = graph();
    let mut lazy =
        WriteTransaction::begin(&graph.engine, WriteOptions { lazy: true, ..WriteOptions::default() })
            .unwrap();
    let mut open = graph.begin();
    graph.insert(&mut open, &[1]).unwrap();
    assert!(graph.engine.begin_write(Some(Duration::from_millis(10))).is_err());
    open.commit().unwrap();
    let turn = graph.engine.begin_write(None).unwrap();
    let wait = Some(Duration::from_millis(10));
    assert!(
        WriteTransaction::begin(&graph.engine, WriteOptions { wait, ..WriteOptions::default() }).is_err()
    );
    let mut catalog = (**turn.snapshot().catalog()).clone();
    let table = NewNodeTable {
        name: "Other".to_owned(),
        columns: vec![NewColumn::new("id", DataType::Int64)],
        primary_key: vec!["id".to_owned()],
        open: false,
    };
    catalog.create_node_table(table).unwrap();
    turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).unwrap();
    check_refused(graph.insert(&mut lazy, &[2]), "began too long ago");
    assert_eq!(graph.read().node_table(graph.person).unwrap().row_count(), 1);
    graph.insert(&mut graph.begin(), &[2]).unwrap();
}

#[test]
fn commits_are_there_after_a_crash() {
    let disk = SimulatedBackend::new(5);
    let graph = Graph::new(&disk);
    let mut first = 0;
    for id in 0..20 {
        let mut transaction = graph.begin();
        let row = graph.insert(&mut transaction, &[id]).unwrap();
        if id == 0 {
            first = row;
        }
        graph.link(&mut transaction, graph.knows, row, first).unwrap();
        graph.set(&mut transaction, "mail", row, Value::String(format!("{id}@home"))).unwrap();
        transaction.commit().unwrap();
    }
    let version = graph.read().version();
    for _ in 0..3 {
        let disk = disk.crash();
        let again = Graph::over(Engine::open(&disk, &options()).unwrap());
        let view = again.read();
        assert_eq!(view.version(), version);
        assert_eq!(view.node_table(again.person).unwrap().row_count(), 20);
        assert_eq!(view.rel_table(again.knows).unwrap().row_count(), 20);
        let row = again.find(&view, 7).unwrap();
        assert_eq!(again.value(&view, "mail", row), Value::String("7@home".to_owned()));
        let mut transaction = again.begin();
        check_refused(again.insert(&mut transaction, &[7]), "primary key 7 already");
        let row = again.insert(&mut transaction, &[20]).unwrap();
        assert_eq!(again.value(&transaction.view(), "number", row), Value::Int64(20));
        transaction.commit().unwrap();
        let twice = Graph::over(Engine::open(&disk.crash(), &options()).unwrap());
        assert_eq!(twice.read().version(), version + 1);
        assert_eq!(twice.find(&twice.read(), 20), Some(row));
    }
}

#[test]
fn rows_of_slow_transactions_find_their_places_behind_checkpoints() {
    let graph = graph();
    let (mut slow, mut given_up) = (graph.begin(), graph.begin());
    graph.insert(&mut slow, &[1, 2, 3]).unwrap();
    graph.insert(&mut given_up, &[11, 12]).unwrap();
    let mut quick = graph.begin();
    graph.insert(&mut quick, &[4, 5]).unwrap();
    quick.commit().unwrap();
    given_up.rollback();
    graph.engine.checkpoint().unwrap();
    assert_eq!(graph.content(&graph.read()).rows.len(), 2);
    slow.commit().unwrap();
    assert_eq!(graph.content(&graph.read()).rows.len(), 5);
    graph.engine.checkpoint().unwrap();
    assert_eq!(graph.content(&graph.read()).rows.len(), 5);
    assert!(graph.engine.check().unwrap().is_sound());
}

#[test]
fn conflicts_are_found_across_checkpoints() {
    let graph = graph();
    let mut setup = graph.begin();
    let first = graph.insert(&mut setup, &[1, 2]).unwrap();
    setup.commit().unwrap();
    let (mut deleting, mut linking, mut renaming) = (graph.begin(), graph.begin(), graph.begin());
    deleting.delete_nodes(graph.person, &[first], true).unwrap();
    deleting.commit().unwrap();
    graph.engine.checkpoint().unwrap();
    assert!(graph.link(&mut linking, graph.knows, first + 1, first).unwrap_err().is_retryable());
    let name = Value::String("x".to_owned());
    assert!(graph.set(&mut renaming, "name", first, name).unwrap_err().is_retryable());
    drop((linking, renaming));
    graph.content(&graph.read());
}

#[test]
fn serial_numbers_go_on_behind_checkpoints() {
    let disk = SimulatedBackend::new(2);
    let graph = Graph::new(&disk);
    let number = |graph: &Graph, id: i64| {
        let view = graph.read();
        graph.value(&view, "number", graph.find(&view, id).unwrap())
    };
    let add = |graph: &Graph, id: i64| {
        let mut writer = graph.begin();
        graph.insert(&mut writer, &[id]).unwrap();
        writer.commit().unwrap();
    };
    let mut slow = graph.begin();
    graph.insert(&mut slow, &[100, 101]).unwrap();
    add(&graph, 1);
    let mut gone = graph.begin();
    let row = graph.insert(&mut gone, &[2]).unwrap();
    gone.delete_nodes(graph.person, &[row], false).unwrap();
    gone.commit().unwrap();
    graph.engine.checkpoint().unwrap();
    add(&graph, 3);
    slow.commit().unwrap();
    graph.engine.checkpoint().unwrap();
    add(&graph, 4);
    let graph = Graph::over(Engine::open(&disk.crash(), &options()).unwrap());
    add(&graph, 5);
    let mut numbers: Vec<Value> = [100, 101, 1, 3, 4, 5].map(|id| number(&graph, id)).to_vec();
    numbers.dedup();
    assert_eq!(numbers, [0, 1, 2, 4, 5, 6].map(Value::Int64));
}

/// Commits that nobody reads are merged into the level some at once; what somebody has read is merged already.
#[test]
fn commits_are_merged_some_at_once_and_read_as_they_came() {
    let graph = graph();
    let merges = || graph.engine.storage_stats().unwrap().level_merges;
    let add = |id: i64| {
        let mut transaction = graph.begin();
        graph.insert(&mut transaction, &[id]).unwrap();
        transaction.commit().unwrap();
    };
    (0..81).for_each(add);
    assert_eq!(merges(), 10);
    let mut again = graph.begin();
    assert!(graph.insert(&mut again, &[80]).is_err(), "a key that only a recent commit has");
    drop(again);
    assert_eq!(graph.content(&graph.read()).rows.len(), 81);
    for id in 81..121 {
        let before = graph.read();
        add(id);
        assert_eq!((graph.find(&before, id), graph.find(&graph.read(), id)), (None, Some(id as u64)));
    }
    assert_eq!(merges(), 10);
    assert_eq!(graph.content(&graph.read()).rows.len(), 121);
}
