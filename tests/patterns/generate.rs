//! Random queries that mean something: variables are in scope, types lead from where they are followed, constants are
//! near to what the graph holds.

#[path = "generate_optionals.rs"]
mod optionals;

use super::graph::{Kind, NODE_PROPERTIES, REL_PROPERTIES, Size, TABLES, TYPES, V, text};
use super::query::*;
use crate::support::random::Random;

/// What a query may mention.
#[derive(Debug, Clone, Default)]
struct Scope {
    /// With the table that a node is meant to be of.
    nodes: Vec<(Var, usize)>,
    rels: Vec<(Var, Vec<usize>)>,
    lists: Vec<Var>,
    /// Lists of which only the length is certain.
    sizes: Vec<Var>,
    paths: Vec<Var>,
    values: Vec<(Var, Kind)>,
}

/// Makes queries.
pub struct Generator<'r> {
    pub random: &'r mut Random,
    pub size: Size,
    /// Walks may pass a relationship again.
    pub walks: bool,
    next: Var,
    /// Whether it is a query in a query in a query that is being made.
    inside: bool,
}

impl<'r> Generator<'r> {
    pub fn new(random: &'r mut Random, size: Size, walks: bool) -> Generator<'r> {
        Generator { random, size, walks, next: 0, inside: false }
    }

    fn var(&mut self) -> Var {
        self.next += 1;
        self.next - 1
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.random.one_in(chances)
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { Some(all[self.below(all.len())].clone()) }
    }

    pub fn query(&mut self) -> Query {
        let mut scope = Scope::default();
        let mut clauses = Vec::new();
        if self.one_in(12) {
            clauses.push(self.unwind(&mut scope));
        }
        let most = if self.one_in(3) { 4 } else { 3 };
        let optional = self.one_in(15);
        clauses.push(Clause::Match(self.matching(&mut scope, most, optional)));
        while clauses.len() < 5 && !self.one_in(2) {
            let clause = match self.below(12) {
                0..=4 => Clause::Match(self.matching(&mut scope, 2, true)),
                5 | 6 => Clause::Match(self.matching(&mut scope, 2, false)),
                7 | 8 => self.with(&mut scope),
                9 | 10 => self.call(&mut scope),
                _ => self.unwind(&mut scope),
            };
            clauses.push(clause);
        }
        let result = self.projection(&mut scope, true);
        Query { clauses, result, variables: self.next }
    }

    fn unwind(&mut self, scope: &mut Scope) -> Clause {
        let values = (0..1 + self.below(3)).map(|_| self.below(self.size.distinct as usize) as i64).collect();
        let var = self.var();
        scope.values.push((var, Kind::Integer));
        Clause::Unwind(values, var)
    }

    fn matching(&mut self, scope: &mut Scope, most: usize, optional: bool) -> Match {
        let anchored = !scope.nodes.is_empty() && !self.one_in(8);
        let (pattern, inner) = self.pattern(scope, most, anchored, true);
        let conditions = self.conditions(&inner, &pattern, 2, true);
        *scope = inner;
        // What is hidden is not in scope; what is left of it is for conditions only.
        Match { optional, pattern, conditions }
    }

    /// A pattern and the scope with its variables.
    fn pattern(&mut self, scope: &Scope, most: usize, anchored: bool, long: bool) -> (Pattern, Scope) {
        let mut inner = scope.clone();
        let mut pattern = Pattern::default();
        let known = scope.nodes.clone();
        // Nodes of this pattern with the tables they are meant to be of.
        let mut nodes: Vec<(Var, usize)> = Vec::new();
        let start = match self.pick(&known).filter(|_| anchored) {
            Some(node) => self.old_node(&mut pattern, node),
            None => self.new_node(&mut pattern, &mut inner, None),
        };
        nodes.push(start);
        let edges = match self.below(8) {
            0 => 0,
            1..=3 => 1,
            4 | 5 => 2.min(most),
            _ => 1 + self.below(most),
        };
        let shape = self.below(4);
        for _ in 0..edges {
            let from = match shape {
                // A star, a chain, or anything.
                0 => nodes[0],
                1 => nodes[nodes.len() - 1],
                _ => nodes[self.below(nodes.len())],
            };
            let to = match self.below(10) {
                0 => Some(nodes[self.below(nodes.len())]),
                1 => nodes.iter().find(|node| **node != from).copied(),
                2 if shape > 1 => self.pick(&known).map(|node| self.old_node(&mut pattern, node)),
                _ => None,
            };
            let (edge, to) = self.edge(&mut pattern, &mut inner, from, to);
            if !nodes.contains(&to) {
                nodes.push(to);
            }
            pattern.edges.push(edge);
        }
        if self.one_in(12) {
            let node = self.new_node(&mut pattern, &mut inner, None);
            nodes.push(node);
        }
        if long {
            self.lengthen(&mut pattern, &mut inner);
        }
        self.name_path(&mut pattern, &mut inner);
        (pattern, inner)
    }

    fn old_node(&mut self, pattern: &mut Pattern, node: (Var, usize)) -> (Var, usize) {
        if pattern.node(node.0).is_none() {
            let tables = if self.one_in(8) { vec![node.1] } else { Vec::new() };
            pattern.nodes.push(NodePattern { var: node.0, tables, hidden: false });
        }
        node
    }

    fn new_node(&mut self, pattern: &mut Pattern, inner: &mut Scope, table: Option<usize>) -> (Var, usize) {
        let table = table.unwrap_or_else(|| self.below(TABLES.len()));
        let tables = match self.below(10) {
            0..=5 => vec![table],
            6 => {
                let other = (table + 1 + self.below(2)) % TABLES.len();
                vec![table, other]
            }
            _ => Vec::new(),
        };
        let (var, hidden) = (self.var(), self.one_in(5));
        pattern.nodes.push(NodePattern { var, tables, hidden });
        if !hidden {
            inner.nodes.push((var, table));
        }
        (var, table)
    }

    fn edge(
        &mut self,
        pattern: &mut Pattern,
        inner: &mut Scope,
        from: (Var, usize),
        to: Option<(Var, usize)>,
    ) -> (EdgePattern, (Var, usize)) {
        // Types that lead from the one table to the other, and whether they do so along their arrow.
        let mut ways = Vec::new();
        for (at, of) in TYPES.iter().enumerate() {
            for (a, b) in of.pairs {
                if *a == from.1 && to.is_none_or(|to| to.1 == *b) {
                    ways.push((at, *b, true));
                }
                if *b == from.1 && to.is_none_or(|to| to.1 == *a) {
                    ways.push((at, *a, false));
                }
            }
        }
        let way = self.pick(&ways);
        let (kind, table, along) = way.unwrap_or((0, from.1, true));
        let to = to.unwrap_or_else(|| self.new_node(pattern, inner, Some(table)));
        let types = match (way, self.below(8)) {
            (None, _) | (_, 0) => Vec::new(),
            (_, 1) => {
                let other = self.below(TYPES.len());
                if other == kind { vec![kind] } else { vec![kind, other] }
            }
            _ => vec![kind],
        };
        let (var, hidden) = (self.var(), self.one_in(2));
        if !hidden {
            inner.rels.push((var, types.clone()));
        }
        let (a, b) = if along { (from.0, to.0) } else { (to.0, from.0) };
        let undirected = self.one_in(6);
        (EdgePattern { var, from: a, to: b, types, undirected, length: None, hidden, turned: false }, to)
    }

    /// Makes one of the edges one of variable length.
    fn lengthen(&mut self, pattern: &mut Pattern, inner: &mut Scope) {
        if pattern.edges.is_empty() || !self.one_in(4) {
            return;
        }
        let at = self.below(pattern.edges.len());
        let alone = pattern.edges.len() == 1;
        let modes = [Mode::Walk, Mode::Trail, Mode::Acyclic, Mode::Shortest, Mode::AllShortest];
        let mode = if alone && self.one_in(2) { self.pick(&modes) } else { None }.unwrap_or(Mode::Default);
        let short = matches!(mode, Mode::Shortest | Mode::AllShortest);
        let min = self.below(if short { 2 } else { 3 });
        let max = min + self.below(3);
        let max = if short { max.max(1) + self.below(3) } else { max };
        let unbounded = !self.walks && mode != Mode::Walk && self.one_in(12);
        let inner_kind = [0usize, 1, 1][self.below(3)];
        let length = Length {
            min,
            max: (!unbounded).then_some(max),
            mode,
            edge: if self.one_in(4) { Some((1, self.op(), self.number())) } else { None },
            inner: match self.one_in(6) {
                true if inner_kind == 0 => Some((0, Op::Greater, V::Number(10_000.0))),
                true => Some((1, self.op(), self.number())),
                false => None,
            },
            nodes: self.var(),
        };
        let edge = &mut pattern.edges[at];
        edge.length = Some(length);
        edge.turned = self.random.one_in(2);
        inner.rels.retain(|(var, _)| *var != edge.var);
        // Which of several shortest paths is found is nobody's promise, but their length is.
        if !edge.hidden {
            inner.sizes.push(edge.var);
            if mode != Mode::Shortest {
                inner.lists.push(edge.var);
            }
        }
    }

    /// Gives a chain of edges a name.
    fn name_path(&mut self, pattern: &mut Pattern, inner: &mut Scope) {
        if pattern.edges.is_empty() || !self.one_in(6) {
            return;
        }
        let shortest = |edge: &EdgePattern| edge.length.as_ref().is_some_and(|l| l.mode == Mode::Shortest);
        if pattern.edges.iter().any(shortest) {
            return;
        }
        for turned in [false, true] {
            let first = &pattern.edges[0];
            let mut at = if turned { first.to } else { first.from };
            let mut turns = Vec::new();
            for edge in &pattern.edges {
                if edge.from == at {
                    turns.push(false);
                    at = edge.to;
                } else if edge.to == at {
                    turns.push(true);
                    at = edge.from;
                }
            }
            if turns.len() == pattern.edges.len() && turns.first() == Some(&turned) {
                pattern.edges.iter_mut().zip(turns).for_each(|(edge, turned)| edge.turned = turned);
                let var = self.var();
                pattern.path = Some(var);
                inner.paths.push(var);
                return;
            }
        }
    }

    fn op(&mut self) -> Op {
        let all = [Op::Equal, Op::Differs, Op::Less, Op::LessEqual, Op::Greater, Op::GreaterEqual];
        all[self.below(6)]
    }

    fn number(&mut self) -> V {
        V::Number(self.below(self.size.distinct as usize) as f64)
    }

    fn constant(&mut self, kind: Kind) -> V {
        match kind {
            Kind::Integer => self.number(),
            Kind::Double => V::Number(self.below(self.size.distinct as usize * 2) as f64 / 4.0),
            Kind::Text => match text(self.random) {
                V::Null => V::Text("b".to_owned()),
                known => known,
            },
        }
    }

    /// Something with a value, and what kind it has.
    fn operand(&mut self, scope: &Scope) -> Option<(Operand, Kind)> {
        let choice = self.below(10);
        let value = self.pick(&scope.values).filter(|_| choice < 3);
        if let Some((var, kind)) = value {
            return Some((Operand::Value(var), kind));
        }
        let rel = self.pick(&scope.rels).filter(|_| choice < 5);
        if let Some((var, types)) = rel {
            let has_text = types.iter().any(|kind| TYPES[*kind].has_text) || types.is_empty();
            let at = self.below(2 + usize::from(has_text));
            return Some((Operand::RelProperty(var, at), REL_PROPERTIES[at].1));
        }
        let list = self.pick(&scope.sizes).filter(|_| choice == 5);
        if let Some(var) = list {
            return Some((Operand::Size(var), Kind::Integer));
        }
        let (var, table) = self.pick(&scope.nodes)?;
        let all: Vec<usize> = (0..NODE_PROPERTIES.len()).filter(|at| NODE_PROPERTIES[*at].2[table]).collect();
        let at = self.pick(&all)?;
        Some((Operand::NodeProperty(var, at), NODE_PROPERTIES[at].1))
    }

    /// Conditions over a scope; mostly over what the pattern has.
    fn conditions(&mut self, scope: &Scope, pattern: &Pattern, most: usize, subs: bool) -> Vec<Condition> {
        let mut count = if self.one_in(2) { 0 } else { 1 + self.below(most) };
        let mut conditions = Vec::new();
        if self.one_in(5)
            && let Some(node) = self.pick(&pattern.nodes)
            && let Some((var, table)) = scope.nodes.iter().find(|(var, _)| *var == node.var).copied()
        {
            let id = V::Number((table * 10_000 + self.below(2 * self.size.nodes as usize)) as f64);
            let side = Operand::NodeProperty(var, 0);
            let op = if self.one_in(3) { Op::LessEqual } else { Op::Equal };
            conditions.push(Condition::Compare(side, op, Operand::Constant(id, Kind::Integer)));
        }
        while count > 0 {
            count -= 1;
            conditions.extend(self.condition(scope, 2, subs));
        }
        conditions
    }

    fn condition(&mut self, scope: &Scope, depth: usize, subs: bool) -> Option<Condition> {
        let deep = if depth > 0 { 20 } else { 14 };
        match self.below(deep) {
            0..=5 => {
                let (operand, kind) = self.operand(scope)?;
                let value = self.constant(kind);
                Some(Condition::Compare(operand, self.op(), Operand::Constant(value, kind)))
            }
            6..=8 => {
                let (a, b) = (self.operand(scope)?, self.operand(scope)?);
                let fits = (a.1 == Kind::Text) == (b.1 == Kind::Text);
                fits.then(|| Condition::Compare(a.0, self.op(), b.0))
            }
            9 => Some(Condition::IsNull(self.operand(scope)?.0, self.one_in(2))),
            10 => {
                let (operand, kind) = self.operand(scope)?;
                let count = 1 + self.below(3);
                let values = (0..count).map(|_| self.constant(kind)).collect();
                Some(Condition::In(operand, values, kind))
            }
            11 => {
                let (operand, kind) = self.operand(scope)?;
                let starts = self.one_in(2);
                (kind == Kind::Text).then(|| match starts {
                    true => Condition::StartsWith(operand, "a".to_owned()),
                    false => Condition::Contains(operand, "b".to_owned()),
                })
            }
            12 => {
                let (a, b) = (self.pick(&scope.nodes)?, self.pick(&scope.nodes)?);
                (a.0 != b.0).then(|| Condition::Same(a.0, b.0, self.one_in(3)))
            }
            13 => {
                let (var, table) = self.pick(&scope.nodes)?;
                Some(match self.one_in(2) {
                    true => Condition::NodeIsNull(var, self.one_in(2)),
                    false => Condition::HasTable(var, table),
                })
            }
            14 => Some(Condition::Not(Box::new(self.condition(scope, depth - 1, subs)?))),
            15 | 16 => {
                let all = [self.condition(scope, depth - 1, subs)?, self.condition(scope, depth - 1, subs)?];
                Some(if self.one_in(4) { Condition::All(all.into()) } else { Condition::Any(all.into()) })
            }
            _ if !subs || scope.nodes.is_empty() => None,
            17 => {
                let (pattern, _) = self.closed_pattern(scope)?;
                Some(Condition::Pattern(Box::new(pattern)))
            }
            18 => {
                let (sub, op) = (self.sub(scope), self.op());
                Some(Condition::Count(Box::new(sub), op, self.below(3) as i64))
            }
            _ => {
                let exists = Condition::Exists(Box::new(self.sub(scope)));
                Some(if self.one_in(2) { Condition::Not(Box::new(exists)) } else { exists })
            }
        }
    }

    fn sub(&mut self, scope: &Scope) -> Sub {
        let anchored = !self.one_in(10);
        let (pattern, inner) = self.pattern(scope, 2, anchored, true);
        // A query in a query may ask another one.
        let asks = !std::mem::replace(&mut self.inside, true);
        let subs = asks && self.one_in(2);
        let conditions = self.conditions(&inner, &pattern, 1, subs);
        self.inside = !asks;
        let mut pattern = pattern;
        pattern.path = None;
        let distinct = self.pick(&inner.nodes).filter(|_| self.random.one_in(3)).map(|(var, _)| var);
        let limit = if distinct.is_some() && self.one_in(4) { Some(self.below(3)) } else { None };
        Sub { pattern, conditions, distinct, limit }
    }

    /// A pattern that binds no names: one edge from a node in scope.
    fn closed_pattern(&mut self, scope: &Scope) -> Option<(Pattern, Scope)> {
        let mut inner = scope.clone();
        let mut pattern = Pattern::default();
        let from = self.pick(&scope.nodes)?;
        self.old_node(&mut pattern, from);
        let to = self.pick(&scope.nodes).filter(|_| self.random.one_in(2));
        let to = to.map(|node| self.old_node(&mut pattern, node));
        let (mut edge, _) = self.edge(&mut pattern, &mut inner, from, to);
        edge.hidden = true;
        pattern.edges.push(edge);
        pattern.nodes.iter_mut().for_each(|node| {
            node.hidden = !scope.nodes.iter().any(|(var, _)| *var == node.var);
        });
        Some((pattern, inner))
    }

    fn with(&mut self, scope: &mut Scope) -> Clause {
        let projection = self.projection(scope, false);
        let conditions = match self.one_in(3) {
            true => self.condition(scope, 1, true).into_iter().collect(),
            false => Vec::new(),
        };
        Clause::With(projection, conditions)
    }

    fn call(&mut self, scope: &mut Scope) -> Clause {
        let imports: Vec<(Var, usize)> = self.pick(&scope.nodes).into_iter().collect();
        let mut inside = Scope { nodes: imports.clone(), ..Scope::default() };
        let optional = self.one_in(4);
        let body = self.matching(&mut inside, 2, optional);
        // What is imported cannot be given back under its name.
        inside.nodes.retain(|node| !imports.contains(node));
        let result = self.projection(&mut inside, false);
        scope.nodes.extend(inside.nodes);
        scope.values.extend(inside.values);
        Clause::Call { imports: imports.iter().map(|(var, _)| *var).collect(), body: Box::new(body), result }
    }

    /// What is returned, or what goes on: then the scope is what is left.
    fn projection(&mut self, scope: &mut Scope, last: bool) -> Projection {
        let grouped = self.one_in(3);
        let mut items: Vec<(Item, Var)> = Vec::new();
        let mut after = Scope::default();
        let keys = if grouped { self.below(3) } else { 1 + self.below(3) };
        for _ in 0..keys {
            match self.below(8) {
                0..=2 if !last || self.one_in(3) => {
                    let Some(node) = self.pick(&scope.nodes) else { continue };
                    if !after.nodes.contains(&node) {
                        after.nodes.push(node);
                        items.push((Item::Entity(node.0), node.0));
                    }
                }
                3 if last && !grouped => items.extend(self.path_item(scope)),
                4 if !grouped && !scope.nodes.is_empty() => {
                    let sub = Box::new(self.sub(scope));
                    let item = if self.one_in(2) { Item::Exists(sub) } else { Item::Count(sub) };
                    items.push((item, self.var()));
                }
                _ => {
                    let Some((operand, kind)) = self.operand(scope) else { continue };
                    let plus = kind == Kind::Integer && self.one_in(8);
                    let operand = match plus {
                        true => Operand::Plus(
                            Box::new(operand),
                            Box::new(Operand::Constant(V::Number(1.0), Kind::Integer)),
                        ),
                        false => operand,
                    };
                    let var = self.var();
                    after.values.push((var, kind));
                    items.push((Item::Operand(operand), var));
                }
            }
        }
        if grouped || items.is_empty() {
            for _ in 0..1 + self.below(2) {
                let (item, kind) = self.aggregate(scope, last);
                let var = self.var();
                after.values.extend(kind.map(|kind| (var, kind)));
                items.push((item, var));
            }
        }
        let whole = items.iter().all(|(item, _)| is_ordered(item));
        let ordered = whole && self.one_in(3);
        let order = ordered.then(|| items.iter().map(|_| self.random.one_in(2)).collect());
        let projection = Projection {
            distinct: self.one_in(4),
            skip: if ordered && self.one_in(4) { Some(self.below(4)) } else { None },
            limit: if ordered && !self.one_in(3) { Some(self.below(8)) } else { None },
            items,
            order,
        };
        *scope = after;
        projection
    }

    fn path_item(&mut self, scope: &Scope) -> Option<(Item, Var)> {
        let list = self.pick(&scope.lists);
        let item = match self.pick(&scope.paths) {
            Some(path) => match self.below(3) {
                0 => Item::PathNodes(path),
                1 => Item::PathRels(path),
                _ => Item::PathLength(path),
            },
            None => Item::Rels(list?),
        };
        Some((item, self.var()))
    }

    fn aggregate(&mut self, scope: &Scope, last: bool) -> (Item, Option<Kind>) {
        let rows = (Item::Aggregate(Aggregate::CountRows, false, None), Some(Kind::Integer));
        let distinct = self.one_in(4);
        match self.below(8) {
            0 | 1 => rows,
            2 => match self.pick(&scope.nodes) {
                Some((var, _)) => (Item::CountNode(var, distinct), Some(Kind::Integer)),
                None => rows,
            },
            choice => {
                let Some((operand, kind)) = self.operand(scope) else { return rows };
                let numbers = kind != Kind::Text;
                let (aggregate, kind) = match choice {
                    3 => (Aggregate::Count, Some(Kind::Integer)),
                    4 if numbers => (Aggregate::Sum, Some(kind)),
                    5 if numbers => (Aggregate::Avg, Some(Kind::Double)),
                    6 if last => (Aggregate::Collect, None),
                    7 => (Aggregate::Max, Some(kind)),
                    _ => (Aggregate::Min, Some(kind)),
                };
                (Item::Aggregate(aggregate, distinct, Some(operand)), kind)
            }
        }
    }
}

/// Whether ORDER BY can take the item.
fn is_ordered(item: &Item) -> bool {
    match item {
        Item::Aggregate(aggregate, ..) => *aggregate != Aggregate::Collect,
        Item::Rels(_) | Item::PathNodes(_) | Item::PathRels(_) | Item::Exists(_) => false,
        _ => true,
    }
}
