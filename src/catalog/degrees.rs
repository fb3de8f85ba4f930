//! How the lengths of an adjacency index's lists are spread, and a sketch of which nodes have the long ones.
//!
//! The sketch adds the length of each node's list, with a sign, to one of a few counters, node and sign by a hash of the
//! node. The sum of the products of two indexes' counters is then, on average, the sum over all nodes of the products of
//! their lengths: the number of paths of two relationships through these nodes (Alon, Gibbons, Matias and Szegedy,
//! *Tracking Join and Self-Join Sizes in Limited Storage*, PODS 1999; the counters by hash: Cormode and Garofalakis,
//! VLDB 2005). Sketches add up, so loads and changes keep them exactly.

/// Counters of a sketch: an estimate is off by about a sixteenth of what two equal sides would have.
pub const COUNTERS: usize = 256;
/// Estimates within so many standard deviations of what independent lists would have say nothing against it.
const DEVIATIONS: f64 = 2.0;

/// What is known of the lists of one direction beside their number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Degrees {
    /// Lists and their entries, by the number of bits that the length takes after the first: 1, 2–3, 4–7, … Lists that
    /// two loads gave one node count as two.
    pub lengths: Vec<(u64, u64)>,
    /// Entries that the sketch has seen.
    pub entries: u64,
    /// Counters; none where nothing is known.
    pub sketch: Vec<i64>,
}

/// The counter of a node, and whether it counts downwards.
fn place(node: u64) -> (usize, bool) {
    let mixed = (node ^ 0x5851_F42D_4C95_7F2D).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let mixed = mixed ^ mixed >> 32;
    ((mixed % COUNTERS as u64) as usize, mixed >> 63 == 1)
}

impl Degrees {
    /// Of the lists of nodes that follow each other.
    pub fn of_lists(first_node: u64, lengths: impl Iterator<Item = u32>) -> Degrees {
        let mut degrees = Degrees::default();
        degrees.begin(false);
        for (at, length) in lengths.enumerate().filter(|(_, length)| *length > 0) {
            degrees.add_list(u64::from(length));
            degrees.change(first_node + at as u64, i64::from(length));
        }
        degrees
    }

    /// Takes note of a list of this length.
    pub fn add_list(&mut self, length: u64) {
        let Some(part) = length.checked_ilog2() else { return };
        let part = part as usize;
        if self.lengths.len() <= part {
            self.lengths.resize(part + 1, (0, 0));
        }
        let (lists, entries) = self.lengths[part];
        self.lengths[part] = (lists.saturating_add(1), entries.saturating_add(length));
    }

    /// Makes an empty sketch where there are no entries yet.
    pub fn begin(&mut self, has_entries: bool) {
        if self.sketch.is_empty() && !has_entries {
            self.sketch = vec![0; COUNTERS];
        }
    }

    /// Takes note of entries that a node's list got or, if negative, lost; not where others are not known.
    pub fn change(&mut self, node: u64, entries: i64) {
        if self.sketch.is_empty() {
            return;
        }
        self.entries = self.entries.saturating_add_signed(entries);
        let (at, down) = place(node);
        if let Some(counter) = self.sketch.get_mut(at) {
            *counter = counter.saturating_add(if down { -entries } else { entries });
        }
    }

    /// Adds the lists of further entries. What had entries and no sketch stays without.
    pub fn merge(&mut self, other: &Degrees, had_entries: bool) {
        if self.lengths.len() < other.lengths.len() {
            self.lengths.resize(other.lengths.len(), (0, 0));
        }
        for (ours, theirs) in self.lengths.iter_mut().zip(&other.lengths) {
            *ours = (ours.0.saturating_add(theirs.0), ours.1.saturating_add(theirs.1));
        }
        self.begin(had_entries);
        if self.sketch.is_empty() || other.sketch.is_empty() {
            // Half a sketch is worse than none.
            self.sketch = Vec::new();
            self.entries = 0;
            return;
        }
        for (ours, theirs) in self.sketch.iter_mut().zip(&other.sketch) {
            *ours = ours.saturating_add(*theirs);
        }
        self.entries = self.entries.saturating_add(other.entries);
    }

    /// Whether the sketch can be asked.
    pub fn has_sketch(&self) -> bool {
        self.sketch.len() == COUNTERS && self.entries > 0
    }

    /// The sum over all nodes of the products of both lists' lengths, for lists of so many entries by now; `nodes` are
    /// those of the table that has both. What independent lists would give is believed until the sketches say otherwise.
    pub fn paths(&self, other: &Degrees, entries: (f64, f64), nodes: f64) -> Option<f64> {
        if nodes < 1.0 {
            return None;
        }
        self.nearest_paths(other, entries, entries.0 * entries.1 / nodes)
    }

    /// What the sketches allow for that sum which is nearest to a guess.
    pub fn nearest_paths(&self, other: &Degrees, entries: (f64, f64), guess: f64) -> Option<f64> {
        if !self.has_sketch() || !other.has_sketch() {
            return None;
        }
        let product = |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>();
        let grown = (entries.0 / self.entries as f64) * (entries.1 / other.entries as f64);
        let seen = product(&self.sketch, &other.sketch) * grown;
        let noise = (product(&self.sketch, &self.sketch) * product(&other.sketch, &other.sketch)
            / COUNTERS as f64)
            .sqrt();
        let doubt = DEVIATIONS * noise * grown;
        Some(guess.clamp((seen - doubt).max(0.0), (seen + doubt).max(0.0)))
    }

    /// The share of `lists` lists with `entries` entries that have at least one of the entries that are kept, each with
    /// the same chance; long lists have one more likely than short ones.
    pub fn share_with_any(&self, entries: f64, lists: f64, kept: f64) -> f64 {
        let known: (u64, u64) = self.lengths.iter().fold((0, 0), |sum: (u64, u64), part| {
            (sum.0.saturating_add(part.0), sum.1.saturating_add(part.1))
        });
        if known.0 == 0 || known.1 == 0 {
            return 1.0 - (1.0 - kept).powf(entries / lists.max(1.0));
        }
        // Lists have changed since they were looked at: as if all had by the same factor.
        let grown = (entries / lists.max(1.0)) / (known.1 as f64 / known.0 as f64);
        let parts = self.lengths.iter().filter(|part| part.0 > 0).map(|(lists, entries)| {
            let length = *entries as f64 / *lists as f64 * grown;
            *lists as f64 * (1.0 - (1.0 - kept).powf(length))
        });
        parts.sum::<f64>() / known.0 as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths that fall from a few long lists to many short ones, each by a hash of the node, or by the node.
    fn lengths(nodes: u32, rank: impl Fn(u32) -> u32) -> Vec<u32> {
        (0..nodes).map(|node| 20_000 / (1 + rank(node))).collect()
    }

    fn paths(a: &[u32], b: &[u32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[track_caller]
    fn check(a: &[u32], b: &[u32], factor: f64) {
        let degrees = [a, b].map(|lists| Degrees::of_lists(0, lists.iter().copied()));
        let entries = [0, 1].map(|side: usize| degrees[side].entries as f64);
        let found = degrees[0].paths(&degrees[1], (entries[0], entries[1]), a.len() as f64);
        let (found, expected) = (found.unwrap_or_default(), paths(a, b));
        let off = (found / expected).max(expected / found);
        assert!(off < factor, "{found} instead of {expected}");
    }

    #[test]
    fn paths_of_two_are_estimated() {
        let falling = lengths(10_000, |node| node);
        let shuffled = lengths(10_000, |node| node * 7919 % 10_000);
        let even = vec![5u32; 10_000];
        check(&falling, &falling, 1.3);
        check(&shuffled, &shuffled, 1.3);
        check(&even, &even, 1.01);
        check(&falling, &even, 1.5);
        // The long lists of the one are where the other has short ones.
        let apart = lengths(10_000, |node| 9_999 - node);
        let independent = falling.iter().map(|list| f64::from(*list)).sum::<f64>().powi(2) / 10_000.0;
        assert!(paths(&falling, &falling) > 5.0 * independent);
        check(&falling, &apart, 6.0);
    }

    #[test]
    fn loads_and_changes_add_up() {
        let all = lengths(1000, |node| node % 50);
        let whole = Degrees::of_lists(0, all.iter().copied());
        let mut parts = Degrees::of_lists(0, all[..600].iter().copied());
        parts.merge(&Degrees::of_lists(600, all[600..].iter().copied()), true);
        assert_eq!(parts, whole);
        parts.change(3, 7);
        parts.change(3, -7);
        assert_eq!(parts, whole);
        let mut unknown = Degrees::default();
        unknown.merge(&whole, true);
        assert!(!unknown.has_sketch() && unknown.paths(&whole, (1.0, 1.0), 10.0).is_none());
        let mut fresh = Degrees::default();
        fresh.merge(&whole, false);
        assert_eq!(fresh, whole);
    }

    #[test]
    fn few_long_lists_have_most_of_what_is_kept() {
        let mut skewed = vec![1u32; 990];
        skewed.extend([1001; 10]);
        let degrees = Degrees::of_lists(0, skewed.iter().copied());
        let entries = degrees.entries as f64;
        let share = degrees.share_with_any(entries, 1000.0, 0.01);
        assert!((share - 0.02).abs() < 0.002, "{share}");
        // As if all lists had the mean length.
        let mean = Degrees::default().share_with_any(entries, 1000.0, 0.01);
        assert!(mean > 0.1, "{mean}");
    }
}
