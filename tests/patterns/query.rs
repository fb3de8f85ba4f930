//! Queries as the generator makes them, the evaluator runs them and the speller writes them.

use super::graph::{Kind, V};

/// A variable: a place in the evaluator's rows.
pub type Var = usize;

#[derive(Debug, Clone)]
pub struct Query {
    pub clauses: Vec<Clause>,
    pub result: Projection,
    /// Places that rows need.
    pub variables: usize,
}

#[derive(Debug, Clone)]
pub enum Clause {
    Match(Match),
    /// `WITH`: what goes on, and under which conditions.
    With(Projection, Vec<Condition>),
    /// `UNWIND [..] AS v`.
    Unwind(Vec<i64>, Var),
    /// `CALL (imports) { MATCH … RETURN … }`.
    Call {
        imports: Vec<Var>,
        body: Box<Match>,
        result: Projection,
    },
}

#[derive(Debug, Clone)]
pub struct Match {
    pub optional: bool,
    pub pattern: Pattern,
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default)]
pub struct Pattern {
    /// Each variable once.
    pub nodes: Vec<NodePattern>,
    pub edges: Vec<EdgePattern>,
    /// A variable for the path along all edges, which then are a chain in their order.
    pub path: Option<Var>,
}

#[derive(Debug, Clone)]
pub struct NodePattern {
    pub var: Var,
    /// Tables of the label expression; none are all.
    pub tables: Vec<usize>,
    /// Nothing else mentions the variable.
    pub hidden: bool,
}

#[derive(Debug, Clone)]
pub struct EdgePattern {
    pub var: Var,
    pub from: Var,
    pub to: Var,
    /// Types; none are all.
    pub types: Vec<usize>,
    pub undirected: bool,
    pub length: Option<Length>,
    pub hidden: bool,
    /// The text begins at `to`, so that lists run from there.
    pub turned: bool,
}

#[derive(Debug, Clone)]
pub struct Length {
    pub min: usize,
    pub max: Option<usize>,
    pub mode: Mode,
    /// Property, operator and constant that hold for every relationship, and for every node between the ends.
    pub edge: Option<(usize, Op, V)>,
    pub inner: Option<(usize, Op, V)>,
    /// The variable of the nodes between the ends; the text does not have it.
    pub nodes: Var,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Default,
    Walk,
    Trail,
    Acyclic,
    Shortest,
    AllShortest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    Differs,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Op {
    pub fn text(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::Differs => "<>",
            Op::Less => "<",
            Op::LessEqual => "<=",
            Op::Greater => ">",
            Op::GreaterEqual => ">=",
        }
    }
}

#[derive(Debug, Clone)]
pub enum Operand {
    Constant(V, Kind),
    /// Position in `NODE_PROPERTIES`.
    NodeProperty(Var, usize),
    /// Position in `REL_PROPERTIES`.
    RelProperty(Var, usize),
    /// A value that an earlier clause computed.
    Value(Var),
    /// The number of a list's relationships.
    Size(Var),
    Plus(Box<Operand>, Box<Operand>),
}

#[derive(Debug, Clone)]
pub enum Condition {
    Compare(Operand, Op, Operand),
    IsNull(Operand, bool),
    In(Operand, Vec<V>, Kind),
    StartsWith(Operand, String),
    Contains(Operand, String),
    /// Nodes.
    Same(Var, Var, bool),
    NodeIsNull(Var, bool),
    HasTable(Var, usize),
    Not(Box<Condition>),
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Exists(Box<Sub>),
    /// `COUNT { … } op number`.
    Count(Box<Sub>, Op, i64),
    /// A pattern by itself; it binds no new names.
    Pattern(Box<Pattern>),
}

/// A query about a row.
#[derive(Debug, Clone)]
pub struct Sub {
    pub pattern: Pattern,
    pub conditions: Vec<Condition>,
    /// The node of which only different ones count, and how many of them at most.
    pub distinct: Option<Var>,
    pub limit: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Projection {
    pub distinct: bool,
    pub items: Vec<(Item, Var)>,
    /// By all items; whether each descends.
    pub order: Option<Vec<bool>>,
    pub skip: Option<usize>,
    pub limit: Option<usize>,
}

#[derive(Debug, Clone)]
pub enum Item {
    /// A node or relationship as it is; it keeps its variable in a WITH.
    Entity(Var),
    Operand(Operand),
    Aggregate(Aggregate, bool, Option<Operand>),
    /// `count(n)` of a node, and of a relationship.
    CountNode(Var, bool),
    CountRel(Var, bool),
    Exists(Box<Sub>),
    Count(Box<Sub>),
    /// Relationships of a variable-length edge, or of a path; its nodes; its length.
    Rels(Var),
    PathNodes(Var),
    PathRels(Var),
    PathLength(Var),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    CountRows,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Collect,
}

impl Item {
    pub fn is_aggregate(&self) -> bool {
        matches!(self, Item::Aggregate(..) | Item::CountNode(..) | Item::CountRel(..))
    }
}

impl Pattern {
    pub fn node(&self, var: Var) -> Option<&NodePattern> {
        self.nodes.iter().find(|node| node.var == var)
    }
}
