//! Writing clauses become stages: which columns they take, how their values are computed, and what may be computed for
//! many rows at once because no row sees what another one writes.

use std::collections::BTreeSet;

use super::logical_plan::{LogicalPlan, LogicalStage};
use super::lower::{Keys, Lowered};
use super::lower_expression::{ColumnKey, Lowering, keys_of};
use super::physical_plan::{PhysicalOperator, PlanNode};
use super::physical_write::{
    NewValue, PhysicalChange, PhysicalCreate, PhysicalDelete, PhysicalMerge, PhysicalNewNode, PhysicalNewRel,
    PhysicalSet, PhysicalSetItem, PhysicalWrite, SetGroup, WriteStage,
};
use crate::binder::bound::{
    Assignment, BoundExpression, BoundMerge, BoundSet, BoundWrite, ExpressionKind, NewPattern,
    PropertyChange, VariableId,
};
use crate::types::{ColumnId, TableId};

/// Columns of tables.
type Columns = BTreeSet<(TableId, ColumnId)>;

/// What is asked of kept rows: properties are read behind the clause, not before it.
fn asked_of(variables: &BTreeSet<VariableId>, required: &Keys) -> Keys {
    let asked = required.iter().filter(|key| variables.contains(&key.variable()));
    asked.map(ColumnKey::variable_only).collect()
}

impl Lowering<'_> {
    /// The columns of rows that a clause keeps: those of slot 0 are given, others are what is asked for.
    pub(super) fn kept_columns(
        &self,
        slot: usize,
        variables: &BTreeSet<VariableId>,
        required: &Keys,
    ) -> Vec<ColumnKey> {
        let mut kept = self.kept.borrow_mut();
        if slot == 0 {
            return kept.get(&0).cloned().unwrap_or_default();
        }
        let columns = kept.entry(slot).or_default();
        for asked in asked_of(variables, required) {
            if !columns.contains(&asked) {
                columns.push(asked);
            }
        }
        columns.clone()
    }

    /// Rows that a clause keeps. Those that are read once more have the columns for both readers.
    pub(super) fn kept_rows(
        &self,
        slot: usize,
        behind: usize,
        variables: &BTreeSet<VariableId>,
        required: &Keys,
    ) -> Lowered {
        let schema = self.kept_columns(slot, variables, required);
        let node = self.node(PhysicalOperator::Kept { slot, behind }, &schema, 1.0);
        if behind == slot {
            return (node, schema);
        }
        // The other reader is lowered later and may ask for more, so these are picked out by their places.
        let wanted: Vec<ColumnKey> = asked_of(variables, required).into_iter().collect();
        (self.select(node, &schema, &wanted), wanted)
    }

    /// Lowers a stage, of which `kept` says what is asked.
    pub(super) fn stage(&self, stage: &LogicalStage, slot: usize) -> WriteStage {
        let wanted = self.kept.borrow().get(&slot).cloned().unwrap_or_default();
        let created: Vec<VariableId> = match &stage.write {
            Some(BoundWrite::Create(pattern)) => pattern.created().collect(),
            Some(BoundWrite::Merge(merge)) => merge.created.created().collect(),
            _ => Vec::new(),
        };
        let below = self.stage_needs(stage, &wanted, &created);
        let (node, schema) = self.lower(&stage.input, &below);
        let mut columns: Vec<ColumnKey> = below.into_iter().collect();
        let input = if schema == columns { node } else { self.select(node, &schema, &columns) };
        let write = self.write(stage, &columns, &created);
        columns.extend(created.into_iter().map(ColumnKey::Variable));
        WriteStage {
            input,
            write,
            emit: wanted.iter().map(|key| self.position(&columns, key)).collect(),
            outputs: wanted.iter().map(|key| self.type_of(key)).collect(),
            labels: wanted.iter().map(|key| self.label_of(key)).collect(),
        }
    }

    /// What a stage takes from its input: what is asked of it and what it uses itself, without properties.
    fn stage_needs(&self, stage: &LogicalStage, wanted: &[ColumnKey], created: &[VariableId]) -> Keys {
        let mut keys: Keys = wanted.iter().cloned().collect();
        if let Some(write) = &stage.write {
            write.each_expression(&mut |expression| keys_of(expression, self, &mut keys));
            keys.extend(write.uses().into_iter().map(ColumnKey::Variable));
        }
        keys.iter().map(ColumnKey::variable_only).filter(|key| !created.contains(&key.variable())).collect()
    }

    fn write(&self, stage: &LogicalStage, columns: &[ColumnKey], created: &[VariableId]) -> PhysicalWrite {
        match (&stage.write, &stage.found) {
            (None, _) => PhysicalWrite::Keep,
            (Some(BoundWrite::Create(pattern)), _) => PhysicalWrite::Create(self.create(pattern, columns)),
            (Some(BoundWrite::Merge(merge)), Some((found, row))) => {
                PhysicalWrite::Merge(Box::new(self.merge(merge, found, *row, columns, created)))
            }
            // A MERGE always comes with what it finds.
            (Some(BoundWrite::Merge(merge)), None) => {
                PhysicalWrite::Create(self.create(&merge.created, columns))
            }
            (Some(BoundWrite::Set(items)), _) => {
                PhysicalWrite::Set(self.set(items, &written_by(items, self), columns))
            }
            (Some(BoundWrite::Delete { targets, detach }), _) => {
                let targets: Vec<&BoundExpression> = targets.iter().collect();
                PhysicalWrite::Delete(PhysicalDelete {
                    values: self.values(&targets, columns),
                    detach: *detach,
                })
            }
        }
    }

    /// A plan that computes expressions over the rows in slot 0.
    fn values(&self, expressions: &[&BoundExpression], columns: &[ColumnKey]) -> PlanNode {
        let rows = self.node(PhysicalOperator::Kept { slot: 0, behind: 0 }, columns, 1.0);
        let mut keys = Keys::new();
        expressions.iter().for_each(|expression| keys_of(expression, self, &mut keys));
        let (input, schema) = self.ensure(rows, columns.to_vec(), &keys);
        let depth = input.depth + 1;
        let computed = expressions.iter().map(|expression| self.expression(expression, &schema)).collect();
        PlanNode {
            operator: PhysicalOperator::Project { input: Box::new(input), expressions: computed },
            outputs: expressions.iter().map(|expression| expression.data_type.clone()).collect(),
            labels: vec![String::new(); expressions.len()],
            estimated_rows: 1.0,
            depth,
        }
    }

    fn create(&self, pattern: &NewPattern, columns: &[ColumnKey]) -> PhysicalCreate {
        let values: Vec<&BoundExpression> =
            pattern.assignments().map(|assignment| &assignment.value).collect();
        let created: Vec<ColumnKey> = pattern.created().map(ColumnKey::Variable).collect();
        let all: Vec<ColumnKey> = columns.iter().cloned().chain(created).collect();
        let place = |variable: VariableId| self.position(&all, &ColumnKey::Variable(variable));
        let mut next = 0;
        let mut new_values = |assignments: &[Assignment]| -> Vec<NewValue> {
            let first = next;
            next += assignments.len();
            let new_value = |(at, assignment): (usize, &Assignment)| NewValue {
                column: assignment.column,
                name: assignment.name.clone(),
                data_type: assignment.data_type.clone(),
                value: first + at,
                merged: assignment.merged.is_some(),
            };
            assignments.iter().enumerate().map(new_value).collect()
        };
        let nodes = pattern.nodes.iter();
        let nodes = nodes
            .map(|node| PhysicalNewNode { table: node.table, columns: new_values(&node.properties) })
            .collect();
        let rels = pattern.rels.iter();
        let rels = rels
            .map(|rel| PhysicalNewRel {
                tables: rel.tables.clone(),
                source: place(rel.source),
                target: place(rel.target),
                columns: new_values(&rel.properties),
            })
            .collect();
        let values = (!values.is_empty()).then(|| self.values(&values, columns));
        PhysicalCreate { values, nodes, rels }
    }

    fn merge(
        &self,
        merge: &BoundMerge,
        found: &LogicalPlan,
        row: VariableId,
        columns: &[ColumnKey],
        created: &[VariableId],
    ) -> PhysicalMerge {
        let create = self.create(&merge.created, columns);
        let merged = merge.created.assignments().filter_map(|assignment| assignment.merged);
        let mut argument = columns.to_vec();
        argument.extend(merged.chain([row]).map(ColumnKey::Variable));
        self.kept.borrow_mut().insert(0, argument);
        let found_columns: Vec<ColumnKey> =
            [row].into_iter().chain(created.iter().copied()).map(ColumnKey::Variable).collect();
        let (node, schema) = self.lower(found, &found_columns.iter().cloned().collect());
        let found = if schema == found_columns { node } else { self.select(node, &schema, &found_columns) };
        let mut all = columns.to_vec();
        all.extend(created.iter().copied().map(ColumnKey::Variable));
        let mut written = written_by(&merge.on_create, self);
        written.extend(written_by(&merge.on_match, self));
        let ends = merge.created.bound_before().into_iter();
        PhysicalMerge {
            create,
            found,
            ends: ends.map(|end| self.position(columns, &ColumnKey::Variable(end))).collect(),
            one_by_one: self.rows_meet(merge, &written),
            on_create: self.set(&merge.on_create, &written, &all),
            on_match: self.set(&merge.on_match, &written, &all),
        }
    }

    /// Whether a row may find what another row creates with other ends or other values, or what it sets.
    fn rows_meet(&self, merge: &BoundMerge, written: &Columns) -> bool {
        let rels = &merge.matched.edges;
        let crossed = match &rels[..] {
            [] => false,
            // The new node tells which end is which.
            [rel] => rel.undirected && merge.created.nodes.len() != 1,
            _ => true,
        };
        let mut read = Columns::new();
        let pattern = merge.predicates.iter();
        let values = merge.created.assignments().map(|assignment| &assignment.value);
        pattern.chain(values).for_each(|expression| {
            self.reads(expression).into_iter().for_each(|(_, columns)| read.extend(columns));
        });
        crossed || !read.is_disjoint(written)
    }

    /// Groups items, and finds out which rows have to wait for the ones before them.
    fn set(&self, items: &[BoundSet], written: &Columns, columns: &[ColumnKey]) -> PhysicalSet {
        let mut set = PhysicalSet::default();
        let mut open: Vec<&BoundSet> = Vec::new();
        let mut written_in_group = Columns::new();
        let place = |variable: VariableId| self.position(columns, &ColumnKey::Variable(variable));
        for item in items {
            let reads: Vec<(VariableId, Columns)> =
                item.values().flat_map(|value| self.reads(value)).collect();
            for (variable, read) in &reads {
                let key = ColumnKey::Variable(*variable);
                if read.is_disjoint(written) {
                    continue;
                }
                match columns.iter().position(|column| *column == key) {
                    Some(at) => set.reads.push(at),
                    None => set.row_by_row = true,
                }
            }
            if reads.iter().any(|(_, read)| !read.is_disjoint(&written_in_group)) {
                set.groups.push(self.set_group(&open, columns));
                open.clear();
                written_in_group.clear();
            }
            set.writes.push(place(item.variable));
            written_in_group.extend(written_by(std::slice::from_ref(item), self));
            open.push(item);
        }
        if !open.is_empty() {
            set.groups.push(self.set_group(&open, columns));
        }
        for places in [&mut set.reads, &mut set.writes] {
            places.sort_unstable();
            places.dedup();
        }
        set
    }

    fn set_group(&self, items: &[&BoundSet], columns: &[ColumnKey]) -> SetGroup {
        let values: Vec<&BoundExpression> = items.iter().flat_map(|item| item.values()).collect();
        let mut next = 0..;
        let mut value = || next.next().unwrap_or_default();
        let mut changes = Vec::new();
        for item in items {
            let target = self.position(columns, &ColumnKey::Variable(item.variable));
            match &item.change {
                PropertyChange::Values(properties) => {
                    changes.extend(properties.iter().map(|property| PhysicalSetItem {
                        target,
                        change: PhysicalChange::Property {
                            name: property.name.clone(),
                            columns: property.columns.clone(),
                            value: value(),
                        },
                    }));
                }
                PropertyChange::Map { replace, .. } => {
                    let change = PhysicalChange::Map { value: value(), replace: *replace };
                    changes.push(PhysicalSetItem { target, change });
                }
            }
        }
        SetGroup { values: self.values(&values, columns), items: changes }
    }

    /// The properties that an expression reads, by variable.
    fn reads(&self, expression: &BoundExpression) -> Vec<(VariableId, Columns)> {
        let mut reads = Vec::new();
        expression.walk(&mut |part| match &part.kind {
            ExpressionKind::Property { variable, columns, .. } => {
                reads.push((*variable, columns.iter().copied().collect()));
            }
            ExpressionKind::Properties(variable) => reads.push((*variable, self.all_columns(*variable))),
            _ => {}
        });
        reads
    }

    /// Every column that a variable's tables have.
    fn all_columns(&self, variable: VariableId) -> Columns {
        let catalog = self.estimator.catalog;
        let mut all = Columns::new();
        for table in self.tables(variable) {
            all.extend(catalog.columns_of(table).iter().map(|column| (table, column.id)));
        }
        all
    }
}

/// The columns that items write.
fn written_by(items: &[BoundSet], lowering: &Lowering<'_>) -> Columns {
    let mut written = Columns::new();
    for item in items {
        match &item.change {
            PropertyChange::Values(values) => {
                let columns = values.iter().flat_map(|property| &property.columns);
                written.extend(columns.map(|(table, column, _)| (*table, *column)));
            }
            PropertyChange::Map { .. } => written.extend(lowering.all_columns(item.variable)),
        }
    }
    written
}
