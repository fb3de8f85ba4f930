//! Bound statements in one line, for tests: variables by name (anonymous ones as `_` and their id), tables by name.

use super::bound::*;
use crate::catalog::{Catalog, TableEntry};
use crate::parser::ast::Span;
use crate::types::{TableId, Value};

/// The statement in one line.
pub(super) fn describe(statement: &BoundStatement, catalog: &Catalog) -> String {
    match statement {
        BoundStatement::Query(query) => Printer { query, catalog }.query(),
        BoundStatement::Explain { analyze, query } => {
            let word = if *analyze { "PROFILE" } else { "EXPLAIN" };
            format!("{word} {}", describe(query, catalog))
        }
        BoundStatement::CreateNodeTable { schema, if_not_exists } => {
            let columns: Vec<String> = schema.columns.iter().map(column).collect();
            let key = schema.primary_key.join(", ");
            format!("NODE TABLE{} {}({}) KEY {key}", exists(*if_not_exists), schema.name, columns.join(", "))
        }
        BoundStatement::CreateRelTable { schema, if_not_exists } => {
            let columns: Vec<String> = schema.columns.iter().map(column).collect();
            let pairs: Vec<String> = schema.pairs.iter().map(|(from, to)| format!("{from}->{to}")).collect();
            format!(
                "REL TABLE{} {}({}) {} {:?}",
                exists(*if_not_exists),
                schema.name,
                columns.join(", "),
                pairs.join(" "),
                schema.multiplicity
            )
        }
        BoundStatement::CopyFrom(copy) => copy_from(copy, catalog),
        BoundStatement::Setting { name, value } => format!("SET {name} = {}", constant(value)),
        other => format!("{other:?}"),
    }
}

fn exists(if_not_exists: bool) -> &'static str {
    if if_not_exists { " IF NOT EXISTS" } else { "" }
}

fn column(column: &crate::catalog::NewColumn) -> String {
    let default = column.default.as_ref().map_or_else(String::new, |text| format!(" DEFAULT {text}"));
    let not_null = if column.not_null { " NOT NULL" } else { "" };
    let unique = if column.unique { " UNIQUE" } else { "" };
    format!("{} {}{default}{not_null}{unique}", column.name, column.data_type)
}

fn copy_from(copy: &BoundCopy, catalog: &Catalog) -> String {
    let (target, columns) = match &copy.target {
        CopyTarget::Node { table, columns } => (table_name(*table, catalog), columns),
        CopyTarget::Rel { rel, columns, multiplicity } => {
            let [name, from, to] =
                [rel.table, rel.source, rel.target].map(|table| table_name(table, catalog));
            (format!("{name}[{from}->{to} {multiplicity:?}]"), columns)
        }
    };
    let columns: Vec<String> = columns.iter().map(|column| column.0.to_string()).collect();
    let option = |(name, value, _): &(String, Value, Span)| format!("{name}={}", constant(value));
    let options: Vec<String> = copy.options.iter().map(option).collect();
    format!("COPY {target}({}) FROM {} ({})", columns.join(","), copy.files.join(" "), options.join(", "))
}

fn table_name(table: TableId, catalog: &Catalog) -> String {
    catalog.table_by_id(table).map_or("?", TableEntry::name).to_owned()
}

fn constant(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int8(value) => format!("{value}i8"),
        Value::Int32(value) => format!("{value}i32"),
        Value::Int64(value) => value.to_string(),
        Value::Double(value) => format!("{value:?}"),
        Value::String(value) => format!("'{value}'"),
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(constant).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", constant(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => format!("{other:?}"),
    }
}

struct Printer<'q> {
    query: &'q BoundQuery,
    catalog: &'q Catalog,
}

impl Printer<'_> {
    fn query(&self) -> String {
        let branches: Vec<String> = self
            .query
            .branches
            .iter()
            .map(|branch| {
                branch.clauses.iter().map(|clause| self.clause(clause)).collect::<Vec<_>>().join("; ")
            })
            .collect();
        let joint = if self.query.union_all { " UNION ALL " } else { " UNION " };
        let column = |(name, data_type): &(String, _)| format!("{name} {data_type}");
        let columns: Vec<String> = self.query.columns.iter().map(column).collect();
        format!("{} => {}", branches.join(joint), columns.join(", "))
    }

    fn write(&self, write: &BoundWrite) -> String {
        let sets =
            |items: &[BoundSet]| items.iter().map(|item| self.set(item)).collect::<Vec<_>>().join(", ");
        match write {
            BoundWrite::Create(pattern) => format!("CREATE {}", self.created(pattern)),
            BoundWrite::Merge(merge) => {
                let predicates: Vec<String> = merge.predicates.iter().map(|e| self.expression(e)).collect();
                format!(
                    "MERGE {} WHERE {} ON CREATE {} ON MATCH {}",
                    self.created(&merge.created),
                    predicates.join(" AND "),
                    sets(&merge.on_create),
                    sets(&merge.on_match)
                )
            }
            BoundWrite::Set(items) => format!("SET {}", sets(items)),
            BoundWrite::Delete { targets, .. } => {
                let targets: Vec<String> = targets.iter().map(|e| self.expression(e)).collect();
                format!("{} {}", write.name(), targets.join(", "))
            }
        }
    }

    fn created(&self, pattern: &NewPattern) -> String {
        let properties = |assignments: &[Assignment]| {
            let one = |one: &Assignment| {
                let merged =
                    one.merged.map_or_else(String::new, |merged| format!(" AS {}", self.name(merged)));
                format!("{}: {}{merged}", one.name, self.expression(&one.value))
            };
            assignments.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let nodes = pattern.nodes.iter().map(|node| {
            let (variable, table) = (self.name(node.variable), table_name(node.table, self.catalog));
            format!("({variable}:{table} {{{}}})", properties(&node.properties))
        });
        let rels = pattern.rels.iter().map(|rel| {
            let tables: Vec<String> =
                rel.tables.iter().map(|table| table_name(table.table, self.catalog)).collect();
            format!(
                "({})-[{}:{} {{{}}}]->({})",
                self.name(rel.source),
                self.name(rel.variable),
                tables.join("|"),
                properties(&rel.properties),
                self.name(rel.target)
            )
        });
        let paths = pattern.paths.iter().map(|path| format!("PATH {}", self.name(path.variable)));
        nodes.chain(rels).chain(paths).collect::<Vec<_>>().join(", ")
    }

    fn set(&self, item: &BoundSet) -> String {
        let variable = self.name(item.variable);
        match &item.change {
            PropertyChange::Values(values) => {
                let one = |value: &PropertyValue| {
                    format!(
                        "{variable}.{}[{}] = {}",
                        value.name,
                        value.columns.len(),
                        self.expression(&value.value)
                    )
                };
                values.iter().map(one).collect::<Vec<_>>().join(" & ")
            }
            PropertyChange::Map { value, replace } => {
                format!("{variable} {} {}", if *replace { "=" } else { "+=" }, self.expression(value))
            }
        }
    }

    fn clause(&self, clause: &BoundClause) -> String {
        match clause {
            BoundClause::Match(found) => self.found(found),
            BoundClause::Unwind { list, variable } => {
                format!("UNWIND {} AS {}", self.expression(list), self.declared(*variable))
            }
            BoundClause::Project(projection) => self.projection(projection),
            BoundClause::Write(write) => self.write(write),
            BoundClause::Call(call) => {
                let branch = |branch: &BoundSingleQuery| {
                    branch.clauses.iter().map(|clause| self.clause(clause)).collect::<Vec<_>>().join("; ")
                };
                let branches: Vec<String> = call.branches.iter().map(branch).collect();
                format!("CALL{{{}}}", branches.join(" UNION "))
            }
        }
    }

    fn found(&self, found: &BoundMatch) -> String {
        let pattern = &found.pattern;
        let mut parts: Vec<String> = pattern.nodes.iter().map(|node| self.declared(*node)).collect();
        parts.extend(pattern.edges.iter().map(|edge| self.edge(edge)));
        for path in &pattern.paths {
            let edges: Vec<String> = path
                .edges
                .iter()
                .zip(&path.reversed)
                .map(|(edge, reversed)| format!("{}{edge}", if *reversed { "-" } else { "" }))
                .collect();
            let nodes: Vec<String> = path.nodes.iter().map(|node| self.name(*node)).collect();
            parts.push(format!("{}=({} | {})", self.name(path.variable), nodes.join(" "), edges.join(" ")));
        }
        if !pattern.distinct_edges.is_empty() {
            parts.push(format!("distinct{:?}", pattern.distinct_edges));
        }
        if !found.predicates.is_empty() {
            parts.push(format!("WHERE {}", self.all(&found.predicates, " & ")));
        }
        format!("MATCH {}", parts.join(" "))
    }

    fn edge(&self, edge: &PatternEdge) -> String {
        let tables: Vec<String> = edge.tables.iter().map(|table| self.table(table.table)).collect();
        let length = edge.length.as_ref().map_or_else(String::new, |length| {
            let max = length.max.map_or_else(String::new, |max| max.to_string());
            let predicates = if length.edge_predicates.is_empty() {
                String::new()
            } else {
                format!(" each {}", self.all(&length.edge_predicates, " & "))
            };
            let inner = if length.inner_predicates.is_empty() {
                String::new()
            } else {
                format!(" between {}", self.all(&length.inner_predicates, " & "))
            };
            let cost = length
                .cost
                .as_ref()
                .map_or_else(String::new, |cost| format!(" cost {}", self.expression(cost)));
            format!("*{}..{max} {:?}{predicates}{inner}{cost}", length.min, length.mode)
        });
        let referenced = if edge.referenced { "!" } else { "" };
        let head = if edge.undirected { "-" } else { "->" };
        format!(
            "{}-[{}{referenced}:{}{length}]{head}{}",
            self.name(edge.source),
            self.name(edge.variable),
            tables.join("|"),
            self.name(edge.target)
        )
    }

    fn projection(&self, projection: &BoundProjection) -> String {
        let mut text = if projection.is_return { "RETURN" } else { "WITH" }.to_owned();
        if projection.distinct {
            text.push_str(" DISTINCT");
        }
        let items: Vec<String> = projection
            .items
            .iter()
            .map(|item| match item.expression.kind {
                ExpressionKind::Variable(variable) if variable == item.variable => self.name(variable),
                _ => format!("{} AS {}", self.expression(&item.expression), self.name(item.variable)),
            })
            .collect();
        text.push_str(&format!(" {}", items.join(", ")));
        if projection.grouped {
            let calls: Vec<String> = projection.aggregates.iter().map(|call| self.aggregate(call)).collect();
            text.push_str(&format!(" GROUP {}", calls.join(", ")));
        }
        if !projection.order_by.is_empty() {
            let keys: Vec<String> = projection
                .order_by
                .iter()
                .map(|key| {
                    format!(
                        "{}{}",
                        self.expression(&key.expression),
                        if key.descending { " DESC" } else { "" }
                    )
                })
                .collect();
            text.push_str(&format!(" ORDER {}", keys.join(", ")));
        }
        for (word, count) in [("SKIP", &projection.skip), ("LIMIT", &projection.limit)] {
            if let Some(count) = count {
                text.push_str(&format!(" {word} {}", self.expression(count)));
            }
        }
        if !projection.predicates.is_empty() {
            text.push_str(&format!(" WHERE {}", self.all(&projection.predicates, " & ")));
        }
        text
    }

    fn aggregate(&self, call: &AggregateCall) -> String {
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let arguments =
            if call.arguments.is_empty() { "*".to_owned() } else { self.all(&call.arguments, ", ") };
        format!("{}({distinct}{arguments})", call.function.name)
    }

    fn all(&self, expressions: &[BoundExpression], joint: &str) -> String {
        expressions.iter().map(|expression| self.expression(expression)).collect::<Vec<_>>().join(joint)
    }

    fn expression(&self, expression: &BoundExpression) -> String {
        use ExpressionKind::*;
        let one = |name: &str, variable: VariableId| format!("{name}({})", self.name(variable));
        match &expression.kind {
            Literal(value) => constant(value),
            Parameter(position) => format!("${}", self.query.parameters[*position as usize].0),
            Variable(variable) => self.name(*variable),
            Property { variable, name, columns } => {
                let missing = if columns.is_empty() { "?" } else { "" };
                format!("{}.{name}{missing}", self.name(*variable))
            }
            InternalId(variable) => one("id", *variable),
            LabelName(variable) => one("label", *variable),
            Labels(variable) => one("labels", *variable),
            Properties(variable) => one("properties", *variable),
            StartNode(variable) => one("start", *variable),
            EndNode(variable) => one("end", *variable),
            HasLabel { variable, tables } => {
                let tables: Vec<String> = tables.iter().map(|table| self.table(*table)).collect();
                format!("{}:{}", self.name(*variable), tables.join("|"))
            }
            Call { function, arguments } => match arguments.as_slice() {
                [left, right] if !function.name.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    format!("({} {} {})", self.expression(left), function.name, self.expression(right))
                }
                _ if function.name == "CAST" => {
                    format!("{}({})", expression.data_type, self.all(arguments, ", "))
                }
                _ => format!("{}({})", function.name, self.all(arguments, ", ")),
            },
            And(parts) => format!("({})", self.all(parts, " and ")),
            Or(parts) => format!("({})", self.all(parts, " or ")),
            Not(operand) => format!("not({})", self.expression(operand)),
            IsNull { operand, negated } => {
                format!("{}null({})", if *negated { "not" } else { "is" }, self.expression(operand))
            }
            Case { branches, otherwise } => {
                let mut parts: Vec<String> = branches
                    .iter()
                    .map(|(when, then)| format!("{}: {}", self.expression(when), self.expression(then)))
                    .collect();
                parts.extend(otherwise.iter().map(|otherwise| self.expression(otherwise)));
                format!("case({})", parts.join(", "))
            }
            Aggregate(position) => format!("@{position}"),
            ListComprehension { variable, list, filter, map } => {
                let filter =
                    filter.as_ref().map_or_else(String::new, |e| format!(" where {}", self.expression(e)));
                let map = map.as_ref().map_or_else(String::new, |e| format!(" | {}", self.expression(e)));
                format!("[{} in {}{filter}{map}]", self.name(*variable), self.expression(list))
            }
            Quantifier { kind, variable, list, predicate } => format!(
                "{kind:?}({} in {} where {})",
                self.name(*variable),
                self.expression(list),
                self.expression(predicate)
            ),
            PathLength(variable) => one("length", *variable),
            PathNodes(variable) => one("nodes", *variable),
            PathRels(variable) => one("rels", *variable),
            PathCost(variable) => one("cost", *variable),
            Subquery(query) => {
                let branch = |branch: &BoundSingleQuery| {
                    branch.clauses.iter().map(|clause| self.clause(clause)).collect::<Vec<_>>().join("; ")
                };
                let branches: Vec<String> = query.branches.iter().map(branch).collect();
                let value = query
                    .value
                    .as_ref()
                    .map_or_else(String::new, |value| format!(" | {}", self.expression(value)));
                format!("{:?}{{{}{value}}}", query.kind, branches.join(" UNION "))
            }
        }
    }

    fn name(&self, variable: VariableId) -> String {
        let name = &self.query.variables[variable.0 as usize].name;
        if name.starts_with(' ') { format!("_{}", variable.0) } else { name.clone() }
    }

    /// The variable with its tables or type.
    fn declared(&self, variable: VariableId) -> String {
        let list = |tables: Vec<String>| tables.join("|");
        let kind = match &self.query.variables[variable.0 as usize].kind {
            VariableKind::Node { tables } => list(tables.iter().map(|table| self.table(*table)).collect()),
            VariableKind::Rel { tables } => {
                list(tables.iter().map(|table| self.table(table.table)).collect())
            }
            VariableKind::RelList { .. } => "rels".to_owned(),
            VariableKind::Path => "path".to_owned(),
            VariableKind::Value(data_type) => data_type.to_string(),
        };
        format!("{}{{{kind}}}", self.name(variable))
    }

    fn table(&self, table: TableId) -> String {
        table_name(table, self.catalog)
    }
}
