//! What a variable-length relationship says of the relationships and nodes on its way: conditions, split by what they
//! speak of, and the cost of weighted paths.

use std::collections::BTreeSet;

use super::bind::Binder;
use super::bound::*;
use super::error::{BindError, BindErrorKind, BindResult};
use super::functions::names;
use super::grouping::{set_variable, variable_of};
use super::tables::table_set;
use crate::parser::ast::{self, Expression, FunctionCall, Name, Span};
use crate::types::{DataType, Value};

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
            let asks = condition.has_subquery();
            let foreign = asks || used.iter().any(|v| *v != edge.variable && Some(*v) != inner);
            match (of_rel, of_node, foreign) {
                (true, true, _) => {
                    let what =
                        "a condition on a relationship and a node inside a variable-length pattern at once";
                    return Err(BindError::not_supported(what, condition.span));
                }
                (false, true, false) => sorted.nodes.push(condition),
                (_, false, false) => sorted.rels.push(condition),
                _ if mode.is_shortest() => {
                    let what = match asks {
                        true => "a query inside a shortest path",
                        false => "a condition inside a shortest path that mentions other variables",
                    };
                    return Err(BindError::not_supported(what, condition.span));
                }
                _ => {
                    let element = if of_node { inner } else { None };
                    sorted.filters.push(self.on_all(edge, element, condition)?);
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
    ) -> BindResult<BoundExpression> {
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
        self.quantified(QuantifierKind::All, (element, Box::new(list)), Box::new(condition), span)
    }

    /// The cost of a relationship: a property that is a number.
    pub(super) fn path_cost(&mut self, variable: VariableId, name: &Name) -> BindResult<BoundExpression> {
        let property = self.entity_property(variable, name, name.span)?;
        // A pattern that no table fits has no costs.
        let fits =
            property.data_type.is_numeric() || matches!(property.data_type, DataType::Any | DataType::Null);
        if !fits {
            let message = format!("a cost must be a number, {} is of type {}", name.text, property.data_type);
            return Err(BindError::new(BindErrorKind::TypeMismatch, name.span, message));
        }
        self.explicit_cast(property, &DataType::Double, name.span)
    }

    /// Moves conditions on every relationship or node of a path, `all(r IN relationships(p) WHERE …)`, into the only
    /// edge of the path: what fails them is never walked. The best path of `SHORTEST` is found before WHERE, so there
    /// they stay; `shortestPath(…)` takes them as part of what it looks for.
    pub(super) fn push_universal(
        &mut self,
        pattern: &mut BoundPattern,
        conditions: Vec<BoundExpression>,
    ) -> BindResult<Vec<BoundExpression>> {
        let mut kept = Vec::with_capacity(conditions.len());
        for condition in conditions {
            if asks_on_the_way(pattern, &condition) {
                let what = "a query about all that a shortest path holds";
                return Err(BindError::not_supported(what, condition.span));
            }
            match self.universal(pattern, &condition) {
                Some((edge, of_nodes, element, inside)) => {
                    kept.extend(self.push_into(pattern, edge, of_nodes, element, inside));
                }
                None => kept.push(condition),
            }
        }
        Ok(kept)
    }

    /// The edge that a condition on all of a path's relationships or nodes is about, which of the two, the variable of
    /// the elements, and what must be true of each.
    fn universal(
        &self,
        pattern: &BoundPattern,
        condition: &BoundExpression,
    ) -> Option<(usize, bool, VariableId, BoundExpression)> {
        let ExpressionKind::Quantifier { kind, variable, list, predicate } = &condition.kind else {
            return None;
        };
        let (edge, of_nodes) = on_the_way(pattern, list)?;
        let length = pattern.edges.get(edge)?.length.as_ref()?;
        let fits = !length.mode.is_shortest() || length.is_function;
        if !fits || free_variables(predicate).iter().any(|used| used != variable) {
            return None;
        }
        let inside = match kind {
            QuantifierKind::All => (**predicate).clone(),
            QuantifierKind::None => {
                BoundExpression { kind: ExpressionKind::Not(predicate.clone()), ..(**predicate).clone() }
            }
            _ => return None,
        };
        Some((edge, of_nodes, *variable, inside))
    }

    /// Puts a condition on each relationship, or each node, into an edge. What is left are conditions on its ends.
    fn push_into(
        &mut self,
        pattern: &mut BoundPattern,
        edge: usize,
        of_nodes: bool,
        element: VariableId,
        mut inside: BoundExpression,
    ) -> Vec<BoundExpression> {
        let (variable, ends) =
            (pattern.edges[edge].variable, [pattern.edges[edge].source, pattern.edges[edge].target]);
        let tables = pattern.edges[edge].tables.iter().flat_map(|table| [table.source, table.target]);
        let tables = table_set(tables);
        let Some(length) = &mut pattern.edges[edge].length else { return vec![inside] };
        if !of_nodes {
            rename(&mut inside, element, variable);
            length.edge_predicates.push(inside);
            return Vec::new();
        }
        let inner = *length.inner.get_or_insert_with(|| self.new_anonymous(VariableKind::Node { tables }));
        let mut on_ends = Vec::new();
        for end in ends {
            let mut condition = inside.clone();
            rename(&mut condition, element, end);
            self.mark_used(end);
            on_ends.push(condition);
        }
        rename(&mut inside, element, inner);
        length.inner_predicates.push(inside);
        on_ends
    }

    /// `properties(nodes(p), 'key')`: a property of every element.
    pub(super) fn properties_of_elements(
        &mut self,
        arguments: Vec<BoundExpression>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        let wrong = |message: &str| Err(BindError::new(BindErrorKind::TypeMismatch, span, message));
        let [list, key] = &arguments[..] else { return wrong("properties takes a list and a name") };
        let element = match &list.data_type {
            DataType::List(element) if matches!(**element, DataType::Node | DataType::Rel) => {
                (**element).clone()
            }
            _ => return wrong("properties with a name needs a list of nodes or relationships"),
        };
        let ExpressionKind::Literal(Value::String(text)) = &key.kind else {
            return wrong("properties needs the name of a property as a text");
        };
        let kind = self.kind_of_type(element, &self.tables_inside(list));
        let variable = self.new_anonymous(kind);
        let map = self.entity_property(variable, &Name::new(text.clone(), key.span), span)?;
        let data_type = DataType::list(map.data_type.clone());
        let (list, map) = (Box::new(list.clone()), Some(Box::new(map)));
        let kind = ExpressionKind::ListComprehension { variable, list, filter: None, map };
        Ok(BoundExpression { kind, data_type, span })
    }

    /// `shortestPath(…)` or `allShortestPaths(…)` as a value: the path or NULL, or the list of paths. `call` is a function
    /// of the path, which is taken of each path found.
    pub(super) fn bind_shortest(
        &mut self,
        pattern: &ast::PathPattern,
        call: Option<&FunctionCall>,
        span: Span,
    ) -> BindResult<BoundExpression> {
        // A name that no text can have.
        let name = Name::new(" path".to_owned(), span);
        let path = Expression { kind: ast::ExpressionKind::Variable(name.text.clone()), span };
        let projection = match call {
            None => path,
            Some(call) => {
                let arguments = vec![ast::FunctionArgument { name: None, value: path }];
                let call = FunctionCall { arguments, ..call.clone() };
                Expression { kind: ast::ExpressionKind::FunctionCall(Box::new(call)), span }
            }
        };
        let one = pattern.shortest == Some(ast::ShortestPaths::One);
        let pattern = ast::PathPattern { variable: Some(name), ..pattern.clone() };
        let comprehension = ast::PatternComprehension { pattern, predicate: None, projection };
        let found = self.bind_pattern_comprehension(&comprehension, span)?;
        if !one {
            return Ok(found);
        }
        let first = if self.is_kuzu() { 1 } else { 0 };
        let first = BoundExpression {
            kind: ExpressionKind::Literal(Value::Int64(first)),
            data_type: DataType::Int64,
            span,
        };
        self.call(names::ELEMENT, vec![found, first], span)
    }

    /// Whether a list holds nothing twice.
    pub(super) fn has_no_repetition(&mut self, list: BoundExpression) -> BindResult<BoundExpression> {
        let span = list.span;
        let distinct = self.call("list_distinct", vec![list.clone()], span)?;
        let sizes = [self.call("size", vec![distinct], span)?, self.call("size", vec![list], span)?];
        self.call("=", sizes.into(), span)
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

/// The only edge of a path, if the list is that of its relationships or its nodes, and whether of its nodes.
fn on_the_way(pattern: &BoundPattern, list: &BoundExpression) -> Option<(usize, bool)> {
    let (of_nodes, holder) = match list.kind {
        ExpressionKind::PathRels(holder) | ExpressionKind::Variable(holder) => (false, holder),
        ExpressionKind::PathNodes(holder) => (true, holder),
        _ => return None,
    };
    let edge = match pattern.paths.iter().find(|path| path.variable == holder) {
        Some(path) => match path.edges[..] {
            [only] => only,
            _ => return None,
        },
        None if of_nodes => return None,
        None => pattern.edges.iter().position(|edge| edge.variable == holder)?,
    };
    Some((edge, of_nodes))
}

/// Whether a condition asks queries about all nodes or relationships of a `shortestPath(…)`: they would have to be part
/// of what it looks for.
fn asks_on_the_way(pattern: &BoundPattern, condition: &BoundExpression) -> bool {
    let ExpressionKind::Quantifier { kind: QuantifierKind::All | QuantifierKind::None, list, .. } =
        &condition.kind
    else {
        return false;
    };
    let mut asks = false;
    list.walk(&mut |part| {
        let ExpressionKind::Subquery(query) = &part.kind else { return };
        let ways = query.imports.iter().filter_map(|(_, value)| on_the_way(pattern, value));
        for length in ways.filter_map(|(edge, _)| pattern.edges[edge].length.as_ref()) {
            asks |= length.mode.is_shortest() && length.is_function;
        }
    });
    asks
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
