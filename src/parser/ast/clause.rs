//! Queries and their clauses.

use super::{
    CopyOption, Expression, FunctionArgument, Name, NodePattern, PathPattern, ScanSource, Span, TypedName,
};

/// Clauses, perhaps several groups of them joined by `UNION`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The clauses before the first `UNION`.
    pub first: SingleQuery,
    /// What follows, in order.
    pub unions: Vec<UnionPart>,
    /// The whole query.
    pub span: Span,
}

/// `UNION [ALL]` and the clauses after it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnionPart {
    /// `ALL`: keep duplicates.
    pub all: bool,
    /// The clauses.
    pub query: SingleQuery,
    /// From the word `UNION` to the last clause.
    pub span: Span,
}

/// Clauses in the order of their execution.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleQuery {
    /// At least one.
    pub clauses: Vec<Clause>,
    /// All of them.
    pub span: Span,
}

/// One clause.
#[derive(Debug, Clone, PartialEq)]
pub enum Clause {
    /// `USE graph` at the head of a query.
    Use(UseClause),
    /// `[OPTIONAL] MATCH`.
    Match(MatchClause),
    /// `UNWIND`.
    Unwind(UnwindClause),
    /// `WITH`.
    With(WithClause),
    /// `RETURN`.
    Return(ReturnClause),
    /// `CREATE`.
    Create(CreateClause),
    /// `MERGE`.
    Merge(MergeClause),
    /// `SET`.
    Set(SetClause),
    /// `REMOVE`.
    Remove(RemoveClause),
    /// `[DETACH] DELETE`.
    Delete(DeleteClause),
    /// `FOREACH`.
    Foreach(ForeachClause),
    /// `CALL procedure(…) [YIELD …]`.
    CallProcedure(CallProcedureClause),
    /// `CALL { … }`.
    CallSubquery(Box<CallSubqueryClause>),
    /// `LOAD CSV … FROM … AS …`.
    LoadCsv(LoadCsvClause),
    /// `LOAD [WITH HEADERS (…)] FROM source`.
    LoadFrom(Box<LoadFromClause>),
}

impl Clause {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Clause::Use(clause) => clause.span,
            Clause::Match(clause) => clause.span,
            Clause::Unwind(clause) => clause.span,
            Clause::With(clause) => clause.span,
            Clause::Return(clause) => clause.span,
            Clause::Create(clause) => clause.span,
            Clause::Merge(clause) => clause.span,
            Clause::Set(clause) => clause.span,
            Clause::Remove(clause) => clause.span,
            Clause::Delete(clause) => clause.span,
            Clause::Foreach(clause) => clause.span,
            Clause::CallProcedure(clause) => clause.span,
            Clause::CallSubquery(clause) => clause.span,
            Clause::LoadCsv(clause) => clause.span,
            Clause::LoadFrom(clause) => clause.span,
        }
    }

    /// The words by which people know the clause, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Clause::Use(_) => "USE",
            Clause::Match(clause) if clause.optional => "OPTIONAL MATCH",
            Clause::Match(_) => "MATCH",
            Clause::Unwind(_) => "UNWIND",
            Clause::With(_) => "WITH",
            Clause::Return(_) => "RETURN",
            Clause::Create(_) => "CREATE",
            Clause::Merge(_) => "MERGE",
            Clause::Set(_) => "SET",
            Clause::Remove(_) => "REMOVE",
            Clause::Delete(clause) if clause.detach => "DETACH DELETE",
            Clause::Delete(_) => "DELETE",
            Clause::Foreach(_) => "FOREACH",
            Clause::CallProcedure(_) => "CALL",
            Clause::CallSubquery(_) => "CALL { … }",
            Clause::LoadCsv(_) => "LOAD CSV",
            Clause::LoadFrom(_) => "LOAD FROM",
        }
    }
}

/// `USE graph`.
#[derive(Debug, Clone, PartialEq)]
pub struct UseClause {
    /// The graph, perhaps qualified with dots.
    pub graph: Vec<Name>,
    /// The whole clause.
    pub span: Span,
}

/// `[OPTIONAL] MATCH patterns [WHERE predicate]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchClause {
    /// `OPTIONAL`.
    pub optional: bool,
    /// The patterns between commas.
    pub patterns: Vec<PathPattern>,
    /// `WHERE`.
    pub predicate: Option<Expression>,
    /// The whole clause.
    pub span: Span,
}

/// `UNWIND list AS variable`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnwindClause {
    /// What is unwound.
    pub list: Expression,
    /// The name of one element.
    pub variable: Name,
    /// The whole clause.
    pub span: Span,
}

/// `WITH projection [WHERE predicate]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WithClause {
    /// Items, order, skip and limit.
    pub projection: Projection,
    /// `WHERE`, which sees the projected names.
    pub predicate: Option<Expression>,
    /// The whole clause.
    pub span: Span,
}

/// `RETURN projection`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReturnClause {
    /// Items, order, skip and limit.
    pub projection: Projection,
    /// The whole clause.
    pub span: Span,
}

/// What `WITH` and `RETURN` share.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// `DISTINCT`.
    pub distinct: bool,
    /// `*`, which stands before the items.
    pub star: Option<Span>,
    /// The items after the star, or all.
    pub items: Vec<ProjectionItem>,
    /// `ORDER BY`; empty without.
    pub order_by: Vec<SortItem>,
    /// `SKIP`.
    pub skip: Option<Expression>,
    /// `LIMIT`.
    pub limit: Option<Expression>,
    /// From the first item to the end of `LIMIT`.
    pub span: Span,
}

/// `expression [AS alias]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectionItem {
    /// What is projected.
    pub expression: Expression,
    /// The name after `AS`.
    pub alias: Option<Name>,
    /// The column's name: the alias, or the expression as written.
    pub name: String,
    /// The whole item.
    pub span: Span,
}

/// `expression [ASC | DESC]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SortItem {
    /// What is sorted by.
    pub expression: Expression,
    /// `DESC` or `DESCENDING`.
    pub descending: bool,
    /// `NULLS FIRST` (true) or `NULLS LAST` (false), when written.
    pub nulls_first: Option<bool>,
    /// The whole item.
    pub span: Span,
}

/// `CREATE patterns`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateClause {
    /// The patterns between commas.
    pub patterns: Vec<PathPattern>,
    /// The whole clause.
    pub span: Span,
}

/// `MERGE pattern [ON CREATE SET …] [ON MATCH SET …]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeClause {
    /// The pattern.
    pub pattern: PathPattern,
    /// All `ON CREATE SET` items in order.
    pub on_create: Vec<SetItem>,
    /// All `ON MATCH SET` items in order.
    pub on_match: Vec<SetItem>,
    /// The whole clause.
    pub span: Span,
}

/// `SET items`.
#[derive(Debug, Clone, PartialEq)]
pub struct SetClause {
    /// The items between commas.
    pub items: Vec<SetItem>,
    /// The whole clause.
    pub span: Span,
}

/// One item of `SET`.
#[derive(Debug, Clone, PartialEq)]
pub struct SetItem {
    /// What it sets.
    pub kind: SetItemKind,
    /// The whole item.
    pub span: Span,
}

/// What an item of `SET` sets.
#[derive(Debug, Clone, PartialEq)]
pub enum SetItemKind {
    /// `target.key = value` or `target[key] = value`; the target is a property or index expression.
    Property {
        /// The property or index expression.
        target: Expression,
        /// Its new value.
        value: Expression,
    },
    /// `variable = map`: replace all properties.
    Replace {
        /// The node or relationship.
        variable: Name,
        /// The new properties.
        value: Expression,
    },
    /// `variable += map`: change the given properties.
    Merge {
        /// The node or relationship.
        variable: Name,
        /// The changed properties.
        value: Expression,
    },
    /// `variable:A:B`: add labels.
    Labels {
        /// The node.
        variable: Name,
        /// The labels.
        labels: Vec<Name>,
    },
}

/// `REMOVE items`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoveClause {
    /// The items between commas.
    pub items: Vec<RemoveItem>,
    /// The whole clause.
    pub span: Span,
}

/// One item of `REMOVE`.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoveItem {
    /// What it removes.
    pub kind: RemoveItemKind,
    /// The whole item.
    pub span: Span,
}

/// What an item of `REMOVE` removes.
#[derive(Debug, Clone, PartialEq)]
pub enum RemoveItemKind {
    /// `target.key`; a property or index expression.
    Property(Expression),
    /// `variable:A:B`.
    Labels {
        /// The node.
        variable: Name,
        /// The labels.
        labels: Vec<Name>,
    },
}

/// `[DETACH | NODETACH] DELETE expressions`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteClause {
    /// `DETACH`: delete the relationships of deleted nodes too.
    pub detach: bool,
    /// What is deleted.
    pub targets: Vec<Expression>,
    /// The whole clause.
    pub span: Span,
}

/// `FOREACH (variable IN list | clauses)`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeachClause {
    /// The name of one element.
    pub variable: Name,
    /// What is iterated.
    pub list: Expression,
    /// The updating clauses.
    pub clauses: Vec<Clause>,
    /// The whole clause.
    pub span: Span,
}

/// `[OPTIONAL] CALL name[(arguments)] [YIELD …]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CallProcedureClause {
    /// `OPTIONAL`.
    pub optional: bool,
    /// The procedure's name, in parts between dots.
    pub procedure: Vec<Name>,
    /// The arguments; without parentheses they are taken from parameters of the same names.
    pub arguments: Option<Vec<FunctionArgument>>,
    /// `YIELD`.
    pub yields: Option<Yield>,
    /// The whole clause.
    pub span: Span,
}

/// `YIELD items [WHERE predicate]` or `YIELD *`.
#[derive(Debug, Clone, PartialEq)]
pub struct Yield {
    /// `*`.
    pub star: bool,
    /// The columns taken.
    pub items: Vec<YieldItem>,
    /// `WHERE`.
    pub predicate: Option<Expression>,
    /// From `YIELD` to the end.
    pub span: Span,
}

/// `column [AS alias]`.
#[derive(Debug, Clone, PartialEq)]
pub struct YieldItem {
    /// The procedure's column.
    pub column: Name,
    /// Its name from here on.
    pub alias: Option<Name>,
}

/// `[OPTIONAL] CALL [(imports)] { query } [IN TRANSACTIONS …]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSubqueryClause {
    /// `OPTIONAL`.
    pub optional: bool,
    /// The variables in parentheses before the brace.
    pub imports: Option<SubqueryImports>,
    /// The query between the braces.
    pub query: Query,
    /// `IN TRANSACTIONS`.
    pub in_transactions: Option<InTransactions>,
    /// The whole clause.
    pub span: Span,
}

/// What a subquery takes from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum SubqueryImports {
    /// `(*)`.
    All,
    /// `(a, b)`, perhaps none.
    Variables(Vec<Name>),
}

/// `IN [n CONCURRENT] TRANSACTIONS [OF n ROWS] [ON ERROR …] [REPORT STATUS AS name]`.
#[derive(Debug, Clone, PartialEq)]
pub struct InTransactions {
    /// `CONCURRENT`, with its number when given.
    pub concurrent: Option<Option<Expression>>,
    /// `OF n ROWS`.
    pub rows: Option<Expression>,
    /// `ON ERROR`.
    pub on_error: Option<OnError>,
    /// `REPORT STATUS AS name`.
    pub status: Option<Name>,
    /// All of it.
    pub span: Span,
}

/// What happens when one of the transactions fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// `CONTINUE`.
    Continue,
    /// `BREAK`.
    Break,
    /// `FAIL`.
    Fail,
}

/// `LOAD CSV [WITH HEADERS] FROM source AS variable [FIELDTERMINATOR 'c']`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadCsvClause {
    /// `WITH HEADERS`: rows are maps.
    pub with_headers: bool,
    /// The file's address.
    pub source: Expression,
    /// The name of one row.
    pub variable: Name,
    /// `FIELDTERMINATOR`.
    pub field_terminator: Option<Expression>,
    /// The whole clause.
    pub span: Span,
}

/// `LOAD [WITH HEADERS (columns)] FROM source [(options)] [WHERE predicate]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadFromClause {
    /// The declared columns.
    pub headers: Vec<TypedName>,
    /// What is read.
    pub source: ScanSource,
    /// The options.
    pub options: Vec<CopyOption>,
    /// `WHERE`.
    pub predicate: Option<Expression>,
    /// The whole clause.
    pub span: Span,
}

/// The entity that an index or constraint is declared for: `(n:Label)` or `()-[r:TYPE]-()`.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityPattern {
    /// A node with its label.
    Node(NodePattern),
    /// A relationship between two empty nodes.
    Relationship(PathPattern),
}
