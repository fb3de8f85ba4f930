//! Reading the lists of a group: as they lie in its one run, or as changes make them.

use std::ops::Range;

use super::csr_group::{CsrGroup, PIECE_ENTRIES};
use super::csr_run::RunIds;
use super::list_overlay::ListOverlay;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, Cursor, SegmentGuard, try_bytes_as};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::{Damage, Damaged};
use crate::storage::column::encoding::{bit_packing, fixed};

impl CsrGroup {
    /// Neighbours `start..start + length` of the group's entries; at most `PIECE_ENTRIES` of them.
    pub fn neighbours<'c>(
        &'c self,
        start: u64,
        length: usize,
        cursor: &'c mut Cursor<'_>,
    ) -> StorageResult<&'c [u32]> {
        if let (Some(overlay), Some((node, at))) = (&self.overlay, ListOverlay::place(start)) {
            let list = &overlay.list(node, cursor)?.neighbours;
            let piece = list.get(at..at + length.min(PIECE_ENTRIES));
            return piece.ok_or_else(|| self.error(Damage("entries behind the end of a list")));
        }
        let run = self.lists_beside(cursor)?;
        let length = length.min(PIECE_ENTRIES) as u64;
        let bytes = cursor.bytes(&run.neighbours, start * 4..(start + length) * 4)?;
        try_bytes_as(bytes).ok_or_else(|| self.error(Damage("neighbours are not aligned")))
    }

    /// Appends the relationship ids of entries `start..start + length`.
    pub fn ids(
        &self,
        start: u64,
        length: usize,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u64>,
    ) -> StorageResult<()> {
        if let (Some(overlay), Some((node, at))) = (&self.overlay, ListOverlay::place(start)) {
            let piece = overlay.list(node, cursor)?.ids.get(at..at + length);
            out.extend_from_slice(
                piece.ok_or_else(|| self.error(Damage("entries behind the end of a list")))?,
            );
            return Ok(());
        }
        let run = self.lists_beside(cursor)?;
        let (start, end) = (start as usize, start as usize + length);
        if end > run.entry_count as usize {
            return Err(self.error(Damage("entries behind the end of an adjacency run")));
        }
        match &run.ids {
            RunIds::Implied { first } => out.extend((start..end).map(|entry| first + entry as u64)),
            RunIds::Stored { base, encoding: Encoding::BitPacked { width, .. }, bytes } => {
                let base = *base;
                // A short list is read value by value, a long one block by block.
                if length < 10 {
                    for entry in start..end {
                        let distance = match width {
                            0 => 0,
                            width => {
                                let range = bit_packing::value_range(*width, entry);
                                let found = cursor.bytes(bytes, range.start as u64..range.end as u64)?;
                                bit_packing::get_in_range(found, *width, entry)
                                    .map_err(|damage| self.error(damage))?
                            }
                        };
                        out.push(base + distance);
                    }
                    return Ok(());
                }
                let mut at = start;
                while at < end {
                    let to = end.min(at / PIECE_ENTRIES * PIECE_ENTRIES + PIECE_ENTRIES);
                    let count = run.entry_count as usize;
                    let encoding = Encoding::BitPacked { base: 0, width: *width };
                    let (first, range) = fixed::byte_range(&encoding, 8, count, &(at..to));
                    let found = cursor.bytes(bytes, range.start as u64..range.end as u64)?;
                    fixed::unpack(found, first, count, *width, at..to, out, move |distance| {
                        base.wrapping_add(distance)
                    })
                    .map_err(|damage| self.error(damage))?;
                    at = to;
                }
            }
            RunIds::Stored { base, bytes, .. } => {
                for at in (start..end).step_by(PIECE_ENTRIES) {
                    let to = end.min(at + PIECE_ENTRIES);
                    let found = cursor.bytes(bytes, at as u64 * 4..to as u64 * 4)?;
                    let distances: &[u32] =
                        try_bytes_as(found).ok_or_else(|| self.error(Damage("ids are not aligned")))?;
                    out.extend(distances.iter().map(|distance| base + u64::from(*distance)));
                }
            }
        }
        Ok(())
    }

    /// Position and length of the list of a node of the group (counted from the group's first).
    pub fn list(&self, node: u32, cursor: &mut Cursor<'_>) -> StorageResult<(u64, u32)> {
        if let Some((overlay, node)) = self.touches(node) {
            let list = overlay.list(node, cursor)?;
            return Ok((ListOverlay::position(node), list.neighbours.len() as u32));
        }
        let run = self.lists_beside(cursor)?;
        if node >= run.node_count {
            return Ok((0, 0));
        }
        let at = u64::from(node) * 4;
        let bytes = cursor.bytes(&run.offsets, at..at + 8)?;
        let (start, end) = bounds(bytes, 0).map_err(|damage| self.error(damage))?;
        Ok((u64::from(start), end - start))
    }

    /// Whether a position that `list` gave is that of a list put together from changes.
    #[inline]
    pub fn is_changed(position: u64) -> bool {
        ListOverlay::place(position).is_some()
    }

    /// Begins to fetch what `list` will read of a node.
    #[inline]
    pub fn prefetch(&self, node: u32, cursor: &mut Cursor<'_>) -> StorageResult<()> {
        let run = self.lists_beside(cursor)?;
        cursor.prefetch(&run.offsets, u64::from(node) * 4);
        Ok(())
    }

    /// Whether a node has an edge to `far`.
    pub(super) fn contains_edge(&self, node: u32, far: u32, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        match self.touches(node) {
            Some((overlay, node)) => overlay.contains(node, far, cursor),
            None => Ok(self.find_edge(node, far, cursor)?.is_some()),
        }
    }

    /// Whether a node has an edge to `far`: the first such entry's position if it has.
    pub(super) fn find_edge(
        &self,
        node: u32,
        far: u32,
        cursor: &mut Cursor<'_>,
    ) -> StorageResult<Option<u64>> {
        if let Some((overlay, touched)) = self.touches(node)
            && !overlay.contains(touched, far, cursor)?
        {
            return Ok(None);
        }
        let (start, length) = self.list(node, cursor)?;
        self.find(start, start + u64::from(length), far, cursor)
    }

    /// The position of the first entry to `far` among those of one list.
    pub(super) fn find(
        &self,
        start: u64,
        end: u64,
        far: u32,
        cursor: &mut Cursor<'_>,
    ) -> StorageResult<Option<u64>> {
        let (mut low, mut high) = (start, end);
        // Lists are sorted: halve until one piece can be lent, then search it.
        while high - low > 1024 {
            let middle = low + (high - low) / 2;
            match self.neighbours(middle, 1, cursor)?.first() {
                Some(found) if *found < far => low = middle + 1,
                _ => high = middle + 1,
            }
        }
        let piece = self.neighbours(low, (high - low) as usize, cursor)?;
        let at = piece.partition_point(|found| *found < far);
        Ok((piece.get(at) == Some(&far)).then_some(low + at as u64))
    }

    /// The bounds of the lists of nodes `nodes`: one more than there are nodes, each list as long as the next bound
    /// is further. Nodes behind the last that the group knows are left out.
    pub fn bounds(&self, nodes: Range<u32>) -> StorageResult<ListBounds> {
        let run = self.lists()?;
        let range = nodes.start as usize..nodes.end as usize;
        let touched = self.overlay.as_ref().filter(|overlay| overlay.touched().touches(&range));
        let end = nodes.end.min(run.node_count);
        let lent = match nodes.start < end {
            true => {
                let bytes = u64::from(nodes.start) * 4..(u64::from(end) + 1) * 4;
                Some(self.pool.lend(&run.offsets, bytes, Admission::ReadAhead)?)
            }
            false => None,
        };
        let Some(overlay) = touched else { return Ok(ListBounds { lent, made: Vec::new() }) };
        let end = nodes.end.min(self.node_count).max(nodes.start);
        let mut lengths = vec![0u32; (end - nodes.start) as usize];
        if let Some(bytes) = &lent {
            let offsets: &[u32] =
                try_bytes_as(bytes).ok_or_else(|| self.error(Damage("adjacency offsets are not aligned")))?;
            let known = offsets.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
            lengths.iter_mut().zip(known).for_each(|(length, known)| *length = known);
        }
        overlay.correct_lengths(nodes.start, &mut lengths);
        let (mut made, mut bound) = (Vec::with_capacity(lengths.len() + 1), 0u32);
        made.push(bound);
        for length in lengths {
            bound = bound.wrapping_add(length);
            made.push(bound);
        }
        Ok(ListBounds { lent: None, made })
    }
}

/// The bounds of some lists, as they lie on their pages or as levels make them.
pub struct ListBounds {
    lent: Option<SegmentGuard>,
    made: Vec<u32>,
}

impl ListBounds {
    /// One bound more than there are lists; empty where there are none.
    pub fn as_slice(&self) -> &[u32] {
        match &self.lent {
            Some(bytes) => try_bytes_as(bytes).unwrap_or_default(),
            None => &self.made,
        }
    }
}

/// Start and end of list `list` of an array of offsets.
pub(super) fn bounds(offsets: &[u8], list: usize) -> Damaged<(u32, u32)> {
    let pair = offsets.get(list * 4..).and_then(|rest| rest.first_chunk::<8>());
    let pair = u64::from_le_bytes(*pair.ok_or(Damage("adjacency offsets are cut short"))?);
    let (start, end) = (pair as u32, (pair >> 32) as u32);
    if start > end { Err(Damage("adjacency offsets do not rise")) } else { Ok((start, end)) }
}
