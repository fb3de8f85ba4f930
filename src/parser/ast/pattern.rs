//! Graph patterns.

use super::{Expression, MapEntry, Name, Parameter, ProjectionItem, Span};

/// `[name =] element`, where the element may stand in `shortestPath(…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct PathPattern {
    /// The path's name.
    pub variable: Option<Name>,
    /// `shortestPath(…)` or `allShortestPaths(…)`.
    pub shortest: Option<ShortestPaths>,
    /// The first node.
    pub start: NodePattern,
    /// Each relationship with the node behind it.
    pub steps: Vec<PatternStep>,
    /// The whole pattern.
    pub span: Span,
}

/// The function around a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortestPaths {
    /// `shortestPath(…)`.
    One,
    /// `allShortestPaths(…)`.
    All,
}

/// A relationship and the node behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternStep {
    /// The relationship.
    pub relationship: RelationshipPattern,
    /// The node.
    pub node: NodePattern,
}

/// `(variable:Labels {properties} WHERE predicate)`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePattern {
    /// The variable.
    pub variable: Option<Name>,
    /// What stands after the colon.
    pub labels: Option<LabelExpression>,
    /// The property map or parameter.
    pub properties: Option<Properties>,
    /// The predicate inside the parentheses.
    pub predicate: Option<Box<Expression>>,
    /// With the parentheses.
    pub span: Span,
}

/// `-[variable:TYPES*1..3 {properties} WHERE predicate]->`.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationshipPattern {
    /// Where the arrow points.
    pub direction: Direction,
    /// The variable.
    pub variable: Option<Name>,
    /// What stands after the colon.
    pub types: Option<LabelExpression>,
    /// `*` and what belongs to it.
    pub length: Option<Box<VariableLength>>,
    /// The property map or parameter.
    pub properties: Option<Properties>,
    /// The predicate inside the brackets.
    pub predicate: Option<Box<Expression>>,
    /// With dashes and arrow heads.
    pub span: Span,
}

/// Where an arrow points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `-->`.
    Right,
    /// `<--`.
    Left,
    /// `--` or `<-->`.
    Both,
}

/// `*[mode][lower][..][upper] [(r, n | …)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableLength {
    /// Which walks count.
    pub mode: PathMode,
    /// The lower bound, when written. `*2` gives both bounds.
    pub lower: Option<u64>,
    /// The upper bound, when written.
    pub upper: Option<u64>,
    /// The filter and projection on the way.
    pub filter: Option<Box<RecursionFilter>>,
    /// From the star on.
    pub span: Span,
}

/// Which walks a variable-length relationship matches.
#[derive(Debug, Clone, PartialEq)]
pub enum PathMode {
    /// Nothing written: the dialect decides.
    Default,
    /// `WALK`.
    Walk,
    /// `TRAIL`: no relationship twice.
    Trail,
    /// `ACYCLIC`: no node twice.
    Acyclic,
    /// `SHORTEST`: one shortest path.
    Shortest,
    /// `ALL SHORTEST`: every shortest path.
    AllShortest,
    /// `WSHORTEST(property)`: one path of the least cost.
    WeightedShortest(Name),
    /// `ALL WSHORTEST(property)`: every path of the least cost.
    AllWeightedShortest(Name),
}

/// `(r, n | WHERE predicate | {relationship items}, {node items})` inside a variable-length pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct RecursionFilter {
    /// The name of each relationship on the way.
    pub relationship: Name,
    /// The name of each node on the way.
    pub node: Name,
    /// What both must fulfil.
    pub predicate: Option<Expression>,
    /// What is kept of each relationship and each node; nothing written keeps all.
    pub projections: Option<RecursionProjections>,
    /// With the parentheses.
    pub span: Span,
}

/// The two projections of a [`RecursionFilter`].
#[derive(Debug, Clone, PartialEq)]
pub struct RecursionProjections {
    /// Of each relationship.
    pub relationship: Vec<ProjectionItem>,
    /// Of each node.
    pub node: Vec<ProjectionItem>,
}

/// A predicate over labels or relationship types, as written after a colon.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelExpression {
    /// What it says.
    pub kind: LabelExpressionKind,
    /// Where it stands, without the first colon.
    pub span: Span,
}

/// What a label expression says.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelExpressionKind {
    /// `A`.
    Name(Name),
    /// `%`: any label at all.
    Any,
    /// `!A`.
    Not(Box<LabelExpression>),
    /// `A&B`.
    And(Vec<LabelExpression>),
    /// `A|B` or `A|:B`.
    Or(Vec<LabelExpression>),
    /// `A:B`: both labels for openCypher, either for Kuzu.
    Colons(Vec<LabelExpression>),
}

impl LabelExpression {
    /// The names of a plain list, `A`, `A|B|C` or `A:B`, in order; `None` when operators are nested.
    pub fn plain_names(&self) -> Option<Vec<&Name>> {
        match &self.kind {
            LabelExpressionKind::Name(name) => Some(vec![name]),
            LabelExpressionKind::Or(parts) | LabelExpressionKind::Colons(parts) => {
                parts.iter().map(LabelExpression::as_name).collect()
            }
            _ => None,
        }
    }

    /// The name, when it is a single one.
    pub fn as_name(&self) -> Option<&Name> {
        match &self.kind {
            LabelExpressionKind::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The properties inside a node or relationship pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Properties {
    /// `{key: value, …}`.
    Map {
        /// The entries in order.
        entries: Vec<MapEntry>,
        /// With the braces.
        span: Span,
    },
    /// `$parameter`.
    Parameter(Parameter),
}

impl Properties {
    /// Where they stand.
    pub fn span(&self) -> Span {
        match self {
            Properties::Map { span, .. } => *span,
            Properties::Parameter(parameter) => parameter.span,
        }
    }
}
