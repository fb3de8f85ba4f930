//! Expressions over variables become expressions over column positions.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;

use super::cardinality::Estimator;
use super::error::{Faults, PlanError};
use super::logical_plan::PathParts;
use super::lower::predicate_op;
use super::physical_plan::{Expression, ExpressionKind, FetchColumn, PathPart};
use super::rewrite::is_fixed;
use crate::binder::bound::{self, BoundExpression, Variable, VariableId, VariableKind};
use crate::types::{
    ColumnId, DST_COLUMN, DataType, PredicateOp, SRC_COLUMN, TableId, Value, has_column_tests,
};

/// What a column of an intermediate result holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKey {
    /// A variable: a value, or the packed id of a node or relationship.
    Variable(VariableId),
    /// A property, by the column of each table.
    Property(VariableId, Vec<(TableId, ColumnId)>, TypeOfKey),
    /// The number of relationships of a variable-length edge.
    Length(VariableId),
    /// The nodes between the relationships of a variable-length edge.
    InnerNodes(VariableId),
    /// What a weighted path costs.
    Cost(VariableId),
}

/// A type that takes no part in comparing keys: columns have one type each.
#[derive(Debug, Clone)]
pub struct TypeOfKey(pub DataType);

impl PartialEq for TypeOfKey {
    fn eq(&self, _: &TypeOfKey) -> bool {
        true
    }
}
impl Eq for TypeOfKey {}
impl PartialOrd for TypeOfKey {
    fn partial_cmp(&self, other: &TypeOfKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for TypeOfKey {
    fn cmp(&self, _: &TypeOfKey) -> Ordering {
        Ordering::Equal
    }
}

impl ColumnKey {
    /// The variable it belongs to.
    pub fn variable(&self) -> VariableId {
        match self {
            ColumnKey::Variable(v)
            | ColumnKey::Property(v, ..)
            | ColumnKey::Length(v)
            | ColumnKey::InnerNodes(v)
            | ColumnKey::Cost(v) => *v,
        }
    }

    /// The key itself, or for a property the variable it can be fetched from.
    pub fn variable_only(&self) -> ColumnKey {
        match self {
            ColumnKey::Property(variable, ..) => ColumnKey::Variable(*variable),
            other => other.clone(),
        }
    }

    /// A property's column in one table.
    pub fn column_of(&self, table: TableId) -> Option<ColumnId> {
        match self {
            ColumnKey::Property(_, columns, _) => {
                columns.iter().find(|(t, _)| *t == table).map(|(_, column)| *column)
            }
            _ => None,
        }
    }
}

/// Tests of a column that storage makes.
pub struct Pushable {
    pub columns: Vec<(TableId, ColumnId)>,
    /// All of which have to hold.
    pub tests: Vec<(PredicateOp, Expression)>,
    /// Whether the tests say all that the conjunct says; else it is still evaluated.
    pub exact: bool,
}

/// What lowering looks things up in.
pub struct Lowering<'a> {
    pub variables: &'a [Variable],
    pub estimator: Estimator<'a>,
    /// What is asked of the rows that writing clauses keep, by slot.
    pub kept: RefCell<BTreeMap<usize, Vec<ColumnKey>>>,
    /// By row variable: what is asked of numbered rows behind their sub-plan, and then the columns that they have.
    pub numbered: RefCell<BTreeMap<VariableId, Vec<ColumnKey>>>,
    /// Joins with a bitmap so far.
    joins: Cell<u32>,
    /// What the planner itself has done wrong.
    pub faults: Faults,
}

/// The keys an expression reads.
pub fn keys_of(expression: &BoundExpression, lowering: &Lowering<'_>, keys: &mut BTreeSet<ColumnKey>) {
    use bound::ExpressionKind as K;
    let (mut own, mut used) = (Vec::new(), Vec::new());
    expression.walk(&mut |node| match &node.kind {
        K::Property { variable, columns, .. } => {
            let key = ColumnKey::Property(*variable, columns.clone(), TypeOfKey(node.data_type.clone()));
            used.push(key);
        }
        K::StartNode(variable) => {
            used.push(lowering.end_key(*variable, SRC_COLUMN));
        }
        K::EndNode(variable) => {
            used.push(lowering.end_key(*variable, DST_COLUMN));
        }
        K::Properties(variable) => {
            used.extend(lowering.property_keys(*variable).into_iter().map(|(_, key)| key))
        }
        K::PathLength(variable) if lowering.is_list(*variable) => {
            used.push(ColumnKey::Length(*variable));
        }
        K::PathNodes(variable) if lowering.is_list(*variable) => {
            used.push(ColumnKey::InnerNodes(*variable));
        }
        K::PathCost(variable) => {
            used.push(ColumnKey::Cost(*variable));
        }
        K::ListComprehension { variable, .. } | K::Quantifier { variable, .. } => {
            own.push(*variable);
        }
        kind => used.extend(super::rewrite::named_variable(kind).map(ColumnKey::Variable)),
    });
    keys.extend(used.into_iter().filter(|key| !own.contains(&key.variable())));
}

impl<'a> Lowering<'a> {
    /// Nothing is lowered yet.
    pub fn new(variables: &'a [Variable], estimator: Estimator<'a>) -> Lowering<'a> {
        let (kept, numbered) = (RefCell::default(), RefCell::default());
        Lowering { variables, estimator, kept, numbered, joins: Cell::new(0), faults: Faults::default() }
    }

    /// A name for the bitmap of one more join.
    pub fn next_join(&self) -> u32 {
        self.joins.set(self.joins.get() + 1);
        self.joins.get()
    }
}

impl Lowering<'_> {
    fn kind(&self, variable: VariableId) -> Option<&VariableKind> {
        self.variables.get(variable.0 as usize).map(|variable| &variable.kind)
    }

    /// Whether the variable is a variable-length relationship.
    pub fn is_list(&self, variable: VariableId) -> bool {
        matches!(self.kind(variable), Some(VariableKind::RelList { .. }))
    }

    /// The tables of a node variable.
    pub fn node_tables(&self, variable: VariableId) -> Vec<TableId> {
        match self.kind(variable) {
            Some(VariableKind::Node { tables }) => tables.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn tables(&self, variable: VariableId) -> Vec<TableId> {
        match self.kind(variable) {
            Some(VariableKind::Rel { tables } | VariableKind::RelList { tables }) => {
                tables.iter().map(|rel| rel.table).collect()
            }
            _ => self.node_tables(variable),
        }
    }

    /// The type of a column.
    pub fn type_of(&self, key: &ColumnKey) -> DataType {
        match key {
            ColumnKey::Property(_, _, data_type) => data_type.0.clone(),
            ColumnKey::Length(_) => DataType::Int64,
            ColumnKey::Cost(_) => DataType::Double,
            ColumnKey::InnerNodes(_) => DataType::List(Box::new(DataType::Node)),
            ColumnKey::Variable(variable) => match self.kind(*variable) {
                Some(VariableKind::Node { .. }) => DataType::Node,
                Some(VariableKind::Rel { .. }) => DataType::Rel,
                Some(VariableKind::RelList { .. }) => DataType::List(Box::new(DataType::Rel)),
                Some(VariableKind::Path) => DataType::Path,
                Some(VariableKind::Value(data_type)) => data_type.clone(),
                None => DataType::Any,
            },
        }
    }

    /// What EXPLAIN calls a column.
    pub fn label_of(&self, key: &ColumnKey) -> String {
        let name = |variable: &VariableId| {
            let name = self.variables.get(variable.0 as usize).map_or("?", |variable| variable.name.trim());
            // What has no name in the text is called by its number.
            let is_number = name.starts_with(|first: char| first.is_ascii_digit());
            if is_number { format!("_{name}") } else { name.to_owned() }
        };
        match key {
            ColumnKey::Variable(variable) => name(variable),
            ColumnKey::Property(variable, columns, _) => {
                let column = columns.first().and_then(|(table, column)| self.column_name(*table, *column));
                format!("{}.{}", name(variable), column.unwrap_or_default())
            }
            ColumnKey::Length(variable) => format!("length({})", name(variable)),
            ColumnKey::InnerNodes(variable) => format!("nodes({})", name(variable)),
            ColumnKey::Cost(variable) => format!("cost({})", name(variable)),
        }
    }

    fn column_name(&self, table: TableId, column: ColumnId) -> Option<&str> {
        let catalog = self.estimator.catalog;
        match column {
            SRC_COLUMN => Some("_src"),
            DST_COLUMN => Some("_dst"),
            _ => {
                let found = catalog.columns_of(table).iter().find(|known| known.id == column);
                found.map(|column| column.name.as_str())
            }
        }
    }

    fn end_key(&self, variable: VariableId, column: ColumnId) -> ColumnKey {
        let columns = self.tables(variable).into_iter().map(|table| (table, column)).collect();
        ColumnKey::Property(variable, columns, TypeOfKey(DataType::Node))
    }

    /// All properties of a variable by name, over all its tables.
    fn property_keys(&self, variable: VariableId) -> Vec<(String, ColumnKey)> {
        let catalog = self.estimator.catalog;
        type Property = (String, DataType, Vec<(TableId, ColumnId)>);
        let mut found: Vec<Property> = Vec::new();
        for table in self.tables(variable) {
            for column in catalog.columns_of(table) {
                match found.iter_mut().find(|(name, t, _)| *name == column.name && *t == column.data_type) {
                    Some((_, _, columns)) => columns.push((table, column.id)),
                    None => {
                        let columns = vec![(table, column.id)];
                        found.push((column.name.clone(), column.data_type.clone(), columns));
                    }
                }
            }
        }
        found
            .into_iter()
            .map(|(name, data_type, columns)| {
                (name, ColumnKey::Property(variable, columns, TypeOfKey(data_type)))
            })
            .collect()
    }

    /// The position of a key among the columns.
    pub fn position(&self, schema: &[ColumnKey], key: &ColumnKey) -> usize {
        schema.iter().position(|one| one == key).unwrap_or_else(|| {
            // Lowering asks its input for every key it uses before it looks for it, so this is our own mistake.
            self.faults.note(PlanError::NoColumn { column: self.label_of(key) });
            0
        })
    }

    /// A reference to a column.
    pub fn column(&self, schema: &[ColumnKey], key: &ColumnKey) -> Expression {
        Expression { kind: ExpressionKind::Column(self.position(schema, key)), data_type: self.type_of(key) }
    }

    /// All conjuncts as one expression; none when there are none.
    pub fn conjunction(&self, predicates: &[BoundExpression], schema: &[ColumnKey]) -> Option<Expression> {
        let mut all: Vec<Expression> = predicates.iter().map(|e| self.expression(e, schema)).collect();
        match all.len() {
            0 | 1 => all.pop(),
            _ => Some(Expression { kind: ExpressionKind::And(all), data_type: DataType::Bool }),
        }
    }

    /// What storage can test of a conjunct over a variable's property.
    pub fn pushable(&self, variable: VariableId, predicate: &BoundExpression) -> Option<Pushable> {
        use bound::ExpressionKind as K;
        let K::Call { function, arguments } = &predicate.kind else { return None };
        let [left, right] = &arguments[..] else { return None };
        let property = |e: &BoundExpression| match &e.kind {
            K::Property { variable: v, columns, .. } if *v == variable && has_column_tests(&e.data_type) => {
                Some(columns.clone())
            }
            _ => None,
        };
        let Some(op) = predicate_op(function.name) else {
            let (tests, exact) = super::ranges::tests_of(function.name, left, right)?;
            let test = |(op, value): (PredicateOp, Value)| {
                let kind = ExpressionKind::Literal(value);
                (op, Expression { kind, data_type: left.data_type.clone() })
            };
            let tests = tests.into_iter().map(test).collect();
            return Some(Pushable { columns: property(left)?, tests, exact });
        };
        if left.data_type != right.data_type {
            return None;
        }
        let (columns, op, value) = match (property(left), property(right)) {
            (Some(columns), None) if is_fixed(right) => (columns, op, right),
            (None, Some(columns)) if is_fixed(left) => (columns, op.mirrored(), left),
            _ => return None,
        };
        Some(Pushable { columns, tests: vec![(op, self.expression(value, &[]))], exact: true })
    }

    /// An expression over the columns of `schema`.
    pub fn expression(&self, expression: &BoundExpression, schema: &[ColumnKey]) -> Expression {
        self.scoped(expression, schema, &mut Vec::new())
    }

    /// `elements` are the element variables of the comprehensions around the expression; their columns follow the
    /// input's.
    fn scoped(
        &self,
        expression: &BoundExpression,
        schema: &[ColumnKey],
        elements: &mut Vec<VariableId>,
    ) -> Expression {
        use bound::ExpressionKind as K;
        let one =
            |e: &BoundExpression, elements: &mut Vec<VariableId>| Box::new(self.scoped(e, schema, elements));
        let all = |list: &[BoundExpression], elements: &mut Vec<VariableId>| {
            list.iter().map(|e| self.scoped(e, schema, elements)).collect::<Vec<_>>()
        };
        let variable = |v: VariableId, elements: &[VariableId]| match elements.iter().position(|e| *e == v) {
            Some(depth) => Expression {
                kind: ExpressionKind::Column(schema.len() + depth),
                data_type: self.type_of(&ColumnKey::Variable(v)),
            },
            None => self.column(schema, &ColumnKey::Variable(v)),
        };
        // A property of an element, of which there are no columns.
        let fetched = |v: VariableId,
                       columns: &[(TableId, ColumnId)],
                       data_type: &DataType,
                       elements: &[VariableId]| {
            let column = FetchColumn { columns: columns.to_vec(), data_type: data_type.clone() };
            let operand = Box::new(variable(v, elements));
            let kind = ExpressionKind::FetchProperty { operand, column };
            Expression { kind, data_type: data_type.clone() }
        };
        let kind = match &expression.kind {
            K::Literal(value) => ExpressionKind::Literal(value.clone()),
            K::Parameter(at) => ExpressionKind::Parameter(*at),
            K::Variable(v) | K::InternalId(v) => variable(*v, elements).kind,
            K::Property { variable: v, columns, .. } if elements.contains(v) => {
                fetched(*v, columns, &expression.data_type, elements).kind
            }
            K::StartNode(v) | K::EndNode(v) if elements.contains(v) => {
                let end = if matches!(expression.kind, K::StartNode(_)) { SRC_COLUMN } else { DST_COLUMN };
                let columns: Vec<_> = self.tables(*v).into_iter().map(|table| (table, end)).collect();
                fetched(*v, &columns, &DataType::Node, elements).kind
            }
            K::Properties(v) if elements.contains(v) => {
                let field = |(_, key)| match key {
                    ColumnKey::Property(_, columns, TypeOfKey(data_type)) => {
                        fetched(*v, &columns, &data_type, elements)
                    }
                    _ => variable(*v, elements),
                };
                ExpressionKind::Struct(self.property_keys(*v).into_iter().map(field).collect())
            }
            K::Property { variable: v, columns, .. } => {
                let key = ColumnKey::Property(*v, columns.clone(), TypeOfKey(expression.data_type.clone()));
                self.column(schema, &key).kind
            }
            K::StartNode(v) => self.column(schema, &self.end_key(*v, SRC_COLUMN)).kind,
            K::EndNode(v) => self.column(schema, &self.end_key(*v, DST_COLUMN)).kind,
            K::Properties(v) => ExpressionKind::Struct(
                self.property_keys(*v).iter().map(|(_, key)| self.column(schema, key)).collect(),
            ),
            K::LabelName(v) | K::Labels(v) => ExpressionKind::TableName {
                operand: Box::new(variable(*v, elements)),
                names: self.table_names(*v),
                as_list: matches!(expression.kind, K::Labels(_)),
            },
            K::HasLabel { variable: v, tables } => {
                ExpressionKind::HasTable { operand: Box::new(variable(*v, elements)), tables: tables.clone() }
            }
            K::Call { function, arguments: arguments_of } => {
                let mut arguments: Vec<Expression> = all(arguments_of, elements);
                if let ("IN", [_, list]) = (function.name, &arguments_of[..])
                    && is_fixed(list)
                    && let Some(last) = arguments.pop()
                {
                    arguments.push(once(last));
                }
                ExpressionKind::Call { function: function.clone(), arguments }
            }
            K::And(list) => ExpressionKind::And(all(list, elements)),
            K::Or(list) => ExpressionKind::Or(all(list, elements)),
            K::Not(operand) => ExpressionKind::Not(one(operand, elements)),
            K::IsNull { operand, negated } => {
                ExpressionKind::IsNull { operand: one(operand, elements), negated: *negated }
            }
            K::Case { branches, otherwise } => ExpressionKind::Case {
                branches: branches.iter().map(|(w, t)| (*one(w, elements), *one(t, elements))).collect(),
                otherwise: otherwise.as_ref().map(|e| one(e, elements)),
            },
            // After grouping every aggregate stands in a variable, and after unnesting every query.
            K::Aggregate(_) | K::Subquery(_) => ExpressionKind::Literal(Value::Null),
            K::ListComprehension { variable, list, filter, map } => {
                let list = one(list, elements);
                let element = schema.len() + elements.len();
                elements.push(*variable);
                let filter = filter.as_ref().map(|e| one(e, elements));
                let map = map.as_ref().map(|e| one(e, elements));
                elements.pop();
                ExpressionKind::ListComprehension { list, element, filter, map }
            }
            K::Quantifier { kind, variable, list, predicate } => {
                let list = one(list, elements);
                let element = schema.len() + elements.len();
                elements.push(*variable);
                let predicate = one(predicate, elements);
                elements.pop();
                ExpressionKind::Quantifier { kind: *kind, list, element, predicate }
            }
            K::PathLength(v) if self.is_list(*v) => self.column(schema, &ColumnKey::Length(*v)).kind,
            K::PathLength(v) => ExpressionKind::PathLength(Box::new(variable(*v, elements))),
            K::PathNodes(v) if self.is_list(*v) => self.column(schema, &ColumnKey::InnerNodes(*v)).kind,
            K::PathCost(v) => self.column(schema, &ColumnKey::Cost(*v)).kind,
            K::PathNodes(v) => ExpressionKind::PathNodes(Box::new(variable(*v, elements))),
            K::PathRels(v) if self.is_list(*v) => variable(*v, elements).kind,
            K::PathRels(v) => ExpressionKind::PathRels(Box::new(variable(*v, elements))),
        };
        Expression { kind, data_type: expression.data_type.clone() }
    }

    fn table_names(&self, variable: VariableId) -> Vec<(TableId, String)> {
        let catalog = self.estimator.catalog;
        self.tables(variable)
            .into_iter()
            .filter_map(|table| Some((table, catalog.table_by_id(table)?.name().to_owned())))
            .collect()
    }

    /// A path from the columns of its nodes and relationships.
    pub fn path(&self, path: &PathParts, schema: &[ColumnKey]) -> Expression {
        let mut parts = Vec::new();
        for (at, node) in path.nodes.iter().enumerate() {
            parts.push(PathPart::Node(self.column(schema, &ColumnKey::Variable(*node))));
            if let Some(rel) = path.rels.get(at) {
                let column = self.column(schema, &ColumnKey::Variable(*rel));
                parts.push(if self.is_list(*rel) {
                    let inner_nodes = self.column(schema, &ColumnKey::InnerNodes(*rel));
                    PathPart::Rels { rels: column, inner_nodes }
                } else {
                    PathPart::Rel(column)
                });
            }
        }
        Expression { kind: ExpressionKind::Path(parts), data_type: DataType::Path }
    }
}

/// A list that many rows look into is laid out, and prepared, once for all threads.
fn once(list: Expression) -> Expression {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let data_type = list.data_type.clone();
    let kind = ExpressionKind::Once(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed), Box::new(list));
    Expression { kind, data_type }
}
