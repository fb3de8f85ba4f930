//! Statements: a query, a definition, a setting, a command.

use super::{
    AlterTable, AttachDatabase, CommentOn, CopyFrom, CopyTo, CreateConstraint, CreateGraph, CreateIndex,
    CreateMacro, CreateNodeTable, CreateRelTable, CreateSequence, CreateType, DatabaseDirectory, DropObject,
    Expression, ExtensionCommand, Name, Query, Span,
};

/// One statement of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// `EXPLAIN` or `PROFILE` in front of it.
    pub mode: StatementMode,
    /// What it asks for.
    pub kind: StatementKind,
    /// From its first to its last word, without the semicolon.
    pub span: Span,
}

/// Whether a statement runs, is explained, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementMode {
    /// Plain: run it.
    Run,
    /// `EXPLAIN`: show the physical plan.
    Explain,
    /// `EXPLAIN LOGICAL`: show the logical plan.
    ExplainLogical,
    /// `PROFILE`: run it and show the plan with counts and times.
    Profile,
}

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementKind {
    /// Clauses, perhaps joined by `UNION`; also a standalone `CALL procedure(…)`.
    Query(Box<Query>),
    /// `CALL name = value`.
    SetOption(SetOption),
    /// `CREATE NODE TABLE`.
    CreateNodeTable(Box<CreateNodeTable>),
    /// `CREATE REL TABLE`.
    CreateRelTable(Box<CreateRelTable>),
    /// `ALTER TABLE`.
    AlterTable(Box<AlterTable>),
    /// `DROP TABLE | SEQUENCE | TYPE | MACRO | INDEX | CONSTRAINT | GRAPH`.
    Drop(DropObject),
    /// `COMMENT ON TABLE`.
    CommentOn(CommentOn),
    /// `CREATE SEQUENCE`.
    CreateSequence(Box<CreateSequence>),
    /// `CREATE TYPE`.
    CreateType(Box<CreateType>),
    /// `CREATE MACRO`.
    CreateMacro(Box<CreateMacro>),
    /// `CREATE INDEX`.
    CreateIndex(Box<CreateIndex>),
    /// `CREATE CONSTRAINT`.
    CreateConstraint(Box<CreateConstraint>),
    /// `CREATE GRAPH`.
    CreateGraph(CreateGraph),
    /// `COPY table FROM source`.
    CopyFrom(Box<CopyFrom>),
    /// `COPY (query) TO 'file'`.
    CopyTo(Box<CopyTo>),
    /// `EXPORT DATABASE 'directory'`.
    ExportDatabase(DatabaseDirectory),
    /// `IMPORT DATABASE 'directory'`.
    ImportDatabase(DatabaseDirectory),
    /// `ATTACH 'path' AS name`.
    Attach(AttachDatabase),
    /// `DETACH name`.
    Detach(Name),
    /// `USE name` or `USE GRAPH name` as a statement of its own.
    Use(Name),
    /// `INSTALL`, `LOAD EXTENSION`, `UPDATE`, `UNINSTALL`.
    Extension(ExtensionCommand),
    /// `BEGIN TRANSACTION`.
    Begin(BeginTransaction),
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `CHECKPOINT` or `FORCE CHECKPOINT`.
    Checkpoint,
    /// `VACUUM`.
    Vacuum,
}

impl Statement {
    /// The words by which people know this kind of statement, for messages.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl StatementKind {
    /// The words by which people know this kind of statement, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            StatementKind::Query(_) => "query",
            StatementKind::SetOption(_) => "CALL option = value",
            StatementKind::CreateNodeTable(_) => "CREATE NODE TABLE",
            StatementKind::CreateRelTable(_) => "CREATE REL TABLE",
            StatementKind::AlterTable(_) => "ALTER TABLE",
            StatementKind::Drop(drop) => drop.kind.name(),
            StatementKind::CommentOn(_) => "COMMENT ON TABLE",
            StatementKind::CreateSequence(_) => "CREATE SEQUENCE",
            StatementKind::CreateType(_) => "CREATE TYPE",
            StatementKind::CreateMacro(_) => "CREATE MACRO",
            StatementKind::CreateIndex(_) => "CREATE INDEX",
            StatementKind::CreateConstraint(_) => "CREATE CONSTRAINT",
            StatementKind::CreateGraph(_) => "CREATE GRAPH",
            StatementKind::CopyFrom(_) => "COPY FROM",
            StatementKind::CopyTo(_) => "COPY TO",
            StatementKind::ExportDatabase(_) => "EXPORT DATABASE",
            StatementKind::ImportDatabase(_) => "IMPORT DATABASE",
            StatementKind::Attach(_) => "ATTACH",
            StatementKind::Detach(_) => "DETACH",
            StatementKind::Use(_) => "USE",
            StatementKind::Extension(command) => command.action.name(),
            StatementKind::Begin(_) => "BEGIN TRANSACTION",
            StatementKind::Commit => "COMMIT",
            StatementKind::Rollback => "ROLLBACK",
            StatementKind::Checkpoint => "CHECKPOINT",
            StatementKind::Vacuum => "VACUUM",
        }
    }
}

/// `CALL name = value`: a setting of the connection.
#[derive(Debug, Clone, PartialEq)]
pub struct SetOption {
    /// The setting.
    pub name: Name,
    /// Its new value.
    pub value: Expression,
}

/// `BEGIN [TRANSACTION] [READ ONLY | READ WRITE]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeginTransaction {
    /// Whether it only reads.
    pub read_only: bool,
}
