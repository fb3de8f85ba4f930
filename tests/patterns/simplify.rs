//! Queries that are a little less than another one, so that what is wrong can be told in few words.

use super::evaluate::{bound_by, place};
use super::query::*;

/// The same query without one of its parts each; only those in which every variable is still bound.
pub fn simpler(query: &Query) -> Vec<Query> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Query)| {
        let mut copy = query.clone();
        change(&mut copy);
        if is_sound(&copy) {
            found.push(copy);
        }
    };
    for at in 0..query.clauses.len() {
        add(&|query| drop(query.clauses.remove(at)));
    }
    for at in 0..query.result.items.len() {
        add(&|query| drop_item(&mut query.result, at));
    }
    add(&|query| {
        let counted = (Item::Aggregate(Aggregate::CountRows, false, None), query.variables);
        query.variables += 1;
        query.result =
            Projection { distinct: false, items: vec![counted], order: None, skip: None, limit: None };
    });
    if query.result.items.len() == 1
        && matches!(query.result.items[0].0, Item::Aggregate(Aggregate::CountRows, ..))
    {
        found.pop();
    }
    let mut add = |change: &dyn Fn(&mut Query) -> bool| {
        let mut copy = query.clone();
        if change(&mut copy) && is_sound(&copy) {
            found.push(copy);
        }
    };
    add(&|query| loosen(&mut query.result));
    for at in 0..query.clauses.len() {
        match &query.clauses[at] {
            Clause::Match(clause) => {
                for change in match_changes(clause) {
                    add(&|query| {
                        query.clauses[at] = Clause::Match(change.clone());
                        true
                    });
                }
            }
            Clause::Call { imports, body, result } => {
                for change in match_changes(body) {
                    add(&|query| {
                        let body = Box::new(change.clone());
                        query.clauses[at] =
                            Clause::Call { imports: imports.clone(), body, result: result.clone() };
                        true
                    });
                }
                add(&|query| match &mut query.clauses[at] {
                    Clause::Call { result, .. } => loosen(result),
                    _ => false,
                });
                for item in 0..result.items.len() {
                    add(&|query| match &mut query.clauses[at] {
                        Clause::Call { result, .. } => {
                            drop_item(result, item);
                            true
                        }
                        _ => false,
                    });
                }
            }
            Clause::With(projection, conditions) => {
                add(&|query| match &mut query.clauses[at] {
                    Clause::With(projection, _) => loosen(projection),
                    _ => false,
                });
                for item in 0..projection.items.len() {
                    add(&|query| match &mut query.clauses[at] {
                        Clause::With(projection, _) => {
                            drop_item(projection, item);
                            true
                        }
                        _ => false,
                    });
                }
                for fewer in fewer(conditions) {
                    add(&|query| match &mut query.clauses[at] {
                        Clause::With(_, conditions) => {
                            *conditions = fewer.clone();
                            true
                        }
                        _ => false,
                    });
                }
            }
            Clause::Unwind(values, _) if values.len() > 1 => add(&|query| match &mut query.clauses[at] {
                Clause::Unwind(values, _) => values.pop().is_some(),
                _ => false,
            }),
            Clause::Unwind(..) => {}
        }
    }
    found
}

fn drop_item(projection: &mut Projection, at: usize) {
    projection.items.remove(at);
    if let Some(order) = &mut projection.order {
        order.remove(at);
    }
}

/// Without DISTINCT, limits and order.
fn loosen(projection: &mut Projection) -> bool {
    let changed = projection.distinct || projection.order.is_some();
    projection.distinct = false;
    (projection.order, projection.skip, projection.limit) = (None, None, None);
    changed
}

fn match_changes(clause: &Match) -> Vec<Match> {
    let mut all: Vec<Match> = Vec::new();
    for conditions in fewer(&clause.conditions) {
        all.push(Match { conditions, ..clause.clone() });
    }
    all.extend(
        pattern_changes(&clause.pattern).into_iter().map(|pattern| Match { pattern, ..clause.clone() }),
    );
    if clause.optional {
        all.push(Match { optional: false, ..clause.clone() });
    }
    all
}

fn pattern_changes(pattern: &Pattern) -> Vec<Pattern> {
    let mut all = Vec::new();
    if pattern.path.is_some() {
        all.push(Pattern { path: None, ..pattern.clone() });
    }
    for at in 0..pattern.edges.len() {
        let mut fewer = pattern.clone();
        let gone = fewer.edges.remove(at);
        fewer.path = None;
        // Ends that nothing else touches go with it.
        let touched = |var: Var| fewer.edges.iter().any(|edge| edge.from == var || edge.to == var);
        let lonely: Vec<Var> = [gone.from, gone.to].into_iter().filter(|var| !touched(*var)).collect();
        let mut without = fewer.clone();
        without.nodes.retain(|node| !lonely.contains(&node.var));
        if !without.nodes.is_empty() {
            all.push(without);
        }
        all.push(fewer);
    }
    for at in 0..pattern.nodes.len() {
        let touched =
            |edge: &EdgePattern| edge.from == pattern.nodes[at].var || edge.to == pattern.nodes[at].var;
        if pattern.nodes.len() > 1 && !pattern.edges.iter().any(touched) {
            let mut fewer = pattern.clone();
            fewer.nodes.remove(at);
            all.push(fewer);
        }
    }
    for at in 0..pattern.edges.len() {
        if let Some(length) = &pattern.edges[at].length {
            let changes = [
                Length { edge: None, ..length.clone() },
                Length { inner: None, ..length.clone() },
                Length {
                    max: length.max.filter(|max| *max > length.min).map(|max| max - 1).or(length.max),
                    ..length.clone()
                },
            ];
            for (number, change) in changes.into_iter().enumerate() {
                let differs = [length.edge.is_some(), length.inner.is_some(), change.max != length.max];
                if differs[number] {
                    let mut less = pattern.clone();
                    less.edges[at].length = Some(change);
                    all.push(less);
                }
            }
        }
    }
    all
}

/// One condition less, or a part of one instead of it.
fn fewer(conditions: &[Condition]) -> Vec<Vec<Condition>> {
    let mut all = Vec::new();
    for at in 0..conditions.len() {
        let mut less = conditions.to_vec();
        less.remove(at);
        all.push(less);
        let parts: Vec<Condition> = match &conditions[at] {
            Condition::Any(parts) | Condition::All(parts) => parts.clone(),
            Condition::Not(inner) => vec![(**inner).clone()],
            Condition::Exists(sub) => {
                let exists = |sub: Sub| Condition::Exists(Box::new(sub));
                sub_changes(sub).into_iter().map(exists).collect()
            }
            Condition::Count(sub, op, number) => {
                let count = |sub: Sub| Condition::Count(Box::new(sub), *op, *number);
                sub_changes(sub).into_iter().map(count).collect()
            }
            _ => Vec::new(),
        };
        for part in parts {
            let mut less = conditions.to_vec();
            less[at] = part;
            all.push(less);
        }
    }
    all
}

fn sub_changes(sub: &Sub) -> Vec<Sub> {
    let conditions = fewer(&sub.conditions).into_iter().map(|conditions| Sub { conditions, ..sub.clone() });
    let patterns = pattern_changes(&sub.pattern).into_iter().map(|pattern| Sub { pattern, ..sub.clone() });
    let whole = sub.distinct.map(|_| Sub { distinct: None, limit: None, ..sub.clone() });
    let unlimited = sub.limit.map(|_| Sub { limit: None, ..sub.clone() });
    conditions.chain(patterns).chain(whole).chain(unlimited).collect()
}

/// Whether every variable is bound where it is used.
fn is_sound(query: &Query) -> bool {
    let mut bound: Vec<Var> = Vec::new();
    for clause in &query.clauses {
        match clause {
            Clause::Match(clause) => {
                bound.extend(bound_by(&clause.pattern));
                if clause.pattern.nodes.is_empty() || !all_known(&clause.conditions, &bound) {
                    return false;
                }
            }
            Clause::With(projection, conditions) => {
                if !projects(projection, &bound) {
                    return false;
                }
                bound = projection.items.iter().map(|(item, var)| place(item, *var)).collect();
                if !all_known(conditions, &bound) {
                    return false;
                }
            }
            Clause::Unwind(_, var) => bound.push(*var),
            Clause::Call { imports, body, result } => {
                let mut inside = imports.clone();
                if !imports.iter().all(|var| bound.contains(var)) {
                    return false;
                }
                inside.extend(bound_by(&body.pattern));
                if !all_known(&body.conditions, &inside) || !projects(result, &inside) {
                    return false;
                }
                bound.extend(result.items.iter().map(|(item, var)| place(item, *var)));
            }
        }
    }
    projects(&query.result, &bound)
}

fn projects(projection: &Projection, bound: &[Var]) -> bool {
    let item = |item: &Item| match item {
        Item::Entity(var)
        | Item::CountNode(var, _)
        | Item::CountRel(var, _)
        | Item::Rels(var)
        | Item::PathNodes(var)
        | Item::PathRels(var)
        | Item::PathLength(var) => bound.contains(var),
        Item::Operand(operand) => operand_known(operand, bound),
        Item::Aggregate(_, _, operand) => operand.iter().all(|operand| operand_known(operand, bound)),
        Item::Exists(sub) | Item::Count(sub) => sub_known(sub, bound),
    };
    !projection.items.is_empty() && projection.items.iter().all(|(one, _)| item(one))
}

fn all_known(conditions: &[Condition], bound: &[Var]) -> bool {
    conditions.iter().all(|condition| match condition {
        Condition::Compare(a, _, b) => operand_known(a, bound) && operand_known(b, bound),
        Condition::IsNull(a, _)
        | Condition::In(a, ..)
        | Condition::StartsWith(a, _)
        | Condition::Contains(a, _) => operand_known(a, bound),
        Condition::Same(a, b, _) => bound.contains(a) && bound.contains(b),
        Condition::NodeIsNull(var, _) | Condition::HasTable(var, _) => bound.contains(var),
        Condition::Not(inner) => all_known(std::slice::from_ref(inner), bound),
        Condition::Any(all) | Condition::All(all) => all_known(all, bound),
        Condition::Exists(sub) | Condition::Count(sub, ..) => sub_known(sub, bound),
        Condition::Pattern(pattern) => {
            pattern.nodes.iter().all(|node| node.hidden || bound.contains(&node.var))
        }
    })
}

fn sub_known(sub: &Sub, bound: &[Var]) -> bool {
    let inner: Vec<Var> = bound.iter().copied().chain(bound_by(&sub.pattern)).collect();
    !sub.pattern.nodes.is_empty()
        && all_known(&sub.conditions, &inner)
        && sub.distinct.is_none_or(|var| inner.contains(&var))
}

fn operand_known(operand: &Operand, bound: &[Var]) -> bool {
    match operand {
        Operand::Constant(..) => true,
        Operand::NodeProperty(var, _)
        | Operand::RelProperty(var, _)
        | Operand::Value(var)
        | Operand::Size(var) => bound.contains(var),
        Operand::Plus(a, b) => operand_known(a, bound) && operand_known(b, bound),
    }
}
