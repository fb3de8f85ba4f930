//! A variable-length edge as the executor runs it.

use super::logical_plan::Leg;
use super::physical_plan::{Expression, FetchColumn, PathMode, PhysicalEdge, TargetFilter};
use crate::types::TableId;

/// What a recursive expansion does and puts out: the input columns named by `keep`, then the end node's id unless `to`
/// is bound, then the length, the cost, and the LIST of relationship ids and the LIST of the nodes between them, as far
/// as they are asked for.
#[derive(Debug, Clone)]
pub struct PhysicalRecursion {
    pub keep: Vec<usize>,
    pub from: usize,
    pub to: Option<usize>,
    pub edge: PhysicalEdge,
    pub min: u32,
    pub max: Option<u32>,
    pub mode: PathMode,
    /// Each end once per start: how often and on which way it is reached does not matter.
    pub distinct_ends: bool,
    /// Paths are found from their end to their start.
    pub turned: bool,
    pub emit_length: bool,
    pub emit_cost: bool,
    pub emit_path: bool,
    pub end_tables: Vec<TableId>,
    pub cost: Option<PhysicalCost>,
    /// Which nodes may lie between the ends.
    pub inner: Option<TargetFilter>,
}

/// What a relationship costs: a DOUBLE over the columns [relationship id, fetched properties…].
#[derive(Debug, Clone)]
pub struct PhysicalCost {
    pub fetch: Vec<FetchColumn>,
    pub cost: Expression,
}

impl PhysicalRecursion {
    /// Mode, bounds and what else EXPLAIN shows.
    pub fn describe(&self) -> String {
        let max = self.max.map_or(String::new(), |max| max.to_string());
        let ends = if self.distinct_ends { ", distinct ends" } else { "" };
        let inner = if self.inner.is_some() { ", inner nodes by bitmap" } else { "" };
        format!("{:?} {}..{max}{ends}{inner}", self.mode, self.min)
    }
}

impl PhysicalEdge {
    /// The same relationships walked the other way.
    pub fn reversed(&self) -> PhysicalEdge {
        let turned = |leg: &Leg| Leg { direction: leg.direction.reversed(), ..*leg };
        PhysicalEdge { legs: self.legs.iter().map(turned).collect(), ..self.clone() }
    }
}
