//! A copy-on-write tree from small dense numbers to extents. Index pages hold up to 85 references; slots may be
//! empty. A tree of height 0 is the one reference of number 0 itself, so that small tables need no index page.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::storage::page::{ExtentRef, PAGE_SIZE, PageFile, PageRun, WriteBatch, extent_runs};
use crate::storage::{StorageError, StorageResult};

/// References in one index page.
pub const INDEX_FAN_OUT: usize = (PAGE_SIZE - ENTRIES_AT) / ExtentRef::SIZE;
/// Bytes of a `TreeRef` on disk.
pub const TREE_REF_SIZE: usize = ExtentRef::SIZE + 16;

const MAGIC: [u8; 4] = *b"QIDX";
const VERSION: u16 = 1;
const LEVEL_AT: usize = 6;
const COUNT_AT: usize = 8;
const ENTRIES_AT: usize = 16;
/// 85⁶ is beyond 2³⁸; no tree has more slots than a table has groups (2³²).
const HEIGHT_MAX: u8 = 6;

const _: () = assert!(INDEX_FAN_OUT == 85 && ENTRIES_AT + INDEX_FAN_OUT * ExtentRef::SIZE <= PAGE_SIZE);

/// Where the bytes of an extent come from.
pub trait ExtentSource {
    /// The verified bytes; `what` names the structure for errors.
    fn read_extent(&self, extent: &ExtentRef, what: &str) -> StorageResult<Vec<u8>>;
}

impl ExtentSource for PageFile {
    fn read_extent(&self, extent: &ExtentRef, what: &str) -> StorageResult<Vec<u8>> {
        PageFile::read_extent(self, extent, what)
    }
}

/// A tree as its owner's record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeRef {
    /// The top index page, or the only content at height 0; empty when nothing was ever stored.
    pub root: ExtentRef,
    /// Numbers are below this.
    pub length: u64,
    /// Levels of index pages.
    pub height: u8,
}

impl TreeRef {
    /// 48 bytes root, 8 bytes length, 1 byte height, 7 zero; little-endian.
    pub fn encode(&self) -> [u8; TREE_REF_SIZE] {
        let mut out = [0; TREE_REF_SIZE];
        out[..ExtentRef::SIZE].copy_from_slice(&self.root.encode());
        out[ExtentRef::SIZE..ExtentRef::SIZE + 8].copy_from_slice(&self.length.to_le_bytes());
        out[ExtentRef::SIZE + 8] = self.height;
        out
    }

    /// The inverse of `encode`; the error says what does not fit.
    pub fn decode(bytes: &[u8; TREE_REF_SIZE]) -> Result<TreeRef, String> {
        let mut root = [0; ExtentRef::SIZE];
        root.copy_from_slice(&bytes[..ExtentRef::SIZE]);
        let mut length = [0; 8];
        length.copy_from_slice(&bytes[ExtentRef::SIZE..ExtentRef::SIZE + 8]);
        let tree = TreeRef {
            root: ExtentRef::decode(&root),
            length: u64::from_le_bytes(length),
            height: bytes[ExtentRef::SIZE + 8],
        };
        let fits = tree.height <= HEIGHT_MAX
            && tree.length <= capacity(tree.height)
            && (tree.length == 0) == (tree.root.byte_length == 0 && tree.height == 0);
        if !fits {
            return Err(format!("a tree of {} entries and height {}", tree.length, tree.height));
        }
        Ok(tree)
    }
}

/// Numbers that a tree of this height can have.
fn capacity(height: u8) -> u64 {
    (INDEX_FAN_OUT as u64).saturating_pow(u32::from(height))
}

/// A tree in memory: references, and what was read through them so far. Clones and later versions share nodes and
/// decoded contents.
#[derive(Clone, Default)]
pub struct IndexTree {
    length: u64,
    height: u8,
    /// Levels of index pages that there are even for one entry.
    least_height: u8,
    /// Shared by clones, so that what one of them reads is there for all.
    root: Arc<Slot>,
}

#[derive(Clone, Default)]
struct Slot {
    reference: ExtentRef,
    loaded: OnceLock<Loaded>,
}

#[derive(Clone)]
enum Loaded {
    Index(Arc<IndexNode>),
    /// Whatever the table layer made of the bytes; the tree does not look inside.
    Content(Arc<dyn Any + Send + Sync>),
}

struct IndexNode {
    slots: Vec<Slot>,
}

/// The writing of one new version.
struct TreeUpdate<'a> {
    source: &'a dyn ExtentSource,
    batch: &'a WriteBatch,
    what: &'a str,
    /// Pages that the older version needs and this one does not.
    retired: &'a mut Vec<PageRun>,
}

impl IndexTree {
    /// The tree that a record names; nothing is read yet.
    pub fn new(tree: TreeRef) -> IndexTree {
        let root = Slot { reference: tree.root, loaded: OnceLock::new() };
        IndexTree { length: tree.length, height: tree.height, least_height: 0, root: Arc::new(root) }
    }

    /// A tree that is known by its top page alone, which is an index page and says how high it stands. An empty
    /// extent is the tree without entries.
    pub fn from_top(top: &ExtentRef, source: &dyn ExtentSource, what: &str) -> StorageResult<IndexTree> {
        let mut root = Slot { reference: *top, loaded: OnceLock::new() };
        if top.byte_length == 0 {
            return Ok(IndexTree { length: 0, height: 0, least_height: 1, root: Arc::new(root) });
        }
        let bytes = source.read_extent(top, what)?;
        let height = bytes.get(LEVEL_AT).copied().unwrap_or(0);
        if height == 0 || height > HEIGHT_MAX {
            return Err(root.corrupt(what, format!("a tree of height {height}")));
        }
        let node = decode_index(&bytes, height).map_err(|detail| root.corrupt(what, detail))?;
        root.loaded = OnceLock::from(Loaded::Index(Arc::new(node)));
        Ok(IndexTree { length: capacity(height), height, least_height: 1, root: Arc::new(root) })
    }

    /// The top page of a tree that `from_top` opens again.
    pub fn top(&self) -> ExtentRef {
        self.root.reference
    }

    /// The tree as its owner's record names it.
    pub fn reference(&self) -> TreeRef {
        TreeRef { root: self.root.reference, length: self.length, height: self.height }
    }

    /// Numbers are below this.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there never was an entry.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where the entry's bytes are; none for an empty slot and beyond the end.
    pub fn extent(
        &self,
        index: u64,
        source: &dyn ExtentSource,
        what: &str,
    ) -> StorageResult<Option<ExtentRef>> {
        Ok(self.slot(index, source, what)?.map(|slot| slot.reference))
    }

    /// The entry, decoded at the first call and shared afterwards. Two threads may decode at once; one wins.
    pub fn get<T: Any + Send + Sync>(
        &self,
        index: u64,
        source: &dyn ExtentSource,
        what: &str,
        decode: impl FnOnce(&ExtentRef, Vec<u8>) -> StorageResult<T>,
    ) -> StorageResult<Option<Arc<T>>> {
        let Some(slot) = self.slot(index, source, what)? else { return Ok(None) };
        if let Some(Loaded::Content(content)) = slot.loaded.get()
            && let Ok(content) = Arc::clone(content).downcast::<T>()
        {
            return Ok(Some(content));
        }
        let bytes = source.read_extent(&slot.reference, what)?;
        let content = Arc::new(decode(&slot.reference, bytes)?);
        let _ = slot.loaded.set(Loaded::Content(Arc::clone(&content) as Arc<dyn Any + Send + Sync>));
        Ok(Some(content))
    }

    /// Calls `visit` with every entry in order of its number and with every index page (number none).
    pub fn visit(
        &self,
        source: &dyn ExtentSource,
        what: &str,
        visit: &mut dyn FnMut(Option<u64>, &ExtentRef) -> StorageResult<()>,
    ) -> StorageResult<()> {
        self.visit_slot(&self.root, self.height, 0, source, what, visit)
    }

    fn visit_slot(
        &self,
        slot: &Slot,
        height: u8,
        first: u64,
        source: &dyn ExtentSource,
        what: &str,
        visit: &mut dyn FnMut(Option<u64>, &ExtentRef) -> StorageResult<()>,
    ) -> StorageResult<()> {
        if slot.reference.byte_length == 0 {
            return Ok(());
        }
        if height == 0 {
            return visit(Some(first), &slot.reference);
        }
        visit(None, &slot.reference)?;
        let node = slot.index(height, source, what)?;
        let step = capacity(height - 1);
        for (at, child) in (0..).zip(&node.slots) {
            self.visit_slot(child, height - 1, first + at * step, source, what, visit)?;
        }
        Ok(())
    }

    /// The next version: the given entries replaced, added (numbers may be left out) or emptied. Index pages on the
    /// way are written into the batch; replaced index pages and entries are retired, apart from what those name.
    pub fn with_changes(
        &self,
        changes: &BTreeMap<u64, Option<ExtentRef>>,
        source: &dyn ExtentSource,
        batch: &WriteBatch,
        what: &str,
        retired: &mut Vec<PageRun>,
    ) -> StorageResult<IndexTree> {
        let Some((last, _)) = changes.last_key_value() else { return Ok(self.clone()) };
        let length = self.length.max(last.saturating_add(1));
        if length > capacity(HEIGHT_MAX) {
            return Err(StorageError::Limit {
                what: "the groups of a table".into(),
                limit: capacity(HEIGHT_MAX),
            });
        }
        let mut update = TreeUpdate { source, batch, what, retired };
        let (mut root, mut height) = (Slot::clone(&self.root), self.height);
        let mut unwritten = false;
        if self.least_height > 0 {
            // The root switch retires the top page itself, so it is written anew even where it stays a part.
            root.reference = ExtentRef::default();
            unwritten = true;
        }
        while capacity(height) < length || height < self.least_height {
            // The old top becomes slot 0 of a new one, which the changes below write in any case.
            let blank = root.reference.byte_length == 0 && root.loaded.get().is_none();
            let slots = if blank { Vec::new() } else { vec![root] };
            let loaded = OnceLock::from(Loaded::Index(Arc::new(IndexNode { slots })));
            root = Slot { reference: ExtentRef::default(), loaded };
            height += 1;
            unwritten = true;
        }
        let root = update.change_slot(&root, height, 0, changes, unwritten)?;
        if root.reference.byte_length == 0 {
            return Ok(IndexTree { least_height: self.least_height, ..IndexTree::default() });
        }
        Ok(IndexTree { length, height, least_height: self.least_height, root: Arc::new(root) })
    }

    fn slot(&self, index: u64, source: &dyn ExtentSource, what: &str) -> StorageResult<Option<&Slot>> {
        if index >= self.length {
            return Ok(None);
        }
        let mut slot = &*self.root;
        for height in (1..=self.height).rev() {
            if slot.reference.byte_length == 0 {
                return Ok(None);
            }
            let position = index / capacity(height - 1) % INDEX_FAN_OUT as u64;
            let node = slot.index(height, source, what)?;
            match node.slots.get(position as usize) {
                Some(child) => slot = child,
                None => return Ok(None),
            }
        }
        Ok((slot.reference.byte_length > 0).then_some(slot))
    }
}

impl Slot {
    /// The index page behind the slot, read at the first call.
    fn index(&self, height: u8, source: &dyn ExtentSource, what: &str) -> StorageResult<&IndexNode> {
        if self.loaded.get().is_none() {
            let bytes = source.read_extent(&self.reference, what)?;
            let node = decode_index(&bytes, height).map_err(|detail| self.corrupt(what, detail))?;
            let _ = self.loaded.set(Loaded::Index(Arc::new(node)));
        }
        match self.loaded.get() {
            Some(Loaded::Index(node)) => Ok(node),
            _ => Err(self.corrupt(what, "content where an index page belongs".to_owned())),
        }
    }

    fn corrupt(&self, what: &str, detail: String) -> StorageError {
        StorageError::Corrupt {
            file: crate::storage::page::FILE_NAME.to_owned(),
            page: self.reference.first_page,
            what: what.to_owned(),
            detail,
        }
    }
}

impl TreeUpdate<'_> {
    fn change_slot(
        &mut self,
        slot: &Slot,
        height: u8,
        first: u64,
        changes: &BTreeMap<u64, Option<ExtentRef>>,
        unwritten: bool,
    ) -> StorageResult<Slot> {
        let end = first.saturating_add(capacity(height));
        let mut touched = changes.range(first..end).peekable();
        if touched.peek().is_none() && !unwritten {
            return Ok(slot.clone());
        }
        if height == 0 {
            self.retired.extend(extent_runs(&slot.reference));
            let reference = touched.next().and_then(|(_, extent)| *extent).unwrap_or_default();
            return Ok(Slot { reference, loaded: OnceLock::new() });
        }
        let old = match (slot.reference.byte_length, slot.loaded.get()) {
            (0, None) => &IndexNode { slots: Vec::new() },
            (0, Some(Loaded::Index(node))) => node,
            _ => slot.index(height, self.source, self.what)?,
        };
        let step = capacity(height - 1);
        let last = changes.range(..end).next_back().map_or(0, |(last, _)| last.saturating_sub(first) / step);
        let count = old.slots.len().max(last as usize + 1).min(INDEX_FAN_OUT);
        let mut slots = Vec::with_capacity(count);
        let empty = Slot::default();
        for at in 0..count {
            let child = old.slots.get(at).unwrap_or(&empty);
            let unwritten =
                matches!(child.loaded.get(), Some(Loaded::Index(_))) && child.reference.byte_length == 0;
            slots.push(self.change_slot(child, height - 1, first + at as u64 * step, changes, unwritten)?);
        }
        self.retired.extend(extent_runs(&slot.reference));
        while slots.last().is_some_and(|slot| slot.reference.byte_length == 0) {
            slots.pop();
        }
        if slots.is_empty() {
            return Ok(Slot::default());
        }
        let reference = self.batch.write_extent(&encode_index(&slots, height))?;
        Ok(Slot { reference, loaded: OnceLock::from(Loaded::Index(Arc::new(IndexNode { slots }))) })
    }
}

/// 4 bytes magic, 2 bytes version, 1 byte level, 1 zero, 4 bytes count, 4 zero, then 48 bytes per slot.
fn encode_index(slots: &[Slot], level: u8) -> Vec<u8> {
    let mut out = vec![0; ENTRIES_AT];
    out[..4].copy_from_slice(&MAGIC);
    out[4..6].copy_from_slice(&VERSION.to_le_bytes());
    out[LEVEL_AT] = level;
    out[COUNT_AT..COUNT_AT + 4].copy_from_slice(&(slots.len() as u32).to_le_bytes());
    slots.iter().for_each(|slot| out.extend_from_slice(&slot.reference.encode()));
    out
}

fn decode_index(bytes: &[u8], level: u8) -> Result<IndexNode, String> {
    let Some((header, entries)) = bytes.split_at_checked(ENTRIES_AT) else {
        return Err(format!("an index page of {} bytes", bytes.len()));
    };
    if header[..4] != MAGIC || header[4..6] != VERSION.to_le_bytes() {
        return Err("not an index page of this format".to_owned());
    }
    if header[LEVEL_AT] != level {
        return Err(format!("level {} where level {level} belongs", header[LEVEL_AT]));
    }
    let (entries, rest) = entries.as_chunks::<{ ExtentRef::SIZE }>();
    let count = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
    if !rest.is_empty() || entries.len() != count || count == 0 || count > INDEX_FAN_OUT {
        return Err(format!("{count} entries in {} bytes", bytes.len()));
    }
    let slot = |entry| Slot { reference: ExtentRef::decode(entry), loaded: OnceLock::new() };
    Ok(IndexNode { slots: entries.iter().map(slot).collect() })
}
