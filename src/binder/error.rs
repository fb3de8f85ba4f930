//! What can be wrong with the meaning of a text, and where.

use std::fmt;

use crate::parser::ast::Span;

/// Why a statement that parses has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindError {
    /// The kind of mistake.
    pub kind: BindErrorKind,
    /// What it is about.
    pub span: Span,
    /// The line of the span's start, from 1.
    pub line: u32,
    /// The column of the span's start in characters, from 1.
    pub column: u32,
    /// One sentence without the place.
    pub message: String,
    /// What the author probably wanted.
    pub hint: Option<String>,
}

/// The kind of a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindErrorKind {
    /// A name that no clause before it binds, or that the last WITH did not pass on.
    UnknownVariable,
    /// No such node table, relationship table, label or type.
    UnknownTable,
    /// None of the tables in question has the property, or a struct has no such field.
    UnknownProperty,
    /// No such function.
    UnknownFunction,
    /// No such type name.
    UnknownType,
    /// No such setting of a connection.
    UnknownSetting,
    /// The function exists, but not with these arguments.
    WrongArguments,
    /// A value of another type is needed here.
    TypeMismatch,
    /// A variable is bound again as something else.
    VariableConflict,
    /// A variable is bound again where it has to be new.
    Redefinition,
    /// One relationship variable stands for two relationships of a pattern.
    RepeatedRelationship,
    /// Two columns of one name.
    DuplicateColumn,
    /// An expression of WITH without `AS`.
    MissingAlias,
    /// `*` where no variable is in scope.
    NoVariables,
    /// An aggregate function where none may stand.
    InvalidAggregation,
    /// An aggregate function inside another one.
    NestedAggregation,
    /// An expression beside an aggregate that is no grouping key.
    AmbiguousAggregation,
    /// SKIP or LIMIT that depends on rows.
    NonConstant,
    /// SKIP or LIMIT below zero.
    NegativeInteger,
    /// A number that its type cannot hold.
    NumberOutOfRange,
    /// Clauses in an order that means nothing, or UNION mixed with UNION ALL.
    InvalidClauses,
    /// The branches of a UNION have different columns.
    DifferentColumns,
    /// A pattern that cannot be matched as written.
    InvalidPattern,
    /// A parameter where a value must be written out.
    InvalidParameterUse,
    /// A definition that contradicts itself or the catalog.
    InvalidDefinition,
    /// The object exists already.
    AlreadyExists,
    /// An option of COPY that does not exist or has a wrong value.
    InvalidOption,
    /// It parses, and nothing executes it yet.
    NotSupported,
    /// Expressions nest too deeply.
    TooDeep,
}

impl BindError {
    /// An error about `span`; `bind` adds line and column.
    pub(super) fn new(kind: BindErrorKind, span: Span, message: impl Into<String>) -> BindError {
        BindError { kind, span, line: 0, column: 0, message: message.into(), hint: None }
    }

    /// The same error with advice.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> BindError {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, asking whether the nearest known name was meant.
    pub(super) fn did_you_mean(self, suggestion: Option<String>) -> BindError {
        match suggestion {
            Some(name) => self.with_hint(format!("Did you mean {name}?")),
            None => self,
        }
    }

    /// The same error with line and column in `text`.
    pub(super) fn located(mut self, text: &str) -> BindError {
        (self.line, self.column) = self.span.line_column(text);
        self
    }

    /// What parses and is not executed yet.
    pub(super) fn not_supported(what: &str, span: Span) -> BindError {
        BindError::new(BindErrorKind::NotSupported, span, format!("{what} is not supported yet"))
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (line {}, column {})", self.message, self.line, self.column)?;
        match &self.hint {
            Some(hint) => write!(formatter, ". {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

/// What binding gives.
pub(super) type BindResult<T> = Result<T, BindError>;
