//! Ids of tables, columns and entities, and the two sizes that everything is cut by.

use std::fmt;

/// The row number of a node or relationship in its table.
pub type NodeOffset = u64;

/// Offsets that one node group spans: the group of an offset is `offset >> 16`.
pub const NODE_GROUP_ROWS: u64 = 1 << 16;

/// Rows of a batch unless the query's context says otherwise; code takes the size from there, never from here.
pub const VECTOR_SIZE: usize = 2048;

/// A node or relationship table. The high 16 bits are kept for a graph id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TableId(pub u32);

/// A column of one table; ids are never used again within a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ColumnId(pub u32);

/// What every relationship table has by itself: the node a relationship starts at. Storage holds its offset, the
/// executor makes it a packed id.
pub const SRC_COLUMN: ColumnId = ColumnId(0xFFFF_FFFE);
/// The node a relationship points to, likewise.
pub const DST_COLUMN: ColumnId = ColumnId(0xFFFF_FFFF);
/// The label set of a row.
pub const LABELS_COLUMN: ColumnId = ColumnId(0xFFFF_FFFD);

/// The id of a node or relationship: the low 16 bits of the table's id over 48 bits of offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GlobalId(pub u64);

impl GlobalId {
    /// Bits that hold the offset.
    pub const OFFSET_BITS: u32 = 48;
    /// The highest offset.
    pub const OFFSET_MAX: u64 = (1 << Self::OFFSET_BITS) - 1;

    /// Packs a table and an offset. Bits that do not fit are cut off; no table has that many rows.
    #[inline]
    pub const fn new(table: TableId, offset: NodeOffset) -> Self {
        GlobalId(((table.0 as u64 & 0xFFFF) << Self::OFFSET_BITS) | (offset & Self::OFFSET_MAX))
    }

    /// The table, without its graph id.
    #[inline]
    pub const fn table(self) -> TableId {
        TableId((self.0 >> Self::OFFSET_BITS) as u32)
    }

    /// The offset within the table.
    #[inline]
    pub const fn offset(self) -> NodeOffset {
        self.0 & Self::OFFSET_MAX
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl fmt::Display for ColumnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl fmt::Display for GlobalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.table(), self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_id_gives_back_its_parts() {
        let id = GlobalId::new(TableId(7), 123_456_789_012);
        assert_eq!((id.table(), id.offset()), (TableId(7), 123_456_789_012));
        assert_eq!(id.to_string(), "7:123456789012");
    }
}
