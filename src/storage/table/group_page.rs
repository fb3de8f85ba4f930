//! The page that describes one group of a table: its extents, and per column or adjacency run where the bytes are
//! and how to read them. `specs/format/group_page.md` draws it. A group page is written as one extent of its own and
//! is never changed; a new version of the group gets a new page.

use super::csr_run::RunDescriptor;
use crate::storage::StorageResult;
use crate::storage::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::storage::column::chunk::{Chunk, Location};
use crate::storage::page::{ExtentRef, WriteBatch};
use crate::types::{ColumnId, TableId};

/// The version that this release writes.
pub const GROUP_PAGE_VERSION: u16 = 1;
const MAGIC: &[u8; 4] = b"QGRP";
const FLAG_DELETIONS: u32 = 1;

/// Segments up to this size live in the group page.
pub const INLINE_BYTES_MAX: usize = 512;
/// Segments below this size share an extent with others of their group.
pub const SHARED_BYTES_MAX: usize = 8 * 4096;
/// A shared extent is closed when it has grown to this size.
const SHARED_EXTENT_BYTES: usize = 4 << 20;
/// Where segments begin within an extent.
const SEGMENT_ALIGNMENT: usize = 64;

/// What a group page describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum GroupKind {
    /// Rows of a node table.
    Nodes = 1,
    /// Rows of a relationship table.
    Relationships = 2,
    /// Adjacency from source nodes.
    Forward = 3,
    /// Adjacency from destination nodes.
    Backward = 4,
}

/// A decoded group page. Its locations name extents by their index.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupPage {
    pub kind: GroupKind,
    pub table: TableId,
    /// offset >> 16 of the rows or nodes.
    pub group: u32,
    /// Rows, or nodes that the runs span.
    pub row_count: u32,
    /// Everything that the locations refer to.
    pub extents: Vec<ExtentRef>,
    /// One bit per row, set where the row is deleted.
    pub deletions: Option<Location>,
    /// Sorted by id; a column without values has no entry.
    pub columns: Vec<(ColumnId, Chunk<Location>)>,
    /// Adjacency runs, oldest first.
    pub runs: Vec<RunDescriptor<Location>>,
}

impl GroupPage {
    /// The page of a group that has nothing yet.
    pub fn empty(kind: GroupKind, table: TableId, group: u32) -> GroupPage {
        GroupPage {
            kind,
            table,
            group,
            row_count: 0,
            extents: Vec::new(),
            deletions: None,
            columns: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// The bytes of the page.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = ByteWriter::default();
        out.bytes.extend_from_slice(MAGIC);
        out.u16(GROUP_PAGE_VERSION);
        out.u16(self.kind as u16);
        out.u32(self.table.0);
        out.u32(self.group);
        out.u32(self.row_count);
        out.u32(if self.deletions.is_some() { FLAG_DELETIONS } else { 0 });
        out.u32(self.extents.len() as u32);
        out.u32((self.columns.len() + self.runs.len()) as u32);
        self.extents.iter().for_each(|extent| out.bytes.extend_from_slice(&extent.encode()));
        if let Some(location) = &self.deletions {
            location.encode(&mut out);
        }
        for (column, chunk) in &self.columns {
            out.u32(column.0);
            chunk.encode(&mut out);
        }
        self.runs.iter().for_each(|run| run.encode(&mut out));
        out.bytes
    }

    /// The inverse of `encode`.
    pub fn decode(bytes: &[u8]) -> Damaged<GroupPage> {
        let mut input = ByteReader::new(bytes);
        if input.array::<4>()? != MAGIC {
            return Err(Damage("not a group page"));
        }
        if input.u16()? != GROUP_PAGE_VERSION {
            return Err(Damage("group page of an unknown version"));
        }
        let kind = match input.u16()? {
            1 => GroupKind::Nodes,
            2 => GroupKind::Relationships,
            3 => GroupKind::Forward,
            4 => GroupKind::Backward,
            _ => return Err(Damage("group page of an unknown kind")),
        };
        let (table, group, row_count) = (TableId(input.u32()?), input.u32()?, input.u32()?);
        let (flags, extent_count, entry_count) = (input.u32()?, input.u32()?, input.u32()?);
        let mut extents = Vec::new();
        for _ in 0..extent_count {
            extents.push(ExtentRef::decode(input.array()?));
        }
        let deletions = if flags & FLAG_DELETIONS != 0 { Some(Location::decode(&mut input)?) } else { None };
        let (mut columns, mut runs) = (Vec::new(), Vec::new());
        for _ in 0..entry_count {
            match kind {
                GroupKind::Nodes | GroupKind::Relationships => {
                    columns.push((ColumnId(input.u32()?), Chunk::decode(&mut input)?));
                }
                GroupKind::Forward | GroupKind::Backward => runs.push(RunDescriptor::decode(&mut input)?),
            }
        }
        if row_count > crate::types::NODE_GROUP_ROWS as u32 {
            return Err(Damage("group has more rows than a group spans"));
        }
        if columns.iter().any(|(_, chunk)| chunk.row_count != row_count) {
            return Err(Damage("a chunk and its group differ in rows"));
        }
        if columns.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Damage("columns of a group are out of order"));
        }
        Ok(GroupPage { kind, table, group, row_count, extents, deletions, columns, runs })
    }
}

/// Something that makes extents of bytes: a batch of the page file, or memory in tests.
pub trait ExtentSink: Sync {
    /// Writes bytes as one extent.
    fn write_extent(&self, bytes: &[u8]) -> StorageResult<ExtentRef>;
}

impl ExtentSink for WriteBatch {
    fn write_extent(&self, bytes: &[u8]) -> StorageResult<ExtentRef> {
        WriteBatch::write_extent(self, bytes)
    }
}

/// Finds a place for each segment of a group: inline, in a shared extent or in one of its own.
pub struct SegmentPlacer<'s> {
    sink: &'s dyn ExtentSink,
    /// The extents of the group; the shared ones are filled in when they are written.
    pub extents: Vec<ExtentRef>,
    shared: Option<(u32, Vec<u8>)>,
}

impl<'s> SegmentPlacer<'s> {
    /// A placer for a group that has these extents already.
    pub fn new(sink: &'s dyn ExtentSink, extents: Vec<ExtentRef>) -> Self {
        SegmentPlacer { sink, extents, shared: None }
    }

    /// Places one segment.
    pub fn place(&mut self, bytes: Vec<u8>) -> StorageResult<Location> {
        let length = bytes.len() as u32;
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Location::Inline(bytes));
        }
        if bytes.len() >= SHARED_BYTES_MAX {
            let index = self.extents.len() as u32;
            self.extents.push(self.sink.write_extent(&bytes)?);
            return Ok(Location::Extent { index, offset: 0, length });
        }
        if self.shared.as_ref().is_some_and(|(_, shared)| shared.len() > SHARED_EXTENT_BYTES) {
            self.write_shared()?;
        }
        let extents = &mut self.extents;
        let (index, shared) = self.shared.get_or_insert_with(|| {
            extents.push(ExtentRef::default());
            (extents.len() as u32 - 1, Vec::new())
        });
        shared.resize(shared.len().next_multiple_of(SEGMENT_ALIGNMENT), 0);
        let offset = shared.len() as u32;
        shared.extend_from_slice(&bytes);
        Ok(Location::Extent { index: *index, offset, length })
    }

    /// Places several parts one after the other in an extent of their own, however small, unless all fit inline.
    pub fn place_together(&mut self, parts: &[&[u8]]) -> StorageResult<Vec<Location>> {
        let total: usize = parts.iter().map(|part| part.len().next_multiple_of(SEGMENT_ALIGNMENT)).sum();
        if total < SHARED_BYTES_MAX || u32::try_from(total).is_err() || total as u64 > EXTENT_BYTES_MAX {
            return parts.iter().map(|part| self.place(part.to_vec())).collect();
        }
        let index = self.extents.len() as u32;
        let (mut bytes, mut locations) = (Vec::with_capacity(total), Vec::with_capacity(parts.len()));
        for part in parts {
            bytes.resize(bytes.len().next_multiple_of(SEGMENT_ALIGNMENT), 0);
            let (offset, length) = (bytes.len() as u32, part.len() as u32);
            bytes.extend_from_slice(part);
            locations.push(match part.len() {
                0 => Location::Inline(Vec::new()),
                _ => Location::Extent { index, offset, length },
            });
        }
        self.extents.push(self.sink.write_extent(&bytes)?);
        Ok(locations)
    }

    fn write_shared(&mut self) -> StorageResult<()> {
        if let Some((index, bytes)) = self.shared.take() {
            let extent = self.sink.write_extent(&bytes)?;
            if let Some(slot) = self.extents.get_mut(index as usize) {
                *slot = extent;
            }
        }
        Ok(())
    }

    /// Writes what is still open and gives the extents.
    pub fn finish(mut self) -> StorageResult<Vec<ExtentRef>> {
        self.write_shared()?;
        Ok(self.extents)
    }
}

/// Bytes that one extent holds at most.
const EXTENT_BYTES_MAX: u64 = crate::storage::page::REGION_PAGES * crate::storage::page::PAGE_SIZE as u64;
