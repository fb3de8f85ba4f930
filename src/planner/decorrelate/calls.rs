//! `CALL { … }`: clauses that take row after row run in line, others once for all rows, or once where they take nothing
//! from them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Carried, Together, variable_of_type};
use crate::binder::bound::{
    BoundCall, BoundClause, BoundMatch, BoundProjection, BoundSingleQuery, BoundWrite, ProjectionItem,
    VariableId, is_row_by_row, mentioned,
};
use crate::planner::build::Builder;
use crate::planner::join_order::Partial;
use crate::planner::logical_plan::{LogicalPlan, SettleKind};

impl Builder<'_> {
    /// `CALL { … }` behind a plan.
    pub(in crate::planner) fn call(
        &mut self,
        current: Partial,
        call: &BoundCall,
        carried: &Carried,
    ) -> Partial {
        let names: BTreeMap<VariableId, VariableId> =
            call.imports.iter().map(|own| (*own, self.name_of(*own))).collect();
        self.call_by(current, call, carried, names)
    }

    /// The same, with what its imports are called in the plan.
    fn call_by(
        &mut self,
        current: Partial,
        call: &BoundCall,
        carried: &Carried,
        names: BTreeMap<VariableId, VariableId>,
    ) -> Partial {
        let (renames, nullable) = (self.renames.clone(), self.nullable.clone());
        // The lengths of paths around it are asked for behind it.
        let lengths = std::mem::take(&mut self.lengths);
        let partial = match &call.outputs {
            Some(_) if is_row_by_row(&call.branches) => self.inlined(current, call, carried, &names),
            Some(outputs) if names.is_empty() => self.called_once(current, call, outputs),
            Some(outputs) => self.called(current, call, outputs, &names),
            None => self.unit_call(current, call, carried),
        };
        self.renames = renames;
        self.lengths = lengths;
        // What is matched inside need not be there outside.
        self.nullable.extend(nullable);
        partial
    }

    /// An optional match whose conditions group, sort or join branches: an OPTIONAL CALL of it.
    pub(in crate::planner) fn optional_together(
        &mut self,
        current: Partial,
        matched: BoundMatch,
        needed: &BTreeSet<VariableId>,
    ) -> Partial {
        let mut outputs = matched.pattern.variables();
        outputs.retain(|own| needed.contains(own) && !current.bound.contains(own));
        let pass = |variable: &VariableId| {
            let expression = variable_of_type(*variable, self.type_of(*variable));
            ProjectionItem { expression, variable: *variable }
        };
        let last = BoundProjection::of(outputs.iter().map(pass).collect());
        let clauses = vec![
            BoundClause::Match(BoundMatch { optional: false, ..matched }),
            BoundClause::Project(BoundProjection { is_return: true, ..last }),
        ];
        let mut imports = Vec::new();
        mentioned(&clauses, &mut imports);
        imports.retain(|used| current.bound.contains(used));
        // The clause has the names of the plan already.
        let names = imports.iter().map(|own| (*own, *own)).collect();
        let call = BoundCall {
            optional: true,
            imports,
            branches: vec![BoundSingleQuery { clauses }],
            union_all: true,
            outputs: Some(outputs.iter().copied().collect()),
        };
        self.call_by(current, &call, &Carried::default(), names)
    }

    fn name_of(&self, variable: VariableId) -> VariableId {
        self.renames.get(&variable).copied().unwrap_or(variable)
    }

    /// The clauses run as if they stood outside; everything around is carried through their projections.
    fn inlined(
        &mut self,
        current: Partial,
        call: &BoundCall,
        carried: &Carried,
        names: &BTreeMap<VariableId, VariableId>,
    ) -> Partial {
        let Some(branch) = call.branches.first() else { return current };
        let outer = current.bound.clone();
        let mut inside = carried.clone();
        inside.variables.extend(&outer);
        self.renames = names.clone();
        if !call.optional {
            return self.clauses(current, &branch.clauses, &inside).0;
        }
        let row = self.row_variable();
        let (rows, done) = (current.rows, current.done.clone());
        let mut bound = current.bound;
        bound.insert(row);
        inside.variables.insert(row);
        let plan = LogicalPlan::Number { input: Box::new(current.plan), row, multiplied: true };
        let inner = self.clauses(Partial { plan, bound, ..current }, &branch.clauses, &inside).0;
        let mut bound = inner.bound;
        bound.remove(&row);
        self.nullable.extend(bound.difference(&outer));
        let kind = SettleKind::Optional;
        let plan = LogicalPlan::Settle { input: Box::new(inner.plan), row, outer, kind };
        Partial { plan, bound, rows: inner.rows.max(rows), cost: inner.cost, done }
    }

    /// The rows of a query for each row, joined by the rows' numbers.
    fn called(
        &mut self,
        current: Partial,
        call: &BoundCall,
        outputs: &[VariableId],
        names: &BTreeMap<VariableId, VariableId>,
    ) -> Partial {
        let outer = current.bound.clone();
        let rows = current.rows;
        let together = self.together(current.plan, &call.branches, call.union_all, names, rows);
        let Together { row, own_row, body, .. } = together;
        let kind = if call.optional { SettleKind::Optional } else { SettleKind::Exists };
        let plan =
            self.joined_by_row(row, own_row, body, &outer, if call.optional { Some(kind) } else { None });
        let mut bound = outer;
        bound.extend(outputs);
        self.nullable.extend(outputs);
        let plan = LogicalPlan::With { shared: Box::new(together.shared), input: Box::new(plan), row };
        Partial { plan, bound, rows, cost: current.cost, done: Default::default() }
    }

    /// A query that takes nothing from the rows runs once.
    fn called_once(&mut self, current: Partial, call: &BoundCall, outputs: &[VariableId]) -> Partial {
        let (body, found) = self.alone(&call.branches, call.union_all, &BTreeSet::new());
        // A UNION puts out the variables of its first branch.
        debug_assert_eq!(found, outputs);
        let outer = current.bound.clone();
        let mut bound = outer.clone();
        bound.extend(outputs);
        self.nullable.extend(outputs);
        let join = |left, right| match left {
            LogicalPlan::Unit => right,
            left => LogicalPlan::CrossProduct { left: Box::new(left), right: Box::new(right) },
        };
        let plan = match call.optional {
            false => join(current.plan, body),
            true => {
                let row = self.row_variable();
                let left = LogicalPlan::Number { input: Box::new(current.plan), row, multiplied: true };
                let kind = SettleKind::Optional;
                LogicalPlan::Settle { input: Box::new(join(left, body)), row, outer, kind }
            }
        };
        Partial { plan, bound, done: Default::default(), ..current }
    }

    /// A query without RETURN only writes: its clauses run as stages, and the rows go on as they were. Where the clauses
    /// may make more rows or fewer of them, they are kept and read once more behind.
    fn unit_call(&mut self, current: Partial, call: &BoundCall, carried: &Carried) -> Partial {
        let Some(branch) = call.branches.first() else { return current };
        let mut inside = carried.clone();
        inside.variables.extend(&current.bound);
        let outer = current.bound.clone();
        if !branch.clauses.iter().all(keeps_rows) {
            let names: Vec<VariableId> = outer.iter().copied().collect();
            let plan = self.keep(current.plan, &names);
            let mut again = plan.clone();
            let start = Partial { plan, bound: outer.clone(), done: Default::default(), ..current };
            let (rows, cost) = (start.rows, start.cost);
            // It ends with a clause that writes, so all of it is in stages.
            self.clauses(start, &branch.clauses, &inside);
            if let LogicalPlan::Kept { behind, .. } = &mut again {
                *behind = self.stages.len();
            }
            return Partial { plan: again, bound: outer, rows, cost, done: Default::default() };
        }
        let rest = self.clauses(current, &branch.clauses, &inside).0;
        Partial { bound: rest.bound.intersection(&outer).copied().collect(), ..rest }
    }
}

/// Whether a clause gives a row for each of its rows.
fn keeps_rows(clause: &BoundClause) -> bool {
    match clause {
        BoundClause::Write(BoundWrite::Merge(_)) => false,
        BoundClause::Write(_) => true,
        BoundClause::Project(projection) => projection.predicates.is_empty(),
        _ => false,
    }
}
