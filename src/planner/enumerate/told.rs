//! The order that was found, step by step and by names: each step is taken once more along the states that led to it, to
//! see what followed upon it at once.

use super::super::figures::places;
use super::{Search, State, Step};
use crate::binder::bound::VariableId;

/// The order that was found.
pub(in crate::planner) struct Found {
    pub rows: f64,
    pub cost: f64,
    /// A tree of steps: `Join` holds the steps of the other side.
    pub steps: Vec<Planned>,
}

/// A step with the rows that are expected before it, and the share of them that is wanted.
pub(in crate::planner) struct Planned {
    pub step: PlannedStep,
    pub rows: f64,
    pub share: f64,
}

/// A step by names instead of positions.
pub(in crate::planner) enum PlannedStep {
    Scan(VariableId),
    ScanRels(usize),
    Lookup(VariableId),
    Edge { edge: usize, from: VariableId },
    Intersect { to: VariableId, edges: Vec<usize> },
    Join { other: Vec<Planned>, node: VariableId },
}

impl Search<'_, '_> {
    /// The steps that led to a state, of whose rows such a share is asked for.
    pub(super) fn planned(&self, state: &State, share: f64) -> Vec<Planned> {
        let parent = state.parent.map(|parent| &self.states[parent]);
        let mut steps = parent.map_or_else(Vec::new, |parent| self.planned(parent, share));
        self.add_steps(parent.unwrap_or(&self.begin), state, share, &mut steps);
        steps
    }

    /// The steps from the beginning along states.
    pub(super) fn planned_along(&self, path: &[State]) -> Vec<Planned> {
        let mut steps = Vec::new();
        let mut before = &self.begin;
        for state in path {
            self.add_steps(before, state, self.share, &mut steps);
            before = state;
        }
        steps
    }

    /// The step that led from one state to another, and what followed at once.
    fn add_steps(&self, before: &State, to: &State, share: f64, steps: &mut Vec<Planned>) {
        let after = match to.step {
            None => Some(*before),
            Some(step) => {
                let rows = if matches!(step, Step::Scan(_) | Step::ScanRels(_)) { 0.0 } else { before.rows };
                steps.push(Planned { step: self.named(step), rows, share });
                match step {
                    Step::Scan(at) => Some(self.scanned(at)),
                    Step::ScanRels(at) => self.scanned_rels(at),
                    Step::Lookup(at) => self.looked_up(before, at),
                    Step::Edge { edge, from } => {
                        let side = usize::from(self.edges[edge].ends[0] != from);
                        self.followed(before, edge, side, f64::INFINITY)
                    }
                    Step::Intersect { to, .. } => self.intersected(before, to),
                    Step::Join { other, .. } => {
                        to.parent.and_then(|parent| self.joined(parent, other, f64::INFINITY))
                    }
                }
            }
        };
        if let Some(mut state) = after {
            self.settle(&mut state, |step, rows| steps.push(Planned { step: self.named(step), rows, share }));
        }
    }

    fn named(&self, step: Step) -> PlannedStep {
        let edge = |at: usize| self.edges[at].at;
        let node = |at: usize| self.variables[at];
        match step {
            Step::Scan(at) => PlannedStep::Scan(node(at)),
            Step::ScanRels(at) => PlannedStep::ScanRels(edge(at)),
            Step::Lookup(at) => PlannedStep::Lookup(node(at)),
            Step::Edge { edge: at, from } => PlannedStep::Edge { edge: edge(at), from: node(from) },
            Step::Intersect { to, edges } => {
                PlannedStep::Intersect { to: node(to), edges: places(edges).map(edge).collect() }
            }
            Step::Join { other, node: at } => {
                // All rows of that side are kept.
                PlannedStep::Join { other: self.planned(&self.states[other], 1.0), node: node(at) }
            }
        }
    }
}
