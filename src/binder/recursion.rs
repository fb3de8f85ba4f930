//! What a variable-length relationship says of the relationships and nodes on its way: conditions, split by what they
//! speak of, and the cost of weighted paths.

use std::collections::BTreeSet;

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::grouping::{set_variable, variable_of};
use crate::parser::ast::{Name, Span};
use crate::types::DataType;

/// Conditions of one edge by what they speak of.
#[derive(Default)]
pub(super) struct OnTheWay {
    /// Over the relationship alone.
    pub rels: Vec<BoundExpression>,
    /// Over the node between the ends alone.
    pub nodes: Vec<BoundExpression>,
    /// With variables of the rest of the pattern: filters over the whole row.
    pub filters: Vec<BoundExpression>,
}

impl Binder<'_> {
    /// Sorts conditions on the way of `edge`. Those that mention other variables are checked on whole paths, where all
    /// paths are asked for; a search for shortest ones cannot wait for them.
    pub(super) fn sort_on_the_way(
        &mut self,
        edge: &PatternEdge,
        mode: PathMode,
        inner: Option<VariableId>,
        conditions: Vec<BoundExpression>,
    ) -> BindResult<OnTheWay> {
        let mut sorted = OnTheWay::default();
        for condition in conditions {
            let used = free_variables(&condition);
            let of_rel = used.contains(&edge.variable);
            let of_node = inner.is_some_and(|inner| used.contains(&inner));
            let foreign = used.iter().any(|v| *v != edge.variable && Some(*v) != inner);
            match (of_rel, of_node, foreign) {
                (true, true, _) => {
                    let what =
                        "a condition on a relationship and a node inside a variable-length pattern at once";
                    return Err(BindError::not_supported(what, condition.span));
                }
                (false, true, false) => sorted.nodes.push(condition),
                (_, false, false) => sorted.rels.push(condition),
                _ if mode.is_shortest() => {
                    let what = "a condition inside a shortest path that mentions other variables";
                    return Err(BindError::not_supported(what, condition.span));
                }
                _ => {
                    let element = if of_node { inner } else { None };
                    sorted.filters.push(self.on_all(edge, element, condition));
                }
            }
        }
        Ok(sorted)
    }

    /// `all(element IN elements of the edge WHERE condition)`; `inner` says that the elements are nodes.
    fn on_all(
        &mut self,
        edge: &PatternEdge,
        inner: Option<VariableId>,
        mut condition: BoundExpression,
    ) -> BoundExpression {
        let span = condition.span;
        self.mark_used(edge.variable);
        let (element, kind, list_type) = match inner {
            Some(inner) => (inner, ExpressionKind::PathNodes(edge.variable), DataType::list(DataType::Node)),
            None => {
                let kind = VariableKind::Rel { tables: edge.tables.clone() };
                let element = self.new_anonymous(kind);
                rename(&mut condition, edge.variable, element);
                (element, ExpressionKind::Variable(edge.variable), DataType::list(DataType::Rel))
            }
        };
        let list = BoundExpression { kind, data_type: list_type, span };
        BoundExpression {
            kind: ExpressionKind::Quantifier {
                kind: QuantifierKind::All,
                variable: element,
                list: Box::new(list),
                predicate: Box::new(condition),
            },
            data_type: DataType::Bool,
            span,
        }
    }

    /// The cost of a relationship: a property that is a number.
    pub(super) fn path_cost(&mut self, variable: VariableId, name: &Name) -> BindResult<BoundExpression> {
        let property = self.entity_property(variable, name, name.span)?;
        if !property.data_type.is_numeric() && property.data_type != DataType::Any {
            let message = format!("a cost must be a number, {} is of type {}", name.text, property.data_type);
            return Err(BindError::new(BindErrorKind::TypeMismatch, name.span, message));
        }
        self.explicit_cast(property, &DataType::Double, name.span)
    }

    /// An error for `cost` of what has none.
    pub(super) fn check_weighted(&self, variable: VariableId, span: Span) -> BindResult<()> {
        if self.weighted.contains(&variable) {
            return Ok(());
        }
        let message =
            format!("{} has no cost: only a relationship of WSHORTEST does", self.variable_name(variable));
        Err(BindError::new(BindErrorKind::TypeMismatch, span, message))
    }
}

/// Variables that an expression mentions and does not bind itself.
fn free_variables(expression: &BoundExpression) -> BTreeSet<VariableId> {
    let (mut used, mut own) = (BTreeSet::new(), BTreeSet::new());
    expression.walk(&mut |part| {
        used.extend(variable_of(&part.kind));
        if let ExpressionKind::ListComprehension { variable, .. }
        | ExpressionKind::Quantifier { variable, .. } = &part.kind
        {
            own.insert(*variable);
        }
    });
    used.retain(|variable| !own.contains(variable));
    used
}

fn rename(expression: &mut BoundExpression, from: VariableId, to: VariableId) {
    if variable_of(&expression.kind) == Some(from) {
        set_variable(&mut expression.kind, to);
    }
    super::grouping::for_each_part(expression, &mut |part| rename(part, from, to));
}
