//! Expressions.

use super::{LabelExpression, Name, PathPattern, Query, Span, TypeName};

/// An expression and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// What it says.
    pub kind: ExpressionKind,
    /// Where it stands, without parentheses around it.
    pub span: Span,
}

impl Expression {
    /// An expression at a place.
    pub fn new(kind: ExpressionKind, span: Span) -> Expression {
        Expression { kind, span }
    }

    /// The name, when it is a plain variable.
    pub fn as_variable(&self) -> Option<&str> {
        match &self.kind {
            ExpressionKind::Variable(name) => Some(name),
            _ => None,
        }
    }
}

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A constant.
    Literal(Literal),
    /// `$name`.
    Parameter(Parameter),
    /// A name bound by the query.
    Variable(String),
    /// `target.key`.
    Property {
        /// A node, relationship, map or temporal value.
        target: Box<Expression>,
        /// The key.
        key: Name,
    },
    /// `target.*`.
    AllProperties(Box<Expression>),
    /// `target[index]`.
    Index {
        /// A list, string, map, node or relationship.
        target: Box<Expression>,
        /// The position or key.
        index: Box<Expression>,
    },
    /// `target[from..to]` or `target[from:to]`.
    Slice {
        /// A list or string.
        target: Box<Expression>,
        /// The lower bound.
        from: Option<Box<Expression>>,
        /// The upper bound.
        to: Option<Box<Expression>>,
    },
    /// `target:Label`.
    HasLabels {
        /// A node or relationship.
        target: Box<Expression>,
        /// What stands after the colon.
        labels: Box<LabelExpression>,
    },
    /// `[a, b]`.
    List(Vec<Expression>),
    /// `{key: value}`.
    Map(Vec<MapEntry>),
    /// `variable {.key, key: value, .*, other}`.
    MapProjection(Box<MapProjection>),
    /// `name(arguments)`.
    FunctionCall(Box<FunctionCall>),
    /// `count(*)`.
    CountStar,
    /// `CAST(operand AS type)` or `CAST(operand, 'type')`.
    Cast {
        /// What is converted.
        operand: Box<Expression>,
        /// To what.
        target: Box<TypeName>,
    },
    /// `-a`, `+a`, `NOT a`.
    Unary {
        /// The operator.
        operator: UnaryOperator,
        /// Its operand.
        operand: Box<Expression>,
    },
    /// `a + b` and its like.
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// The left operand.
        left: Box<Expression>,
        /// The right operand.
        right: Box<Expression>,
    },
    /// `a < b`, `a < b <= c`.
    Comparison {
        /// The first operand.
        first: Box<Expression>,
        /// Each operator with the operand behind it; at least one. `a < b < c` means `a < b AND b < c`.
        rest: Vec<ComparisonPart>,
    },
    /// `a AND b AND c`, at least two.
    And(Vec<Expression>),
    /// `a OR b OR c`, at least two.
    Or(Vec<Expression>),
    /// `a XOR b XOR c`, at least two.
    Xor(Vec<Expression>),
    /// `a IS NULL`, `a IS NOT NULL`.
    IsNull {
        /// The operand.
        operand: Box<Expression>,
        /// `NOT`.
        negated: bool,
    },
    /// `CASE`.
    Case(Box<CaseExpression>),
    /// `[x IN list WHERE predicate | projection]`.
    ListComprehension(Box<ListComprehension>),
    /// `[p = (a)-->(b) WHERE predicate | projection]`.
    PatternComprehension(Box<PatternComprehension>),
    /// `all(x IN list WHERE predicate)` and its like.
    Quantifier(Box<Quantifier>),
    /// `reduce(sum = 0, x IN list | sum + x)`.
    Reduce(Box<Reduce>),
    /// A pattern as a value: a predicate, or `shortestPath(…)`.
    Pattern(Box<PathPattern>),
    /// `EXISTS { … }`, `COUNT { … }`, `COLLECT { … }`.
    Subquery(Box<SubqueryExpression>),
    /// `x -> expression` or `(x, y) -> expression` as an argument.
    Lambda(Box<Lambda>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A whole number. A minus sign directly before it is part of it. The binder checks the range of 64 bits.
    Integer(i128),
    /// A finite number with a point or an exponent.
    Float(f64),
    /// A string, with its escapes resolved.
    String(String),
}

/// `$name`, `$1`, `` $`quoted name` ``.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The name without the dollar sign.
    pub name: String,
    /// With the dollar sign.
    pub span: Span,
}

/// `key: value`.
#[derive(Debug, Clone, PartialEq)]
pub struct MapEntry {
    /// The key.
    pub key: Name,
    /// The value.
    pub value: Expression,
}

/// `variable {items}`.
#[derive(Debug, Clone, PartialEq)]
pub struct MapProjection {
    /// The node, relationship or map.
    pub variable: Name,
    /// What is taken.
    pub items: Vec<MapProjectionItem>,
}

/// One item of a map projection.
#[derive(Debug, Clone, PartialEq)]
pub enum MapProjectionItem {
    /// `.key`.
    Property(Name),
    /// `.*`.
    AllProperties(Span),
    /// `key: value`.
    Entry(MapEntry),
    /// `variable`, under its own name.
    Variable(Name),
}

/// `name([DISTINCT] arguments)`.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionCall {
    /// The name as written, its parts between dots.
    pub name: Vec<Name>,
    /// `DISTINCT`.
    pub distinct: bool,
    /// The arguments in order.
    pub arguments: Vec<FunctionArgument>,
    /// `*` instead of arguments, as in `sum(*)`; `count(*)` is [`ExpressionKind::CountStar`].
    pub star: bool,
    /// The whole call.
    pub span: Span,
}

impl FunctionCall {
    /// The name with its parts joined by dots, as written.
    pub fn full_name(&self) -> String {
        join_names(&self.name)
    }
}

/// Joins the parts of a qualified name by dots.
pub fn join_names(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(".")
}

/// `value` or `name := value`.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionArgument {
    /// The name of an optional argument.
    pub name: Option<Name>,
    /// The value.
    pub value: Expression,
}

/// A prefix operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `NOT`.
    Not,
    /// `+`.
    Plus,
    /// `-`.
    Minus,
}

impl UnaryOperator {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOperator::Not => "NOT",
            UnaryOperator::Plus => "+",
            UnaryOperator::Minus => "-",
        }
    }
}

/// An operator between two operands, other than comparisons and `AND`, `OR`, `XOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
    /// `^`.
    Power,
    /// `||`.
    Concat,
    /// `&`.
    BitAnd,
    /// `<<`.
    ShiftLeft,
    /// `>>`.
    ShiftRight,
    /// `IN`.
    In,
    /// `STARTS WITH`.
    StartsWith,
    /// `ENDS WITH`.
    EndsWith,
    /// `CONTAINS`.
    Contains,
    /// `=~`.
    RegexMatch,
}

impl BinaryOperator {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOperator::Add => "+",
            BinaryOperator::Subtract => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::Power => "^",
            BinaryOperator::Concat => "||",
            BinaryOperator::BitAnd => "&",
            BinaryOperator::ShiftLeft => "<<",
            BinaryOperator::ShiftRight => ">>",
            BinaryOperator::In => "IN",
            BinaryOperator::StartsWith => "STARTS WITH",
            BinaryOperator::EndsWith => "ENDS WITH",
            BinaryOperator::Contains => "CONTAINS",
            BinaryOperator::RegexMatch => "=~",
        }
    }
}

/// One step of a chain of comparisons.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonPart {
    /// The operator.
    pub operator: ComparisonOperator,
    /// Where the operator stands.
    pub operator_span: Span,
    /// The operand behind it.
    pub right: Expression,
}

/// An operator that compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComparisonOperator {
    /// `=`.
    Equal,
    /// `<>`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
}

impl ComparisonOperator {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            ComparisonOperator::Equal => "=",
            ComparisonOperator::NotEqual => "<>",
            ComparisonOperator::Less => "<",
            ComparisonOperator::LessOrEqual => "<=",
            ComparisonOperator::Greater => ">",
            ComparisonOperator::GreaterOrEqual => ">=",
        }
    }
}

/// `CASE [operand] WHEN … THEN … [ELSE …] END`.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseExpression {
    /// What each `WHEN` is compared with; none for the searched form.
    pub operand: Option<Expression>,
    /// At least one.
    pub branches: Vec<CaseBranch>,
    /// `ELSE`.
    pub otherwise: Option<Expression>,
}

/// `WHEN when THEN then`.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseBranch {
    /// The value or condition.
    pub when: Expression,
    /// The result.
    pub then: Expression,
}

/// `[variable IN list WHERE predicate | projection]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListComprehension {
    /// The name of one element.
    pub variable: Name,
    /// The list.
    pub list: Expression,
    /// `WHERE`.
    pub predicate: Option<Expression>,
    /// What is kept of an element; nothing written keeps the element.
    pub projection: Option<Expression>,
}

/// `[pattern WHERE predicate | projection]`; the path's name is in the pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternComprehension {
    /// The pattern.
    pub pattern: PathPattern,
    /// `WHERE`.
    pub predicate: Option<Expression>,
    /// What is kept of a match.
    pub projection: Expression,
}

/// `all | any | none | single (variable IN list WHERE predicate)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantifier {
    /// Which one.
    pub kind: QuantifierKind,
    /// The name of one element.
    pub variable: Name,
    /// The list.
    pub list: Expression,
    /// `WHERE`.
    pub predicate: Option<Expression>,
}

/// How many elements must fulfil the predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuantifierKind {
    /// Every one.
    All,
    /// At least one.
    Any,
    /// Not one.
    None,
    /// Exactly one.
    Single,
}

impl QuantifierKind {
    /// The word as written.
    pub fn name(self) -> &'static str {
        match self {
            QuantifierKind::All => "all",
            QuantifierKind::Any => "any",
            QuantifierKind::None => "none",
            QuantifierKind::Single => "single",
        }
    }
}

/// `reduce(accumulator = initial, variable IN list | expression)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduce {
    /// The running value.
    pub accumulator: Name,
    /// Its first value.
    pub initial: Expression,
    /// The name of one element.
    pub variable: Name,
    /// The list.
    pub list: Expression,
    /// The next value.
    pub expression: Expression,
}

/// A query as a value.
#[derive(Debug, Clone, PartialEq)]
pub struct SubqueryExpression {
    /// What is made of its rows.
    pub kind: SubqueryKind,
    /// The query. The short form `EXISTS { pattern WHERE … }` is one `MATCH` clause without `RETURN`.
    pub query: Query,
}

/// What is made of a subquery's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubqueryKind {
    /// Whether there is one.
    Exists,
    /// How many there are.
    Count,
    /// A list of their only column.
    Collect,
}

impl SubqueryKind {
    /// The word as written.
    pub fn name(self) -> &'static str {
        match self {
            SubqueryKind::Exists => "EXISTS",
            SubqueryKind::Count => "COUNT",
            SubqueryKind::Collect => "COLLECT",
        }
    }
}

/// `(parameters) -> body`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lambda {
    /// The parameters.
    pub parameters: Vec<Name>,
    /// The body.
    pub body: Expression,
}
