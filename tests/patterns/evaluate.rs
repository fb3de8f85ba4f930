//! A query's rows by the plainest means: clause after clause, row after row, with three-valued conditions.

use quiredb::Dialect;

use super::graph::{Graph, V};
use super::query::*;

/// A binding per variable; nothing where it is not bound yet.
pub type Row = Vec<Option<V>>;

/// The query would take too long this way.
#[derive(Debug, Clone, Copy)]
pub struct Stop;

/// Runs queries over a graph.
pub struct Evaluator<'g> {
    pub graph: &'g Graph,
    pub dialect: Dialect,
    /// Steps and rows that are left.
    pub steps: u64,
    pub rows: u64,
    /// Variables of the query.
    pub width: usize,
}

impl Evaluator<'_> {
    pub fn trails(&self) -> bool {
        self.dialect == Dialect::OpenCypher
    }

    pub fn step(&mut self) -> Result<(), Stop> {
        self.steps = self.steps.checked_sub(1).ok_or(Stop)?;
        Ok(())
    }

    pub fn hold(&mut self, rows: u64) -> Result<(), Stop> {
        self.rows = self.rows.checked_sub(rows).ok_or(Stop)?;
        Ok(())
    }

    /// The rows of a query, column after column; in order if it has one.
    pub fn run(&mut self, query: &Query) -> Result<Vec<Vec<V>>, Stop> {
        self.width = query.variables;
        let mut rows: Vec<Row> = vec![vec![None; self.width]];
        for clause in &query.clauses {
            rows = self.clause(clause, rows)?;
        }
        let rows = self.project(&query.result, rows)?;
        let cells = |row: Row| -> Vec<V> {
            let cell = |(item, var): &(Item, Var)| row[place(item, *var)].clone().unwrap_or(V::Null);
            query.result.items.iter().map(cell).collect()
        };
        Ok(rows.into_iter().map(cells).collect())
    }

    fn clause(&mut self, clause: &Clause, rows: Vec<Row>) -> Result<Vec<Row>, Stop> {
        let mut out = Vec::new();
        match clause {
            Clause::Match(clause) => {
                for row in rows {
                    out.extend(self.matching(clause, &row)?);
                }
            }
            Clause::With(projection, conditions) => {
                for row in self.project(projection, rows)? {
                    if self.holds_all(conditions, &row)? == Some(true) {
                        out.push(row);
                    }
                }
            }
            Clause::Unwind(values, var) => {
                for row in rows {
                    for value in values {
                        let mut row = row.clone();
                        row[*var] = Some(V::Number(*value as f64));
                        out.push(row);
                    }
                }
                self.hold(out.len() as u64)?;
            }
            Clause::Call { imports, body, result } => {
                for row in rows {
                    let mut inside: Row = vec![None; row.len()];
                    imports.iter().for_each(|var| inside[*var] = row[*var].clone());
                    let found = self.matching(body, &inside)?;
                    for answer in self.project(result, found)? {
                        let mut row = row.clone();
                        for (item, var) in &result.items {
                            let var = place(item, *var);
                            row[var] = answer[var].clone();
                        }
                        out.push(row);
                    }
                }
            }
        }
        Ok(out)
    }

    fn matching(&mut self, clause: &Match, row: &Row) -> Result<Vec<Row>, Stop> {
        let mut kept = Vec::new();
        for found in self.matches(&clause.pattern, row)? {
            if self.holds_all(&clause.conditions, &found)? == Some(true) {
                kept.push(found);
            }
        }
        if kept.is_empty() && clause.optional {
            let mut row = row.clone();
            for var in bound_by(&clause.pattern) {
                row[var].get_or_insert(V::Null);
            }
            kept.push(row);
        }
        Ok(kept)
    }

    pub fn node_value(&self, node: usize, property: usize) -> V {
        let Some(node) = self.graph.nodes[node].as_ref() else { return V::Null };
        match property {
            0 => V::Number(node.id as f64),
            other => node.values[other - 1].clone(),
        }
    }

    pub fn rel_value(&self, rel: usize, property: usize) -> V {
        let Some(rel) = self.graph.rels[rel].as_ref() else { return V::Null };
        match property {
            0 => V::Number(rel.tag as f64),
            other => rel.values[other - 1].clone(),
        }
    }

    fn operand(&self, operand: &Operand, row: &Row) -> V {
        let bound = |var: Var| row[var].clone().unwrap_or(V::Null);
        match operand {
            Operand::Constant(value, _) => value.clone(),
            Operand::NodeProperty(var, property) => match bound(*var) {
                V::Node(node) => self.node_value(node, *property),
                _ => V::Null,
            },
            Operand::RelProperty(var, property) => match bound(*var) {
                V::Rel(rel) => self.rel_value(rel, *property),
                _ => V::Null,
            },
            Operand::Value(var) => bound(*var),
            Operand::Size(var) => match bound(*var) {
                V::List(list) => V::Number(list.len() as f64),
                _ => V::Null,
            },
            Operand::Plus(a, b) => match (self.operand(a, row), self.operand(b, row)) {
                (V::Number(a), V::Number(b)) => V::Number(a + b),
                _ => V::Null,
            },
        }
    }

    /// The truth of a comparison; none where a side is NULL.
    pub fn compare(&self, a: &V, op: Op, b: &V) -> Option<bool> {
        let order = match (a, b) {
            (V::Null, _) | (_, V::Null) => return None,
            (a, b) => order(a, b),
        };
        Some(match op {
            Op::Equal => order.is_eq(),
            Op::Differs => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::LessEqual => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::GreaterEqual => order.is_ge(),
        })
    }

    fn holds_all(&mut self, conditions: &[Condition], row: &Row) -> Result<Option<bool>, Stop> {
        let mut truth = Some(true);
        for condition in conditions {
            truth = match (truth, self.holds(condition, row)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (None, _) | (_, None) => None,
                _ => Some(true),
            };
        }
        Ok(truth)
    }

    fn holds(&mut self, condition: &Condition, row: &Row) -> Result<Option<bool>, Stop> {
        let bound = |var: Var| row[var].clone().unwrap_or(V::Null);
        let text = |operand: &Operand, test: &dyn Fn(&str) -> bool| match self.operand(operand, row) {
            V::Text(text) => Some(test(&text)),
            _ => None,
        };
        Ok(match condition {
            Condition::Compare(a, op, b) => self.compare(&self.operand(a, row), *op, &self.operand(b, row)),
            Condition::IsNull(a, truth) => Some((self.operand(a, row) == V::Null) == *truth),
            Condition::In(a, values, _) => {
                let a = self.operand(a, row);
                let mut answer = Some(false);
                for value in values {
                    match self.compare(&a, Op::Equal, value) {
                        Some(true) => return Ok(Some(true)),
                        None => answer = None,
                        Some(false) => {}
                    }
                }
                answer
            }
            Condition::StartsWith(a, start) => text(a, &|text| text.starts_with(start.as_str())),
            Condition::Contains(a, part) => text(a, &|text| text.contains(part.as_str())),
            Condition::Same(a, b, same) => match (bound(*a), bound(*b)) {
                (V::Node(a), V::Node(b)) => Some((a == b) == *same),
                _ => None,
            },
            Condition::NodeIsNull(var, truth) => Some((bound(*var) == V::Null) == *truth),
            Condition::HasTable(var, table) => match bound(*var) {
                V::Node(node) => Some(self.graph.nodes[node].as_ref().is_some_and(|n| n.table == *table)),
                _ => None,
            },
            Condition::Not(inner) => self.holds(inner, row)?.map(|truth| !truth),
            Condition::Any(all) => {
                let mut answer = Some(false);
                for one in all {
                    match self.holds(one, row)? {
                        Some(true) => return Ok(Some(true)),
                        None => answer = None,
                        Some(false) => {}
                    }
                }
                answer
            }
            Condition::All(all) => self.holds_all(all, row)?,
            Condition::Exists(sub) => Some(self.count(sub, row)? > 0),
            Condition::Count(sub, op, number) => {
                let count = V::Number(self.count(sub, row)? as f64);
                self.compare(&count, *op, &V::Number(*number as f64))
            }
            Condition::Pattern(pattern) => Some(!self.matches(pattern, row)?.is_empty()),
        })
    }

    fn count(&mut self, sub: &Sub, row: &Row) -> Result<usize, Stop> {
        let (mut count, mut different) = (0, std::collections::BTreeSet::new());
        for found in self.matches(&sub.pattern, row)? {
            if self.holds_all(&sub.conditions, &found)? == Some(true) {
                count += 1;
                different.extend(sub.distinct.map(|var| format!("{:?}", found[var])));
            }
        }
        let count = if sub.distinct.is_some() { different.len() } else { count };
        Ok(count.min(sub.limit.unwrap_or(usize::MAX)))
    }

    fn project(&mut self, projection: &Projection, rows: Vec<Row>) -> Result<Vec<Row>, Stop> {
        let mut projected = if projection.items.iter().any(|(item, _)| item.is_aggregate()) {
            self.group(projection, &rows)?
        } else {
            let mut out = Vec::with_capacity(rows.len());
            for row in &rows {
                out.push(self.keys(projection, row)?);
            }
            out
        };
        if projection.distinct {
            let mut kept: Vec<Vec<V>> = Vec::new();
            let mut known = std::collections::BTreeSet::new();
            for row in projected {
                if known.insert(format!("{row:?}")) {
                    kept.push(row);
                }
            }
            projected = kept;
        }
        if let Some(descends) = &projection.order {
            let ids = |value: &V| match value {
                V::Node(node) => self.node_value(*node, 0),
                other => other.clone(),
            };
            projected.sort_by(|a, b| {
                let mut pairs = a.iter().zip(b).zip(descends);
                let differs = pairs.find_map(|((a, b), descends)| {
                    let order = sorted(&ids(a), &ids(b));
                    let order = if *descends { order.reverse() } else { order };
                    order.is_ne().then_some(order)
                });
                differs.unwrap_or(std::cmp::Ordering::Equal)
            });
        }
        let skipped = projected.into_iter().skip(projection.skip.unwrap_or(0));
        let taken = skipped.take(projection.limit.unwrap_or(usize::MAX));
        let spread = |cells: Vec<V>| {
            let mut row: Row = vec![None; self.width];
            for ((item, var), cell) in projection.items.iter().zip(cells) {
                row[place(item, *var)] = Some(cell);
            }
            row
        };
        Ok(taken.map(spread).collect())
    }

    /// The items of a row; NULL for aggregates.
    fn keys(&mut self, projection: &Projection, row: &Row) -> Result<Vec<V>, Stop> {
        let bound = |var: Var| row[var].clone().unwrap_or(V::Null);
        let part = |var: Var, at: usize| match bound(var) {
            V::List(parts) => parts[at].clone(),
            _ => V::Null,
        };
        let mut cells = Vec::with_capacity(projection.items.len());
        for (item, _) in &projection.items {
            cells.push(match item {
                Item::Entity(var) | Item::Rels(var) => bound(*var),
                Item::Operand(operand) => self.operand(operand, row),
                Item::Aggregate(..) | Item::CountNode(..) | Item::CountRel(..) => V::Null,
                Item::Exists(sub) => V::Bool(self.count(sub, row)? > 0),
                Item::Count(sub) => V::Number(self.count(sub, row)? as f64),
                Item::PathNodes(var) => part(*var, 0),
                Item::PathRels(var) => part(*var, 1),
                Item::PathLength(var) => match part(*var, 1) {
                    V::List(rels) => V::Number(rels.len() as f64),
                    _ => V::Null,
                },
            });
        }
        Ok(cells)
    }

    fn group(&mut self, projection: &Projection, rows: &[Row]) -> Result<Vec<Vec<V>>, Stop> {
        let mut groups: Vec<(Vec<V>, Vec<&Row>)> = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        for row in rows {
            let keys = self.keys(projection, row)?;
            let at = *places.entry(format!("{keys:?}")).or_insert(groups.len());
            if at == groups.len() {
                groups.push((keys, Vec::new()));
            }
            groups[at].1.push(row);
        }
        let keyless = projection.items.iter().all(|(item, _)| item.is_aggregate());
        if keyless && groups.is_empty() {
            groups.push((vec![V::Null; projection.items.len()], Vec::new()));
        }
        let finish = |(mut cells, rows): (Vec<V>, Vec<&Row>)| {
            for (at, (item, _)) in projection.items.iter().enumerate() {
                match item {
                    Item::Aggregate(aggregate, distinct, operand) => {
                        let value = |row: &&Row| match operand {
                            Some(operand) => self.operand(operand, row),
                            None => V::Bool(true),
                        };
                        cells[at] = self.aggregate(*aggregate, *distinct, rows.iter().map(value).collect());
                    }
                    Item::CountNode(var, distinct) | Item::CountRel(var, distinct) => {
                        let values = rows.iter().map(|row| row[*var].clone().unwrap_or(V::Null)).collect();
                        cells[at] = self.aggregate(Aggregate::Count, *distinct, values);
                    }
                    _ => {}
                }
            }
            cells
        };
        Ok(groups.into_iter().map(finish).collect())
    }

    fn aggregate(&self, aggregate: Aggregate, distinct: bool, values: Vec<V>) -> V {
        let mut values: Vec<V> = values.into_iter().filter(|value| *value != V::Null).collect();
        if distinct {
            let mut known = std::collections::BTreeSet::new();
            values.retain(|value| known.insert(format!("{value:?}")));
        }
        let number = |value: &V| match value {
            V::Number(number) => *number,
            _ => 0.0,
        };
        let sum: f64 = values.iter().map(number).sum();
        match aggregate {
            Aggregate::CountRows | Aggregate::Count => V::Number(values.len() as f64),
            Aggregate::Sum if values.is_empty() && !self.trails() => V::Null,
            Aggregate::Sum => V::Number(sum),
            Aggregate::Avg if values.is_empty() => V::Null,
            Aggregate::Avg => V::Number(sum / values.len() as f64),
            Aggregate::Min => values.into_iter().min_by(order).unwrap_or(V::Null),
            Aggregate::Max => values.into_iter().max_by(order).unwrap_or(V::Null),
            Aggregate::Collect => {
                values.sort_by(order);
                V::List(values)
            }
        }
    }
}

/// Where an item's value stands.
pub fn place(item: &Item, var: Var) -> Var {
    match item {
        Item::Entity(own) => *own,
        _ => var,
    }
}

/// The variables of a pattern.
pub fn bound_by(pattern: &Pattern) -> Vec<Var> {
    let mut all: Vec<Var> = pattern.nodes.iter().map(|node| node.var).collect();
    for edge in &pattern.edges {
        all.extend([edge.var, edge.from, edge.to]);
        all.extend(edge.length.iter().map(|length| length.nodes));
    }
    all.extend(pattern.path);
    all
}

/// Two values of one kind.
pub fn order(a: &V, b: &V) -> std::cmp::Ordering {
    match (a, b) {
        (V::Number(a), V::Number(b)) => a.total_cmp(b),
        (V::Text(a), V::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (V::Bool(a), V::Bool(b)) => a.cmp(b),
        (V::Node(a), V::Node(b)) | (V::Rel(a), V::Rel(b)) => a.cmp(b),
        (a, b) => panic!("{a:?} and {b:?} are not compared"),
    }
}

/// The order of ORDER BY: NULL is the greatest.
fn sorted(a: &V, b: &V) -> std::cmp::Ordering {
    match (a, b) {
        (V::Null, V::Null) => std::cmp::Ordering::Equal,
        (V::Null, _) => std::cmp::Ordering::Greater,
        (_, V::Null) => std::cmp::Ordering::Less,
        (a, b) => order(a, b),
    }
}
