//! The other side: arrays and loops as one would write them for exactly one question.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

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

/// Lists with a weight beside each neighbour.
pub struct WeightedLists {
    pub lists: Lists,
    weights: Vec<f64>,
}

impl WeightedLists {
    pub fn new(count: usize, from: &[u32], to: &[u32], weights: &[f64]) -> WeightedLists {
        let mut order: Vec<usize> = (0..from.len()).collect();
        order.sort_by_key(|edge| (from[*edge], to[*edge]));
        let weights = order.into_iter().map(|edge| weights[edge]).collect();
        WeightedLists { lists: Lists::new(count, from, to), weights }
    }

    /// The weights of a node's edges, in the order of its neighbours.
    #[inline]
    fn weights(&self, node: usize) -> &[f64] {
        &self.weights[self.lists.starts[node] as usize..self.lists.starts[node + 1] as usize]
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

/// Common neighbours of two nodes.
fn common(a: &[u32], b: &[u32]) -> u64 {
    let (mut at, mut other, mut found) = (0, 0, 0);
    while at < a.len() && other < b.len() {
        let (x, y) = (a[at], b[other]);
        found += u64::from(x == y);
        at += usize::from(x <= y);
        other += usize::from(y <= x);
    }
    found
}

/// Pairs of neighbours that are of a kind, with the neighbours that both have; edges come once.
pub fn triangles(threads: usize, lists: &Lists, wanted: impl Fn(usize) -> bool + Sync) -> i64 {
    on_threads(threads, lists.count(), 64, |nodes| {
        let mut found = 0;
        for node in nodes.filter(|node| wanted(*node)) {
            let own = lists.of(node);
            let others = own.iter().filter(|other| wanted(**other as usize));
            found += others.map(|other| common(own, lists.of(*other as usize))).sum::<u64>();
        }
        found as i64
    })
}

/// Walks over two edges to another node that the first one has no edge to.
pub fn strangers(threads: usize, lists: &Lists) -> i64 {
    on_threads(threads, lists.count(), 64, |nodes| {
        let mut found = 0;
        for node in nodes {
            let own = lists.of(node);
            for other in own {
                let theirs = lists.of(*other as usize);
                let back = theirs.binary_search(&(node as u32)).is_ok();
                found += theirs.len() as u64 - common(own, theirs) - u64::from(back);
            }
        }
        found as i64
    })
}

/// Members of a forum, times the topics of all comments on what is in it.
pub fn forum_chain(
    threads: usize,
    members: &Lists,
    contents: &Lists,
    replies: &Lists,
    topics: &Lists,
) -> i64 {
    on_threads(threads, members.count(), 64, |forums| {
        let of_forum = |forum: usize| {
            let comments = contents.of(forum).iter().flat_map(|post| replies.of(*post as usize));
            members.degree(forum) * comments.map(|comment| topics.degree(*comment as usize)).sum::<u64>()
        };
        forums.map(of_forum).sum::<u64>() as i64
    })
}

/// Numbers of edges by the group of their source; the sums of their weights are worked out beside them.
pub fn weights_by_group(threads: usize, edges: &WeightedLists, groups: &[u8]) -> Vec<i64> {
    let mut counts = [const { AtomicI64::new(0) }; 256];
    on_threads(threads, edges.lists.count(), 1024, |nodes| {
        let (mut sums, mut own) = ([0f64; 256], [0i64; 256]);
        for node in nodes {
            let group = usize::from(groups[node]);
            own[group] += edges.lists.degree(node) as i64;
            sums[group] += edges.weights(node).iter().sum::<f64>();
        }
        std::hint::black_box(sums);
        counts.iter().zip(own).for_each(|(count, own)| {
            count.fetch_add(own, Ordering::Relaxed);
        });
        0
    });
    counts.iter_mut().map(|count| *count.get_mut()).filter(|count| *count > 0).collect()
}

/// Paths of two edges between groups whose second edge weighs more.
pub fn rising_weights(threads: usize, edges: &WeightedLists, groups: &[u8], first: u8, last: u8) -> i64 {
    on_threads(threads, edges.lists.count(), 256, |nodes| {
        let mut found = 0;
        for node in nodes.filter(|node| groups[*node] == first) {
            for (middle, weight) in edges.lists.of(node).iter().zip(edges.weights(node)) {
                let middle = *middle as usize;
                let ends = edges.lists.of(middle).iter().zip(edges.weights(middle));
                found +=
                    ends.filter(|(end, other)| groups[**end as usize] == last && weight < *other).count();
            }
        }
        found as i64
    })
}

/// Pairs of a start and another node one or two steps away.
pub fn within_two_steps(threads: usize, lists: &Lists, starts: &[u32]) -> i64 {
    on_threads(threads, starts.len(), starts.len().div_ceil(4 * threads), |range| {
        let mut marks = vec![u32::MAX; lists.count()];
        let mut found = 0;
        for start in &starts[range] {
            let mut reach = |nodes: &[u32]| {
                for node in nodes {
                    found += i64::from(std::mem::replace(&mut marks[*node as usize], *start) != *start);
                }
            };
            reach(&[*start]);
            reach(lists.of(*start as usize));
            lists.of(*start as usize).iter().for_each(|node| reach(lists.of(*node as usize)));
            found -= 1;
        }
        found
    })
}
