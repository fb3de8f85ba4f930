//! How many rows to expect of each step of a plan, from table sizes, degrees and distinct counts. Join ordering and
//! EXPLAIN ask the same questions here; the shares that predicates keep are in `selectivity`.

use std::collections::BTreeMap;

use crate::binder::bound::{BoundExpression, ExpressionKind, Variable, VariableId, VariableKind};
use crate::catalog::{Catalog, DirectionStatistics, Statistics};
use crate::types::{ColumnId, TableId, Value};

use super::inputs_of;
use super::logical_plan::{Direction, ExpandEdge, Leg, LogicalPlan, MessageNode};
use super::query_graph::GraphNode;
use super::rewrite::uses_only;

/// Estimates stay below this, so that products of them stay finite.
pub const ROWS_MAX: f64 = 1e18;
/// Elements of a list that is not known yet.
pub const LIST_LENGTH: f64 = 10.0;

/// Estimates from one version of the catalog and its statistics.
#[derive(Clone, Copy)]
pub struct Estimator<'a> {
    pub catalog: &'a Catalog,
    pub statistics: &'a Statistics,
    /// Whether plans may hold an array of numbers per node, or sorted lists: they do without where memory is short.
    pub arrays: bool,
}

impl Estimator<'_> {
    /// Rows of a node or relationship table.
    pub fn rows(&self, table: TableId) -> f64 {
        self.statistics.table(table).map_or(0.0, |table| table.rows as f64)
    }

    /// Rows of several tables.
    pub fn rows_of(&self, tables: &[TableId]) -> f64 {
        tables.iter().map(|table| self.rows(*table)).sum()
    }

    /// Nodes that fulfil a graph node's own predicates.
    pub fn nodes(&self, node: &GraphNode) -> f64 {
        let rows = self.rows_of(&node.tables);
        (rows * self.selectivity_of_all(&node.predicates)).max(if rows > 0.0 { 1.0 } else { 0.0 })
    }

    /// Whether `column` is the whole primary key of `table`.
    pub fn is_key(&self, table: TableId, column: ColumnId) -> bool {
        self.catalog.node_table_by_id(table).is_some_and(|schema| schema.primary_key == [column])
    }

    /// Whether the column never holds NULL. What is NOT NULL and no key may still be NULL in rows that the statement
    /// itself `creates`, as a later SET may give the value.
    pub fn is_not_null(&self, table: TableId, column: ColumnId, creates: bool) -> bool {
        let Some(schema) = self.catalog.node_table_by_id(table) else { return false };
        let not_null = || schema.column_by_id(column).is_some_and(|column| column.not_null);
        schema.primary_key.contains(&column) || (!creates && not_null())
    }

    fn direction(&self, leg: &Leg) -> Option<&DirectionStatistics> {
        let table = self.statistics.table(leg.rel.table)?;
        Some(match leg.direction {
            Direction::Forward => &table.forward,
            Direction::Backward => &table.backward,
        })
    }

    /// Mean number of neighbours of a node that the legs start from.
    pub fn fanout(&self, legs: &[Leg], from: &[TableId]) -> f64 {
        let rows = self.rows_of(from);
        if rows == 0.0 { 0.0 } else { self.edges(legs) / rows }
    }

    /// The same for a node that was reached along entries of other lists of its own, or of the same: long lists are met
    /// more often, and nodes with many entries in the one may have many in the other.
    pub fn fanout_by_entry(&self, came_by: &[Leg], legs: &[Leg]) -> f64 {
        let (mut arrivals, mut paths) = (0.0, 0.0);
        for before in came_by {
            let entries = self.edges(std::slice::from_ref(before));
            arrivals += entries;
            for leg in legs.iter().filter(|leg| leg.from_table() == before.from_table()) {
                let nodes = leg.from_table();
                let known = self.statistics.paths(lists(before), lists(leg), nodes);
                paths += known.unwrap_or_else(|| match lists(before) == lists(leg) {
                    true => entries * self.direction(leg).map_or(0.0, DirectionStatistics::degree_by_entry),
                    false => entries * self.edges(std::slice::from_ref(leg)) / self.rows(nodes).max(1.0),
                });
            }
        }
        if arrivals == 0.0 { 0.0 } else { paths / arrivals }
    }

    /// Neighbours to expect across an edge whose start the plan has reached one way or another.
    pub fn fanout_after(&self, edge: &ExpandEdge, from: &[TableId], plan: &LogicalPlan) -> f64 {
        let mut most: Option<f64> = None;
        each_arrival(plan, edge.from, &mut |came_by| {
            let fanout = self.fanout_by_entry(came_by, &edge.legs);
            most = Some(most.map_or(fanout, |most| most.max(fanout)));
        });
        most.unwrap_or_else(|| self.fanout(&edge.legs, from))
    }

    /// Relationships to expect along an edge between two nodes that the plan has reached one way or another.
    pub fn between(&self, edge: &ExpandEdge, ends: [&[TableId]; 2], plan: &LogicalPlan) -> f64 {
        let edges = self.edges(&edge.legs);
        if edges == 0.0 || edge.from == edge.to {
            return self.connections(&edge.legs, ends[0], ends[1]);
        }
        let back = turned(edge);
        self.fanout_after(edge, ends[0], plan) * self.fanout_after(&back, ends[1], plan) / edges
    }

    /// Nodes to expect that all edges lead to, each counted once per way there: entries of the shortest lists, each of
    /// which is among the others' the more often the more of their entries lead to where it leads.
    pub fn common_neighbours(
        &self,
        edges: &[ExpandEdge],
        plan: &LogicalPlan,
        tables_of: &dyn Fn(VariableId) -> Vec<TableId>,
    ) -> f64 {
        let length = |edge: &ExpandEdge| self.fanout_after(edge, &tables_of(edge.from), plan);
        let shortest = edges.iter().min_by(|a, b| length(a).total_cmp(&length(b)));
        let Some(shortest) = shortest else { return 0.0 };
        let came_by = turned(shortest).legs;
        let others = edges.iter().filter(|edge| edge.variable != shortest.variable);
        others.fold(length(shortest), |rows, edge| {
            let share = self.fanout_by_entry(&came_by, &turned(edge).legs) / self.edges(&edge.legs).max(1.0);
            rows * (length(edge) * share).min(1.0)
        })
    }

    /// Entries of all lists of the legs.
    pub fn edges(&self, legs: &[Leg]) -> f64 {
        legs.iter().filter_map(|leg| self.direction(leg)).map(|direction| direction.edges as f64).sum()
    }

    /// Nodes that have a neighbour across one of the legs, at most.
    fn active(&self, legs: &[Leg], tables: &[TableId]) -> f64 {
        let lists = legs.iter().filter_map(|leg| self.direction(leg));
        let active: f64 = lists.map(|direction| direction.nodes_with_edges as f64).sum();
        let rows = self.rows_of(tables);
        if active > 0.0 { active.min(rows) } else { rows }
    }

    /// Relationships to expect between two nodes that are bound: nodes without any are taken not to be met.
    pub fn connections(&self, legs: &[Leg], from: &[TableId], to: &[TableId]) -> f64 {
        let back: Vec<Leg> = legs.iter().map(turned_leg).collect();
        let pairs = self.active(legs, from) * self.active(&back, to);
        if pairs == 0.0 { 0.0 } else { self.edges(legs) / pairs }
    }

    /// Rows of an equality join on keys of which the sides have so many different values.
    pub fn joined(&self, left: f64, right: f64, keys: &[(BoundExpression, BoundExpression)]) -> f64 {
        let mut rows = left * right;
        for (a, b) in keys {
            let distinct =
                |side: &BoundExpression, rows: f64| self.distinct_of(side).unwrap_or(rows).min(rows).max(1.0);
            rows /= distinct(a, left).max(distinct(b, right));
        }
        rows.min(ROWS_MAX)
    }

    /// Rows of a join of two plans over a node that both bind.
    pub fn joined_at(
        &self,
        (probe, build): (&LogicalPlan, &LogicalPlan),
        rows: (f64, f64),
        node: VariableId,
        tables: &[TableId],
    ) -> f64 {
        let nodes = self.rows_of(tables) * self.admitted(probe, node);
        let mut correlated: Option<f64> = None;
        each_arrival(probe, node, &mut |came_by| {
            each_arrival(build, node, &mut |legs| {
                let usual = self.fanout(legs, tables);
                let factor = if usual > 0.0 { self.fanout_by_entry(came_by, legs) / usual } else { 1.0 };
                correlated = Some(correlated.map_or(factor, |most| most.max(factor)));
            });
        });
        (rows.0 * rows.1 / nodes.max(1.0) * correlated.unwrap_or(1.0)).min(ROWS_MAX)
    }

    /// Different combinations of the expressions' values among so many rows of a plan.
    pub fn groups<'e>(
        &self,
        rows: f64,
        keys: impl Iterator<Item = &'e BoundExpression>,
        plan: &LogicalPlan,
        variables: &[Variable],
    ) -> f64 {
        let mut combinations = 1.0;
        for key in keys {
            if let ExpressionKind::Variable(variable) = key.kind
                && is_scanned_once(plan, variable)
            {
                return rows;
            }
            let entities = match key.kind {
                ExpressionKind::Variable(v) | ExpressionKind::InternalId(v) => {
                    let all = self.entities(variables.get(v.0 as usize));
                    all.map(|all| all * self.admitted(plan, v))
                }
                _ => None,
            };
            let distinct = entities.or_else(|| self.distinct_of(key)).unwrap_or_else(|| rows.sqrt());
            combinations = f64::min(combinations * distinct.max(1.0), ROWS_MAX);
        }
        // Of so many kinds, as many are met by rows that fall on them by chance.
        (combinations * -(-rows / combinations).exp_m1()).clamp(1.0_f64.min(rows), rows.max(0.0))
    }

    /// The share of its nodes that a variable can still stand for in a plan's rows, by conjuncts over it alone.
    fn admitted(&self, plan: &LogicalPlan, variable: VariableId) -> f64 {
        use LogicalPlan as L;
        let own = match plan {
            L::ScanNodes { variable: scanned, predicates, .. } if *scanned == variable => {
                self.selectivity_of_all(predicates)
            }
            L::Expand { edge, target, .. } if edge.to == variable => self.selectivity_of_all(target),
            L::LookupNode { variable: found, table, .. } if *found == variable => {
                1.0 / self.rows(*table).max(1.0)
            }
            L::LookupElements { variable: found, table, length, .. } if *found == variable => {
                (length / self.rows(*table).max(1.0)).min(1.0)
            }
            L::Filter { predicates, .. } => {
                let alone = |predicate: &&BoundExpression| uses_only(predicate, |used| used == variable);
                predicates.iter().filter(alone).map(|predicate| self.selectivity(predicate)).product()
            }
            _ => 1.0,
        };
        inputs_of(plan).fold(own, |share, input| share * self.admitted(input, variable))
    }

    /// Nodes or relationships that a variable can stand for.
    fn entities(&self, variable: Option<&Variable>) -> Option<f64> {
        match &variable?.kind {
            VariableKind::Node { tables } => Some(self.rows_of(tables)),
            VariableKind::Rel { tables } => Some(tables.iter().map(|rel| self.rows(rel.table)).sum()),
            _ => None,
        }
    }

    /// The share of a tree's nodes with at least one match below them.
    pub fn weighing(&self, node: &MessageNode) -> f64 {
        let mut share = self.selectivity_of_all(&node.predicates);
        for step in &node.children {
            let below = self.weighing(&step.child);
            for edge in &step.edges {
                let (rows, edges) = (self.rows_of(&node.tables).max(1.0), self.edges(&edge.legs));
                let active = self.active(&edge.legs, &node.tables).max(1.0);
                let kept = below * self.selectivity_of_all(&edge.predicates);
                let any = match &edge.legs[..] {
                    [leg] => {
                        self.direction(leg).map(|lists| lists.degrees.share_with_any(edges, active, kept))
                    }
                    _ => None,
                };
                let any = any.unwrap_or_else(|| 1.0 - (1.0 - kept).powf(edges / active));
                share *= (active / rows).min(1.0) * any;
            }
        }
        share
    }
}

/// The same edge from its other end.
fn turned(edge: &ExpandEdge) -> ExpandEdge {
    let legs = edge.legs.iter().map(turned_leg).collect();
    ExpandEdge { from: edge.to, to: edge.from, legs, predicates: Vec::new(), ..*edge }
}

/// The same index from its other end.
pub fn turned_leg(leg: &Leg) -> Leg {
    Leg { direction: leg.direction.reversed(), ..*leg }
}

/// The lists of a leg, as the statistics name them.
fn lists(leg: &Leg) -> (TableId, bool) {
    (leg.rel.table, leg.direction == Direction::Forward)
}

/// The edges of fixed length that a plan has followed to or from a node, each as legs that start there.
fn each_arrival(plan: &LogicalPlan, node: VariableId, see: &mut dyn FnMut(&[Leg])) {
    use LogicalPlan as L;
    let mut edge = |edge: &ExpandEdge| {
        if edge.to == node {
            see(&edge.legs.iter().map(turned_leg).collect::<Vec<Leg>>());
        } else if edge.from == node {
            see(&edge.legs);
        }
    };
    match plan {
        L::Expand { edge: own, .. } | L::ExpandInto { edge: own, .. } | L::ScanRels { edge: own, .. } => {
            edge(own)
        }
        L::Intersect { edges, .. } => edges.iter().for_each(edge),
        L::Project { .. } | L::Aggregate { .. } | L::Distinct { .. } => return,
        _ => {}
    }
    inputs_of(plan).for_each(|input| each_arrival(input, node, see));
}

/// Whether each row of a plan has another value of the variable, since it was scanned and only filtered.
fn is_scanned_once(plan: &LogicalPlan, variable: VariableId) -> bool {
    use LogicalPlan as L;
    match plan {
        L::ScanNodes { variable: own, .. } | L::ScanWeighted { variable: own, .. } => *own == variable,
        L::Filter { input, .. } | L::Weight { input, .. } | L::Joining { input, .. } => {
            is_scanned_once(input, variable)
        }
        _ => false,
    }
}

/// The number that SKIP or LIMIT says, if it is known.
pub fn literal_count(expression: Option<&BoundExpression>) -> Option<f64> {
    match &expression?.kind {
        ExpressionKind::Literal(value) => value.as_i64().map(|count| count.max(0) as f64),
        _ => None,
    }
}

/// How many elements lists have that variables stand for, as far as it is expected.
pub type ListLengths = BTreeMap<VariableId, f64>;

/// Elements of a list, if it is written out or follows from lists of which something is known.
pub fn list_length(list: &BoundExpression, known: &ListLengths) -> f64 {
    match &list.kind {
        ExpressionKind::Variable(variable) => known.get(variable).copied().unwrap_or(LIST_LENGTH),
        ExpressionKind::ListComprehension { list, .. } => list_length(list, known),
        ExpressionKind::Call { function, arguments } if function.name == "CAST" => {
            arguments.first().map_or(LIST_LENGTH, |list| list_length(list, known))
        }
        ExpressionKind::Literal(Value::List(values)) => values.len() as f64,
        ExpressionKind::Call { function, arguments } if function.name == "list_creation" => {
            arguments.len() as f64
        }
        ExpressionKind::Call { function, arguments } if function.name == "range" => {
            match (literal_count(arguments.first()), literal_count(arguments.get(1)), arguments.len()) {
                (Some(first), Some(last), 2) => (last - first + 1.0).max(0.0),
                _ => LIST_LENGTH,
            }
        }
        _ => LIST_LENGTH,
    }
}
