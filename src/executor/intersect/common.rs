//! What sorted lists have in common, and how often.

use crate::executor::lists::Matches;

/// A list this many times longer than what is left of the others is searched instead of walked, and a list so much shorter
/// than the one with marks is looked up in it.
const GALLOP_RATIO: usize = 16;
/// Shorter lists are not worth marking.
const MARKED_MIN: usize = 8;
/// Bits of the marks at most: what stays near one core.
const MARKS_MAX: u64 = 1 << 21;
/// Bits for each node of a list that lies too far apart for a bit to each place.
const MARKS_PER_NODE: u64 = 16;

/// Scratch of one worker that intersects lists. The list of a node that comes in many rows running is marked in bits, so
/// that of the lists it meets each neighbour costs one look without a branch.
#[derive(Default)]
pub struct Common {
    /// The nodes that all lists have, and in how many ways.
    pub nodes: Vec<(u64, u64)>,
    scratch: Vec<(u64, u64)>,
    /// The lists from the shortest to the longest.
    order: Vec<usize>,
    marks: Marks,
    /// Which list is marked.
    marked: Option<usize>,
    passed: Vec<u64>,
    /// How many lists met others, and how many of these met marks, since they were taken.
    pub intersected: u64,
    pub met_marks: u64,
}

impl Common {
    /// Has to be called before a list is replaced.
    pub fn forget(&mut self, list: usize, nodes: &[u64]) {
        if self.marked == Some(list) {
            self.marks.clear(nodes);
            self.marked = None;
        }
    }

    /// Leaves in `nodes` what all lists have; `stays` tells which of them the last call was about as well.
    pub fn find(&mut self, lists: &[Matches], stays: impl Fn(usize) -> bool) {
        self.intersected += lists.len() as u64;
        self.nodes.clear();
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..lists.len());
        let length = |at: &usize| lists[*at].nodes.len();
        order.sort_unstable_by_key(length);
        if order.first().is_some_and(|shortest| length(shortest) > 0) {
            let longest = order.iter().rev().find(|at| stays(**at) && length(at) >= MARKED_MIN).copied();
            let first = order.iter().find(|at| Some(**at) != longest).copied();
            let worth_it = |(marked, first): &(usize, usize)| length(first) <= length(marked) * GALLOP_RATIO;
            match longest.zip(first).filter(worth_it) {
                Some((marked, first)) => self.find_marked(lists, &order, marked, first),
                None => {
                    count_same(&lists[order[0]].nodes, &mut self.nodes);
                    order[1..].iter().for_each(|other| self.narrow(&lists[*other].nodes));
                }
            }
        }
        self.order = order;
    }

    fn find_marked(&mut self, lists: &[Matches], order: &[usize], marked: usize, first: usize) {
        if self.marked != Some(marked) {
            if let Some(before) = self.marked {
                self.marks.clear(&lists[before].nodes);
            }
            self.marks.set(&lists[marked].nodes);
            self.marked = Some(marked);
        }
        self.met_marks += 1;
        let passed = self.marks.pass(&lists[first].nodes, &mut self.passed);
        count_same(passed, &mut self.nodes);
        for other in order.iter().filter(|at| **at != first && **at != marked) {
            self.narrow(&lists[*other].nodes);
        }
        if !self.marks.tell_all {
            self.narrow(&lists[marked].nodes);
        }
    }

    fn narrow(&mut self, list: &[u64]) {
        narrow(&self.nodes, list, &mut self.scratch);
        std::mem::swap(&mut self.nodes, &mut self.scratch);
    }
}

/// One bit for each node of a list, found by the low bits of its distance from the first one.
#[derive(Default)]
struct Marks {
    /// Nothing is set but what the marked list has.
    words: Vec<u64>,
    mask: u64,
    first: u64,
    /// The furthest from the first that may be in the list.
    reach: u64,
    /// Whether a bit stands for one node, and every node is once in the list: else who passes is looked up in the list.
    tell_all: bool,
}

impl Marks {
    /// Marks a sorted list.
    fn set(&mut self, list: &[u64]) {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { return };
        let span = last.saturating_sub(*first).saturating_add(1);
        let enough = span.checked_next_power_of_two().filter(|bits| *bits <= MARKS_MAX);
        let few = (list.len() as u64 * MARKS_PER_NODE).next_power_of_two().min(MARKS_MAX);
        let bits = enough.unwrap_or(few).max(64);
        self.tell_all = enough.is_some() && list.windows(2).all(|pair| pair[0] != pair[1]);
        (self.first, self.reach, self.mask) = (*first, span - 1, bits - 1);
        let words = (bits / 64) as usize;
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        for node in list {
            let bit = (node - first) & self.mask;
            self.words[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    /// Takes the marks of a list back.
    fn clear(&mut self, list: &[u64]) {
        list.iter().for_each(|node| self.words[(((node - self.first) & self.mask) / 64) as usize] = 0);
    }

    /// What of a list is marked.
    fn pass<'p>(&self, list: &[u64], passed: &'p mut Vec<u64>) -> &'p [u64] {
        if passed.len() < list.len() {
            passed.resize(list.len(), 0);
        }
        let mut count = 0;
        for node in list {
            let distance = node.wrapping_sub(self.first);
            let bit = distance & self.mask;
            passed[count] = *node;
            let marked = self.words[(bit / 64) as usize] >> (bit % 64) & 1;
            count += (marked & u64::from(distance <= self.reach)) as usize;
        }
        &passed[..count]
    }
}

/// The nodes of a sorted list, and how often each is there.
fn count_same(list: &[u64], out: &mut Vec<(u64, u64)>) {
    out.extend(list.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u64)));
}

/// Keeps of `common` what is in the sorted list, multiplying by how often it is there.
fn narrow(common: &[(u64, u64)], list: &[u64], out: &mut Vec<(u64, u64)>) {
    out.clear();
    let gallop = list.len() > common.len() * GALLOP_RATIO;
    let mut at = 0;
    for (node, times) in common {
        if gallop {
            at = seek(list, at, *node);
        } else {
            while at < list.len() && list[at] < *node {
                at += 1;
            }
        }
        let same = list[at..].iter().take_while(|other| *other == node).count();
        if same > 0 {
            out.push((*node, times.saturating_mul(same as u64)));
            at += same;
        }
    }
}

/// The first place from `at` on whose node is not before `node`: by steps that double, then by halves.
fn seek(list: &[u64], mut at: usize, node: u64) -> usize {
    let mut step = 1;
    while list.get(at + step).is_some_and(|other| *other < node) {
        at += step;
        step *= 2;
    }
    let end = (at + step).min(list.len());
    at + list[at..end].partition_point(|other| *other < node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parallel_edges_multiply() {
        let check = |common: &[(u64, u64)], list: &[u64], expected: &[(u64, u64)]| {
            let mut out = Vec::new();
            narrow(common, list, &mut out);
            assert_eq!(out, expected);
        };
        check(&[(1, 2), (4, 1)], &[1, 1, 2, 4], &[(1, 4), (4, 1)]);
        check(&[(3, 1)], &(0..100).collect::<Vec<_>>(), &[(3, 1)]);
        check(&[(3, 1)], &[], &[]);
    }

    /// Sorted lists whose nodes lie near each other or far apart, and may be beside those of another list.
    fn list(spread: u64) -> impl Strategy<Value = Vec<u64>> {
        (0u64..3, prop::collection::vec(0u64..60, 0..80)).prop_map(move |(part, mut list)| {
            list.iter_mut().for_each(|node| *node = (*node + part * 32) * spread);
            list.sort_unstable();
            list
        })
    }

    fn rows() -> impl Strategy<Value = Vec<(bool, Vec<Vec<u64>>)>> {
        let lists = prop_oneof![Just(1u64), Just(1 << 17)]
            .prop_flat_map(|spread| prop::collection::vec(list(spread), 3));
        prop::collection::vec((any::<bool>(), lists), 1..12)
    }

    proptest! {
        #[test]
        fn lists_that_stay_and_lists_that_do_not_give_the_same(rows in rows()) {
            let mut common = Common::default();
            let mut lists: Vec<Matches> = (0..3).map(|_| Matches::default()).collect();
            for (stays, row) in rows {
                for (at, nodes) in row.into_iter().enumerate() {
                    if at != 1 || !stays {
                        common.forget(at, &lists[at].nodes);
                        lists[at].nodes = nodes;
                    }
                }
                let times = |list: &Matches, node: u64| list.nodes.iter().filter(|other| **other == node).count();
                let all: std::collections::BTreeSet<u64> = lists[0].nodes.iter().copied().collect();
                let ways = |node: &u64| lists.iter().map(|list| times(list, *node) as u64).product::<u64>();
                let expected: Vec<(u64, u64)> =
                    all.iter().map(|node| (*node, ways(node))).filter(|(_, ways)| *ways > 0).collect();
                common.find(&lists, |at| at == 1 && stays);
                prop_assert_eq!(&common.nodes, &expected);
            }
        }
    }
}
