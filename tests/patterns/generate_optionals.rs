//! Optional matches at the same nodes, some of which close a cycle over two of them, and a projection that mostly counts
//! what they found.

use super::super::query::*;
use super::{Generator, Scope};

type Node = (Var, usize);

impl Generator<'_> {
    /// A match, optional ones at its nodes, and counts.
    pub fn counted_optionals(&mut self) -> Query {
        let mut scope = Scope::default();
        let mut clauses = vec![Clause::Match(self.matching(&mut scope, 2, false))];
        let outer = scope.clone();
        let (mut nodes, mut rels) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.below(3) {
            let known = (scope.nodes.len(), scope.rels.len());
            clauses.push(Clause::Match(self.optional_at(&outer.nodes, &mut scope)));
            nodes.extend(scope.nodes[known.0..].iter().map(|(var, _)| *var));
            rels.extend(scope.rels[known.1..].iter().map(|(var, _)| *var));
        }
        let mut items: Vec<(Item, Var)> = Vec::new();
        if self.one_in(2)
            && let Some((operand, _)) = self.operand(&outer)
        {
            items.push((Item::Operand(operand), self.var()));
        }
        if self.one_in(3)
            && let Some((node, _)) = self.pick(&outer.nodes)
        {
            items.push((Item::Entity(node), node));
        }
        let distinct = self.one_in(4);
        for _ in 0..1 + self.below(3) {
            let distinct = if distinct { !self.one_in(4) } else { self.one_in(8) };
            let item = match self.one_in(3) {
                true => self.pick(&rels).map(|var| Item::CountRel(var, distinct)),
                false => self.pick(&nodes).map(|var| Item::CountNode(var, distinct)),
            };
            items.extend(item.map(|item| (item, self.var())));
        }
        if !distinct {
            let scope = if self.one_in(6) { &scope } else { &outer };
            items.push((self.aggregate(scope, true).0, self.var()));
        } else if let Some((operand, _)) = self.operand(&scope) {
            let aggregate = if self.one_in(2) { Aggregate::Min } else { Aggregate::Max };
            items.push((Item::Aggregate(aggregate, false, Some(operand)), self.var()));
        }
        if items.is_empty() {
            items.push((Item::Aggregate(Aggregate::CountRows, false, None), self.var()));
        }
        let result = Projection { distinct: false, items, order: None, skip: None, limit: None };
        Query { clauses, result, variables: self.next }
    }

    /// A step from one of the nodes, and perhaps one more back to one of them.
    fn optional_at(&mut self, known: &[Node], scope: &mut Scope) -> Match {
        let Some(from) = self.pick(known) else { return self.matching(scope, 2, true) };
        if self.one_in(6) {
            return self.matching(scope, 2, true);
        }
        let (mut pattern, mut inner) = (Pattern::default(), scope.clone());
        let from = self.old_node(&mut pattern, from);
        let (edge, middle) = self.edge(&mut pattern, &mut inner, from, None);
        pattern.edges.push(edge);
        if self.one_in(2)
            && let Some(to) = self.pick(known)
        {
            let to = self.old_node(&mut pattern, to);
            let (edge, _) = self.edge(&mut pattern, &mut inner, middle, Some(to));
            pattern.edges.push(edge);
        }
        let conditions = match self.one_in(3) {
            true => self.conditions(&inner, &pattern, 1, true),
            false => Vec::new(),
        };
        *scope = inner;
        Match { optional: true, pattern, conditions }
    }
}
