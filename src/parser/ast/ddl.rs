//! Definitions, bulk loading and commands.

use super::{EntityPattern, Expression, FunctionCall, Name, Parameter, Query, Span};

/// A data type as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeName {
    /// What it says.
    pub kind: TypeNameKind,
    /// Where it stands.
    pub span: Span,
}

/// What a type name says.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeNameKind {
    /// `INT64`, `DECIMAL(18, 3)`, a user's type; the name as written.
    Named {
        /// The name.
        name: String,
        /// The numbers in parentheses.
        arguments: Vec<u64>,
    },
    /// `T[]`.
    List(Box<TypeName>),
    /// `T[3]`.
    Array(Box<TypeName>, u64),
    /// `STRUCT(a INT64, b STRING)`.
    Struct(Vec<TypedName>),
    /// `UNION(a INT64, b STRING)`.
    Union(Vec<TypedName>),
    /// `MAP(STRING, INT64)`.
    Map(Box<TypeName>, Box<TypeName>),
}

/// `name TYPE`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedName {
    /// The name.
    pub name: Name,
    /// The type.
    pub type_name: TypeName,
}

/// What to do when the object already exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// An error.
    #[default]
    Fail,
    /// `IF NOT EXISTS`: leave the old one.
    Ignore,
}

/// `CREATE NODE TABLE`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateNodeTable {
    /// The table.
    pub name: Name,
    /// `IF NOT EXISTS`.
    pub on_conflict: OnConflict,
    /// The columns in order; empty for `AS query` without columns.
    pub columns: Vec<ColumnDefinition>,
    /// `PRIMARY KEY (a, b)`, or the one column marked `PRIMARY KEY`.
    pub primary_key: Vec<Name>,
    /// `CHECK (…)` of the whole table.
    pub checks: Vec<Expression>,
    /// `WITH (…)`.
    pub options: Vec<CopyOption>,
    /// `AS query`.
    pub query: Option<Query>,
    /// The whole statement.
    pub span: Span,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub type_name: TypeName,
    /// `DEFAULT`.
    pub default: Option<Expression>,
    /// `PRIMARY KEY` beside it.
    pub primary_key: bool,
    /// `NOT NULL`.
    pub not_null: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// `CHECK (…)`.
    pub checks: Vec<Expression>,
    /// The whole definition.
    pub span: Span,
}

/// `CREATE REL TABLE [GROUP]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateRelTable {
    /// The table.
    pub name: Name,
    /// `GROUP`, an older spelling of several endpoints.
    pub group: bool,
    /// `IF NOT EXISTS`.
    pub on_conflict: OnConflict,
    /// `FROM A TO B`, at least one.
    pub endpoints: Vec<RelEndpoints>,
    /// The properties in order.
    pub columns: Vec<ColumnDefinition>,
    /// `MANY_MANY` and its like.
    pub multiplicity: Option<Multiplicity>,
    /// `CHECK (…)` of the whole table.
    pub checks: Vec<Expression>,
    /// `WITH (…)`.
    pub options: Vec<CopyOption>,
    /// `AS query`.
    pub query: Option<Query>,
    /// The whole statement.
    pub span: Span,
}

/// `FROM A TO B`.
#[derive(Debug, Clone, PartialEq)]
pub struct RelEndpoints {
    /// The table where relationships start.
    pub from: Name,
    /// The table where they end.
    pub to: Name,
    /// `MANY_ONE` and its like directly behind the pair.
    pub multiplicity: Option<Multiplicity>,
    /// The whole pair.
    pub span: Span,
}

/// How many relationships a node may have at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Multiplicity {
    /// No limit.
    ManyMany,
    /// At most one going out of a node.
    ManyOne,
    /// At most one coming into a node.
    OneMany,
    /// At most one in either direction.
    OneOne,
}

/// `ALTER TABLE name action`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterTable {
    /// The table.
    pub table: Name,
    /// What changes.
    pub action: AlterAction,
    /// The whole statement.
    pub span: Span,
}

/// What `ALTER TABLE` changes.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterAction {
    /// `ADD [COLUMN] [IF NOT EXISTS] name TYPE [DEFAULT …]`.
    AddColumn {
        /// `IF NOT EXISTS`.
        on_conflict: OnConflict,
        /// The column.
        column: ColumnDefinition,
    },
    /// `DROP [COLUMN] [IF EXISTS] name`.
    DropColumn {
        /// `IF EXISTS`.
        if_exists: bool,
        /// The column.
        column: Name,
    },
    /// `RENAME [COLUMN] old TO new`.
    RenameColumn {
        /// The old name.
        column: Name,
        /// The new name.
        new_name: Name,
    },
    /// `RENAME TO name`.
    RenameTable(Name),
    /// `ADD [IF NOT EXISTS] FROM A TO B`.
    AddEndpoints {
        /// `IF NOT EXISTS`.
        on_conflict: OnConflict,
        /// The pair.
        endpoints: RelEndpoints,
    },
    /// `DROP [IF EXISTS] FROM A TO B`.
    DropEndpoints {
        /// `IF EXISTS`.
        if_exists: bool,
        /// The pair.
        endpoints: RelEndpoints,
    },
}

/// `DROP kind [IF EXISTS] name`.
#[derive(Debug, Clone, PartialEq)]
pub struct DropObject {
    /// What kind of object.
    pub kind: DropKind,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// Its name.
    pub name: Name,
    /// The whole statement.
    pub span: Span,
}

/// What kind of object is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropKind {
    /// `TABLE`.
    Table,
    /// `SEQUENCE`.
    Sequence,
    /// `TYPE`.
    Type,
    /// `MACRO`.
    Macro,
    /// `INDEX`.
    Index,
    /// `CONSTRAINT`.
    Constraint,
    /// `GRAPH`.
    Graph,
}

impl DropKind {
    /// The statement's words, for messages.
    pub fn name(self) -> &'static str {
        match self {
            DropKind::Table => "DROP TABLE",
            DropKind::Sequence => "DROP SEQUENCE",
            DropKind::Type => "DROP TYPE",
            DropKind::Macro => "DROP MACRO",
            DropKind::Index => "DROP INDEX",
            DropKind::Constraint => "DROP CONSTRAINT",
            DropKind::Graph => "DROP GRAPH",
        }
    }
}

/// `COMMENT ON TABLE name IS 'text'`.
#[derive(Debug, Clone, PartialEq)]
pub struct CommentOn {
    /// The table.
    pub table: Name,
    /// The comment.
    pub comment: String,
    /// The whole statement.
    pub span: Span,
}

/// `CREATE SEQUENCE`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSequence {
    /// The sequence.
    pub name: Name,
    /// `IF NOT EXISTS`.
    pub on_conflict: OnConflict,
    /// `START WITH`.
    pub start: Option<i128>,
    /// `INCREMENT BY`.
    pub increment: Option<i128>,
    /// `MINVALUE`.
    pub minimum: Option<i128>,
    /// `MAXVALUE`.
    pub maximum: Option<i128>,
    /// `CYCLE` or `NO CYCLE`, when written.
    pub cycle: Option<bool>,
    /// The whole statement.
    pub span: Span,
}

/// `CREATE TYPE name AS type`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateType {
    /// The new name.
    pub name: Name,
    /// What it stands for.
    pub type_name: TypeName,
    /// The whole statement.
    pub span: Span,
}

/// `CREATE MACRO name(a, b := default) AS expression`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateMacro {
    /// The macro.
    pub name: Name,
    /// Its parameters.
    pub parameters: Vec<MacroParameter>,
    /// What it stands for.
    pub body: Expression,
    /// The whole statement.
    pub span: Span,
}

/// `name` or `name := default`.
#[derive(Debug, Clone, PartialEq)]
pub struct MacroParameter {
    /// The name.
    pub name: Name,
    /// The default.
    pub default: Option<Expression>,
}

/// `CREATE [kind] INDEX [name] [IF NOT EXISTS] FOR entity ON (properties) [OPTIONS map]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateIndex {
    /// `RANGE`, `TEXT`, … as written, in capitals.
    pub kind: Option<String>,
    /// The index.
    pub name: Option<Name>,
    /// `IF NOT EXISTS`.
    pub on_conflict: OnConflict,
    /// What is indexed. `CREATE INDEX ON :Label(property)` is a node without variable.
    pub entity: EntityPattern,
    /// The indexed expressions: properties, or a function such as `labels(n)`.
    pub properties: Vec<Expression>,
    /// `OPTIONS {…}`.
    pub options: Option<Expression>,
    /// The whole statement.
    pub span: Span,
}

/// `CREATE CONSTRAINT [name] [IF NOT EXISTS] FOR entity REQUIRE properties IS …`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateConstraint {
    /// The constraint.
    pub name: Option<Name>,
    /// `IF NOT EXISTS`.
    pub on_conflict: OnConflict,
    /// What is constrained.
    pub entity: EntityPattern,
    /// The constrained properties.
    pub properties: Vec<Expression>,
    /// What they must be.
    pub requirement: ConstraintKind,
    /// `OPTIONS {…}`.
    pub options: Option<Expression>,
    /// The whole statement.
    pub span: Span,
}

/// What a constraint requires.
#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintKind {
    /// `IS UNIQUE`.
    Unique,
    /// `IS NOT NULL`, or `exists(…)` in the old form.
    NotNull,
    /// `IS KEY`, `IS NODE KEY`, `IS RELATIONSHIP KEY`.
    Key,
    /// `IS :: TYPE`, `IS TYPED TYPE`.
    Typed(TypeName),
}

/// `CREATE GRAPH name [ANY]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateGraph {
    /// The graph.
    pub name: Name,
    /// `IF NOT EXISTS`.
    pub on_conflict: OnConflict,
    /// `ANY`: without a fixed schema.
    pub any: bool,
    /// The whole statement.
    pub span: Span,
}

/// `name = value`, as in the options of `COPY`; a name alone means true.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyOption {
    /// The option as written; its case does not matter.
    pub name: Name,
    /// The value. A bare word is a variable expression.
    pub value: Option<Expression>,
    /// The whole option.
    pub span: Span,
}

/// What `COPY … FROM` and `LOAD FROM` read.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanSource {
    /// What it is.
    pub kind: ScanSourceKind,
    /// Where it stands.
    pub span: Span,
}

/// What a source is.
#[derive(Debug, Clone, PartialEq)]
pub enum ScanSourceKind {
    /// `'file'` or `['a', 'b']`; patterns with `*` are expanded later.
    Files(Vec<FileName>),
    /// `(query)`.
    Query(Box<Query>),
    /// `$parameter`.
    Parameter(Parameter),
    /// `name` or `database.table`: an object of the host program or of an attached database.
    Object(Vec<Name>),
    /// `function(arguments)`.
    Function(Box<FunctionCall>),
}

/// A file's name in quotes.
#[derive(Debug, Clone, PartialEq)]
pub struct FileName {
    /// The name, escapes resolved.
    pub path: String,
    /// With the quotes.
    pub span: Span,
}

/// `COPY table[(columns)] FROM source [(options)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyFrom {
    /// The table.
    pub table: Name,
    /// The columns in the order of the file; none means all.
    pub columns: Option<Vec<Name>>,
    /// What is read.
    pub source: ScanSource,
    /// `BY COLUMN`: each file holds one column.
    pub by_column: bool,
    /// The options.
    pub options: Vec<CopyOption>,
    /// The whole statement.
    pub span: Span,
}

/// `COPY (query) TO 'file' [(options)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyTo {
    /// Whose rows are written.
    pub query: Query,
    /// The file.
    pub file: FileName,
    /// The options.
    pub options: Vec<CopyOption>,
    /// The whole statement.
    pub span: Span,
}

/// `EXPORT DATABASE 'directory' [(options)]` and `IMPORT DATABASE 'directory'`.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseDirectory {
    /// The directory.
    pub directory: FileName,
    /// The options.
    pub options: Vec<CopyOption>,
    /// The whole statement.
    pub span: Span,
}

/// `ATTACH 'path' [AS name] [(options)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachDatabase {
    /// The other database.
    pub path: FileName,
    /// Its name here.
    pub alias: Option<Name>,
    /// The options.
    pub options: Vec<CopyOption>,
    /// The whole statement.
    pub span: Span,
}

/// `INSTALL name`, `LOAD EXTENSION name`, `UPDATE name`, `UNINSTALL name`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtensionCommand {
    /// What to do.
    pub action: ExtensionAction,
    /// The extension's name or path.
    pub name: Name,
    /// `FROM 'repository'`.
    pub repository: Option<FileName>,
    /// The whole statement.
    pub span: Span,
}

/// What to do with an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionAction {
    /// `INSTALL`.
    Install,
    /// `LOAD EXTENSION`.
    Load,
    /// `UPDATE`.
    Update,
    /// `UNINSTALL`.
    Uninstall,
}

impl ExtensionAction {
    /// The statement's words, for messages.
    pub fn name(self) -> &'static str {
        match self {
            ExtensionAction::Install => "INSTALL",
            ExtensionAction::Load => "LOAD EXTENSION",
            ExtensionAction::Update => "UPDATE",
            ExtensionAction::Uninstall => "UNINSTALL",
        }
    }
}
