//! The other side: arrays and loops as one would write them for exactly one question.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lists of neighbours, one after the other, each sorted.
pub struct Lists {
    starts: Vec<u32>,
    neighbours: Vec<u32>,
}

impl Lists {
    /// The lists of `count` nodes: for each edge `from[i]` gets the neighbour `to[i]`.
    pub fn new(count: usize, from: &[u32], to: &[u32]) -> Lists {
        let mut starts = vec![0_u32; count + 1];
        from.iter().for_each(|node| starts[*node as usize + 1] += 1);
        for node in 0..count {
            starts[node + 1] += starts[node];
        }
        let mut places = starts.clone();
        let mut neighbours = vec![0; to.len()];
        for (node, neighbour) in from.iter().zip(to) {
            let place = &mut places[*node as usize];
            neighbours[*place as usize] = *neighbour;
            *place += 1;
        }
        for node in 0..count {
            neighbours[starts[node] as usize..starts[node + 1] as usize].sort_unstable();
        }
        Lists { starts, neighbours }
    }

    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    #[inline]
    pub fn of(&self, node: usize) -> &[u32] {
        &self.neighbours[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    #[inline]
    pub fn degree(&self, node: usize) -> u64 {
        u64::from(self.starts[node + 1] - self.starts[node])
    }
}

/// Adds up `work` over pieces of `0..count`, which the threads take as they come.
pub fn on_threads(
    threads: usize,
    count: usize,
    piece: usize,
    work: impl Fn(Range<usize>) -> i64 + Sync,
) -> i64 {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut total = 0_i64;
        loop {
            let start = next.fetch_add(piece, Ordering::Relaxed);
            if start >= count {
                return total;
            }
            total = total.wrapping_add(work(start..count.min(start + piece)));
        }
    };
    if threads == 1 {
        return run();
    }
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let own = run();
        helpers.into_iter().map(|helper| helper.join().expect("a sum")).fold(own, i64::wrapping_add)
    })
}

/// Paths of two edges.
pub fn two_hops(forward: &Lists, backward: &Lists) -> i64 {
    (0..forward.count()).map(|node| backward.degree(node) * forward.degree(node)).sum::<u64>() as i64
}

/// Paths of two edges whose middle passes one test and whose end passes another.
pub fn two_hops_filtered(
    threads: usize,
    (forward, backward): (&Lists, &Lists),
    age: &[u8],
    middle_below: u8,
    end_above: u8,
) -> i64 {
    on_threads(threads, forward.count(), 1024, |nodes| {
        let mut paths = 0;
        for middle in nodes.filter(|node| age[*node] < middle_below) {
            let ends = forward.of(middle).iter().filter(|end| age[**end as usize] > end_above).count();
            paths += backward.degree(middle) * ends as u64;
        }
        paths as i64
    })
}

/// Walks over two friendships that do not lead back, times the interests of whom they lead to.
pub fn friends_interests(threads: usize, friends: &Lists, interests: &Lists) -> i64 {
    on_threads(threads, friends.count(), 64, |people| {
        let mut found = 0;
        for person in people {
            for friend in friends.of(person) {
                for other in friends.of(*friend as usize) {
                    let other = *other as usize;
                    found += if other == person { 0 } else { interests.degree(other) };
                }
            }
        }
        found as i64
    })
}

/// How many nodes lie one, two, … steps from `start`.
pub fn levels(forward: &Lists, start: usize) -> Vec<i64> {
    let mut seen = vec![false; forward.count()];
    seen[start] = true;
    let (mut front, mut next) = (vec![start as u32], Vec::new());
    let mut counts = Vec::new();
    loop {
        for node in &front {
            for neighbour in forward.of(*node as usize) {
                if !std::mem::replace(&mut seen[*neighbour as usize], true) {
                    next.push(*neighbour);
                }
            }
        }
        if next.is_empty() {
            return counts;
        }
        counts.push(next.len() as i64);
        std::mem::swap(&mut front, &mut next);
        next.clear();
    }
}

/// The sum of `values` where `tested` is above `bound`.
pub fn filtered_sum(threads: usize, tested: &[i64], values: &[i64], bound: i64) -> i64 {
    on_threads(threads, tested.len(), 1 << 16, |rows| {
        let pairs = tested[rows.clone()].iter().zip(&values[rows]);
        pairs.fold(0, |sum, (tested, value)| i64::wrapping_add(sum, if *tested > bound { *value } else { 0 }))
    })
}
