//! How many ends the steps of a variable-length edge lead to: walks grow by the lists that their own entries meet, so
//! that nodes with many neighbours count as often as they are come to; searches meet each node once.

use std::collections::BTreeSet;

use super::cardinality::{Estimator, ROWS_MAX, turned_leg};
use super::logical_plan::Leg;
use crate::binder::bound::PathMode;
use crate::types::TableId;

/// Hops of a variable-length edge that estimates follow.
const HOPS_MAX: u32 = 8;

impl Estimator<'_> {
    /// Neighbours of a node that the legs start from, for its first step and for those that come to a node by the same
    /// legs: these meet the nodes with many neighbours more often, and a trail does not go back the way it came. With the
    /// nodes of the tables that the legs start from.
    fn steps(&self, legs: &[Leg], mode: PathMode) -> (f64, f64, f64) {
        let from: BTreeSet<TableId> = legs.iter().map(Leg::from_table).collect();
        let from: Vec<TableId> = from.into_iter().collect();
        let turned: Vec<Leg> = legs.iter().map(turned_leg).collect();
        let back = |leg: &Leg| {
            let same = |other: &&Leg| other.rel.table == leg.rel.table && other.direction != leg.direction;
            legs.iter().any(|other| same(&other))
        };
        let returns = if mode != PathMode::Walk && legs.iter().any(back) { 1.0 } else { 0.0 };
        let next = self.fanout_by_entry(&turned, legs);
        let rows = self.rows_of(&from);
        (self.edges(legs) / rows.max(1.0), (next - returns).max(0.0), rows)
    }

    /// Ends to expect per start of a variable-length edge, and the relationships that are looked at for them. `once`
    /// says that each node is put out at most once per start; `first` are the neighbours of a start, where more is
    /// known of it than that it is one.
    pub fn reached(
        &self,
        legs: &[Leg],
        (first, ends): (Option<f64>, f64),
        (min, max): (u32, Option<u32>),
        (mode, once): (PathMode, bool),
    ) -> (f64, f64) {
        let (usual, next, from_rows) = self.steps(legs, mode);
        let edges = self.edges(legs);
        let search = once || mode.is_shortest();
        let nodes = from_rows.max(ends).max(1.0);
        let last = max.unwrap_or(HOPS_MAX).min(HOPS_MAX).max(min.min(HOPS_MAX));
        let (mut reached, mut looked_at) = (if min == 0 { 1.0 } else { 0.0 }, 1.0);
        let (mut level, mut met) = (1.0, 1.0);
        for hop in 1..=last {
            let steps = f64::min(level * if hop == 1 { first.unwrap_or(usual) } else { next }, ROWS_MAX);
            looked_at += steps;
            // A search goes on from the nodes that it has not met yet.
            level = if search { f64::max(nodes - met, 0.0) * -(-steps / nodes).exp_m1() } else { steps };
            met += level;
            if hop >= min {
                reached += level;
            }
        }
        match search {
            true => (reached.min(ends.max(1.0)), looked_at.min(edges.max(1.0))),
            false => (reached.min(ROWS_MAX), looked_at.min(ROWS_MAX)),
        }
    }
}
