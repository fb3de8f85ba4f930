//! How one adjacency run lies in bytes; `specs/format/csr.md` draws it. A run holds, for nodes of one group, the
//! neighbours and relationship ids of their edges in one direction, sorted by (node, neighbour, id).

use crate::storage::column::Encoding;
use crate::storage::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::storage::column::chunk::Location;
use crate::storage::column::encoding::bit_packing;

/// A run under construction, in memory as on disk: see `RunDescriptor` for the parts.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDescriptor<B> {
    /// Edges.
    pub entry_count: u32,
    /// Nodes that `offsets` has lists for: all of the group, or those in `nodes`.
    pub node_count: u32,
    /// Edges from a node to itself, exactly.
    pub self_loops: u32,
    /// The longest list.
    pub max_degree: u32,
    /// Nodes with at least one edge.
    pub touched_nodes: u32,
    /// Nodes of a small run, u16 each, rising; none when the run lists all nodes of the group.
    pub nodes: Option<B>,
    /// `node_count + 1` times u32, beginning with 0: list `i` is entries `offsets[i]..offsets[i + 1]`.
    pub offsets: B,
    /// u32 each; u64 when `wide`.
    pub neighbours: B,
    /// Whether a neighbour takes 64 bits.
    pub wide: bool,
    /// Relationship ids.
    pub ids: RunIds<B>,
    /// One bit per entry, set where the entry takes an edge away; none when all add.
    pub signs: Option<B>,
}

/// The relationship ids of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunIds<B> {
    /// Entry `i` is relationship `first + i`.
    Implied { first: u64 },
    /// Entry `i` is `base + distance i`: `Plain` means u32 distances, `BitPacked` ones of its width (the encoding's
    /// own base is the base).
    Stored { base: u64, encoding: Encoding, bytes: B },
}

/// Runs that touch fewer than one in so many of the group's nodes list those that they touch.
const LISTED_NODES_DIVISOR: u32 = 16;
/// Ids that need more bits than this, and fit u32, are stored as such.
const PACKED_ID_BITS_MAX: u8 = 28;

/// Whether a run that touches so many of the group's nodes lists them.
pub(super) fn lists_its_nodes(touched: u32, all: u32) -> bool {
    touched * LISTED_NODES_DIVISOR < all
}

/// Relationship ids as distances from the smallest.
pub(super) fn stored_ids(ids: impl Iterator<Item = u64> + Clone) -> RunIds<Vec<u8>> {
    let base = ids.clone().min().unwrap_or(0);
    let width = bit_packing::width_of(ids.clone().max().unwrap_or(0) - base);
    let mut bytes = Vec::new();
    let encoding = if (PACKED_ID_BITS_MAX + 1..=32).contains(&width) {
        ids.for_each(|id| bytes.extend_from_slice(&((id - base) as u32).to_le_bytes()));
        Encoding::Plain
    } else {
        let distances: Vec<u64> = ids.map(|id| id - base).collect();
        bit_packing::pack(&distances, width, &mut bytes);
        Encoding::BitPacked { base: 0, width }
    };
    RunIds::Stored { base, encoding, bytes }
}

const FLAG_WIDE: u8 = 1;
/// Kept for neighbours that are bit-packed; no release writes it yet.
const FLAG_PACKED: u8 = 2;
const FLAG_SMALL: u8 = 4;
const FLAG_SIGNED: u8 = 8;
const FLAG_IMPLIED: u8 = 16;

impl RunDescriptor<Location> {
    /// Appends the descriptor.
    pub fn encode(&self, out: &mut ByteWriter) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.u8(flag(self.wide, FLAG_WIDE)
            | flag(self.nodes.is_some(), FLAG_SMALL)
            | flag(self.signs.is_some(), FLAG_SIGNED)
            | flag(matches!(self.ids, RunIds::Implied { .. }), FLAG_IMPLIED));
        out.u32(self.entry_count);
        out.u32(self.node_count);
        out.u32(self.self_loops);
        out.u32(self.max_degree);
        out.u32(self.touched_nodes);
        if let Some(nodes) = &self.nodes {
            nodes.encode(out);
        }
        self.offsets.encode(out);
        self.neighbours.encode(out);
        match &self.ids {
            RunIds::Implied { first } => out.u64(*first),
            RunIds::Stored { base, encoding, bytes } => {
                out.u64(*base);
                encoding.encode(out);
                bytes.encode(out);
            }
        }
        if let Some(signs) = &self.signs {
            signs.encode(out);
        }
    }

    /// The inverse of `encode`.
    pub fn decode(input: &mut ByteReader<'_>) -> Damaged<Self> {
        let flags = input.u8()?;
        if flags & FLAG_PACKED != 0 || flags >= 32 {
            return Err(Damage("adjacency run with flags of a later format"));
        }
        let (entry_count, node_count) = (input.u32()?, input.u32()?);
        let (self_loops, max_degree, touched_nodes) = (input.u32()?, input.u32()?, input.u32()?);
        let nodes = if flags & FLAG_SMALL != 0 { Some(Location::decode(input)?) } else { None };
        let (offsets, neighbours) = (Location::decode(input)?, Location::decode(input)?);
        let base = input.u64()?;
        let ids = if flags & FLAG_IMPLIED != 0 {
            RunIds::Implied { first: base }
        } else {
            let encoding = Encoding::decode(input)?;
            if !matches!(encoding, Encoding::Plain | Encoding::BitPacked { base: 0, .. }) {
                return Err(Damage("relationship ids under an encoding that they cannot have"));
            }
            RunIds::Stored { base, encoding, bytes: Location::decode(input)? }
        };
        let signs = if flags & FLAG_SIGNED != 0 { Some(Location::decode(input)?) } else { None };
        if node_count > crate::types::NODE_GROUP_ROWS as u32 {
            return Err(Damage("adjacency run of more nodes than a group spans"));
        }
        let wide = flags & FLAG_WIDE != 0;
        Ok(RunDescriptor {
            entry_count,
            node_count,
            self_loops,
            max_degree,
            touched_nodes,
            nodes,
            offsets,
            neighbours,
            wide,
            ids,
            signs,
        })
    }
}

impl<B> RunDescriptor<B> {
    /// The same run over other bytes.
    pub fn try_map<C, E>(self, place: &mut dyn FnMut(B) -> Result<C, E>) -> Result<RunDescriptor<C>, E> {
        let ids = match self.ids {
            RunIds::Implied { first } => RunIds::Implied { first },
            RunIds::Stored { base, encoding, bytes } => {
                RunIds::Stored { base, encoding, bytes: place(bytes)? }
            }
        };
        Ok(RunDescriptor {
            nodes: self.nodes.map(&mut *place).transpose()?,
            offsets: place(self.offsets)?,
            neighbours: place(self.neighbours)?,
            signs: self.signs.map(&mut *place).transpose()?,
            ids,
            entry_count: self.entry_count,
            node_count: self.node_count,
            self_loops: self.self_loops,
            max_degree: self.max_degree,
            touched_nodes: self.touched_nodes,
            wide: self.wide,
        })
    }
}
