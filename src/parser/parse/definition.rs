//! Definitions of tables, types, sequences, macros, graphs, indexes and constraints.

mod index;
mod types;

use super::{Builder, Pair, Parts, Result, Rule, has};
use crate::parser::ast::{
    AlterAction, AlterTable, ColumnDefinition, CommentOn, CreateGraph, CreateMacro, CreateNodeTable,
    CreateRelTable, CreateSequence, CreateType, DropKind, DropObject, MacroParameter, Multiplicity, Name,
    OnConflict, RelEndpoints, StatementKind,
};

/// Takes `IF NOT EXISTS`.
fn on_conflict(parts: &mut Parts<'_, '_>) -> OnConflict {
    match parts.take_if(Rule::if_not_exists) {
        Some(_) => OnConflict::Ignore,
        None => OnConflict::Fail,
    }
}

impl Builder<'_> {
    pub(super) fn create_node_table(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let on_conflict = on_conflict(&mut parts);
        let mut table = CreateNodeTable {
            name: self.name(parts.need()?),
            on_conflict,
            columns: Vec::new(),
            primary_key: Vec::new(),
            checks: Vec::new(),
            options: Vec::new(),
            query: None,
            span,
        };
        let mut has_columns = false;
        for part in parts {
            match part.as_rule() {
                Rule::node_table_body => {
                    has_columns = true;
                    self.node_table_body(part, &mut table)?;
                }
                Rule::table_options => table.options = self.options(self.parts(part).next())?,
                _ => table.query = Some(self.query(self.parts(part).need()?, false)?),
            }
        }
        if !has_columns && table.query.is_none() {
            let hint = "Write them as in `CREATE NODE TABLE Person(id INT64, PRIMARY KEY (id))`";
            return self.hinted(table.name.span, "a table needs columns", hint);
        }
        Ok(StatementKind::CreateNodeTable(Box::new(table)))
    }

    fn node_table_body(&self, pair: Pair<'_>, table: &mut CreateNodeTable) -> Result<()> {
        for part in self.parts(pair) {
            match part.as_rule() {
                Rule::primary_key => {
                    let span = self.span(&part);
                    if !table.primary_key.is_empty() {
                        return self.unexpected(span, "the table has a primary key already");
                    }
                    table.primary_key = self.names(self.parts(part).need()?);
                }
                Rule::check => table.checks.push(self.expression(self.parts(part).need()?)?),
                _ => {
                    let column = self.column(part)?;
                    if column.primary_key {
                        if !table.primary_key.is_empty() {
                            return self.unexpected(column.span, "the table has a primary key already");
                        }
                        table.primary_key = vec![column.name.clone()];
                    }
                    table.columns.push(column);
                }
            }
        }
        Ok(())
    }

    fn column(&self, pair: Pair<'_>) -> Result<ColumnDefinition> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let mut column = ColumnDefinition {
            name: self.name(parts.need()?),
            type_name: self.type_name(parts.need()?)?,
            default: None,
            primary_key: false,
            not_null: false,
            unique: false,
            checks: Vec::new(),
            span,
        };
        for part in parts {
            match part.as_rule() {
                Rule::column_default => column.default = Some(self.expression(self.parts(part).need()?)?),
                Rule::column_key => column.primary_key = true,
                Rule::column_not_null => column.not_null = true,
                Rule::column_unique => column.unique = true,
                Rule::check => column.checks.push(self.expression(self.parts(part).need()?)?),
                _ => {}
            }
        }
        Ok(column)
    }

    pub(super) fn create_rel_table(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let group = has(&pair, Rule::kw_group);
        let mut parts = self.parts(pair);
        let on_conflict = on_conflict(&mut parts);
        let mut table = CreateRelTable {
            name: self.name(parts.need()?),
            group,
            on_conflict,
            endpoints: Vec::new(),
            columns: Vec::new(),
            multiplicity: None,
            checks: Vec::new(),
            options: Vec::new(),
            query: None,
            span,
        };
        for part in parts {
            match part.as_rule() {
                Rule::endpoints => table.endpoints.push(self.endpoints(part)?),
                Rule::multiplicity => table.multiplicity = Some(multiplicity(&part)),
                Rule::check => table.checks.push(self.expression(self.parts(part).need()?)?),
                Rule::column => table.columns.push(self.column(part)?),
                Rule::table_options => table.options = self.options(self.parts(part).next())?,
                _ => table.query = Some(self.query(self.parts(part).need()?, false)?),
            }
        }
        if table.endpoints.is_empty() {
            let hint = "Write them as in `CREATE REL TABLE Knows(FROM Person TO Person)`";
            return self.hinted(table.name.span, "a relationship table needs FROM and TO", hint);
        }
        Ok(StatementKind::CreateRelTable(Box::new(table)))
    }

    fn endpoints(&self, pair: Pair<'_>) -> Result<RelEndpoints> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let (from, to) = (self.name(parts.need()?), self.name(parts.need()?));
        let multiplicity = parts.next().map(|part| multiplicity(&part));
        Ok(RelEndpoints { from, to, multiplicity, span })
    }

    pub(super) fn alter_table(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let table = self.name(parts.need()?);
        let action = parts.need()?;
        let action = match action.as_rule() {
            Rule::alter_add => self.alter_add(action)?,
            Rule::alter_drop => self.alter_drop(action)?,
            Rule::alter_rename_table => AlterAction::RenameTable(self.name(self.parts(action).need()?)),
            _ => {
                let mut names = self.parts(action);
                let (column, new_name) = (self.name(names.need()?), self.name(names.need()?));
                AlterAction::RenameColumn { column, new_name }
            }
        };
        Ok(StatementKind::AlterTable(Box::new(AlterTable { table, action, span })))
    }

    fn alter_add(&self, pair: Pair<'_>) -> Result<AlterAction> {
        let mut parts = self.parts(pair);
        let on_conflict = on_conflict(&mut parts);
        let what = parts.need()?;
        Ok(match what.as_rule() {
            Rule::endpoints => AlterAction::AddEndpoints { on_conflict, endpoints: self.endpoints(what)? },
            _ => AlterAction::AddColumn { on_conflict, column: self.column(what)? },
        })
    }

    fn alter_drop(&self, pair: Pair<'_>) -> Result<AlterAction> {
        let mut parts = self.parts(pair);
        let if_exists = parts.take_if(Rule::if_exists).is_some();
        let what = parts.need()?;
        Ok(match what.as_rule() {
            Rule::endpoints => AlterAction::DropEndpoints { if_exists, endpoints: self.endpoints(what)? },
            _ => AlterAction::DropColumn { if_exists, column: self.name(what) },
        })
    }

    pub(super) fn drop_object(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let if_exists = has(&pair, Rule::if_exists);
        let mut parts = self.parts(pair);
        let kind = drop_kind(&parts.need()?);
        let name = self.required(parts.find(|part| part.as_rule() == Rule::name), span)?;
        Ok(StatementKind::Drop(DropObject { kind, if_exists, name: self.name(name), span }))
    }

    pub(super) fn comment_on(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let table = self.name(parts.need()?);
        let comment = self.string(parts.need()?)?;
        Ok(StatementKind::CommentOn(CommentOn { table, comment, span }))
    }

    pub(super) fn create_sequence(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let on_conflict = on_conflict(&mut parts);
        let mut sequence = CreateSequence {
            name: self.name(parts.need()?),
            on_conflict,
            start: None,
            increment: None,
            minimum: None,
            maximum: None,
            cycle: None,
            span,
        };
        for part in parts {
            match part.as_rule() {
                Rule::sequence_start => sequence.start = self.signed(part)?,
                Rule::sequence_increment => sequence.increment = self.signed(part)?,
                Rule::sequence_minimum => sequence.minimum = self.signed(part)?,
                Rule::sequence_maximum => sequence.maximum = self.signed(part)?,
                _ => sequence.cycle = Some(!has(&part, Rule::kw_no)),
            }
        }
        Ok(StatementKind::CreateSequence(Box::new(sequence)))
    }

    /// The number in an option of a sequence; none for `NO MINVALUE`.
    fn signed(&self, pair: Pair<'_>) -> Result<Option<i128>> {
        let Some(number) = self.parts(pair).next() else { return Ok(None) };
        let negative = has(&number, Rule::minus);
        let digits = number.into_inner().find(|part| part.as_rule() == Rule::integer);
        let value = digits.map(|digits| self.integer(digits)).transpose()?;
        Ok(value.map(|value| if negative { -value } else { value }))
    }

    pub(super) fn create_type(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let name = self.name(parts.need()?);
        let type_name = self.type_name(parts.need()?)?;
        Ok(StatementKind::CreateType(Box::new(CreateType { name, type_name, span })))
    }

    pub(super) fn create_macro(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let name = self.name(parts.need()?);
        let mut parameters = Vec::new();
        while let Some(parameter) = parts.take_if(Rule::macro_parameter) {
            parameters.push(self.macro_parameter(parameter)?);
        }
        let body = self.expression(parts.need()?)?;
        Ok(StatementKind::CreateMacro(Box::new(CreateMacro { name, parameters, body, span })))
    }

    fn macro_parameter(&self, pair: Pair<'_>) -> Result<MacroParameter> {
        let mut parts = self.parts(pair);
        let name: Name = self.name(parts.need()?);
        Ok(MacroParameter { name, default: parts.next().map(|part| self.expression(part)).transpose()? })
    }

    pub(super) fn create_graph(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let any = has(&pair, Rule::kw_any);
        let mut parts = self.parts(pair);
        let on_conflict = on_conflict(&mut parts);
        let name = self.name(parts.need()?);
        Ok(StatementKind::CreateGraph(CreateGraph { name, on_conflict, any, span }))
    }
}

fn multiplicity(pair: &Pair<'_>) -> Multiplicity {
    match pair.as_str().to_ascii_lowercase().as_str() {
        "many_one" => Multiplicity::ManyOne,
        "one_many" => Multiplicity::OneMany,
        "one_one" => Multiplicity::OneOne,
        _ => Multiplicity::ManyMany,
    }
}

fn drop_kind(pair: &Pair<'_>) -> DropKind {
    let kinds = [
        (Rule::kw_sequence, DropKind::Sequence),
        (Rule::kw_type, DropKind::Type),
        (Rule::kw_macro, DropKind::Macro),
        (Rule::kw_index, DropKind::Index),
        (Rule::kw_constraint, DropKind::Constraint),
        (Rule::kw_graph, DropKind::Graph),
    ];
    kinds.into_iter().find(|(rule, _)| has(pair, *rule)).map_or(DropKind::Table, |(_, kind)| kind)
}
