//! Whether a history of registers can have happened under snapshot isolation. A register counts its versions, and each
//! write gives it a value that no other write gives; so what a transaction has read names the write that made it, and
//! the order of the writes of a register is known. The rest is a search for a contradiction.

use std::collections::{BTreeMap, HashMap};

pub type Key = i64;
/// A register's version and value; nobody has written version 0.
pub type Seen = (i64, i64);

#[derive(Debug, Clone, Copy)]
pub enum Event {
    Read(Key, Seen),
    /// What the register was after the write.
    Write(Key, Seen),
}

/// One transaction. The clock ticks for all sessions: it stood at `begun` before the transaction was begun, and at
/// `ended` after its commit had returned.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub begun: u64,
    pub ended: u64,
    pub committed: bool,
    pub events: Vec<Event>,
}

/// What one transaction has seen of others and made of registers.
#[derive(Debug, Default)]
struct Footprint {
    /// The version that its snapshot has, and the value if it was read.
    observed: BTreeMap<Key, (i64, Option<i64>)>,
    /// The last version of each register that it wrote.
    written: BTreeMap<Key, Seen>,
}

/// Who has written a register, in order of its versions.
type Writers = BTreeMap<Key, BTreeMap<i64, (usize, i64)>>;

/// Finds a contradiction, or none. `last` is what the registers hold in the end.
pub fn check(history: &[Transaction], last: &BTreeMap<Key, Seen>) -> Result<(), String> {
    let footprints: Vec<Footprint> =
        history.iter().enumerate().map(|(at, one)| footprint(at, one)).collect::<Result<_, _>>()?;
    let writers = writers(history, &footprints, last)?;
    let others = values_nobody_may_see(history, &footprints);
    for (at, print) in footprints.iter().enumerate() {
        for (key, (version, value)) in &print.observed {
            let made = match version {
                0 => Some(0),
                _ => writers.get(key).and_then(|of| of.get(version)).map(|(_, value)| *value),
            };
            let Some(value) = value else { continue };
            if made == Some(*value) {
                continue;
            }
            let what = others.get(value).copied().unwrap_or("a value that nobody wrote");
            return Err(format!(
                "transaction {at} read {what}: register {key}, version {version}, value {value}"
            ));
        }
    }
    order(history, &footprints, &writers)
}

/// What a transaction shows by itself: reads that repeat, and its own writes.
fn footprint(at: usize, transaction: &Transaction) -> Result<Footprint, String> {
    let mut print = Footprint::default();
    for event in &transaction.events {
        match *event {
            Event::Read(key, seen) => match (print.written.get(&key), print.observed.get(&key)) {
                (Some(own), _) if *own != seen => {
                    return Err(format!(
                        "transaction {at} wrote {own:?} to register {key} and read {seen:?}"
                    ));
                }
                (None, Some((version, Some(value)))) if (*version, *value) != seen => {
                    return Err(format!(
                        "transaction {at} read register {key} twice: {version}, then {}",
                        seen.0
                    ));
                }
                (Some(_), _) => {}
                (None, _) => _ = print.observed.insert(key, (seen.0, Some(seen.1))),
            },
            Event::Write(key, seen) => {
                let before = match (print.written.get(&key), print.observed.get(&key)) {
                    (Some((version, _)), _) | (None, Some((version, _))) => *version,
                    (None, None) => {
                        print.observed.insert(key, (seen.0 - 1, None));
                        seen.0 - 1
                    }
                };
                if seen.0 != before + 1 {
                    let new = seen.0;
                    return Err(format!(
                        "transaction {at} saw version {before} of register {key} and made {new}"
                    ));
                }
                print.written.insert(key, seen);
            }
        }
    }
    Ok(print)
}

/// Every committed write stands on the one before it, up to what is there in the end.
fn writers(
    history: &[Transaction],
    footprints: &[Footprint],
    last: &BTreeMap<Key, Seen>,
) -> Result<Writers, String> {
    let mut writers = Writers::new();
    let mut before: HashMap<(Key, i64), usize> = HashMap::new();
    for (at, (transaction, print)) in history.iter().zip(footprints).enumerate() {
        for (key, (version, value)) in print.written.iter().filter(|_| transaction.committed) {
            let base = print.observed.get(key).map_or(0, |(version, _)| *version);
            if let Some(other) = before.insert((*key, base), at) {
                return Err(format!(
                    "an update was lost: {other} and {at} both changed version {base} of register {key}"
                ));
            }
            writers.entry(*key).or_default().insert(*version, (at, *value));
        }
    }
    for (key, of) in &writers {
        let mut expected = 0;
        for (version, (at, _)) in of {
            let base = footprints[*at].observed.get(key).map_or(0, |(version, _)| *version);
            if base != expected {
                return Err(format!(
                    "transaction {at} changed version {base} of register {key}, not {expected}"
                ));
            }
            expected = *version;
        }
    }
    for (key, seen) in last {
        let made = writers
            .get(key)
            .and_then(|of| of.last_key_value())
            .map(|(version, (_, value))| (*version, *value));
        if made.unwrap_or((0, 0)) != *seen {
            return Err(format!("register {key} ends as {seen:?} instead of {made:?}"));
        }
    }
    Ok(writers)
}

/// Values that were rolled back, or overwritten by their own transaction.
fn values_nobody_may_see(history: &[Transaction], footprints: &[Footprint]) -> HashMap<i64, &'static str> {
    let mut values = HashMap::new();
    for (transaction, print) in history.iter().zip(footprints) {
        for event in &transaction.events {
            if let Event::Write(key, (_, value)) = event {
                match transaction.committed {
                    false => _ = values.insert(*value, "what was rolled back"),
                    true if print.written[key].1 != *value => {
                        values.insert(*value, "what its own transaction overwrote");
                    }
                    true => {}
                }
            }
        }
    }
    values
}

/// Looks for an order of snapshots and commits. Node `2 * i` is the snapshot of transaction `i`, the next one its commit;
/// behind them stand the ticks of the clock.
fn order(history: &[Transaction], footprints: &[Footprint], writers: &Writers) -> Result<(), String> {
    let mut after: Vec<Vec<u32>> = vec![Vec::new(); 2 * history.len()];
    let (snapshot, commit) = (|at: usize| 2 * at, |at: usize| 2 * at + 1);
    for (at, print) in footprints.iter().enumerate() {
        after[snapshot(at)].push(commit(at) as u32);
        for (key, (version, _)) in &print.observed {
            let Some(of) = writers.get(key) else { continue };
            if let Some((writer, _)) = of.get(version) {
                after[commit(*writer)].push(snapshot(at) as u32);
            }
            // Of the next version it knows nothing: that was committed after its snapshot.
            if let Some((_, (next, _))) = of.range(version + 1..).next()
                && *next != at
            {
                after[snapshot(at)].push(commit(*next) as u32);
            }
        }
    }
    // What had returned before something was begun came before it.
    let mut moments: Vec<(u64, bool, usize)> = Vec::with_capacity(after.len());
    for (at, one) in history.iter().enumerate() {
        moments.push((one.begun, true, at));
        if one.committed {
            moments.push((one.ended, false, at));
        }
    }
    moments.sort_unstable();
    for (_, begins, at) in moments {
        let tick = after.len();
        after.push(Vec::new());
        if tick > 2 * history.len() {
            after[tick - 1].push(tick as u32);
        }
        match begins {
            true => after[tick].push(snapshot(at) as u32),
            false => after[commit(at)].push(tick as u32),
        }
    }
    match circle(&after) {
        None => Ok(()),
        Some(nodes) => {
            let names = nodes.iter().filter(|node| **node < 2 * history.len());
            let names: Vec<String> = names
                .map(|node| format!("{} of {}", if node % 2 == 0 { "snapshot" } else { "commit" }, node / 2))
                .collect();
            Err(format!(
                "no order of commits explains what was seen: each before the next, {}",
                names.join(", ")
            ))
        }
    }
}

/// A circle in a graph, if there is one.
fn circle(after: &[Vec<u32>]) -> Option<Vec<usize>> {
    let mut before = vec![0u32; after.len()];
    after.iter().flatten().for_each(|to| before[*to as usize] += 1);
    let mut ready: Vec<usize> = (0..after.len()).filter(|node| before[*node] == 0).collect();
    let mut left = after.len();
    while let Some(node) = ready.pop() {
        left -= 1;
        for to in &after[node] {
            before[*to as usize] -= 1;
            if before[*to as usize] == 0 {
                ready.push(*to as usize);
            }
        }
    }
    if left == 0 {
        return None;
    }
    // Every node that is left has one before it that is left too: going back leads into a circle.
    let mut back: HashMap<usize, usize> = HashMap::new();
    for (node, targets) in after.iter().enumerate().filter(|(node, _)| before[*node] > 0) {
        targets
            .iter()
            .filter(|to| before[**to as usize] > 0)
            .for_each(|to| _ = back.insert(*to as usize, node));
    }
    let mut node = *back.keys().next()?;
    for _ in 0..after.len() {
        node = back[&node];
    }
    let (start, mut nodes) = (node, Vec::new());
    loop {
        nodes.push(node);
        node = back[&node];
        if node == start {
            nodes.reverse();
            return Some(nodes);
        }
    }
}

mod tests {
    use super::*;

    use Event::{Read, Write};

    fn one(begun: u64, ended: u64, events: &[Event]) -> Transaction {
        Transaction { begun, ended, committed: true, events: events.to_vec() }
    }

    #[track_caller]
    fn refuse(history: &[Transaction], expected: &str) {
        let error = check(history, &BTreeMap::new()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_can_happen_passes() {
        let history = [
            one(0, 5, &[Read(1, (0, 0)), Write(1, (1, 10)), Write(1, (2, 11)), Read(1, (2, 11))]),
            one(6, 9, &[Read(1, (2, 11)), Read(1, (2, 11)), Read(2, (0, 0))]),
            // Beside the next one, which it does not see.
            one(10, 20, &[Read(2, (0, 0))]),
            one(11, 15, &[Write(2, (1, 20))]),
        ];
        check(&history, &BTreeMap::from([(1, (2, 11)), (2, (1, 20)), (3, (0, 0))])).unwrap();
        // Write skew: both read both registers, each changes another.
        let skew = [
            one(0, 9, &[Read(1, (0, 0)), Read(2, (0, 0)), Write(1, (1, 10))]),
            one(1, 8, &[Read(1, (0, 0)), Read(2, (0, 0)), Write(2, (1, 20))]),
        ];
        check(&skew, &BTreeMap::new()).unwrap();
    }

    #[test]
    fn what_cannot_is_found() {
        let write = |at, value| one(at, at + 1, &[Write(1, (1, value))]);
        refuse(&[write(0, 10), write(2, 11)], "an update was lost");
        refuse(&[write(0, 10), one(2, 3, &[Write(1, (3, 30))])], "changed version 2 of register 1, not 1");
        refuse(&[one(0, 1, &[Read(1, (0, 0)), Write(1, (2, 10))])], "saw version 0 of register 1 and made 2");
        refuse(&[one(0, 9, &[Read(1, (0, 0)), Read(1, (1, 10))]), write(1, 10)], "twice");
        refuse(
            &[one(0, 9, &[Write(1, (1, 5)), Read(1, (0, 0))])],
            "wrote (1, 5) to register 1 and read (0, 0)",
        );
        let aborted = Transaction { committed: false, ..write(0, 10) };
        refuse(&[aborted, one(0, 9, &[Read(1, (1, 10))])], "what was rolled back");
        let twice = one(0, 9, &[Write(1, (1, 10)), Write(1, (2, 11))]);
        refuse(&[twice, one(0, 9, &[Read(1, (1, 10))])], "what its own transaction overwrote");
        refuse(&[one(0, 9, &[Read(1, (1, 99))])], "a value that nobody wrote");
        let error = check(&[write(0, 10)], &BTreeMap::from([(1, (0, 0))])).unwrap_err();
        assert!(error.contains("ends as"), "{error}");
    }

    #[test]
    fn orders_that_cannot_be_are_found() {
        let both = one(0, 9, &[Write(1, (1, 10)), Write(2, (1, 20))]);
        let no_order = "no order of commits";
        // Half of a commit.
        refuse(&[both.clone(), one(0, 9, &[Read(1, (1, 10)), Read(2, (0, 0))])], no_order);
        // Not what had been committed before.
        refuse(&[both, one(10, 11, &[Read(1, (0, 0))])], no_order);
        // Two writers, seen in different orders by two readers.
        let writers = [one(0, 9, &[Write(1, (1, 10))]), one(0, 9, &[Write(2, (1, 20))])];
        let forth = one(0, 9, &[Read(1, (1, 10)), Read(2, (0, 0))]);
        let back = one(0, 9, &[Read(1, (0, 0)), Read(2, (1, 20))]);
        refuse(&[writers[0].clone(), writers[1].clone(), forth, back], no_order);
    }
}
