//! How far a query has come, as other threads and callbacks see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use quiredb::{Database, Progress};

fn numbers(count: u64) -> Database {
    let database = Database::builder().threads(2).in_memory().unwrap();
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE N(id INT64, PRIMARY KEY (id))").unwrap();
    connection.query(&format!("UNWIND range(1, {count}) AS id CREATE (:N {{id: id}})")).unwrap();
    database
}

/// Some seconds of work without optimization, in several pipelines.
const LONG: &str = "MATCH (a:N), (b:N) WHERE (a.id * b.id) % 7 = 3 WITH a.id % 100 AS k, max(b.id) AS most, count(*) AS n \
                    RETURN k, most, n ORDER BY k";

fn grows(seen: &[Progress]) -> bool {
    seen.windows(2).all(|pair| {
        pair[0].work_total == pair[1].work_total
            && pair[0].work_done <= pair[1].work_done
            && pair[0].rows <= pair[1].rows
    })
}

#[test]
fn other_threads_see_how_far_a_query_has_come() {
    let database = numbers(3000);
    let connection = database.connect().unwrap();
    let handle = connection.progress_handle();
    assert_eq!(handle.read(), None);
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                seen.extend(handle.read());
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        connection.query(LONG).unwrap();
        done.store(true, Ordering::Relaxed);
        watching.join().unwrap()
    });
    assert_eq!(handle.read(), None, "it is over");
    assert!(grows(&seen), "{seen:?}");
    let between: std::collections::BTreeSet<u64> = seen.iter().map(|progress| progress.work_done).collect();
    assert!(between.len() > 3, "{between:?}");
    assert!(seen.iter().all(|progress| (0.0..=1.0).contains(&progress.fraction())), "{seen:?}");
    assert!(seen.iter().any(|progress| progress.rows > 0 && progress.fraction() < 0.9), "{seen:?}");
}

#[test]
fn a_callback_is_told_how_far_a_query_has_come() {
    let database = numbers(3000);
    let connection = database.connect().unwrap();
    let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let keep = Arc::clone(&seen);
    connection.set_progress(move |progress| keep.lock().push(progress));
    connection.query(LONG).unwrap();
    let told = seen.lock().len();
    let last = *seen.lock().last().expect("it took long enough");
    assert_eq!(last.work_done, last.work_total);
    assert!((last.fraction() - 1.0).abs() < 1e-9);
    // Short statements tell nothing, and neither do those after that.
    connection.query("MATCH (n:N) RETURN count(*)").unwrap();
    connection.clear_progress();
    connection.query(LONG).unwrap();
    assert_eq!(seen.lock().len(), told);
}

#[test]
fn a_stream_knows_how_far_it_has_come() {
    let database = numbers(3000);
    let connection = database.connect().unwrap();
    let mut stream = connection.stream("MATCH (a:N), (b:N) RETURN a.id, b.id").unwrap();
    let mut seen = Vec::new();
    while stream.next_chunk().unwrap().is_some() {
        seen.extend(stream.progress());
    }
    assert!(grows(&seen) && seen.len() > 100, "{}", seen.len());
    assert!(seen[0].fraction() < 0.5 && stream.progress().is_none(), "{:?}", seen[0]);
}
