//! Several OPTIONAL MATCHes that have nothing to do with each other, under aggregates that do not see how often a row occurs
//! (`count(DISTINCT p)`, `min(c.x)`) and of which each reads one of them. The product of what they find is of no use: the
//! matches of one are put *beside* those of the others, with a row in which it has found nothing. A later one is only
//! looked for in rows in which all before it are NULL, so that a row of n and of m matches makes n + m + 1 rows.

use std::collections::{BTreeMap, BTreeSet};

use super::Builder;
use super::found::ignores_duplicates;
use crate::binder::bound::{
    BoundClause, BoundExpression, BoundMatch, BoundProjection, ExpressionKind, PatternEdge, VariableId,
};
use crate::planner::decorrelate::variable_of_type;
use crate::planner::join_order::Partial;
use crate::planner::query_graph::QueryGraph;
use crate::planner::rewrite::variables_of;
use crate::types::DataType;

/// How many times more rows a product has to have than its parts beside each other.
const CLEARLY_MORE: f64 = 2.0;

/// An optional match with those that hang at what it finds.
struct Group {
    /// Its clauses; the first one is the match.
    clauses: Vec<usize>,
    variables: BTreeSet<VariableId>,
    /// What is NULL where the match has found nothing.
    guard: VariableId,
    /// Rows that it makes of one.
    rows: f64,
}

impl Builder<'_> {
    /// Notes which optional matches are put beside others, and restricts the others.
    pub(super) fn put_beside(&mut self, clauses: &mut [BoundClause], bound: &BTreeSet<VariableId>) {
        let mut known: BTreeSet<VariableId> = bound.iter().chain(self.renames.keys()).copied().collect();
        let mut start = 0;
        for end in 0..clauses.len() {
            let BoundClause::Project(projection) = &clauses[end] else { continue };
            let outputs: Vec<VariableId> = projection.items.iter().map(|item| item.variable).collect();
            let optional = |clause: &&BoundClause| matches!(clause, BoundClause::Match(it) if it.optional);
            let several = clauses[start..end].iter().filter(optional).count() > 1;
            if several && projection.grouped && ignores_duplicates(projection) {
                let groups = self.groups(&clauses[start..end], projection, &mut known.clone());
                self.separate(groups, &mut clauses[start..end]);
            }
            clauses[start..end].iter().for_each(|clause| known.extend(bound_in(clause)));
            known.extend(outputs);
            start = end + 1;
        }
    }

    /// The groups that are only read by aggregates, each by its own.
    fn groups(
        &self,
        clauses: &[BoundClause],
        projection: &BoundProjection,
        known: &mut BTreeSet<VariableId>,
    ) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        // Variables that something else reads.
        let mut read = read_by_rows(projection);
        for (at, clause) in clauses.iter().enumerate() {
            let own: BTreeSet<VariableId> = bound_in(clause).difference(known).copied().collect();
            known.extend(&own);
            let BoundClause::Match(matched) = clause else {
                match clause {
                    BoundClause::Unwind { list, .. } => read.extend(variables_of(list)),
                    _ => return Vec::new(),
                }
                continue;
            };
            let asked: BTreeSet<VariableId> = matched.predicates.iter().flat_map(variables_of).collect();
            read.extend(asked.difference(&own));
            if !matched.optional {
                read.extend(&matched.pattern.nodes);
                continue;
            }
            let again = |edge: &PatternEdge| !own.contains(&edge.variable);
            if matched.predicates.iter().any(BoundExpression::has_subquery)
                || matched.pattern.edges.iter().any(again)
            {
                return Vec::new();
            }
            let nodes: BTreeSet<VariableId> = matched.pattern.nodes.iter().copied().collect();
            let mut at_others = groups.iter_mut().filter(|group| !group.variables.is_disjoint(&nodes));
            match (at_others.next(), at_others.next()) {
                (Some(_), Some(_)) => return Vec::new(),
                (Some(group), None) => {
                    group.clauses.push(at);
                    group.variables.extend(own);
                }
                _ => {
                    let node = matched.pattern.nodes.iter().find(|node| own.contains(node));
                    let Some(guard) = node.or(own.first()).copied() else { continue };
                    let rows = self.matches_of_a_row(matched, &own);
                    groups.push(Group { clauses: vec![at], variables: own, guard, rows });
                }
            }
        }
        let counted: BTreeSet<VariableId> =
            projection.aggregates.iter().flat_map(|call| &call.arguments).flat_map(variables_of).collect();
        groups.retain(|group| group.variables.is_disjoint(&read) && !group.variables.is_disjoint(&counted));
        groups
    }

    /// About how many matches a row finds.
    fn matches_of_a_row(&self, matched: &BoundMatch, own: &BTreeSet<VariableId>) -> f64 {
        let mut graph = QueryGraph::default();
        graph.add_match(matched, &self.variables);
        let bound = graph.nodes.iter().map(|node| node.variable).filter(|node| !own.contains(node));
        let start = Partial { bound: bound.collect(), ..Partial::unit() };
        self.order(start, graph, BTreeMap::new(), BTreeSet::new(), false).rows
    }

    /// Puts groups beside each other where their product is expected to be larger.
    fn separate(&mut self, groups: Vec<Group>, clauses: &mut [BoundClause]) {
        let product: f64 = groups.iter().map(|group| group.rows.max(1.0)).product();
        let beside: f64 = 1.0 + groups.iter().map(|group| group.rows).sum::<f64>();
        if groups.len() < 2 || product <= beside * CLEARLY_MORE {
            return;
        }
        let mut guards = Vec::new();
        for group in &groups {
            for at in &group.clauses {
                if let BoundClause::Match(matched) = &mut clauses[*at] {
                    matched.predicates.extend(guards.iter().map(|guard| self.is_null(*guard)));
                }
            }
            guards.push(group.guard);
            self.beside.insert(group.guard);
        }
        // Behind the last one no row is needed in which it has found nothing.
        groups.last().iter().for_each(|last| {
            self.beside.remove(&last.guard);
        });
    }

    fn is_null(&self, variable: VariableId) -> BoundExpression {
        let operand = Box::new(variable_of_type(variable, self.type_of(variable)));
        let kind = ExpressionKind::IsNull { operand, negated: false };
        BoundExpression { kind, data_type: DataType::Bool, span: Default::default() }
    }
}

/// What a clause binds or matches.
fn bound_in(clause: &BoundClause) -> BTreeSet<VariableId> {
    match clause {
        BoundClause::Match(matched) => matched.pattern.variables(),
        BoundClause::Unwind { variable, .. } => BTreeSet::from([*variable]),
        _ => BTreeSet::new(),
    }
}

/// Variables that a projection reads other than by aggregates of nothing but a variable, which leave out where it is NULL.
fn read_by_rows(projection: &BoundProjection) -> BTreeSet<VariableId> {
    let items = projection.items.iter().map(|item| &item.expression);
    let keys = projection.order_by.iter().map(|key| &key.expression);
    let alone = |argument: &&BoundExpression| {
        !matches!(argument.kind, ExpressionKind::Variable(_) | ExpressionKind::Property { .. })
    };
    let calls = projection.aggregates.iter().flat_map(|call| {
        // What an aggregate of several arguments does with NULL is its own affair.
        let several = call.arguments.len() > 1;
        call.arguments.iter().filter(move |argument| several || alone(argument))
    });
    items.chain(keys).chain(&projection.predicates).chain(calls).flat_map(variables_of).collect()
}
