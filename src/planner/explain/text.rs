//! Names and expressions of a plan as the author of the query knows them.

use crate::catalog::Catalog;
use crate::planner::logical_plan::{Direction, Leg};
use crate::planner::physical_plan::{
    Expression, ExpressionKind, FetchColumn, PhysicalEdge, PhysicalSortKey, ScanTable,
};
use crate::types::{ColumnId, DataType, PredicateOp, TableId, Value};

/// Longer texts are cut.
const LETTERS_MAX: usize = 120;
/// Elements of a constant list that are shown.
const ELEMENTS_MAX: usize = 4;

/// Where names come from.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub catalog: &'a Catalog,
    /// Parameters by position.
    pub parameters: &'a [(String, DataType)],
}

impl Names<'_> {
    /// The name of a table, or the type of a relationship table.
    pub fn table(&self, id: TableId) -> String {
        let id = TableId(id.0 & 0xFFFF);
        if let Some(table) = self.catalog.node_table_by_id(id) {
            return table.name.clone();
        }
        self.catalog
            .rel_table_by_id(id)
            .map_or_else(|| format!("table {}", id.0), |(rel, _)| rel.name.clone())
    }

    /// The names of some tables, each once.
    pub fn tables(&self, ids: impl IntoIterator<Item = TableId>) -> String {
        let mut names: Vec<String> = Vec::new();
        for name in ids.into_iter().map(|id| self.table(id)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join("|")
    }

    fn column(&self, table: TableId, column: ColumnId) -> String {
        let known =
            self.catalog.columns_of(TableId(table.0 & 0xFFFF)).iter().find(|known| known.id == column);
        known.map_or_else(|| "?".to_owned(), |known| known.name.clone())
    }

    fn fetched(&self, fetch: &FetchColumn) -> String {
        fetch.columns.first().map_or_else(String::new, |(table, column)| self.column(*table, *column))
    }

    /// What a scan reads and tests; `labels` are the columns that the filter is over.
    pub fn scan(&self, tables: &[ScanTable], filter: Option<&Expression>, labels: &[String]) -> String {
        if tables.is_empty() {
            return "no table".to_owned();
        }
        let mut text = self.tables(tables.iter().map(|table| table.table));
        let mut tests: Vec<String> = Vec::new();
        for table in tables {
            for pushed in &table.pushed {
                let (column, value) =
                    (self.column(table.table, pushed.column), self.expression(&pushed.value, &[]));
                let test = match pushed.op {
                    PredicateOp::IsNull | PredicateOp::IsNotNull => format!("{column} {}", sign(pushed.op)),
                    op => format!("{column} {} {value}", sign(op)),
                };
                if !tests.contains(&test) {
                    tests.push(test);
                }
            }
        }
        if !tests.is_empty() {
            text = format!("{text}, storage tests {}", tests.join(" AND "));
        }
        match filter {
            Some(filter) => format!("{text}, filter {}", self.cut(filter, labels)),
            None => text,
        }
    }

    /// `a-[:KNOWS]->b` with what an edge asks of its relationships.
    pub fn edge(&self, from: &str, edge: &PhysicalEdge, to: &str) -> String {
        let types = self.tables(edge.legs.iter().map(|leg| leg.rel.table));
        let goes = |wanted: Direction| move |leg: &Leg| leg.direction == wanted;
        let forward = edge.legs.iter().any(goes(Direction::Forward));
        let backward = edge.legs.iter().any(goes(Direction::Backward));
        let (left, right) = match (forward, backward) {
            (true, false) => ("-", "->"),
            (false, true) => ("<-", "-"),
            _ => ("-", "-"),
        };
        let asked = edge.predicate.as_ref().map(|predicate| {
            let mut labels = vec!["relationship".to_owned()];
            labels.extend(edge.fetch.iter().map(|fetch| self.fetched(fetch)));
            format!(" WHERE {}", self.cut(predicate, &labels))
        });
        format!("{from}{left}[:{types}{}]{right}{to}", asked.unwrap_or_default())
    }

    /// Sort keys.
    pub fn keys(&self, keys: &[PhysicalSortKey], labels: &[String]) -> String {
        let key = |key: &PhysicalSortKey| {
            let down = if key.descending { " DESC" } else { "" };
            format!("{}{down}", self.cut(&key.expression, labels))
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    /// SKIP and LIMIT as they are written.
    pub fn limits(&self, skip: Option<&Expression>, limit: Option<&Expression>) -> String {
        let part = |word: &str, rows: Option<&Expression>| {
            rows.map(|rows| format!("{word} {}", self.expression(rows, &[])))
        };
        let parts: Vec<String> = [part("SKIP", skip), part("LIMIT", limit)].into_iter().flatten().collect();
        parts.join(" ")
    }

    /// An expression over columns with these labels, cut where it is long.
    pub fn cut(&self, expression: &Expression, labels: &[String]) -> String {
        let text = self.expression(expression, labels);
        match text.char_indices().nth(LETTERS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    fn expression(&self, expression: &Expression, labels: &[String]) -> String {
        use ExpressionKind as K;
        let text = |e: &Expression| self.expression(e, labels);
        let all = |list: &[Expression]| list.iter().map(text).collect::<Vec<_>>();
        match &expression.kind {
            K::Column(at) => labels.get(*at).cloned().unwrap_or_else(|| format!("column {at}")),
            K::Literal(value) => literal(value),
            K::Parameter(at) => {
                let name = self.parameters.get(*at as usize).map_or("?", |(name, _)| name.as_str());
                format!("${name}")
            }
            K::Call { function, arguments } => call(function.name, &all(arguments), &function.result),
            K::And(list) => all(list).join(" AND "),
            K::Or(list) => format!("({})", all(list).join(" OR ")),
            K::Not(operand) => format!("NOT {}", text(operand)),
            K::IsNull { operand, negated } => {
                format!("{} IS {}NULL", text(operand), if *negated { "NOT " } else { "" })
            }
            K::Case { branches, otherwise } => {
                let branch = |(when, then): &(Expression, Expression)| {
                    format!(" WHEN {} THEN {}", text(when), text(then))
                };
                let otherwise =
                    otherwise.as_deref().map(|e| format!(" ELSE {}", text(e))).unwrap_or_default();
                format!("CASE{}{otherwise} END", branches.iter().map(branch).collect::<String>())
            }
            K::TableName { operand, .. } => format!("label({})", text(operand)),
            K::HasTable { operand, tables } => {
                format!("{}:{}", text(operand), self.tables(tables.iter().copied()))
            }
            K::ListComprehension { list, .. } => format!("[… IN {}]", text(list)),
            K::Quantifier { kind, list, .. } => {
                format!("{}(… IN {})", format!("{kind:?}").to_lowercase(), text(list))
            }
            K::FetchProperty { operand, column } => format!("{}.{}", text(operand), self.fetched(column)),
            K::Once(_, once) => text(once),
            K::Struct(fields) => format!("{{{}}}", all(fields).join(", ")),
            K::Path(_) => "path".to_owned(),
            K::PathLength(path) => format!("length({})", text(path)),
            K::PathNodes(path) => format!("nodes({})", text(path)),
            K::PathRels(path) => format!("relationships({})", text(path)),
        }
    }
}

fn sign(op: PredicateOp) -> &'static str {
    match op {
        PredicateOp::Eq => "=",
        PredicateOp::Ne => "<>",
        PredicateOp::Lt => "<",
        PredicateOp::Le => "<=",
        PredicateOp::Gt => ">",
        PredicateOp::Ge => ">=",
        PredicateOp::IsNull => "IS NULL",
        PredicateOp::IsNotNull => "IS NOT NULL",
        PredicateOp::In => "IN",
        PredicateOp::Between => "BETWEEN",
        PredicateOp::StartsWith => "STARTS WITH",
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let end = text.char_indices().nth(LETTERS_MAX).map_or(text.len(), |(end, _)| end);
            format!("'{}{}'", &text[..end], if end < text.len() { "…" } else { "" })
        }
        Value::List(elements) => {
            let mut shown: Vec<String> = elements.iter().take(ELEMENTS_MAX).map(literal).collect();
            if elements.len() > ELEMENTS_MAX {
                shown.push(format!("… {} elements", elements.len()));
            }
            format!("[{}]", shown.join(", "))
        }
        other => other.to_string(),
    }
}

/// A call as it is written: operators stand between what they are about.
fn call(name: &str, arguments: &[String], result: &DataType) -> String {
    let is_sign = !name.starts_with(|letter: char| letter.is_alphanumeric());
    let is_word = ["IN", "CONTAINS", "STARTS WITH", "ENDS WITH", "XOR"].contains(&name);
    match arguments {
        [only] if name == "CAST" => format!("CAST({only} AS {result})"),
        [only] if is_sign => format!("{name}{only}"),
        [left, right] if is_word || ["=", "<>", "<", "<=", ">", ">="].contains(&name) => {
            format!("{left} {name} {right}")
        }
        [left, right] if is_sign && name != "[]" => format!("({left} {name} {right})"),
        [list, at] if name == "[]" => format!("{list}[{at}]"),
        all => format!("{name}({})", all.join(", ")),
    }
}
