//! Variable-length relationships: bounds, modes, and which tables can lie on the way from one end to the other.

use super::bind::Binder;
use super::bound::{PathMode, RelTable, VariableLength};
use super::error::{BindError, BindErrorKind, BindResult};
use super::tables::{intersection, table_set};
use crate::parser::ast::{self, ShortestPaths, Span};
use crate::types::TableId;

/// The upper bound of `*` in Kuzu's dialect when none is written.
const KUZU_UPPER_BOUND: u32 = 30;
/// Lengths up to here are told apart when tables are narrowed; longer paths are taken as unbounded.
const NARROWED_LENGTH: u32 = 32;

impl Binder<'_> {
    /// The bounds and the mode of a relationship, if it has variable length.
    pub fn variable_length(
        &self,
        relationship: &ast::RelationshipPattern,
        shortest: Option<ShortestPaths>,
    ) -> BindResult<Option<VariableLength>> {
        let shortest = shortest.map(|paths| match paths {
            ShortestPaths::One => PathMode::Shortest,
            ShortestPaths::All => PathMode::AllShortest,
        });
        let Some(length) = relationship.length.as_deref() else {
            let single = |mode| VariableLength {
                is_function: true,
                ..Self::plain_length(relationship, 1, Some(1), mode)
            };
            return Ok(shortest.map(single));
        };
        let mode = match (self.path_mode(length)?, shortest) {
            (mode, None) => mode.unwrap_or(if self.is_kuzu() { PathMode::Walk } else { PathMode::Trail }),
            (None, Some(shortest)) => shortest,
            (Some(_), Some(_)) => {
                let message = "a path mode inside shortestPath contradicts it";
                return Err(BindError::new(BindErrorKind::InvalidPattern, length.span, message));
            }
        };
        let (min, max) = self.bounds(length)?;
        if mode.is_shortest() && min > 1 {
            let message = format!(
                "the shortest paths between two nodes cannot have a lower bound of {min}, only 0 or 1"
            );
            return Err(BindError::new(BindErrorKind::InvalidPattern, length.span, message));
        }
        let plain = Self::plain_length(relationship, min, max, mode);
        Ok(Some(VariableLength { is_function: shortest.is_some(), ..plain }))
    }

    fn plain_length(
        relationship: &ast::RelationshipPattern,
        min: u32,
        max: Option<u32>,
        mode: PathMode,
    ) -> VariableLength {
        VariableLength {
            min,
            max,
            mode,
            edge_predicates: Vec::new(),
            inner: None,
            inner_predicates: Vec::new(),
            cost: None,
            against_arrow: relationship.direction == ast::Direction::Left,
            is_function: false,
        }
    }

    fn path_mode(&self, length: &ast::VariableLength) -> BindResult<Option<PathMode>> {
        Ok(Some(match &length.mode {
            ast::PathMode::Default => return Ok(None),
            ast::PathMode::Walk => PathMode::Walk,
            ast::PathMode::Trail => PathMode::Trail,
            ast::PathMode::Acyclic => PathMode::Acyclic,
            ast::PathMode::Shortest => PathMode::Shortest,
            ast::PathMode::AllShortest => PathMode::AllShortest,
            ast::PathMode::WeightedShortest(_) => PathMode::WeightedShortest,
            ast::PathMode::AllWeightedShortest(_) => PathMode::AllWeightedShortest,
        }))
    }

    fn bounds(&self, length: &ast::VariableLength) -> BindResult<(u32, Option<u32>)> {
        let number = |bound: Option<u64>| match bound.map(u32::try_from).transpose() {
            Ok(bound) => Ok(bound),
            Err(_) => Err(BindError::new(
                BindErrorKind::NumberOutOfRange,
                length.span,
                format!("a path cannot be longer than {} relationships", u32::MAX),
            )),
        };
        let min = number(length.lower)?.unwrap_or(1);
        let max = number(length.upper)?;
        let default = if self.is_kuzu() { Some(KUZU_UPPER_BOUND) } else { None };
        let max = max.or(default);
        if self.is_kuzu() && max.is_some_and(|max| max < min) {
            let message = format!("the lower bound {min} is above the upper bound {}", max.unwrap_or(min));
            return Err(BindError::new(BindErrorKind::InvalidPattern, length.span, message));
        }
        Ok((min, max))
    }

    /// A named relationship on the way, `(r, n | WHERE …)`, takes only what concerns the relationship.
    pub fn recursion_predicate<'e>(
        &self,
        length: &'e ast::VariableLength,
    ) -> BindResult<Option<(&'e ast::Name, &'e ast::Name, &'e ast::Expression)>> {
        let Some(filter) = length.filter.as_deref() else { return Ok(None) };
        if filter.projections.is_some() {
            return Err(BindError::not_supported(
                "a projection inside a variable-length pattern",
                filter.span,
            ));
        }
        Ok(filter.predicate.as_ref().map(|predicate| (&filter.relationship, &filter.node, predicate)))
    }

    /// An error for what needs exactly one relationship.
    pub fn shortest_needs_one_step(span: Span) -> BindError {
        let message = "shortestPath needs a pattern of two nodes and one relationship";
        BindError::new(BindErrorKind::InvalidPattern, span, message)
    }
}

/// A relationship table in one of the orientations in which a pattern may walk it.
#[derive(Clone, Copy)]
pub(super) struct Hop {
    pub table: RelTable,
    pub from: TableId,
    pub to: TableId,
}

/// All hops that a pattern edge may take from its source towards its target.
pub(super) fn hops(tables: &[RelTable], undirected: bool) -> Vec<Hop> {
    let forward = tables.iter().map(|table| Hop { table: *table, from: table.source, to: table.target });
    let backward = tables.iter().map(|table| Hop { table: *table, from: table.target, to: table.source });
    if undirected { forward.chain(backward).collect() } else { forward.collect() }
}

/// What remains of a pattern edge and its ends when only tables count that lie on a way from end to end.
pub(super) struct Narrowed {
    pub tables: Vec<TableId>,
    pub sources: Vec<TableId>,
    pub targets: Vec<TableId>,
}

/// Narrows an edge of fixed or variable length and its ends to the tables that can take part.
pub(super) fn narrow(
    hops: &[Hop],
    sources: &[TableId],
    targets: &[TableId],
    min: u32,
    max: Option<u32>,
) -> Narrowed {
    let mut narrowed = match max {
        Some(max) if max <= NARROWED_LENGTH => by_length(hops, sources, targets, min.max(1), max),
        _ => by_reach(hops, sources, targets),
    };
    if min == 0 {
        // A path of no relationship binds both ends to one node.
        let both = intersection(sources, targets);
        narrowed.sources = table_set(narrowed.sources.into_iter().chain(both.iter().copied()));
        narrowed.targets = table_set(narrowed.targets.into_iter().chain(both));
    }
    narrowed
}

/// Follows the hops for every length between `min` and `max`, step by step from both ends.
fn by_length(hops: &[Hop], sources: &[TableId], targets: &[TableId], min: u32, max: u32) -> Narrowed {
    let ahead = levels(sources, max, |reached| step(hops, reached, |hop| (hop.from, hop.to)));
    let back = levels(targets, max, |reached| step(hops, reached, |hop| (hop.to, hop.from)));
    let (mut tables, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for length in min..=max {
        for position in 1..=length {
            let before = &ahead[position as usize - 1];
            let after = &back[(length - position) as usize];
            for hop in hops.iter().filter(|hop| before.contains(&hop.from) && after.contains(&hop.to)) {
                tables.push(hop.table.table);
                if position == 1 {
                    first.push(hop.from);
                }
                if position == length {
                    last.push(hop.to);
                }
            }
        }
    }
    Narrowed { tables: table_set(tables), sources: table_set(first), targets: table_set(last) }
}

/// Follows the hops without counting them.
fn by_reach(hops: &[Hop], sources: &[TableId], targets: &[TableId]) -> Narrowed {
    let ahead = closure(sources, |reached| step(hops, reached, |hop| (hop.from, hop.to)));
    let back = closure(targets, |reached| step(hops, reached, |hop| (hop.to, hop.from)));
    let on_the_way: Vec<&Hop> =
        hops.iter().filter(|hop| ahead.contains(&hop.from) && back.contains(&hop.to)).collect();
    let starts = on_the_way.iter().map(|hop| hop.from).filter(|table| sources.contains(table));
    let ends = on_the_way.iter().map(|hop| hop.to).filter(|table| targets.contains(table));
    Narrowed {
        tables: table_set(on_the_way.iter().map(|hop| hop.table.table)),
        sources: table_set(starts),
        targets: table_set(ends),
    }
}

/// The node tables one hop away from `reached`.
fn step(hops: &[Hop], reached: &[TableId], ends: impl Fn(&Hop) -> (TableId, TableId)) -> Vec<TableId> {
    table_set(hops.iter().map(ends).filter(|(near, _)| reached.contains(near)).map(|(_, far)| far))
}

/// The sets reached after 0, 1, … `count` steps.
fn levels(start: &[TableId], count: u32, next: impl Fn(&[TableId]) -> Vec<TableId>) -> Vec<Vec<TableId>> {
    let mut levels = vec![start.to_vec()];
    for at in 0..count as usize {
        let level = next(&levels[at]);
        levels.push(level);
    }
    levels
}

/// Everything reached after any number of steps.
fn closure(start: &[TableId], next: impl Fn(&[TableId]) -> Vec<TableId>) -> Vec<TableId> {
    let mut reached = table_set(start.iter().copied());
    loop {
        let more = table_set(reached.iter().copied().chain(next(&reached)));
        if more.len() == reached.len() {
            return reached;
        }
        reached = more;
    }
}
