//! Finding a pattern by trying everything: edge after edge, relationship after relationship.

use super::evaluate::{Evaluator, Row, Stop};
use super::graph::V;
use super::query::*;

/// Where a search stands.
struct State<'m> {
    pattern: &'m Pattern,
    row: Row,
    /// Relationships that may not come again.
    used: Vec<usize>,
}

/// A walk from a start: its relationships, and the nodes after each of them.
#[derive(Default, Clone)]
struct Walk {
    rels: Vec<usize>,
    nodes: Vec<usize>,
}

impl Evaluator<'_> {
    /// All ways to find the pattern beside a row.
    pub fn matches(&mut self, pattern: &Pattern, row: &Row) -> Result<Vec<Row>, Stop> {
        let mut state = State { pattern, row: row.clone(), used: Vec::new() };
        let mut found = Vec::new();
        self.edge(&mut state, 0, &mut found)?;
        Ok(found)
    }

    /// Binds a node, calls `then`, and takes it back.
    fn with_node(
        &mut self,
        state: &mut State<'_>,
        var: Var,
        node: usize,
        then: &mut dyn FnMut(&mut Self, &mut State<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.step()?;
        let Some(table) = self.graph.nodes[node].as_ref().map(|node| node.table) else { return Ok(()) };
        let fits = |known: &NodePattern| known.tables.is_empty() || known.tables.contains(&table);
        if !state.pattern.node(var).is_none_or(fits) {
            return Ok(());
        }
        match &state.row[var] {
            Some(V::Node(bound)) if *bound == node => then(self, state),
            Some(_) => Ok(()),
            None => {
                state.row[var] = Some(V::Node(node));
                let outcome = then(self, state);
                state.row[var] = None;
                outcome
            }
        }
    }

    /// The nodes that a variable may be.
    fn nodes_of(&self, state: &State<'_>, var: Var) -> Vec<usize> {
        match &state.row[var] {
            Some(V::Node(node)) => vec![*node],
            Some(_) => Vec::new(),
            None => (0..self.graph.nodes.len()).filter(|at| self.graph.nodes[*at].is_some()).collect(),
        }
    }

    fn edge(&mut self, state: &mut State<'_>, at: usize, found: &mut Vec<Row>) -> Result<(), Stop> {
        let pattern = state.pattern;
        let Some(edge) = pattern.edges.get(at) else { return self.rest(state, 0, found) };
        if edge.length.is_some() {
            return self.long_edge(state, at, edge, found);
        }
        for rel in 0..self.graph.rels.len() {
            let Some(known) = self.graph.rels[rel].as_ref() else { continue };
            let (from, to) = (known.from, known.to);
            let fits = edge.types.is_empty() || edge.types.contains(&known.kind);
            if !fits || (self.trails() && state.used.contains(&rel)) {
                continue;
            }
            // A loop is met once, whichever way it is followed.
            let ways = 1 + usize::from(edge.undirected && from != to);
            for (a, b) in [(from, to), (to, from)].into_iter().take(ways) {
                self.with_node(state, edge.from, a, &mut |this, state| {
                    this.with_node(state, edge.to, b, &mut |this, state| {
                        state.row[edge.var] = Some(V::Rel(rel));
                        state.used.push(rel);
                        let outcome = this.edge(state, at + 1, found);
                        state.used.pop();
                        state.row[edge.var] = None;
                        outcome
                    })
                })?;
            }
        }
        Ok(())
    }

    fn long_edge(
        &mut self,
        state: &mut State<'_>,
        at: usize,
        edge: &EdgePattern,
        found: &mut Vec<Row>,
    ) -> Result<(), Stop> {
        let Some(length) = &edge.length else { return Ok(()) };
        for start in self.nodes_of(state, edge.from) {
            let used = state.used.clone();
            let mut walks = Vec::new();
            self.walks(edge, length, start, &used, &mut Walk::default(), &mut walks)?;
            walks = match length.mode {
                Mode::Shortest | Mode::AllShortest => shortest(walks, start, length.mode),
                _ => walks,
            };
            for walk in walks {
                let end = walk.nodes.last().copied().unwrap_or(start);
                self.with_node(state, edge.from, start, &mut |this, state| {
                    this.with_node(state, edge.to, end, &mut |this, state| {
                        let before = state.used.len();
                        state.used.extend(&walk.rels);
                        let inner = walk.nodes.len().saturating_sub(1);
                        let mut rels: Vec<V> = walk.rels.iter().map(|rel| V::Rel(*rel)).collect();
                        let mut nodes: Vec<V> = walk.nodes[..inner].iter().map(|one| V::Node(*one)).collect();
                        if edge.turned {
                            rels.reverse();
                            nodes.reverse();
                        }
                        state.row[edge.var] = Some(V::List(rels));
                        state.row[length.nodes] = Some(V::List(nodes));
                        let outcome = this.edge(state, at + 1, found);
                        state.row[edge.var] = None;
                        state.row[length.nodes] = None;
                        state.used.truncate(before);
                        outcome
                    })
                })?;
            }
        }
        Ok(())
    }

    /// All walks of an edge from a node, as its mode, its bounds and its conditions allow.
    fn walks(
        &mut self,
        edge: &EdgePattern,
        length: &Length,
        start: usize,
        used: &[usize],
        walk: &mut Walk,
        found: &mut Vec<Walk>,
    ) -> Result<(), Stop> {
        self.step()?;
        if walk.rels.len() >= length.min {
            found.push(walk.clone());
        }
        if length.max.is_some_and(|max| walk.rels.len() >= max) {
            return Ok(());
        }
        let here = walk.nodes.last().copied().unwrap_or(start);
        if let (Some((property, op, value)), false) = (&length.inner, walk.nodes.is_empty()) {
            let kept = self.compare(&self.node_value(here, *property), *op, value);
            if kept != Some(true) {
                return Ok(());
            }
        }
        let trails = self.trails();
        for rel in 0..self.graph.rels.len() {
            let Some(known) = self.graph.rels[rel].as_ref() else { continue };
            if !(edge.types.is_empty() || edge.types.contains(&known.kind)) {
                continue;
            }
            let next = match (known.from == here, known.to == here) {
                (true, _) => known.to,
                (false, true) if edge.undirected => known.from,
                _ => continue,
            };
            let repeats = match length.mode {
                Mode::Default => trails && (walk.rels.contains(&rel) || used.contains(&rel)),
                Mode::Trail => walk.rels.contains(&rel),
                Mode::Walk => false,
                Mode::Acyclic | Mode::Shortest | Mode::AllShortest => {
                    next == start || walk.nodes.contains(&next)
                }
            };
            let admitted = length.edge.as_ref().is_none_or(|(property, op, value)| {
                self.compare(&self.rel_value(rel, *property), *op, value) == Some(true)
            });
            if repeats || !admitted {
                continue;
            }
            walk.rels.push(rel);
            walk.nodes.push(next);
            let outcome = self.walks(edge, length, start, used, walk, found);
            walk.rels.pop();
            walk.nodes.pop();
            outcome?;
        }
        Ok(())
    }

    /// Nodes that no edge touches, then the path.
    fn rest(&mut self, state: &mut State<'_>, at: usize, found: &mut Vec<Row>) -> Result<(), Stop> {
        let pattern = state.pattern;
        let Some(node) = pattern.nodes.get(at) else {
            let mut row = state.row.clone();
            if let Some(path) = pattern.path {
                row[path] = Some(self.path(pattern, &row));
            }
            self.hold(1)?;
            found.push(row);
            return Ok(());
        };
        for candidate in self.nodes_of(state, node.var) {
            self.with_node(state, node.var, candidate, &mut |this, state| this.rest(state, at + 1, found))?;
        }
        Ok(())
    }

    /// A path as the list of its nodes and that of its relationships.
    fn path(&self, pattern: &Pattern, row: &Row) -> V {
        let bound = |var: Var| row[var].clone().unwrap_or(V::Null);
        let (mut nodes, mut rels) = (Vec::new(), Vec::new());
        for (at, edge) in pattern.edges.iter().enumerate() {
            let (from, to) = if edge.turned { (edge.to, edge.from) } else { (edge.from, edge.to) };
            if at == 0 {
                nodes.push(bound(from));
            }
            match (&edge.length, bound(edge.var)) {
                (Some(length), V::List(list)) => {
                    let empty = list.is_empty();
                    rels.extend(list);
                    if let V::List(inner) = bound(length.nodes) {
                        nodes.extend(inner);
                    }
                    // An empty segment stays at its node.
                    if !empty {
                        nodes.push(bound(to));
                    }
                }
                (_, rel) => {
                    rels.push(rel);
                    nodes.push(bound(to));
                }
            }
        }
        V::List(vec![V::List(nodes), V::List(rels)])
    }
}

/// The shortest walks to each end, or one of them; none leads back.
fn shortest(walks: Vec<Walk>, start: usize, mode: Mode) -> Vec<Walk> {
    let end = |walk: &Walk| walk.nodes.last().copied().unwrap_or(start);
    let mut kept: Vec<Walk> = Vec::new();
    let mut sorted = walks;
    sorted.sort_by_key(|walk| walk.rels.len());
    for walk in sorted {
        let best = kept.iter().find(|known| end(known) == end(&walk)).map(|known| known.rels.len());
        let another = mode == Mode::AllShortest && best == Some(walk.rels.len());
        if best.is_none() || another {
            kept.push(walk);
        }
    }
    kept
}
