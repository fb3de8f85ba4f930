//! What every query pays before it reads: a snapshot, and a key lookup. `cargo bench --bench engine`. The aims: a snapshot
//! below 500 ns and a warm lookup in a tree of a million keys below 1 µs. Building the temporary map and the tree of a
//! load is timed once per run, for comparison between releases.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::Criterion;
use quiredb::storage::directory::{TableKind, TableRecord};
use quiredb::storage::engine::{Engine, EngineOptions};
use quiredb::storage::index::{IndexKey, KeyIndex, KeyLayout, KeyLookup, KeyMap, KeyRef, KeyStore};
use quiredb::types::{DataType, TableId};

const KEYS: u64 = 1_000_000;

fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    println!("{what}: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    result
}

fn bench_keys(criterion: &mut Criterion, name: &str, data_type: DataType, key: impl Fn(u64) -> IndexKey) {
    let options = EngineOptions { buffer_pool_bytes: 256 << 20, ..EngineOptions::default() };
    let engine = Engine::in_memory(&options).expect("a database in memory");
    let turn = engine.begin_write(None).expect("the turn");
    let layout = KeyLayout::new(&[data_type]).expect("a key type");
    let keys: Vec<IndexKey> = (0..KEYS).map(key).collect();
    let mut store = KeyStore::new(layout.clone());
    timed(&format!("{name}: gather {KEYS} keys"), || {
        keys.iter().for_each(|key| store.push(KeyRef::of(key)));
    });
    let mut worker = engine.pool().worker().expect("a worker");
    let sorted = timed(&format!("{name}: sort"), || store.sorted());
    let batch = turn.batch().expect("a batch");
    let trees = timed(&format!("{name}: build the tree"), || {
        KeyIndex::empty(layout.clone()).append(&sorted, 0, batch, &mut worker.cursor()).expect("a tree")
    });
    drop(sorted);
    println!("{name}: {} pages", batch.page_count());
    let record = TableRecord { key_trees: trees, ..TableRecord::empty(TableId(0), TableKind::Node) };
    let index = KeyIndex::open(&record, layout, "T").expect("an index");
    let map = timed(&format!("{name}: build the map"), || {
        KeyMap::build(Arc::new(store), 0, 2).expect("few rows").expect("unique keys")
    });
    println!("{name}: the map takes {} bytes", map.bytes());
    let mut at = 0;
    let mut next = move || {
        at = (at + 377_773) % KEYS as usize;
        at
    };
    let mut group = criterion.benchmark_group(name);
    let mut cursor = worker.cursor();
    group.bench_function("tree lookup", |bencher| {
        bencher.iter(|| index.lookup(black_box(&keys[next()]), &mut cursor).expect("a sound tree"));
    });
    group.bench_function("map lookup", |bencher| {
        bencher.iter(|| map.get(KeyRef::of(black_box(&keys[next()]))));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let options = EngineOptions { buffer_pool_bytes: 64 << 20, ..EngineOptions::default() };
    let engine = Engine::in_memory(&options).expect("a database in memory");
    criterion.bench_function("snapshot", |bencher| bencher.iter(|| engine.snapshot()));
    bench_keys(&mut criterion, "integers that count up", DataType::Int64, |at| {
        IndexKey::Integer(at | 1 << 63)
    });
    bench_keys(&mut criterion, "scattered integers", DataType::UInt64, |at| IndexKey::Integer(scattered(at)));
    bench_keys(&mut criterion, "strings", DataType::String, |at| {
        IndexKey::Bytes(format!("https://example.org/{:016x}", scattered(at)).into_bytes())
    });
    criterion.final_summary();
}
