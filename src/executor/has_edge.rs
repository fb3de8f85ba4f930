//! Semi, anti and mark joins by one edge between two bound nodes. Rows come in runs in which one of the nodes stays the
//! same, so its neighbours are turned into bits once and every row of the run is one look at a bit. Where there are no
//! runs, the edge is searched in the sorted list.

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::lists::{EdgeReader, Matches};
use super::operator::{Flow, Next, Operator};
use super::weigh::Answers;
use crate::planner::physical_plan::{Answer, PhysicalEdge};
use crate::types::GlobalId;
use crate::vector::{Batch, ValueVector};

/// Rows that a run has at least, on average, to be worth bits.
const RUN_ROWS: usize = 4;

/// The neighbours of one node as bits, per table.
#[derive(Default)]
struct Neighbours {
    tables: Vec<(u16, Vec<u64>)>,
    listed: Vec<u64>,
}

impl Neighbours {
    fn set(&mut self, nodes: &[u64]) {
        for node in std::mem::take(&mut self.listed) {
            let (table, word, _) = place(node);
            if let Some((_, words)) = self.tables.iter_mut().find(|(known, _)| *known == table) {
                words[word] = 0;
            }
        }
        for node in nodes {
            let (table, word, bit) = place(*node);
            let at = match self.tables.iter().position(|(known, _)| *known == table) {
                Some(at) => at,
                None => {
                    self.tables.push((table, Vec::new()));
                    self.tables.len() - 1
                }
            };
            let words = &mut self.tables[at].1;
            if words.len() <= word {
                words.resize((word + 1).next_power_of_two(), 0);
            }
            words[word] |= bit;
        }
        self.listed.extend_from_slice(nodes);
    }

    #[inline]
    fn has(&self, node: u64) -> bool {
        let (table, word, bit) = place(node);
        let words = self.tables.iter().find(|(known, _)| *known == table);
        words.and_then(|(_, words)| words.get(word)).is_some_and(|word| word & bit != 0)
    }
}

#[inline]
fn place(node: u64) -> (u16, usize, u64) {
    let id = GlobalId(node);
    let offset = id.offset();
    ((node >> 48) as u16, (offset / 64) as usize, 1 << (offset % 64))
}

/// Settles rows by whether an edge connects the nodes in two columns.
pub struct HasEdge<'x> {
    ends: [usize; 2],
    edges: [EdgeReader<'x>; 2],
    answers: Answers,
    /// The node whose neighbours have bits, and at which end it stands.
    current: Option<(usize, u64)>,
    neighbours: Neighbours,
    found: Matches,
    rows: Vec<u32>,
    next: Next<'x>,
}

impl<'x> HasEdge<'x> {
    /// Settles before `next`; each of the edges leads from one of the ends.
    pub fn new(
        ends: [usize; 2],
        edges: &[PhysicalEdge; 2],
        answer: Answer,
        query: &QueryContext,
        next: Next<'x>,
    ) -> ExecutionResult<HasEdge<'x>> {
        let edges = [EdgeReader::new(&edges[0], false, query)?, EdgeReader::new(&edges[1], false, query)?];
        Ok(HasEdge {
            ends,
            edges,
            answers: Answers::new(answer),
            current: None,
            neighbours: Neighbours::default(),
            found: Matches::default(),
            rows: Vec::new(),
            next,
        })
    }

    fn look(&mut self, ends: [&ValueVector<'_>; 2], context: &mut Context<'_>) -> ExecutionResult<()> {
        let (Some(first), Some(second)) = (ends[0].native_reader::<u64>(), ends[1].native_reader::<u64>())
        else {
            return Ok(());
        };
        let nullable = ends.map(|end| !end.has_no_nulls());
        let absent = |row: usize| (0..2).any(|end| nullable[end] && ends[end].is_null(row));
        let mut changes = [0usize; 2];
        for pair in self.rows.windows(2) {
            let (a, b) = (pair[0] as usize, pair[1] as usize);
            changes[0] += usize::from(first.get(a) != first.get(b));
            changes[1] += usize::from(second.get(a) != second.get(b));
        }
        let side = usize::from(changes[1] < changes[0]);
        if changes[side] * RUN_ROWS >= self.rows.len() {
            for row in &self.rows {
                let at = *row as usize;
                if !absent(at) {
                    self.found.nodes.clear();
                    self.found.rels.clear();
                    self.edges[0].append_between(first.get(at), second.get(at), context, &mut self.found)?;
                    self.answers.found[at] = self.found.nodes.len() as u64;
                }
            }
            return Ok(());
        }
        count(&context.query.counters.edges_looked_up, self.rows.len() as u64);
        for row in &self.rows {
            let at = *row as usize;
            if absent(at) {
                continue;
            }
            let (near, far) =
                if side == 0 { (first.get(at), second.get(at)) } else { (second.get(at), first.get(at)) };
            if self.current != Some((side, near)) {
                self.found.nodes.clear();
                self.found.rels.clear();
                self.edges[side].append(near, context, &mut self.found)?;
                self.neighbours.set(&self.found.nodes);
                self.current = Some((side, near));
            }
            self.answers.found[at] = u64::from(self.neighbours.has(far));
        }
        Ok(())
    }
}

impl Operator for HasEdge<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        self.rows.clear();
        batch.selection.indices(batch.length, &mut self.rows);
        self.answers.reset(batch.length);
        context.query.check()?;
        let ends = self.ends.map(|end| &batch.columns[end]);
        self.look(ends, context)?;
        self.answers.push(context, batch, &mut *self.next)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TableId;

    #[test]
    fn bits_of_one_node_make_room_for_those_of_the_next() {
        let node = |table: u32, offset: u64| GlobalId::new(TableId(table), offset).0;
        let mut neighbours = Neighbours::default();
        neighbours.set(&[node(1, 5), node(1, 700), node(2, 5), node(1, 5)]);
        assert!(neighbours.has(node(1, 700)) && neighbours.has(node(2, 5)) && !neighbours.has(node(2, 700)));
        neighbours.set(&[node(1, 6)]);
        assert!(neighbours.has(node(1, 6)) && !neighbours.has(node(1, 5)) && !neighbours.has(node(3, 6)));
    }
}
