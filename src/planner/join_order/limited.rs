//! Which component's rows are asked for one after the other, where a LIMIT asks for few: those of all others are kept.

use std::collections::BTreeSet;

use super::super::enumerate::Search;
use super::super::figures::Part;
use super::super::rewrite::variables_of;
use super::{JoinOrder, Partial, is_unit};
use crate::binder::bound::VariableId;

impl JoinOrder<'_> {
    /// Puts first the component with the most rows, which are multiplied with kept rows of the others as they come. Gives
    /// the rows that are wanted of it.
    pub(super) fn limited_first(
        &self,
        input: &Partial,
        components: &mut [BTreeSet<VariableId>],
    ) -> Option<f64> {
        let wanted = self.wanted?;
        if components.len() < 2 {
            return Some(wanted);
        }
        // What joins them may leave few rows of the largest one, and what is there already comes before all of them.
        if !is_unit(&input.plan) || self.spans(components) {
            return None;
        }
        let mut most: Option<(usize, f64)> = None;
        for (at, component) in components.iter().enumerate() {
            let part = Part::of(self, input, component);
            let rows = Search::new(self, input, &part).best(1.0, false, None)?.rows;
            if most.is_none_or(|(_, most)| rows > most) {
                most = Some((at, rows));
            }
        }
        components[..=most?.0].rotate_right(1);
        Some(wanted)
    }

    /// Whether a conjunct is over variables of several components.
    fn spans(&self, components: &[BTreeSet<VariableId>]) -> bool {
        let edges_at = |component: &BTreeSet<VariableId>, used: &VariableId| {
            self.graph
                .edges
                .iter()
                .any(|edge| edge.pattern.variable == *used && component.contains(&edge.pattern.source))
        };
        let within = |component: &BTreeSet<VariableId>, used: &VariableId| {
            component.contains(used) || edges_at(component, used)
        };
        self.graph.filters.iter().any(|filter| {
            let used = variables_of(filter);
            !components.iter().any(|component| used.iter().all(|used| within(component, used)))
        })
    }
}
