//! The rows of one table in one version of the database: groups of column chunks, read when they are first asked
//! for. Node tables and the rows of relationship tables are the same thing here.

use std::sync::{Arc, OnceLock};

use super::group_levels::GroupLevels;
use super::group_page::GroupPage;
use super::patch_segment;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, BufferPool, PoolWorker, SegmentOwner, SegmentRef};
use crate::storage::column::bytes::{DATA_FILE, Damage};
use crate::storage::column::chunk::{Chunk, ChunkNulls, Location};
use crate::storage::column::chunk_reader::{ChunkError, Lender};
use crate::storage::delta::{PatchPart, TableDelta};
use crate::storage::directory::IndexTree;
use crate::storage::page::{ExtentRef, PageId};
use crate::storage::state::Snapshot;
use crate::types::{ColumnId, DataType, NODE_GROUP_ROWS, TableId};
use crate::vector::VectorBuffer;

/// Where a table's group pages are: the engine's directory, or memory in tests.
pub trait GroupPages: Send + Sync {
    /// Group numbers are below this.
    fn group_count(&self) -> u64;
    /// The place and the bytes of a group page; none where the group has no page.
    fn read_page(&self, group: u64) -> StorageResult<Option<(ExtentRef, Vec<u8>)>>;
}

/// What storage needs to know of a table's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLayout {
    pub id: TableId,
    /// For messages.
    pub name: String,
    pub columns: Vec<ColumnLayout>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnLayout {
    pub id: ColumnId,
    /// For messages.
    pub name: String,
    pub data_type: DataType,
}

impl TableLayout {
    /// The column with an id.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnLayout> {
        self.columns.iter().find(|column| column.id == id)
    }
}

/// A chunk that can be read.
pub struct ColumnChunk {
    /// Segments, nulls and statistics.
    pub chunk: Chunk<SegmentRef>,
    /// Names the column in messages.
    pub owner: Arc<SegmentOwner>,
    /// The page of the group, for messages.
    page: PageId,
    /// The new values beside the segments, once somebody has asked for them.
    patch: OnceLock<Arc<PatchPart>>,
}

impl ColumnChunk {
    /// Whether there are new values beside the segments: then these are not all there is.
    pub fn is_patched(&self) -> bool {
        self.chunk.patch.is_some()
    }

    /// The new values of a column of that type beside the segments, read and checked at the first call.
    pub(super) fn patch(
        &self,
        data_type: &DataType,
        pool: &BufferPool,
    ) -> StorageResult<Option<&Arc<PatchPart>>> {
        let Some(segment) = &self.chunk.patch else { return Ok(None) };
        if let Some(known) = self.patch.get() {
            return Ok(Some(known));
        }
        if data_type.physical() != self.chunk.physical {
            return Err(self.error(Damage("a chunk holds values of another type").into()));
        }
        let bytes = pool.lend(segment, 0..segment.len(), Admission::Private)?;
        let part = patch_segment::decode_patch(&bytes, data_type, self.chunk.row_count);
        let part = part.map_err(|damage| self.error(damage.into()))?;
        Ok(Some(self.patch.get_or_init(|| Arc::new(part))))
    }

    /// An error of reading this chunk, with its place.
    pub fn error(&self, error: ChunkError) -> crate::storage::StorageError {
        match error {
            ChunkError::Storage(error) => error,
            ChunkError::Damage(damage) => damage.at(self.owner.what(), self.page),
        }
    }

    /// Bytes of all segments.
    pub fn byte_length(&self) -> u64 {
        byte_length(&self.chunk)
    }
}

fn byte_length(chunk: &Chunk<SegmentRef>) -> u64 {
    let nulls = match &chunk.nulls {
        ChunkNulls::Bitmap(segment) => segment.len(),
        _ => 0,
    };
    let own: u64 = chunk.segments.iter().map(|segment| segment.bytes.len()).sum();
    let patch = chunk.patch.as_ref().map_or(0, SegmentRef::len);
    nulls + own + patch + chunk.children.iter().map(|child| byte_length(&child.chunk)).sum::<u64>()
}

/// The rows of one group.
pub struct NodeGroup {
    index: u64,
    rows: u32,
    deletions: Option<SegmentRef>,
    chunks: Vec<(ColumnId, ColumnChunk)>,
    page: PageId,
}

impl NodeGroup {
    /// Decodes a group page.
    pub fn decode(
        layout: &TableLayout,
        group: u64,
        extent: &ExtentRef,
        bytes: &[u8],
    ) -> StorageResult<NodeGroup> {
        let what = || format!("group {group} of table {}", layout.name);
        let damaged = |damage: Damage| damage.at(&what(), extent.first_page);
        let page = GroupPage::decode(bytes).map_err(damaged)?;
        if page.table != layout.id || u64::from(page.group) != group {
            return Err(damaged(Damage("the page belongs to another group")));
        }
        let resolve = |location: Location, owner: &Arc<SegmentOwner>| resolve(location, &page.extents, owner);
        let mut chunks = Vec::with_capacity(page.columns.len());
        for (id, chunk) in page.columns {
            let name = layout.column(id).map_or_else(|| format!("#{id}"), |column| column.name.clone());
            let owner = SegmentOwner::new(DATA_FILE, &layout.name, &name);
            if chunk.children.iter().any(|child| child.chunk.has_patch()) {
                return Err(damaged(Damage("a patch of a part of a chunk")));
            }
            if chunk.row_count != page.row_count {
                return Err(damaged(Damage("a chunk has another number of rows than its group")));
            }
            let chunk = chunk.try_map(&mut |location| resolve(location, &owner))?;
            let (page, patch) = (extent.first_page, OnceLock::new());
            chunks.push((id, ColumnChunk { chunk, owner, page, patch }));
        }
        let owner = SegmentOwner::new(DATA_FILE, &layout.name, "deletions");
        let deletions = page.deletions.map(|location| resolve(location, &owner)).transpose()?;
        Ok(NodeGroup { index: group, rows: page.row_count, deletions, chunks, page: extent.first_page })
    }

    /// The number of the group.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The offset of the first row.
    pub fn first_offset(&self) -> u64 {
        self.index * NODE_GROUP_ROWS
    }

    /// Rows, deleted ones included.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// One bit per row, set where it is deleted.
    pub fn deletions(&self) -> Option<&SegmentRef> {
        self.deletions.as_ref()
    }

    /// The chunk of a column; none when all rows are null there.
    pub fn chunk(&self, column: ColumnId) -> Option<&ColumnChunk> {
        let at = self.chunks.binary_search_by_key(&column, |(id, _)| *id).ok()?;
        self.chunks.get(at).map(|(_, chunk)| chunk)
    }

    /// An error of reading the group itself.
    pub fn error(&self, damage: Damage) -> crate::storage::StorageError {
        damage.at(&format!("group {}", self.index), self.page)
    }
}

/// Turns a location into something that can be read.
pub fn resolve(
    location: Location,
    extents: &[ExtentRef],
    owner: &Arc<SegmentOwner>,
) -> StorageResult<SegmentRef> {
    match location {
        Location::Inline(bytes) => Ok(SegmentRef::inline(&bytes)),
        Location::Extent { index, offset, length } => match extents.get(index as usize) {
            Some(extent) => SegmentRef::paged(*extent, u64::from(offset), u64::from(length), owner.clone()),
            None => {
                Err(Damage("a segment in an extent that the page does not name").at(owner.what(), PageId(0)))
            }
        },
    }
}

/// Decoded group pages, each made at its first use.
pub(super) enum GroupCache<G> {
    /// In the table's directory tree, which later versions of the table share.
    Tree { tree: IndexTree, what: Arc<str>, snapshot: Snapshot },
    /// Beside pages from elsewhere.
    Pages { pages: Arc<dyn GroupPages>, groups: Vec<OnceLock<Option<Arc<G>>>> },
}

impl<G: Send + Sync + 'static> GroupCache<G> {
    pub(super) fn new(pages: Arc<dyn GroupPages>) -> Self {
        let count = usize::try_from(pages.group_count()).unwrap_or(0);
        GroupCache::Pages { pages, groups: (0..count).map(|_| OnceLock::new()).collect() }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            GroupCache::Tree { tree, .. } => usize::try_from(tree.len()).unwrap_or(usize::MAX),
            GroupCache::Pages { groups, .. } => groups.len(),
        }
    }

    /// The group; none where there is no page.
    pub(super) fn get(
        &self,
        group: u64,
        decode: impl FnOnce(&ExtentRef, &[u8]) -> StorageResult<G>,
    ) -> StorageResult<Option<Arc<G>>> {
        let (pages, groups) = match self {
            GroupCache::Tree { tree, what, snapshot } => {
                let decode = |extent: &ExtentRef, bytes: Vec<u8>| decode(extent, &bytes);
                return tree.get(group, &**snapshot.page_file(), what, decode);
            }
            GroupCache::Pages { pages, groups } => (pages, groups),
        };
        let Some(slot) = usize::try_from(group).ok().and_then(|group| groups.get(group)) else {
            return Ok(None);
        };
        if let Some(known) = slot.get() {
            return Ok(known.clone());
        }
        let made = match pages.read_page(group)? {
            Some((extent, bytes)) => Some(Arc::new(decode(&extent, &bytes)?)),
            None => None,
        };
        Ok(slot.get_or_init(|| made).clone())
    }
}

/// The rows of a table in one version of the database.
pub struct NodeTable {
    layout: Arc<TableLayout>,
    groups: GroupCache<NodeGroup>,
    row_bound: u64,
    row_count: u64,
    /// Changes over the groups' pages, oldest first.
    levels: Vec<Arc<TableDelta>>,
    pool: BufferPool,
}

impl NodeTable {
    /// A view of a table. Nothing is read yet.
    pub fn new(
        layout: Arc<TableLayout>,
        pages: Arc<dyn GroupPages>,
        row_bound: u64,
        row_count: u64,
        pool: BufferPool,
    ) -> NodeTable {
        Self::over(layout, GroupCache::new(pages), row_bound, row_count, pool)
    }

    pub(super) fn over(
        layout: Arc<TableLayout>,
        groups: GroupCache<NodeGroup>,
        row_bound: u64,
        row_count: u64,
        pool: BufferPool,
    ) -> NodeTable {
        NodeTable { layout, groups, row_bound, row_count, levels: Vec::new(), pool }
    }

    /// The same table under levels of changes, oldest first.
    pub fn with_levels(mut self, levels: Vec<Arc<TableDelta>>) -> NodeTable {
        for level in &levels {
            self.row_bound = self.row_bound.max(level.row_bound());
            self.row_count = self.row_count.saturating_add_signed(level.live_rows());
        }
        self.levels = levels;
        self
    }

    /// The table's id.
    pub fn id(&self) -> TableId {
        self.layout.id
    }

    /// What the levels have of a group's rows.
    pub fn group_levels(&self, group: u64) -> GroupLevels {
        match self.levels.as_slice() {
            [] => GroupLevels::default(),
            levels => GroupLevels::of(levels, group),
        }
    }

    /// Whether a row exists: it is in the base or was born, and nobody deleted it.
    pub fn is_visible(&self, offset: u64, worker: &mut PoolWorker) -> StorageResult<bool> {
        let (index, row) = (offset / NODE_GROUP_ROWS, (offset % NODE_GROUP_ROWS) as u16);
        let levels = self.group_levels(index);
        if levels.is_deleted(row) {
            return Ok(false);
        }
        if levels.is_born(row) {
            return Ok(true);
        }
        let group = self.group(usize::try_from(index).unwrap_or(usize::MAX))?;
        if u32::from(row) >= group.rows() {
            return Ok(false);
        }
        let Some(deletions) = group.deletions() else { return Ok(true) };
        let at = u64::from(row) / 8;
        let mut cursor = worker.cursor();
        let byte = cursor.bytes(deletions, at..at + 1)?.first().copied().unwrap_or(u8::MAX);
        Ok(byte >> (row % 8) & 1 == 0)
    }

    /// Ids, names and types of the columns.
    pub fn layout(&self) -> &Arc<TableLayout> {
        &self.layout
    }

    /// Offsets are below this; not every one below it is in use.
    pub fn row_bound(&self) -> u64 {
        self.row_bound
    }

    /// Rows that exist.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// Group numbers are below this.
    pub fn group_count(&self) -> usize {
        let born = self.levels.iter().map(|level| level.row_bound().div_ceil(NODE_GROUP_ROWS)).max();
        self.groups.len().max(usize::try_from(born.unwrap_or(0)).unwrap_or(usize::MAX))
    }

    /// Groups that have pages are below this.
    pub(super) fn base_group_count(&self) -> usize {
        self.groups.len()
    }

    /// The pool that the table's pages are read through.
    pub fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// A group as its page has it, without what the levels change; a group without a page has no rows.
    pub fn group(&self, group: usize) -> StorageResult<Arc<NodeGroup>> {
        let index = group as u64;
        let decode = |extent: &ExtentRef, bytes: &[u8]| NodeGroup::decode(&self.layout, index, extent, bytes);
        let found = self.groups.get(index, decode)?;
        Ok(found.unwrap_or_else(|| {
            Arc::new(NodeGroup { index, rows: 0, deletions: None, chunks: Vec::new(), page: PageId(0) })
        }))
    }

    /// The type of a column; NULL for one that the table does not have.
    pub fn data_type(&self, column: ColumnId) -> DataType {
        self.layout.column(column).map_or(DataType::Null, |column| column.data_type.clone())
    }

    /// Appends the values of a column at the given offsets, in their order, which may be any. An offset behind
    /// the rows of its group is an error where the group has values.
    pub fn gather(
        &self,
        column: ColumnId,
        offsets: &[u64],
        worker: &mut PoolWorker,
        out: &mut VectorBuffer,
    ) -> StorageResult<()> {
        super::gather::gather(self, column, offsets, worker, out)
    }

    pub(super) fn lender(&self, admission: crate::storage::buffer_pool::Admission) -> Lender {
        Lender { pool: self.pool.clone(), admission }
    }
}
