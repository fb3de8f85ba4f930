//! Random commits, snapshots and reopenings against maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::storage::state::Snapshot;

#[derive(Debug, Clone)]
enum Step {
    CreateTable,
    /// Table (by position), groups with markers; none empties a group.
    Put(usize, Vec<(u64, Option<u64>)>),
    Drop(usize),
    Abandon(usize, u64),
    Hold,
    LetGo(usize),
    Reopen,
}

type Tables = BTreeMap<TableId, BTreeMap<u64, u64>>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = prop_oneof![4 => 0..6u64, 2 => 80..90u64, 1 => Just(7300u64)];
    let marker = prop_oneof![4 => (0..1000u64).prop_map(Some), 1 => Just(None)];
    let groups = prop::collection::btree_map(group, marker, 1..6).prop_map(|map| map.into_iter().collect());
    let step = prop_oneof![
        2 => Just(Step::CreateTable),
        8 => (0..4usize, groups).prop_map(|(table, groups)| Step::Put(table, groups)),
        1 => (0..4usize).prop_map(Step::Drop),
        1 => (0..4usize, 0..9u64).prop_map(|(table, marker)| Step::Abandon(table, marker)),
        2 => Just(Step::Hold),
        2 => (0..3usize).prop_map(Step::LetGo),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..24)
}

fn verify(state: &State, tables: &Tables) {
    assert_eq!(state.catalog().node_tables().len(), tables.len());
    for (table, groups) in tables {
        for group in [0, 1, 2, 3, 4, 5, 80, 84, 85, 86, 89, 7300] {
            group_has(state, *table, group, groups.get(&group).copied()).unwrap();
        }
    }
}

fn drop_table(engine: &Arc<Engine>, table: TableId) {
    let turn = engine.begin_write(None).unwrap();
    let mut catalog = (**turn.snapshot().catalog()).clone();
    let name = catalog.node_table_by_id(table).unwrap().name.clone();
    let dropped = catalog.drop_table(&name).unwrap().ids;
    turn.commit(CommitChanges { catalog: Some(catalog), dropped, ..CommitChanges::default() }).unwrap();
}

fn run(steps: &[Step]) {
    let backend = MemoryBackend::new();
    let mut engine = open(&backend);
    let mut tables = Tables::new();
    let mut held: Vec<(Snapshot, Tables)> = Vec::new();
    for step in steps {
        let nth = |at: usize| tables.keys().nth(at % tables.len().max(1)).copied();
        match step {
            Step::CreateTable => {
                let number = engine.snapshot().catalog().next_table_id();
                tables.insert(commit_table(&engine, &format!("T{number}")).unwrap(), BTreeMap::new());
            }
            Step::Put(at, groups) => {
                let Some(table) = nth(*at) else { continue };
                commit_groups(&engine, table, groups).unwrap();
                let known = tables.entry(table).or_default();
                for (group, marker) in groups {
                    match marker {
                        Some(marker) => known.insert(*group, *marker),
                        None => known.remove(group),
                    };
                }
            }
            Step::Drop(at) => {
                let Some(table) = nth(*at) else { continue };
                drop_table(&engine, table);
                tables.remove(&table);
            }
            Step::Abandon(at, marker) => {
                let Some(table) = nth(*at) else { continue };
                let turn = engine.begin_write(None).unwrap();
                write_group(turn.batch().unwrap(), table, 0, *marker).unwrap();
            }
            Step::Hold => held.push((engine.snapshot(), tables.clone())),
            Step::LetGo(at) if *at < held.len() => drop(held.swap_remove(*at)),
            Step::LetGo(_) => {}
            Step::Reopen => {
                held.clear();
                drop(engine);
                engine = open(&backend);
            }
        }
        verify(&engine.snapshot(), &tables);
        assert_eq!(engine.storage_stats().unwrap().snapshots, held.len() as u64);
    }
    for (snapshot, tables) in &held {
        verify(snapshot, tables);
    }
    assert_sound(&engine);
    held.clear();
    // The last hold's pages came back with it.
    assert_eq!(engine.storage_stats().unwrap().held_pages, 0);
    drop(engine);
    let engine = open(&backend);
    verify(&engine.snapshot(), &tables);
    assert_sound(&engine);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn commits_are_what_a_map_says(steps in steps()) {
        run(&steps);
    }
}
