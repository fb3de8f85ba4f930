//! Where a LIMIT asks for few rows: which component's are asked for one after the other, while those of all others are
//! kept, and relationships that are compared as soon as they are there.

use std::collections::BTreeSet;

use super::super::enumerate::Search;
use super::super::figures::Part;
use super::super::rewrite::variables_of;
use super::{JoinOrder, Partial, distinct, is_unit};
use crate::binder::bound::VariableId;

/// Trails of more relationships are compared once all of them are there: by then each is read once for all pairs.
const COMPARED_EARLY_MAX: usize = 32;

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

    /// Compares the relationship of an edge with those of its trails that are there already. Where rows come one after the
    /// other, all that follows from a row comes before the next one: one that is no trail must not be followed.
    pub(super) fn compare_newest(&self, mut partial: Partial, edge: usize) -> Partial {
        let newest = self.graph.edges[edge].pattern.variable;
        let mut sets = Vec::new();
        for (at, set) in self.graph.distinct_edges.iter().enumerate() {
            let is_over = partial.done.trails.contains(&at) || set.len() > COMPARED_EARLY_MAX;
            if is_over || !set.contains(&edge) || partial.is_intersected(edge) {
                continue;
            }
            let mut here = self.compared(set, &partial.done);
            here.retain(|variable| partial.bound.contains(variable));
            let earlier = || here.iter().filter(|variable| **variable != newest);
            let of_trail = partial.done.compared.iter().filter(|(of, _)| *of == at);
            let are_trail = earlier().count() < 2
                || of_trail.map(|(_, part)| part).any(|part| earlier().all(|one| part.contains(one)));
            match are_trail {
                true => {
                    let others = earlier().filter(|other| self.may_be_same(newest, **other));
                    sets.extend(others.map(|other| vec![newest, *other]));
                }
                false => sets.extend(self.not_compared(at, here.clone(), &partial.done)),
            }
            // What this part says, smaller ones need not say.
            partial
                .done
                .compared
                .retain(|(of, part)| *of != at || !part.iter().all(|one| here.contains(one)));
            partial.done.compared.push((at, here));
        }
        partial.plan = distinct(partial.plan, sets);
        partial
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
