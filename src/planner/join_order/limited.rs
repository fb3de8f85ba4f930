//! Where a LIMIT asks for few rows: which component's are asked for one after the other, while those of all others are
//! kept, and relationships that are compared as soon as they are there.

use std::collections::BTreeSet;

use super::super::enumerate::Search;
use super::super::figures::Part;
use super::super::logical_plan::DifferentRels;
use super::super::rewrite::variables_of;
use super::{JoinOrder, Partial, distinct, is_unit};
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

    /// Compares the relationship of an edge with those of its trails that are there already. Where rows come one after the
    /// other, all that follows from a row comes before the next one: one that is no trail must not be followed.
    pub(super) fn compare_newest(&self, mut partial: Partial, edge: usize) -> Partial {
        let newest = self.graph.edges[edge].pattern.variable;
        let mut sets = Vec::new();
        for (at, set) in self.graph.distinct_edges.iter().enumerate() {
            let is_over = partial.done.trails.contains(&at);
            if is_over || !set.contains(&edge) || partial.is_intersected(edge) {
                continue;
            }
            let mut here: BTreeSet<VariableId> = self.compared(set, &partial.done);
            here.retain(|variable| partial.bound.contains(variable));
            let mut of_trail = partial.done.compared.iter().filter(|(of, _)| *of == at);
            let earlier = |one: &&VariableId| **one != newest;
            let are_trail = here.len() < 3
                || of_trail.any(|(_, part)| here.iter().filter(earlier).all(|one| part.contains(one)));
            match are_trail {
                true => sets.extend(self.newest_of(edge, set, &here)),
                false => sets.extend(self.not_compared(at, here.iter().copied().collect(), &partial.done)),
            }
            // What this part says, smaller ones need not say.
            partial.done.compared.retain(|(of, part)| *of != at || !part.is_subset(&here));
            partial.done.compared.push((at, here));
        }
        partial.plan = distinct(partial.plan, sets);
        partial
    }

    /// An edge's relationship and those of its trail that are `here` and could be the same one.
    fn newest_of(&self, edge: usize, set: &[usize], here: &BTreeSet<VariableId>) -> Option<DifferentRels> {
        let pattern = |at: usize| &self.graph.edges[at].pattern;
        let tables = |at: usize| pattern(at).tables.iter().map(|table| table.table);
        let meets = |at: usize| tables(edge).any(|table| tables(at).any(|other| other == table));
        let others = set.iter().filter(|at| **at != edge && here.contains(&pattern(**at).variable));
        let others = others.filter(|at| meets(**at)).map(|at| pattern(*at).variable);
        let rels: Vec<VariableId> = std::iter::once(pattern(edge).variable).chain(others).collect();
        (rels.len() > 1).then_some(DifferentRels { rels, compared: 1 })
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
