//! A query as text. The same query has many texts: the parts of a pattern stand in any order, edges run from either end,
//! hang together or stand on their own, conditions come in any order and some of them inside the pattern.

use super::graph::{NODE_PROPERTIES, REL_PROPERTIES, TABLES, TYPES, literal};
use super::query::*;
use crate::support::random::Random;

/// Writes one query.
pub struct Speller<'r> {
    pub random: &'r mut Random,
}

fn node(var: Var) -> String {
    format!("n{var}")
}

fn different(distinct: bool) -> &'static str {
    if distinct { "DISTINCT " } else { "" }
}

fn rel(var: Var) -> String {
    format!("r{var}")
}

fn value(var: Var) -> String {
    format!("v{var}")
}

pub fn shuffle<T>(list: &mut [T], random: &mut Random) {
    for at in (1..list.len()).rev() {
        list.swap(at, random.below(at as u64 + 1) as usize);
    }
}

impl Speller<'_> {
    pub fn query(&mut self, query: &Query) -> String {
        let mut text = String::new();
        for clause in &query.clauses {
            text += &match clause {
                Clause::Match(clause) => self.matching(clause),
                Clause::With(projection, conditions) => {
                    let filter = self.filter(conditions);
                    format!("WITH {}{filter}", self.projection(projection))
                }
                Clause::Unwind(values, var) => format!("UNWIND {values:?} AS {}", value(*var)),
                Clause::Call { imports, body, result } => {
                    let names: Vec<String> = imports.iter().map(|var| node(*var)).collect();
                    let body = self.matching(body);
                    format!("CALL ({}) {{ {body} RETURN {} }}", names.join(", "), self.projection(result))
                }
            };
            text.push(' ');
        }
        format!("{text}RETURN {}", self.projection(&query.result))
    }

    fn matching(&mut self, clause: &Match) -> String {
        let optional = if clause.optional { "OPTIONAL " } else { "" };
        let mut conditions = clause.conditions.clone();
        let pattern = self.pattern(&clause.pattern, &mut conditions);
        format!("{optional}MATCH {pattern}{}", self.filter(&conditions))
    }

    fn filter(&mut self, conditions: &[Condition]) -> String {
        if conditions.is_empty() {
            return String::new();
        }
        let mut texts: Vec<String> = conditions.iter().map(|one| self.condition(one)).collect();
        shuffle(&mut texts, self.random);
        format!(" WHERE {}", texts.join(" AND "))
    }

    /// Equalities of a node's property may move into the pattern.
    fn pattern(&mut self, pattern: &Pattern, conditions: &mut Vec<Condition>) -> String {
        let mut seen: Vec<Var> = Vec::new();
        let mut parts: Vec<String> = Vec::new();
        if pattern.path.is_some() {
            parts.push(self.path(pattern, conditions, &mut seen));
        } else {
            self.edges(pattern, conditions, &mut seen, &mut parts);
        }
        for lonely in &pattern.nodes {
            let touched = pattern.edges.iter().any(|edge| edge.from == lonely.var || edge.to == lonely.var);
            if !touched {
                parts.push(self.node(pattern, lonely.var, conditions, &mut seen));
            }
        }
        if pattern.path.is_none() {
            shuffle_parts(&mut parts, self.random);
        }
        parts.join(", ")
    }

    fn edges(
        &mut self,
        pattern: &Pattern,
        conditions: &mut Vec<Condition>,
        seen: &mut Vec<Var>,
        parts: &mut Vec<String>,
    ) {
        let mut edges: Vec<&EdgePattern> = pattern.edges.iter().collect();
        shuffle(&mut edges, self.random);
        let mut end = None;
        for edge in edges {
            let first = |turned: bool| if turned { edge.to } else { edge.from };
            // Lists of relationships follow the text.
            let mut turned = if edge.length.is_some() { edge.turned } else { self.random.one_in(2) };
            let mut chained = end.is_some() && self.random.below(3) > 0;
            if chained && end != Some(first(turned)) {
                chained = edge.length.is_none() && end == Some(first(!turned));
                turned ^= chained;
            }
            let (from, to) = if turned { (edge.to, edge.from) } else { (edge.from, edge.to) };
            let start = match chained {
                true => parts.pop().expect("a part"),
                false => self.node(pattern, from, conditions, seen),
            };
            let step = self.edge(edge, turned);
            parts.push(format!("{start}{step}{}", self.node(pattern, to, conditions, seen)));
            end = Some(to);
        }
    }

    fn path(&mut self, pattern: &Pattern, conditions: &mut Vec<Condition>, seen: &mut Vec<Var>) -> String {
        let name = pattern.path.map(|var| format!("p{var} = ")).unwrap_or_default();
        let mut text = name;
        for (at, edge) in pattern.edges.iter().enumerate() {
            let (from, to) = if edge.turned { (edge.to, edge.from) } else { (edge.from, edge.to) };
            if at == 0 {
                text += &self.node(pattern, from, conditions, seen);
            }
            text += &self.edge(edge, edge.turned);
            text += &self.node(pattern, to, conditions, seen);
        }
        text
    }

    fn node(
        &mut self,
        pattern: &Pattern,
        var: Var,
        conditions: &mut Vec<Condition>,
        seen: &mut Vec<Var>,
    ) -> String {
        let known = pattern.node(var);
        let ends = |edge: &EdgePattern| usize::from(edge.from == var) + usize::from(edge.to == var);
        let uses: usize = pattern.edges.iter().map(ends).sum();
        let nameless = known.is_some_and(|node| node.hidden) && uses < 2;
        let mut text = if nameless { String::new() } else { node(var) };
        let first = !seen.contains(&var);
        seen.push(var);
        if let Some(known) = known.filter(|node| !node.tables.is_empty() && (first || self.random.one_in(4)))
        {
            let mut names: Vec<&str> = known.tables.iter().map(|table| TABLES[*table]).collect();
            shuffle(&mut names, self.random);
            text += &format!(":{}", names.join("|"));
        }
        if first && self.random.one_in(2) {
            let inline = |condition: &Condition| match condition {
                Condition::Compare(
                    Operand::NodeProperty(of, property),
                    Op::Equal,
                    Operand::Constant(value, kind),
                ) if *of == var => {
                    let (name, ..) = NODE_PROPERTIES[*property];
                    Some(format!("{name}: {}", literal(value, *kind)))
                }
                _ => None,
            };
            let found = conditions.iter().enumerate().find_map(|(at, one)| Some((at, inline(one)?)));
            if let Some((at, inline)) = found {
                conditions.remove(at);
                text += &format!(" {{{inline}}}");
            }
        }
        format!("({text})")
    }

    fn edge(&mut self, edge: &EdgePattern, turned: bool) -> String {
        let mut text = if edge.hidden { String::new() } else { rel(edge.var) };
        if !edge.types.is_empty() {
            let mut names: Vec<&str> = edge.types.iter().map(|kind| TYPES[*kind].name).collect();
            shuffle(&mut names, self.random);
            text += &format!(":{}", names.join("|"));
        }
        if let Some(length) = &edge.length {
            text += &self.length(length);
        }
        let inner = if text.is_empty() { String::new() } else { format!("[{text}]") };
        match (edge.undirected, turned) {
            (true, _) => format!("-{inner}-"),
            (false, true) => format!("<-{inner}-"),
            (false, false) => format!("-{inner}->"),
        }
    }

    fn length(&mut self, length: &Length) -> String {
        let mode = match length.mode {
            Mode::Default => "",
            Mode::Walk => " WALK ",
            Mode::Trail => " TRAIL ",
            Mode::Acyclic => " ACYCLIC ",
            Mode::Shortest => " SHORTEST ",
            Mode::AllShortest => " ALL SHORTEST ",
        };
        let max = length.max.map_or(String::new(), |max| max.to_string());
        let mut conditions = Vec::new();
        if let Some((property, op, value)) = &length.edge {
            let (name, kind) = REL_PROPERTIES[*property];
            conditions.push(format!("e.{name} {} {}", op.text(), literal(value, kind)));
        }
        if let Some((property, op, value)) = &length.inner {
            let (name, kind, _) = NODE_PROPERTIES[*property];
            conditions.push(format!("m.{name} {} {}", op.text(), literal(value, kind)));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" (e, m | WHERE {})", conditions.join(" AND ")),
        };
        format!("*{mode}{}..{max}{filter}", length.min)
    }

    pub fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::Constant(value, kind) => literal(value, *kind),
            Operand::NodeProperty(var, property) => {
                format!("{}.{}", node(*var), NODE_PROPERTIES[*property].0)
            }
            Operand::RelProperty(var, property) => format!("{}.{}", rel(*var), REL_PROPERTIES[*property].0),
            Operand::Value(var) => value(*var),
            Operand::Size(var) => format!("size({})", rel(*var)),
            Operand::Plus(a, b) => format!("{} + {}", self.operand(a), self.operand(b)),
        }
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Compare(a, op, b) => {
                format!("{} {} {}", self.operand(a), op.text(), self.operand(b))
            }
            Condition::IsNull(a, truth) => {
                format!("{} {}", self.operand(a), if *truth { "IS NULL" } else { "IS NOT NULL" })
            }
            Condition::In(a, values, kind) => {
                let values: Vec<String> = values.iter().map(|value| literal(value, *kind)).collect();
                format!("{} IN [{}]", self.operand(a), values.join(", "))
            }
            Condition::StartsWith(a, text) => format!("{} STARTS WITH '{text}'", self.operand(a)),
            Condition::Contains(a, text) => format!("{} CONTAINS '{text}'", self.operand(a)),
            Condition::Same(a, b, same) => {
                format!("{} {} {}", node(*a), if *same { "=" } else { "<>" }, node(*b))
            }
            Condition::NodeIsNull(var, truth) => {
                format!("{} {}", node(*var), if *truth { "IS NULL" } else { "IS NOT NULL" })
            }
            Condition::HasTable(var, table) => format!("{}:{}", node(*var), TABLES[*table]),
            Condition::Not(inner) => format!("NOT ({})", self.condition(inner)),
            Condition::Any(all) => self.list(all, " OR "),
            Condition::All(all) => self.list(all, " AND "),
            Condition::Exists(sub) => format!("EXISTS {{ {} }}", self.sub(sub)),
            Condition::Count(sub, op, number) => {
                format!("COUNT {{ {} }} {} {number}", self.sub(sub), op.text())
            }
            Condition::Pattern(pattern) => self.pattern(pattern, &mut Vec::new()),
        }
    }

    fn list(&mut self, all: &[Condition], between: &str) -> String {
        let mut texts: Vec<String> = all.iter().map(|one| self.condition(one)).collect();
        shuffle(&mut texts, self.random);
        format!("({})", texts.join(between))
    }

    fn sub(&mut self, sub: &Sub) -> String {
        let mut conditions = sub.conditions.clone();
        let pattern = self.pattern(&sub.pattern, &mut conditions);
        let distinct = sub.distinct.map(|var| format!(" RETURN DISTINCT {}", node(var)));
        let limit = sub.limit.map(|limit| format!(" LIMIT {limit}"));
        let end = distinct.unwrap_or_default() + &limit.unwrap_or_default();
        format!("MATCH {pattern}{}{end}", self.filter(&conditions))
    }

    fn projection(&mut self, projection: &Projection) -> String {
        let items: Vec<String> = projection.items.iter().map(|(item, var)| self.item(item, *var)).collect();
        let mut text = format!("{}{}", if projection.distinct { "DISTINCT " } else { "" }, items.join(", "));
        if let Some(order) = &projection.order {
            let keys = projection.items.iter().zip(order).map(|((item, var), descends)| {
                let key = match item {
                    Item::Entity(var) => format!("{}.id", node(*var)),
                    _ => value(*var),
                };
                format!("{key}{}", if *descends { " DESC" } else { "" })
            });
            text += &format!(" ORDER BY {}", keys.collect::<Vec<_>>().join(", "));
        }
        if let Some(skip) = projection.skip {
            text += &format!(" SKIP {skip}");
        }
        if let Some(limit) = projection.limit {
            text += &format!(" LIMIT {limit}");
        }
        text
    }

    fn item(&mut self, item: &Item, var: Var) -> String {
        let text = match item {
            Item::Entity(var) => return node(*var),
            Item::Operand(operand) => self.operand(operand),
            Item::Aggregate(aggregate, distinct, operand) => {
                let name = match aggregate {
                    Aggregate::CountRows | Aggregate::Count => "count",
                    Aggregate::Sum => "sum",
                    Aggregate::Avg => "avg",
                    Aggregate::Min => "min",
                    Aggregate::Max => "max",
                    Aggregate::Collect => "collect",
                };
                let distinct = if *distinct { "DISTINCT " } else { "" };
                let inside = operand.as_ref().map_or("*".to_owned(), |operand| self.operand(operand));
                format!("{name}({distinct}{inside})")
            }
            Item::CountNode(var, distinct) => format!("count({}{})", different(*distinct), node(*var)),
            Item::CountRel(var, distinct) => format!("count({}{})", different(*distinct), rel(*var)),
            Item::Exists(sub) => format!("EXISTS {{ {} }}", self.sub(sub)),
            Item::Count(sub) => format!("COUNT {{ {} }}", self.sub(sub)),
            Item::Rels(var) => rel(*var),
            Item::PathNodes(var) => format!("nodes(p{var})"),
            Item::PathRels(var) => format!("relationships(p{var})"),
            Item::PathLength(var) => format!("length(p{var})"),
        };
        format!("{text} AS {}", value(var))
    }
}

/// Parts stand in any order, but a label has to stand where its variable comes first.
fn shuffle_parts(parts: &mut [String], random: &mut Random) {
    shuffle(parts, random);
}
