//! The shape of a column chunk: segments, null bitmap, statistics, children. `B` is what stands for the bytes of a
//! segment: `Vec<u8>` while a chunk is written, `Location` in a group page, `SegmentRef` where it is read.

use super::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use super::encoding::Encoding;
use super::statistics::ChunkStatistics;
use crate::types::{DataType, PhysicalType};

/// Rows of one segment at most.
pub const SEGMENT_ROWS_MAX: usize = 1 << 20;
/// Bytes of strings that one segment takes before the next begins.
pub const SEGMENT_TEXT_MAX: usize = 1 << 28;
/// Children inside each other at most, so that damaged bytes cannot exhaust the stack.
const DEPTH_MAX: usize = 64;

/// The values of one column, or of one child of a nested column, in one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk<B> {
    /// How the values lie in vectors.
    pub physical: PhysicalType,
    /// Rows, nulls included.
    pub row_count: u32,
    /// Which rows are null.
    pub nulls: ChunkNulls<B>,
    /// For zone maps and the planner.
    pub statistics: ChunkStatistics,
    /// In row order, without gaps; none when all rows are null or the values lie in children.
    pub segments: Vec<Segment<B>>,
    /// The parts of values that are not one plain number or string.
    pub children: Vec<Child<B>>,
    /// Sorted (row, value) pairs that replace values of the segments; written by checkpoints.
    pub patch: Option<B>,
}

/// Which rows of a chunk are null.
#[derive(Debug, Clone, PartialEq)]
pub enum ChunkNulls<B> {
    /// None.
    None,
    /// All; there are no segments then.
    All,
    /// Bit `i % 64` of word `i / 64` is set when row `i` has a value.
    Bitmap(B),
}

/// Some rows of a chunk under one encoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment<B> {
    /// The first row, counted in the chunk.
    pub first_row: u32,
    /// How many rows.
    pub row_count: u32,
    /// How they lie in the bytes.
    pub encoding: Encoding,
    /// The bytes.
    pub bytes: B,
}

/// A child of a nested chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct Child<B> {
    /// For ANY and UNION: the tag whose values the child holds. Otherwise the position.
    pub tag: u8,
    /// For ANY: the type of the values; elsewhere the parent's type says it.
    pub data_type: Option<DataType>,
    /// The values.
    pub chunk: Chunk<B>,
}

impl<B> Chunk<B> {
    /// The same chunk over other bytes.
    pub fn try_map<C, E>(self, place: &mut dyn FnMut(B) -> Result<C, E>) -> Result<Chunk<C>, E> {
        let nulls = match self.nulls {
            ChunkNulls::None => ChunkNulls::None,
            ChunkNulls::All => ChunkNulls::All,
            ChunkNulls::Bitmap(bytes) => ChunkNulls::Bitmap(place(bytes)?),
        };
        let mut segments = Vec::with_capacity(self.segments.len());
        for segment in self.segments {
            let Segment { first_row, row_count, encoding, bytes } = segment;
            segments.push(Segment { first_row, row_count, encoding, bytes: place(bytes)? });
        }
        let mut children = Vec::with_capacity(self.children.len());
        for Child { tag, data_type, chunk } in self.children {
            children.push(Child { tag, data_type, chunk: chunk.try_map(place)? });
        }
        let patch = self.patch.map(&mut *place).transpose()?;
        let (physical, row_count, statistics) = (self.physical, self.row_count, self.statistics);
        Ok(Chunk { physical, row_count, nulls, statistics, segments, children, patch })
    }

    /// Whether the chunk or a child has new values beside its segments.
    pub fn has_patch(&self) -> bool {
        self.patch.is_some() || self.children.iter().any(|child| child.chunk.has_patch())
    }

    /// The segment that holds `row`.
    pub fn segment_of(&self, row: usize) -> Option<&Segment<B>> {
        let after = self.segments.partition_point(|segment| segment.first_row as usize <= row);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        (row < segment.first_row as usize + segment.row_count as usize).then_some(segment)
    }
}

/// Where the bytes of a segment are, as a group page says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In the group page itself.
    Inline(Vec<u8>),
    /// A part of one of the group's extents.
    Extent { index: u32, offset: u32, length: u32 },
}

impl Location {
    /// A byte of kind (0 inline, 1 extent) and what it needs.
    pub fn encode(&self, out: &mut ByteWriter) {
        match self {
            Location::Inline(bytes) => {
                out.u8(0);
                out.short_bytes(bytes);
            }
            Location::Extent { index, offset, length } => {
                out.u8(1);
                out.u32(*index);
                out.u32(*offset);
                out.u32(*length);
            }
        }
    }

    /// The inverse of `encode`.
    pub fn decode(input: &mut ByteReader<'_>) -> Damaged<Location> {
        match input.u8()? {
            0 => Ok(Location::Inline(input.short_bytes()?.to_vec())),
            1 => Ok(Location::Extent { index: input.u32()?, offset: input.u32()?, length: input.u32()? }),
            _ => Err(Damage("unknown kind of location")),
        }
    }
}

const PHYSICAL: [PhysicalType; 21] = [
    PhysicalType::Null,
    PhysicalType::Bool,
    PhysicalType::I8,
    PhysicalType::I16,
    PhysicalType::I32,
    PhysicalType::I64,
    PhysicalType::I128,
    PhysicalType::U8,
    PhysicalType::U16,
    PhysicalType::U32,
    PhysicalType::U64,
    PhysicalType::F32,
    PhysicalType::F64,
    PhysicalType::Str,
    PhysicalType::Time,
    PhysicalType::Interval,
    PhysicalType::Zoned,
    PhysicalType::List,
    PhysicalType::Struct,
    PhysicalType::Union,
    PhysicalType::Any,
];

/// The number of a physical type on disk.
fn physical_tag(physical: PhysicalType) -> u8 {
    PHYSICAL.iter().position(|known| *known == physical).unwrap_or(0) as u8
}

const FLAG_BITMAP: u8 = 1;
const FLAG_ALL_NULL: u8 = 2;
const FLAG_PATCH: u8 = 4;

impl Chunk<Location> {
    /// Appends the descriptor.
    pub fn encode(&self, out: &mut ByteWriter) {
        out.u8(physical_tag(self.physical));
        let nulls = match self.nulls {
            ChunkNulls::None => 0,
            ChunkNulls::Bitmap(_) => FLAG_BITMAP,
            ChunkNulls::All => FLAG_ALL_NULL,
        };
        out.u8(nulls | if self.patch.is_some() { FLAG_PATCH } else { 0 });
        out.u16(self.children.len() as u16);
        out.u32(self.row_count);
        out.u32(self.segments.len() as u32);
        self.statistics.encode(out);
        if let ChunkNulls::Bitmap(location) = &self.nulls {
            location.encode(out);
        }
        if let Some(location) = &self.patch {
            location.encode(out);
        }
        for segment in &self.segments {
            out.u32(segment.first_row);
            out.u32(segment.row_count);
            segment.encoding.encode(out);
            segment.bytes.encode(out);
        }
        for child in &self.children {
            out.u8(child.tag);
            let text = child.data_type.as_ref().map(DataType::to_string).unwrap_or_default();
            out.short_bytes(text.as_bytes());
            child.chunk.encode(out);
        }
    }

    /// The inverse of `encode`.
    pub fn decode(input: &mut ByteReader<'_>) -> Damaged<Chunk<Location>> {
        Self::decode_within(input, DEPTH_MAX)
    }

    fn decode_within(input: &mut ByteReader<'_>, depth: usize) -> Damaged<Chunk<Location>> {
        let depth = depth.checked_sub(1).ok_or(Damage("chunks nest too deep"))?;
        let physical = *PHYSICAL.get(usize::from(input.u8()?)).ok_or(Damage("unknown physical type"))?;
        let (flags, child_count) = (input.u8()?, input.u16()?);
        let (row_count, segment_count) = (input.u32()?, input.u32()?);
        let statistics = ChunkStatistics::decode(input)?;
        let nulls = match flags & (FLAG_BITMAP | FLAG_ALL_NULL) {
            0 => ChunkNulls::None,
            FLAG_BITMAP => ChunkNulls::Bitmap(Location::decode(input)?),
            FLAG_ALL_NULL => ChunkNulls::All,
            _ => return Err(Damage("a chunk is all null and has a bitmap")),
        };
        let patch = if flags & FLAG_PATCH != 0 { Some(Location::decode(input)?) } else { None };
        let mut segments = Vec::new();
        let mut next_row = 0u32;
        for _ in 0..segment_count {
            let (first_row, rows) = (input.u32()?, input.u32()?);
            if first_row != next_row || rows == 0 {
                return Err(Damage("segments do not follow each other"));
            }
            next_row = first_row.checked_add(rows).ok_or(Damage("segment has too many rows"))?;
            let (encoding, bytes) = (Encoding::decode(input)?, Location::decode(input)?);
            segments.push(Segment { first_row, row_count: rows, encoding, bytes });
        }
        if segment_count > 0 && next_row != row_count {
            return Err(Damage("segments do not cover their chunk"));
        }
        let mut children = Vec::new();
        for _ in 0..child_count {
            let tag = input.u8()?;
            let text = std::str::from_utf8(input.short_bytes()?).map_err(|_| Damage("type is no text"))?;
            let data_type = match text {
                "" => None,
                text => Some(DataType::parse(text).map_err(|_| Damage("unknown type of a child"))?),
            };
            children.push(Child { tag, data_type, chunk: Self::decode_within(input, depth)? });
        }
        Ok(Chunk { physical, row_count, nulls, statistics, segments, children, patch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(rows: u32, children: Vec<Child<Location>>) -> Chunk<Location> {
        let segment = |first_row, row_count| Segment {
            first_row,
            row_count,
            encoding: Encoding::BitPacked { base: -3, width: 7 },
            bytes: Location::Extent { index: 2, offset: 64, length: 128 },
        };
        Chunk {
            physical: PhysicalType::I64,
            row_count: rows,
            nulls: ChunkNulls::Bitmap(Location::Inline(vec![1; 8])),
            statistics: ChunkStatistics { null_count: 1, ..Default::default() },
            segments: vec![segment(0, 3), segment(3, rows - 3)],
            children,
            patch: None,
        }
    }

    #[test]
    fn descriptors_come_back_and_cuts_are_damage() {
        let child =
            Child { tag: 3, data_type: Some(DataType::list(DataType::Int64)), chunk: chunk(9, vec![]) };
        let chunk = chunk(5, vec![child]);
        let mut out = ByteWriter::default();
        chunk.encode(&mut out);
        let mut input = ByteReader::new(&out.bytes);
        assert_eq!(Chunk::decode(&mut input).unwrap(), chunk);
        assert_eq!(input.remaining(), 0);
        for cut in 0..out.bytes.len() {
            assert!(Chunk::decode(&mut ByteReader::new(&out.bytes[..cut])).is_err());
        }
    }

    #[test]
    fn rows_are_found_in_their_segment() {
        let chunk = chunk(5, vec![]);
        assert_eq!(chunk.segment_of(2).unwrap().first_row, 0);
        assert_eq!(chunk.segment_of(3).unwrap().first_row, 3);
        assert!(chunk.segment_of(5).is_none());
    }

    #[test]
    fn gaps_between_segments_are_damage() {
        let mut chunk = chunk(5, vec![]);
        chunk.segments[1].first_row = 4;
        let mut out = ByteWriter::default();
        chunk.encode(&mut out);
        assert!(Chunk::decode(&mut ByteReader::new(&out.bytes)).is_err());
    }
}
