//! The adjacency of one group of nodes in one direction. A group of one plain run is read as it lies; several runs,
//! and runs that list only some nodes, are merged once into memory and read from there in the same way.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::csr_run::{RunDescriptor, RunIds};
use super::group_page::{GroupKind, GroupPage};
use super::list_overlay::ListOverlay;
use super::node_table::resolve;
use crate::storage::buffer_pool::{
    Admission, BufferPool, Cursor, SegmentGuard, SegmentOwner, SegmentRef, as_bytes, try_bytes_as,
};
use crate::storage::column::Encoding;
use crate::storage::column::bytes::{DATA_FILE, Damage, Damaged};
use crate::storage::column::chunk_reader::{ChunkError, ChunkResult, Lender};
use crate::storage::column::encoding::{bit_packing, fixed};
use crate::storage::delta::{AdjacencyDelta, Entry};
use crate::storage::page::{ExtentRef, PageId};
use crate::storage::{StorageError, StorageResult};
use crate::types::{NODE_GROUP_ROWS, TableId};

/// A run whose bytes can be read.
pub type CsrRun = RunDescriptor<SegmentRef>;

/// Small runs touch few nodes if fewer than one in so many.
const FEW_NODES: u64 = 8;

/// Entries that one call lends at most.
pub const PIECE_ENTRIES: usize = 16 * 1024;

/// The lists of one group of nodes.
pub struct CsrGroup {
    index: u64,
    node_count: u32,
    runs: Vec<CsrRun>,
    merged: OnceLock<CsrRun>,
    /// The first run alone, and the others as changes of it.
    parts: OnceLock<(Arc<CsrGroup>, Arc<AdjacencyDelta>)>,
    /// What levels and small runs change; `lists` are those of the group below then.
    overlay: Option<ListOverlay>,
    pool: BufferPool,
    owner: Arc<SegmentOwner>,
    page: PageId,
}

impl CsrGroup {
    /// A group without edges.
    pub(super) fn empty(index: u64, table: &str, pool: &BufferPool) -> CsrGroup {
        CsrGroup {
            index,
            node_count: 0,
            runs: Vec::new(),
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: None,
            pool: pool.clone(),
            owner: SegmentOwner::new(DATA_FILE, table, "adjacency"),
            page: PageId(0),
        }
    }

    /// The group `base` as it is when `levels`, oldest first, are over `below`, which is the base or a part of it.
    /// `loops` says whether both ends are in one table.
    pub(super) fn over(
        (base, below): (&Arc<CsrGroup>, &Arc<CsrGroup>),
        levels: Vec<Arc<AdjacencyDelta>>,
        loops: bool,
    ) -> CsrGroup {
        let overlay = ListOverlay::new(Arc::clone(below), levels, loops);
        CsrGroup {
            index: base.index,
            node_count: base.node_count.max(overlay.touched().bound()),
            runs: base.runs.clone(),
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: Some(overlay),
            pool: base.pool.clone(),
            owner: Arc::clone(&base.owner),
            page: base.page,
        }
    }

    /// Whether levels change lists of the group.
    pub fn has_levels(&self) -> bool {
        self.overlay.is_some()
    }

    /// Lists of touched nodes that were put together so far.
    pub fn merged_lists(&self) -> u64 {
        self.overlay.as_ref().map_or(0, ListOverlay::merged_lists)
    }

    pub(super) fn overlay(&self) -> Option<&ListOverlay> {
        self.overlay.as_ref()
    }

    /// Whether a level may have changed the list of a node.
    #[inline]
    fn touches(&self, node: u32) -> Option<(&ListOverlay, u16)> {
        let overlay = self.overlay.as_ref()?;
        let node = u16::try_from(node).ok()?;
        overlay.touched().contains(node).then_some((overlay, node))
    }

    /// Decodes a group page of adjacency.
    pub(super) fn decode(
        (id, table): (TableId, &str),
        kind: GroupKind,
        group: u64,
        extent: &ExtentRef,
        bytes: &[u8],
        pool: &BufferPool,
    ) -> StorageResult<CsrGroup> {
        let part = if kind == GroupKind::Forward { "forward" } else { "backward" };
        let owner = SegmentOwner::new(DATA_FILE, table, part);
        let damaged =
            |damage: Damage| damage.at(&format!("{}, group {group}", owner.what()), extent.first_page);
        let page = GroupPage::decode(bytes).map_err(damaged)?;
        if page.kind != kind || page.table != id || u64::from(page.group) != group {
            return Err(damaged(Damage("the page belongs to another group")));
        }
        let mut runs = Vec::with_capacity(page.runs.len());
        for run in page.runs {
            if run.wide {
                return Err(damaged(Damage("neighbours of 64 bits, which this release does not read")));
            }
            runs.push(run.try_map(&mut |location| resolve(location, &page.extents, &owner))?);
        }
        let group = CsrGroup {
            index: group,
            node_count: page.row_count,
            runs,
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: None,
            pool: pool.clone(),
            page: extent.first_page,
            owner: owner.clone(),
        };
        group.runs.iter().try_for_each(|run| group.check_run(run))?;
        Ok(group)
    }

    /// The parts of a run are as long as its counts say.
    fn check_run(&self, run: &CsrRun) -> StorageResult<()> {
        let entries = u64::from(run.entry_count);
        let ids = match &run.ids {
            RunIds::Implied { .. } => true,
            RunIds::Stored { encoding: Encoding::BitPacked { width, .. }, bytes, .. } => {
                bytes.len() == bit_packing::packed_bytes(run.entry_count as usize, *width) as u64
            }
            RunIds::Stored { bytes, .. } => bytes.len() == entries * 4,
        };
        let nodes = run.nodes.as_ref().is_none_or(|nodes| nodes.len() == u64::from(run.node_count) * 2);
        let signs = run.signs.as_ref().is_none_or(|signs| signs.len() == entries.div_ceil(64) * 8);
        let offsets = run.offsets.len() == (u64::from(run.node_count) + 1) * 4;
        if ids && nodes && signs && offsets && run.neighbours.len() == entries * 4 {
            return Ok(());
        }
        Err(self.error(Damage("the parts of an adjacency run differ in length")))
    }

    /// The number of the group.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The first node.
    pub fn first_node(&self) -> u64 {
        self.index * NODE_GROUP_ROWS
    }

    /// Nodes from the first on that can have edges.
    pub fn node_count(&self) -> u32 {
        self.node_count
    }

    /// The runs on pages, oldest first.
    pub fn runs(&self) -> &[CsrRun] {
        &self.runs
    }

    /// Whether there are runs over a large one that touch so few nodes that their lists are put together one by one.
    pub(super) fn has_few_changes(&self) -> bool {
        let [large, small @ ..] = self.runs.as_slice() else { return false };
        let touched: u64 = small.iter().map(|run| u64::from(run.touched_nodes)).sum();
        let whole = large.nodes.is_none() && large.signs.is_none();
        whole
            && !small.is_empty()
            && self.overlay.is_none()
            && touched * FEW_NODES < u64::from(self.node_count)
    }

    /// The first run alone, and the others as changes of it; read at the first call.
    pub(super) fn large_and_small(&self) -> StorageResult<(&Arc<CsrGroup>, &Arc<AdjacencyDelta>)> {
        if let Some((large, small)) = self.parts.get() {
            return Ok((large, small));
        }
        let mut small = AdjacencyDelta::default();
        for run in self.runs.iter().skip(1) {
            let entry = |(node, neighbour, id, sign): (u32, u32, u64, i32)| {
                let damaged = || self.error(Damage("a run lists a node that its group does not have"));
                let node = u16::try_from(node).map_err(|_| damaged())?;
                StorageResult::Ok(Entry { node, neighbour, id, removed: sign < 0 })
            };
            let entries: Vec<Entry> =
                self.entries_of(run)?.into_iter().map(entry).collect::<StorageResult<_>>()?;
            small.add(self.first_node(), &entries);
        }
        let large = CsrGroup {
            index: self.index,
            node_count: self.node_count,
            runs: self.runs.iter().take(1).cloned().collect(),
            merged: OnceLock::new(),
            parts: OnceLock::new(),
            overlay: None,
            pool: self.pool.clone(),
            owner: Arc::clone(&self.owner),
            page: self.page,
        };
        let (large, small) = self.parts.get_or_init(|| (Arc::new(large), Arc::new(small)));
        Ok((large, small))
    }

    /// At least the length of the longest list.
    pub fn max_degree(&self) -> u64 {
        match &self.overlay {
            Some(overlay) => overlay.base().max_degree() + overlay.longest_growth(),
            None => self.runs.iter().map(|run| u64::from(run.max_degree)).sum(),
        }
    }

    /// Edges of the group: exact, since what is taken away counts down.
    pub fn entry_count(&self) -> StorageResult<u64> {
        if let Some(overlay) = &self.overlay {
            return Ok(overlay.base().entry_count()?.saturating_add_signed(overlay.entries()));
        }
        if self.runs.iter().all(|run| run.signs.is_none()) {
            return Ok(self.runs.iter().map(|run| u64::from(run.entry_count)).sum());
        }
        Ok(u64::from(self.lists()?.entry_count))
    }

    /// Edges from a node to itself, where both ends are in one table.
    pub fn self_loops(&self) -> StorageResult<u64> {
        if let Some(overlay) = &self.overlay {
            return Ok(overlay.base().self_loops()?.saturating_add_signed(overlay.self_loops()));
        }
        if self.runs.iter().all(|run| run.signs.is_none()) {
            return Ok(self.runs.iter().map(|run| u64::from(run.self_loops)).sum());
        }
        Ok(u64::from(self.lists()?.self_loops))
    }

    /// The one plain run of the group, if that is all there is.
    pub fn borrowed(&self) -> Option<&CsrRun> {
        match self.runs.as_slice() {
            [run] if run.nodes.is_none() && run.signs.is_none() && self.overlay.is_none() => Some(run),
            _ => None,
        }
    }

    /// One run with a list for each node of the group: as it lies, or merged at the first call. Levels are not in
    /// it: it serves for nodes that none touches.
    pub(super) fn lists(&self) -> StorageResult<&CsrRun> {
        if let Some(overlay) = &self.overlay {
            return overlay.base().lists();
        }
        if let Some(run) = self.borrowed().or_else(|| self.merged.get()) {
            return Ok(run);
        }
        let merged = self.merge().map_err(|error| self.chunk_error(error))?;
        Ok(self.merged.get_or_init(|| merged))
    }

    /// An error of reading this group.
    pub fn error(&self, damage: Damage) -> StorageError {
        damage.at(&format!("{}, group {}", self.owner.what(), self.index), self.page)
    }

    fn chunk_error(&self, error: ChunkError) -> StorageError {
        match error {
            ChunkError::Storage(error) => error,
            ChunkError::Damage(damage) => self.error(damage),
        }
    }

    /// The entries of one of the group's runs: node counted from the first, neighbour, relationship, and whether the
    /// edge came (+1) or went (-1).
    pub(super) fn entries_of(&self, run: &CsrRun) -> StorageResult<Vec<(u32, u32, u64, i32)>> {
        let lender = Lender { pool: self.pool.clone(), admission: Admission::Private };
        let mut entries = Vec::with_capacity(run.entry_count as usize);
        read_entries(run, &lender, &mut entries).map_err(|error| self.chunk_error(error))?;
        Ok(entries)
    }

    fn merge(&self) -> ChunkResult<CsrRun> {
        let lender = Lender { pool: self.pool.clone(), admission: Admission::Private };
        let mut entries: Vec<(u32, u32, u64, i32)> = Vec::new();
        for run in &self.runs {
            read_entries(run, &lender, &mut entries)?;
        }
        // The runs are sorted each, which a stable sort makes use of.
        entries.sort();
        let first_node = self.first_node();
        let mut merged = MergedLists::default();
        let mut at = 0;
        let mut node = 0u32;
        merged.offsets.push(0);
        for same in entries.chunk_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2)) {
            let (of, neighbour, id, _) = same[0];
            while node < of {
                merged.offsets.push(at);
                node += 1;
            }
            if same.iter().map(|entry| entry.3).sum::<i32>() > 0 {
                merged.neighbours.push(neighbour);
                merged.ids.push(id);
                merged.self_loops += u32::from(first_node + u64::from(of) == u64::from(neighbour));
                at += 1;
            }
        }
        merged.offsets.resize(self.node_count as usize + 1, at);
        if self.runs.iter().all(|run| run.self_loops == 0) {
            // Ends in two tables never meet, whatever their offsets.
            merged.self_loops = 0;
        }
        merged.into_run(self.node_count)
    }

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
        let run = self.lists()?;
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
        let run = self.lists()?;
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
        let run = self.lists()?;
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
        cursor.prefetch(&self.lists()?.offsets, u64::from(node) * 4);
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

#[derive(Default)]
struct MergedLists {
    offsets: Vec<u32>,
    neighbours: Vec<u32>,
    ids: Vec<u64>,
    self_loops: u32,
}

impl MergedLists {
    fn into_run(self, node_count: u32) -> ChunkResult<CsrRun> {
        let base = self.ids.iter().copied().min().unwrap_or(0);
        let mut distances = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            let distance = u32::try_from(id - base);
            distances.push(distance.map_err(|_| Damage("relationship ids of a group lie too far apart"))?);
        }
        let lengths = self.offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let (max_degree, touched_nodes) = lengths.fold((0, 0), |(max, touched): (u32, u32), length| {
            (max.max(length), touched + u32::from(length > 0))
        });
        let plain = |values: &[u32]| SegmentRef::inline(as_bytes(values));
        Ok(RunDescriptor {
            entry_count: self.neighbours.len() as u32,
            node_count,
            self_loops: self.self_loops,
            max_degree,
            touched_nodes,
            nodes: None,
            offsets: plain(&self.offsets),
            neighbours: plain(&self.neighbours),
            wide: false,
            ids: RunIds::Stored { base, encoding: Encoding::Plain, bytes: plain(&distances) },
            signs: None,
        })
    }
}

/// Appends (node, neighbour, id, sign) of all entries of a run.
fn read_entries(run: &CsrRun, lender: &Lender, out: &mut Vec<(u32, u32, u64, i32)>) -> ChunkResult<()> {
    let whole = |segment: &SegmentRef| lender.lend(segment, 0..segment.len() as usize);
    let damaged = Damage("an adjacency run is not aligned");
    let (offsets, neighbours) = (whole(&run.offsets)?, whole(&run.neighbours)?);
    let neighbours: &[u32] = try_bytes_as(&neighbours).ok_or(damaged)?;
    let nodes = run.nodes.as_ref().map(whole).transpose()?;
    let nodes: Option<&[u16]> =
        nodes.as_deref().map(|bytes| try_bytes_as(bytes).ok_or(damaged)).transpose()?;
    let signs = run.signs.as_ref().map(whole).transpose()?;
    let count = run.entry_count as usize;
    let mut distances: Vec<u64> = Vec::new();
    let base = match &run.ids {
        RunIds::Implied { first } => {
            distances.extend(0..u64::from(run.entry_count));
            *first
        }
        RunIds::Stored { base, encoding, bytes } => {
            let bytes = whole(bytes)?;
            match encoding {
                Encoding::BitPacked { width, .. } => {
                    fixed::unpack(&bytes, 0, count, *width, 0..count, &mut distances, |distance| distance)?;
                }
                _ => distances
                    .extend(try_bytes_as::<u32>(&bytes).ok_or(damaged)?.iter().map(|id| u64::from(*id))),
            }
            *base
        }
    };
    for list in 0..run.node_count as usize {
        let (start, end) = bounds(&offsets, list)?;
        let node = nodes.map_or(Some(list as u32), |nodes| nodes.get(list).map(|node| u32::from(*node)));
        let node = node.ok_or(damaged)?;
        for entry in start as usize..end as usize {
            let taken_away = signs
                .as_deref()
                .is_some_and(|signs| signs.get(entry / 8).is_some_and(|byte| byte >> (entry % 8) & 1 == 1));
            let far = *neighbours.get(entry).ok_or(Damage("a list lies behind the end of its run"))?;
            let id = distances.get(entry).ok_or(damaged)?;
            out.push((node, far, base.wrapping_add(*id), if taken_away { -1 } else { 1 }));
        }
    }
    Ok(())
}
