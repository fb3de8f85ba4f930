//! What clauses call things: variables that WITH renamed stand for those of before, and what later clauses mention has
//! to be kept.

use std::collections::BTreeSet;

use super::Builder;
use crate::binder::bound::{BoundClause, BoundExpression, BoundProjection, ExpressionKind, VariableId};
use crate::planner::constants;
use crate::planner::query_graph::QueryGraph;
use crate::planner::rewrite::{conjuncts, rename_expression, replace, variables_of};
use crate::planner::simplify::compare_nodes;

impl Builder<'_> {
    /// The clause with every renamed variable replaced by what it stands for, and simplified.
    pub(in crate::planner) fn renamed(&self, clause: &BoundClause) -> BoundClause {
        let mut clause = clause.clone();
        let name = |v: VariableId| self.renames.get(&v).copied().unwrap_or(v);
        if let BoundClause::Match(matched) = &mut clause {
            matched.pattern.nodes.iter_mut().for_each(|v| *v = name(*v));
            for edge in &mut matched.pattern.edges {
                edge.source = name(edge.source);
                edge.target = name(edge.target);
            }
            for path in &mut matched.pattern.paths {
                path.nodes.iter_mut().for_each(|v| *v = name(*v));
            }
        }
        if let BoundClause::Write(write) = &mut clause {
            write.rename(&name);
        }
        each_expression(&mut clause, &mut |expression, of| {
            rename_expression(expression, &name);
            // Behind a projection there is the path, but not the edge that tells its length.
            if of == Columns::Before {
                self.lengths.rewrite(expression);
            }
            compare_nodes(expression, &self.variables, &self.estimator);
            constants::fold(expression);
            self.ask_marks(expression);
        });
        if let BoundClause::Project(projection) = &mut clause {
            self.count_marks(projection);
        }
        clause
    }

    /// A WITH that only hands variables on is no boundary: what follows joins the same graph.
    pub(in crate::planner) fn pass_through(
        &mut self,
        projection: &BoundProjection,
        graph: Option<&mut QueryGraph>,
    ) -> bool {
        let plain = !projection.is_return
            && !projection.grouped
            && !projection.distinct
            && projection.order_by.is_empty()
            && projection.skip.is_none()
            && projection.limit.is_none()
            && !projection.predicates.iter().any(BoundExpression::is_volatile)
            && projection
                .items
                .iter()
                .all(|item| matches!(item.expression.kind, ExpressionKind::Variable(_)));
        let Some(graph) = graph.filter(|_| plain) else { return false };
        for item in &projection.items {
            if let ExpressionKind::Variable(stands_for) = item.expression.kind
                && stands_for != item.variable
            {
                self.renames.insert(item.variable, stands_for);
            }
        }
        let name = |v: VariableId| self.renames.get(&v).copied().unwrap_or(v);
        for mut predicate in conjuncts(projection.predicates.clone()) {
            rename_expression(&mut predicate, &name);
            self.lengths.rewrite(&mut predicate);
            graph.add_predicate(predicate);
        }
        true
    }

    /// Conditions behind a projection that are about what it hands on, or groups by, restrict the graph before it.
    pub(in crate::planner) fn ask_before(&self, projection: &mut BoundProjection, graph: &mut QueryGraph) {
        if projection.skip.is_some() || projection.limit.is_some() {
            return;
        }
        let handed_on = |variable: VariableId| {
            let item = projection.items.iter().find(|item| item.variable == variable)?;
            let plain =
                matches!(item.expression.kind, ExpressionKind::Variable(_) | ExpressionKind::Property { .. });
            plain.then(|| item.expression.clone())
        };
        let before = |predicate: &BoundExpression| {
            let asked = variables_of(predicate);
            let fits = !asked.is_empty()
                && asked.iter().all(|variable| handed_on(*variable).is_some())
                && !predicate.has_subquery()
                && !predicate.is_volatile();
            fits.then(|| handed_on_as(predicate, &handed_on))
        };
        let mut rest = Vec::new();
        for predicate in conjuncts(std::mem::take(&mut projection.predicates)) {
            match before(&predicate) {
                Some(mut asked) => {
                    self.lengths.rewrite(&mut asked);
                    graph.add_predicate(asked);
                }
                None => rest.push(predicate),
            }
        }
        projection.predicates = rest;
    }

    /// Variables that clauses from here on mention.
    pub(super) fn needed_later(&self, clauses: &[BoundClause]) -> BTreeSet<VariableId> {
        let mut needed = BTreeSet::new();
        for clause in clauses {
            match self.renamed(clause) {
                BoundClause::Match(matched) => {
                    matched.predicates.iter().for_each(|e| needed.extend(variables_of(e)));
                    needed.extend(&matched.pattern.nodes);
                    needed.extend(matched.pattern.edges.iter().map(|edge| edge.variable));
                }
                BoundClause::Unwind { list, .. } => needed.extend(variables_of(&list)),
                BoundClause::Project(projection) => needed.extend(needed_by(&projection)),
                BoundClause::Write(write) => {
                    needed.extend(write.uses());
                    write.each_expression(&mut |e| needed.extend(variables_of(e)));
                }
                BoundClause::Call(call) => {
                    let name = |v: &VariableId| self.renames.get(v).copied().unwrap_or(*v);
                    needed.extend(call.imports.iter().map(name));
                    needed.extend(call.outputs.iter().flatten());
                }
            }
        }
        needed
    }
}

/// A condition over what a projection puts out as one over what it is made of.
fn handed_on_as(
    predicate: &BoundExpression,
    handed_on: &dyn Fn(VariableId) -> Option<BoundExpression>,
) -> BoundExpression {
    let entity = |variable: VariableId| match handed_on(variable)?.kind {
        ExpressionKind::Variable(before) => Some(before),
        _ => None,
    };
    let value = |part: &BoundExpression| match &part.kind {
        ExpressionKind::Variable(variable) => {
            handed_on(*variable).filter(|before| matches!(before.kind, ExpressionKind::Property { .. }))
        }
        _ => None,
    };
    // Entities are named in more places than values are.
    let mut asked = replace(predicate, &value);
    rename_expression(&mut asked, &|variable| entity(variable).unwrap_or(variable));
    asked
}

/// What an expression of a clause is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    Before,
    /// What a projection puts out.
    After,
}

/// Calls `visit` with every expression of a clause.
fn each_expression(clause: &mut BoundClause, visit: &mut dyn FnMut(&mut BoundExpression, Columns)) {
    let mut before = |expression: &mut BoundExpression| visit(expression, Columns::Before);
    match clause {
        BoundClause::Match(matched) => {
            matched.predicates.iter_mut().for_each(&mut before);
            let lengths = matched.pattern.edges.iter_mut().filter_map(|edge| edge.length.as_mut());
            for length in lengths {
                length.edge_predicates.iter_mut().for_each(&mut before);
                length.inner_predicates.iter_mut().for_each(&mut before);
                length.cost.iter_mut().for_each(&mut before);
            }
        }
        BoundClause::Unwind { list, .. } => before(list),
        BoundClause::Project(projection) => {
            projection.items.iter_mut().for_each(|item| before(&mut item.expression));
            projection.aggregates.iter_mut().flat_map(|call| &mut call.arguments).for_each(&mut before);
            projection.order_by.iter_mut().for_each(|key| visit(&mut key.expression, Columns::After));
            projection.predicates.iter_mut().for_each(|predicate| visit(predicate, Columns::After));
        }
        BoundClause::Write(write) => write.each_expression_mut(&mut before),
        // Its clauses are looked at when they are planned.
        BoundClause::Call(_) => {}
    }
}

/// Variables that a projection reads.
fn needed_by(projection: &BoundProjection) -> BTreeSet<VariableId> {
    let mut needed = BTreeSet::new();
    projection.items.iter().for_each(|item| needed.extend(variables_of(&item.expression)));
    projection.aggregates.iter().for_each(|call| {
        call.arguments.iter().for_each(|argument| needed.extend(variables_of(argument)));
    });
    projection.order_by.iter().for_each(|key| needed.extend(variables_of(&key.expression)));
    projection.predicates.iter().for_each(|predicate| needed.extend(variables_of(predicate)));
    needed
}
