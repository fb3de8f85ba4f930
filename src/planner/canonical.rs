//! An order of nodes, edges and conjuncts that follows from what they are and how they hang together, not from how a
//! pattern is spelled: the planner breaks ties by position, so that equal patterns get equal plans.
//!
//! Every node gets a colour from its tables and conjuncts, refined by the colours around it until no more nodes are told
//! apart (Weisfeiler and Leman); nodes that still look alike are told apart one by one, by any choice.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::query_graph::{GraphEdge, GraphNode, QueryGraph};
use super::rewrite::{named_variable, variables_of};
use super::selectivity::mirrored;
use crate::binder::bound::{BoundExpression, ExpressionKind, VariableId};

/// In larger graphs nodes that look alike keep the order of the text.
const NODES_MAX: usize = 32;

/// A number for each variable of a graph.
#[derive(Clone, Default)]
struct Colors(Vec<Option<u64>>);

impl Colors {
    fn get(&self, variable: VariableId) -> Option<u64> {
        self.0.get(variable.0 as usize).copied().flatten()
    }

    /// The colour of a variable, 0 if it is none of the graph's.
    fn of(&self, variable: VariableId) -> u64 {
        self.get(variable).unwrap_or(0)
    }

    /// The place of a variable's colour.
    fn place(&mut self, variable: VariableId) -> &mut Option<u64> {
        let at = variable.0 as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        &mut self.0[at]
    }

    /// How many nodes of a graph have different ones.
    fn different(&self, graph: &QueryGraph) -> usize {
        let mut all: Vec<u64> = graph.nodes.iter().map(|node| self.of(node.variable)).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

/// Sorts a graph's nodes, edges and conjuncts. `bound` has variables of earlier clauses, `needed` those of later ones.
pub fn sort(graph: &mut QueryGraph, needed: &BTreeSet<VariableId>, bound: &BTreeSet<VariableId>) {
    graph.nodes.iter_mut().for_each(|node| sort_conjuncts(&mut node.predicates, &|_| 0));
    graph.edges.iter_mut().for_each(|edge| sort_conjuncts(&mut edge.predicates, &|_| 0));
    let colors = colors(graph, needed, bound);
    graph.nodes.sort_by(|a, b| {
        let color = |node: &GraphNode| colors.of(node.variable);
        a.tables.cmp(&b.tables).then_with(|| color(a).cmp(&color(b)))
    });
    let place = |variable: &VariableId| graph.nodes.iter().position(|node| node.variable == *variable);
    let mut moved: Vec<usize> = (0..graph.edges.len()).collect();
    moved.sort_by_cached_key(|at| {
        let pattern = &graph.edges[*at].pattern;
        let ends = [place(&pattern.source), place(&pattern.target)];
        let ends = if pattern.undirected { [ends[0].min(ends[1]), ends[0].max(ends[1])] } else { ends };
        (ends, colors.of(pattern.variable))
    });
    let mut new_places = vec![0; moved.len()];
    moved.iter().enumerate().for_each(|(new, old)| new_places[*old] = new);
    let mut edges: Vec<Option<GraphEdge>> = graph.edges.drain(..).map(Some).collect();
    graph.edges = moved.iter().filter_map(|old| edges[*old].take()).collect();
    let rename = |edges: &mut Vec<usize>| edges.iter_mut().for_each(|at| *at = new_places[*at]);
    graph.distinct_edges.iter_mut().for_each(|set| {
        rename(set);
        set.sort_unstable();
    });
    graph.distinct_edges.sort();
    graph.paths.iter_mut().for_each(|path| rename(&mut path.edges));
    sort_conjuncts(&mut graph.filters, &|variable| colors.of(variable));
}

/// Sorts conjuncts by what they are; those that may fail stand behind all others, in the order of the text, so that
/// `n.x <> 0 AND 1 / n.x > y` never divides by zero.
fn sort_conjuncts(conjuncts: &mut [BoundExpression], color: &dyn Fn(VariableId) -> u64) {
    conjuncts.sort_by_cached_key(|conjunct| match conjunct.may_fail() {
        true => (true, 0),
        false => (false, hash_expression(conjunct, color)),
    });
}

/// The colours of all nodes and edges.
fn colors(graph: &QueryGraph, needed: &BTreeSet<VariableId>, bound: &BTreeSet<VariableId>) -> Colors {
    let marks = |variable: VariableId| (needed.contains(&variable), bound.contains(&variable));
    let alike = |predicate: &BoundExpression| hash_expression(predicate, &|_| 0);
    let mut colors = Colors::default();
    for node in &graph.nodes {
        let own = node.predicates.iter().map(alike);
        let color = hash_of(&(&node.tables, marks(node.variable), own.collect::<Vec<_>>()));
        *colors.place(node.variable) = Some(color);
    }
    for edge in &graph.edges {
        let pattern = &edge.pattern;
        let length = pattern.length.as_ref().map(|length| (length.min, length.max, length.mode as u8));
        let own = edge.predicates.iter().map(alike);
        let own = (own.collect::<Vec<u64>>(), length, pattern.undirected);
        *colors.place(pattern.variable) = Some(hash_of(&(&pattern.tables, marks(pattern.variable), own)));
    }
    let mut known = refine(graph, &mut colors);
    if graph.nodes.len() > NODES_MAX {
        return colors;
    }
    while known < graph.nodes.len() {
        let mut seen = BTreeSet::new();
        let twin = graph.nodes.iter().find(|node| !seen.insert(colors.of(node.variable)));
        let Some(twin) = twin else { break };
        let marked = hash_of(&(colors.of(twin.variable), known));
        *colors.place(twin.variable) = Some(marked);
        known = refine(graph, &mut colors);
    }
    colors
}

/// Mixes in the colours of what each variable is connected with until no more nodes are told apart; gives the number
/// of different nodes.
fn refine(graph: &QueryGraph, colors: &mut Colors) -> usize {
    let mut known = colors.different(graph);
    loop {
        // Sums, since the order in which neighbours are met means nothing.
        let mut around = Colors::default();
        let mut add = |variable: VariableId, color: u64| {
            let sum = around.place(variable);
            *sum = Some(sum.unwrap_or(0).wrapping_add(color));
        };
        for edge in &graph.edges {
            let pattern = &edge.pattern;
            let own = colors.of(pattern.variable);
            let [source, target] = [pattern.source, pattern.target].map(|end| colors.of(end));
            let sides = if pattern.undirected { (1, 1) } else { (1, 2) };
            add(pattern.source, hash_of(&(own, sides.0, target)));
            add(pattern.target, hash_of(&(own, sides.1, source)));
            let both =
                if pattern.undirected { source.wrapping_add(target) } else { hash_of(&(source, target)) };
            add(pattern.variable, both);
        }
        for filter in &graph.filters {
            let color = |variable: VariableId| colors.of(variable);
            let whole = hash_expression(filter, &color);
            for variable in variables_of(filter) {
                // Where it stands in the conjunct matters too.
                let marked = |other: VariableId| if other == variable { 3 } else { color(other) };
                add(variable, hash_of(&(whole, hash_expression(filter, &marked))));
            }
        }
        for set in &graph.distinct_edges {
            let own = |edge: &usize| graph.edges[*edge].pattern.variable;
            let sum = set.iter().fold(0u64, |sum, edge| sum.wrapping_add(colors.of(own(edge))));
            set.iter().for_each(|edge| add(own(edge), sum));
        }
        for (color, sum) in colors.0.iter_mut().zip(&around.0) {
            if let (Some(color), Some(sum)) = (color, sum) {
                *color = hash_of(&(*color, *sum));
            }
        }
        let now = colors.different(graph);
        if now <= known {
            return now;
        }
        known = now;
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    // The upper bits of this hash are the good ones; sums need all.
    let hash = hasher.finish();
    (hash ^ hash >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// What an expression computes, with colours in place of variables: the same for two spellings of a comparison.
fn hash_expression(expression: &BoundExpression, color: &dyn Fn(VariableId) -> u64) -> u64 {
    let sum =
        |all: &[BoundExpression]| all.iter().fold(0u64, |sum, e| sum.wrapping_add(hash_expression(e, color)));
    let kind = std::mem::discriminant(&expression.kind);
    match &expression.kind {
        ExpressionKind::Literal(value) => hash_of(&(kind, format!("{value:?}"))),
        ExpressionKind::Parameter(_) => hash_of(&kind),
        ExpressionKind::Property { variable, columns, .. } => hash_of(&(kind, color(*variable), columns)),
        ExpressionKind::HasLabel { variable, tables } => hash_of(&(kind, color(*variable), tables)),
        ExpressionKind::Call { function, arguments } => match (function.name, &arguments[..]) {
            ("=" | "<>", both) => hash_of(&(kind, function.name, sum(both))),
            (">" | ">=", [left, right]) => hash_of(&(
                kind,
                mirrored(function.name),
                &[hash_expression(right, color), hash_expression(left, color)][..],
            )),
            // Most functions have one or two arguments: no need of a list on the heap.
            (name, [one]) => hash_of(&(kind, name, &[hash_expression(one, color)][..])),
            (name, [left, right]) => {
                let both = [hash_expression(left, color), hash_expression(right, color)];
                hash_of(&(kind, name, &both[..]))
            }
            (name, all) => {
                let all: Vec<u64> = all.iter().map(|e| hash_expression(e, color)).collect();
                hash_of(&(kind, name, all))
            }
        },
        ExpressionKind::And(all) | ExpressionKind::Or(all) => hash_of(&(kind, sum(all))),
        ExpressionKind::Not(operand) => hash_of(&(kind, hash_expression(operand, color))),
        ExpressionKind::IsNull { operand, negated } => {
            hash_of(&(kind, negated, hash_expression(operand, color)))
        }
        other => match named_variable(other) {
            Some(variable) => hash_of(&(kind, color(variable))),
            None => {
                // Rarer kinds: what stands below them in the order of the text.
                let mut below = Vec::new();
                let mut first = true;
                expression.walk(&mut |node| {
                    if !std::mem::take(&mut first) && is_leaf(&node.kind) {
                        below.push(hash_expression(node, color));
                    }
                });
                hash_of(&(kind, below))
            }
        },
    }
}

fn is_leaf(kind: &ExpressionKind) -> bool {
    matches!(kind, ExpressionKind::Literal(_) | ExpressionKind::Parameter(_))
        || named_variable(kind).is_some()
}
