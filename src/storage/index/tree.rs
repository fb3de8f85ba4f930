//! One immutable ordered tree from keys to row offsets, built once from sorted entries. Its pages are numbered through
//! a list of extents, leaves first, then each level above, the root last.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::key::IndexKey;
use super::page::{
    BytesView, Damage, INTEGER_CHILDREN, PageKind, PageView, bytes_inner, bytes_leaf, integer_inner,
    integer_leaf, separator,
};
use crate::storage::buffer_pool::{Cursor, SegmentOwner, SegmentRef};
use crate::storage::directory::{KeyTreeKind, KeyTreeRef};
use crate::storage::page::{FILE_NAME, PAGE_SIZE, PageId, WriteBatch, pages_for};
use crate::storage::{StorageError, StorageResult};

/// Pages of every extent but the last; part of the format.
const EXTENT_PAGES: u64 = 1024;
/// Entries that are gathered before leaves are cut from them.
const GATHER_ENTRIES: usize = 1 << 16;
/// Bytes of keys that are gathered at most.
const GATHER_BYTES: usize = 4 << 20;
/// No tree of 2⁴⁸ keys is higher.
const LEVELS_MAX: u8 = 24;

/// Writes a tree from entries in rising order of their keys.
pub struct KeyTreeBuilder<'b> {
    batch: &'b WriteBatch,
    kind: KeyTreeKind,
    tree: KeyTreeRef,
    /// Whole pages that are not yet in an extent.
    buffer: Vec<u8>,
    page_count: u64,
    integers: Vec<(u64, u64)>,
    last_integer: Option<u64>,
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    offsets: Vec<u64>,
    /// Integer trees: the first key of each leaf. Byte trees: what separates it from the leaf before.
    first_keys: Vec<u64>,
    separators: Vec<Vec<u8>>,
    last_key: Vec<u8>,
    last_leaf_key: Vec<u8>,
}

impl<'b> KeyTreeBuilder<'b> {
    /// A tree without entries yet.
    pub fn new(batch: &'b WriteBatch, kind: KeyTreeKind) -> KeyTreeBuilder<'b> {
        KeyTreeBuilder {
            batch,
            kind,
            tree: KeyTreeRef { kind, levels: 0, entries: 0, extents: Vec::new() },
            buffer: Vec::new(),
            page_count: 0,
            integers: Vec::new(),
            last_integer: None,
            keys: Vec::new(),
            key_ends: Vec::new(),
            offsets: Vec::new(),
            first_keys: Vec::new(),
            separators: Vec::new(),
            last_key: Vec::new(),
            last_leaf_key: Vec::new(),
        }
    }

    /// Adds an entry to a tree of integer keys; the key must be above all before.
    pub fn push_integer(&mut self, key: u64, offset: u64) -> StorageResult<()> {
        if self.kind != KeyTreeKind::Integer || self.last_integer.is_some_and(|last| last >= key) {
            return Err(self.out_of_order());
        }
        self.tree.entries += 1;
        self.last_integer = Some(key);
        self.integers.push((key, offset));
        if self.integers.len() >= 2 * GATHER_ENTRIES { self.cut_integers(GATHER_ENTRIES) } else { Ok(()) }
    }

    /// Adds an entry to a tree of byte keys; the key must be above all before and no longer than `KEY_BYTES_MAX`.
    pub fn push_bytes(&mut self, key: &[u8], offset: u64) -> StorageResult<()> {
        let rising = self.tree.entries == 0 || self.last_key.as_slice() < key;
        if self.kind != KeyTreeKind::Bytes || !rising || key.len() > super::KEY_BYTES_MAX {
            return Err(self.out_of_order());
        }
        self.tree.entries += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.offsets.push(offset);
        if self.offsets.len() >= GATHER_ENTRIES || self.keys.len() >= GATHER_BYTES {
            return self.cut_bytes(2 * PAGE_SIZE);
        }
        Ok(())
    }

    /// Writes the rest and names the tree; none when there were no entries.
    pub fn finish(mut self) -> StorageResult<Option<KeyTreeRef>> {
        if self.tree.entries == 0 {
            return Ok(None);
        }
        self.cut_integers(0)?;
        self.cut_bytes(0)?;
        self.tree.levels = 1;
        let mut first_child = 0;
        while self.page_count - first_child > 1 {
            let children = (self.page_count - first_child) as usize;
            let level_start = self.page_count;
            match self.kind {
                KeyTreeKind::Integer => self.write_integer_level(first_child, children)?,
                KeyTreeKind::Bytes => self.write_bytes_level(first_child)?,
            }
            first_child = level_start;
            self.tree.levels += 1;
        }
        self.flush(1)?;
        Ok(Some(self.tree))
    }

    fn out_of_order(&self) -> StorageError {
        let what = "a key tree whose entries are not sorted, unique and of one kind".to_owned();
        StorageError::Limit { what, limit: self.tree.entries }
    }

    /// Cuts leaves from the gathered entries until at most `keep` are left.
    fn cut_integers(&mut self, keep: usize) -> StorageResult<()> {
        let entries = std::mem::take(&mut self.integers);
        let mut rest = entries.as_slice();
        while rest.len() > keep {
            let (count, page) = integer_leaf(rest);
            self.first_keys.push(rest[0].0);
            self.push_page(&page)?;
            rest = &rest[count..];
        }
        self.integers.extend_from_slice(rest);
        Ok(())
    }

    /// Cuts leaves from the gathered keys until at most `keep` bytes of them are left.
    fn cut_bytes(&mut self, keep: usize) -> StorageResult<()> {
        let (keys, ends, offsets) = (
            std::mem::take(&mut self.keys),
            std::mem::take(&mut self.key_ends),
            std::mem::take(&mut self.offsets),
        );
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let slices: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| &keys[start..*end]).collect();
        let mut at = 0;
        while at < slices.len() {
            let (count, page) = bytes_leaf(&slices[at..], &offsets[at..]);
            let left = ends[slices.len() - 1] - ends[at + count - 1];
            if left < keep {
                // The last leaf may take more of what is still to come.
                break;
            }
            let separator = match self.separators.is_empty() {
                true => Vec::new(),
                false => separator(&self.last_leaf_key, slices[at]),
            };
            self.separators.push(separator);
            self.last_leaf_key.clear();
            self.last_leaf_key.extend_from_slice(slices[at + count - 1]);
            self.push_page(&page)?;
            at += count;
        }
        for (key, offset) in slices[at..].iter().zip(&offsets[at..]) {
            self.keys.extend_from_slice(key);
            self.key_ends.push(self.keys.len());
            self.offsets.push(*offset);
        }
        Ok(())
    }

    fn write_integer_level(&mut self, first_child: u64, children: usize) -> StorageResult<()> {
        let firsts = std::mem::take(&mut self.first_keys);
        let per_page = children.div_ceil(children.div_ceil(INTEGER_CHILDREN));
        for (at, keys) in (0..).zip(firsts.chunks(per_page)) {
            self.push_page(&integer_inner(first_child + at * per_page as u64, keys))?;
            self.first_keys.push(keys[0]);
        }
        Ok(())
    }

    fn write_bytes_level(&mut self, first_child: u64) -> StorageResult<()> {
        let separators = std::mem::take(&mut self.separators);
        let mut at = 0;
        while at < separators.len() {
            let (count, page) = bytes_inner(first_child + at as u64, &separators[at..]);
            self.push_page(&page)?;
            self.separators.push(separators[at].clone());
            at += count;
        }
        Ok(())
    }

    fn push_page(&mut self, page: &[u8]) -> StorageResult<()> {
        self.buffer.extend_from_slice(page);
        self.page_count += 1;
        self.flush(EXTENT_PAGES as usize)
    }

    /// Writes the buffer as an extent when it has `pages` pages.
    fn flush(&mut self, pages: usize) -> StorageResult<()> {
        if self.buffer.len() >= pages * PAGE_SIZE {
            self.tree.extents.push(self.batch.write_extent(&self.buffer)?);
            self.buffer.clear();
        }
        Ok(())
    }
}

/// A tree that is read.
#[derive(Clone)]
pub struct KeyTree {
    reference: KeyTreeRef,
    segments: Vec<SegmentRef>,
    page_count: u64,
}

/// Entries of one leaf, copied out, in order.
#[derive(Default)]
struct LeafEntries {
    integers: Vec<u64>,
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    offsets: Vec<u64>,
}

impl KeyTree {
    /// The tree that a table's record names.
    pub fn open(reference: &KeyTreeRef, owner: &Arc<SegmentOwner>) -> StorageResult<KeyTree> {
        let mut segments = Vec::with_capacity(reference.extents.len());
        let mut page_count = 0;
        for (at, extent) in reference.extents.iter().enumerate() {
            let pages = pages_for(extent.byte_length);
            let last = at + 1 == reference.extents.len();
            let fits = if last { (1..=EXTENT_PAGES).contains(&pages) } else { pages == EXTENT_PAGES };
            if !fits || !extent.byte_length.is_multiple_of(PAGE_SIZE as u64) {
                return Err(corrupt(
                    owner,
                    extent.first_page,
                    "an extent of a key tree of the wrong size".to_owned(),
                ));
            }
            page_count += pages;
            segments.push(SegmentRef::extent(*extent, Arc::clone(owner))?);
        }
        if page_count == 0 || reference.levels == 0 || reference.levels > LEVELS_MAX {
            return Err(corrupt(owner, PageId(0), format!("a key tree of {} levels", reference.levels)));
        }
        Ok(KeyTree { reference: reference.clone(), segments, page_count })
    }

    /// The tree as its table's record names it.
    pub fn reference(&self) -> &KeyTreeRef {
        &self.reference
    }

    /// The number of keys.
    pub fn entries(&self) -> u64 {
        self.reference.entries
    }

    /// The row that carries the key.
    #[inline]
    pub fn lookup(&self, key: &IndexKey, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        match key {
            IndexKey::Integer(key) => self.lookup_integer(*key, cursor),
            IndexKey::Bytes(key) => self.lookup_bytes(key, cursor),
        }
    }

    /// The row that carries the key, in a tree of integer keys.
    #[inline]
    pub fn lookup_integer(&self, key: u64, cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        let mut page = self.page_count - 1;
        for _ in 1..self.reference.levels {
            page = self.view(page, PageKind::IntegerInner, cursor)?.integer_child(key);
        }
        let leaf = self.view(page, PageKind::IntegerLeaf, cursor)?;
        let at = leaf.lower_bound_integer(key);
        Ok((at < leaf.count() && leaf.integer_key(at) == key).then(|| leaf.offset(at)))
    }

    /// The row that carries the key, in a tree of byte keys.
    #[inline]
    pub fn lookup_bytes(&self, key: &[u8], cursor: &mut Cursor<'_>) -> StorageResult<Option<u64>> {
        let mut page = self.page_count - 1;
        for _ in 1..self.reference.levels {
            page = self.bytes_view(page, PageKind::BytesInner, cursor)?.child(key);
        }
        let leaf = self.bytes_view(page, PageKind::BytesLeaf, cursor)?;
        let at = leaf.lower_bound(key);
        Ok((at < leaf.page.count() && leaf.is_key(at, key)).then(|| leaf.page.offset(at)))
    }

    /// Calls `visit` with the rows of all keys within the bounds, in order of the keys, until it breaks.
    pub fn range(
        &self,
        low: Bound<&IndexKey>,
        high: Bound<&IndexKey>,
        cursor: &mut Cursor<'_>,
        visit: &mut dyn FnMut(&IndexKey, u64) -> ControlFlow<()>,
    ) -> StorageResult<()> {
        let mut scan = self.scan_from(low, cursor)?;
        while let Some((key, offset)) = scan.next(cursor)? {
            let above = match high {
                Bound::Unbounded => false,
                Bound::Included(high) => &key > high,
                Bound::Excluded(high) => &key >= high,
            };
            if above || visit(&key, offset).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// All entries in order.
    pub fn scan(&self) -> TreeScan<'_> {
        TreeScan { tree: self, next_leaf: 0, entries: LeafEntries::default(), at: 0 }
    }

    fn scan_from(&self, low: Bound<&IndexKey>, cursor: &mut Cursor<'_>) -> StorageResult<TreeScan<'_>> {
        let mut scan = self.scan();
        let (key, skip_equal) = match low {
            Bound::Unbounded => return Ok(scan),
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        let mut page = self.page_count - 1;
        for _ in 1..self.reference.levels {
            page = match key {
                IndexKey::Integer(key) => {
                    self.view(page, PageKind::IntegerInner, cursor)?.integer_child(*key)
                }
                IndexKey::Bytes(key) => self.bytes_view(page, PageKind::BytesInner, cursor)?.child(key),
            };
        }
        scan.next_leaf = page;
        scan.load(cursor)?;
        while scan.at < scan.entries.offsets.len() {
            let here = scan.entries.key(scan.at);
            if &here > key || (!skip_equal && &here == key) {
                break;
            }
            scan.at += 1;
        }
        Ok(scan)
    }

    #[inline]
    fn bytes<'c>(&'c self, page: u64, cursor: &'c mut Cursor<'_>) -> StorageResult<&'c [u8]> {
        let start = page % EXTENT_PAGES * PAGE_SIZE as u64;
        match self.segments.get((page / EXTENT_PAGES) as usize) {
            Some(segment) if page < self.page_count => cursor.bytes(segment, start..start + PAGE_SIZE as u64),
            _ => Err(self.damaged(page, "a child beyond the end of its tree".to_owned())),
        }
    }

    #[inline]
    fn view<'c>(
        &'c self,
        page: u64,
        kind: PageKind,
        cursor: &'c mut Cursor<'_>,
    ) -> StorageResult<PageView<'c>> {
        let bytes = self.bytes(page, cursor)?;
        PageView::new(bytes, kind).map_err(|damage| self.damaged(page, damage))
    }

    #[inline]
    fn bytes_view<'c>(
        &'c self,
        page: u64,
        kind: PageKind,
        cursor: &'c mut Cursor<'_>,
    ) -> StorageResult<BytesView<'c>> {
        self.view(page, kind, cursor)?.with_bytes().map_err(|damage| self.damaged(page, damage))
    }

    #[cold]
    fn damaged(&self, page: u64, detail: Damage) -> StorageError {
        let extent = self.reference.extents.get((page / EXTENT_PAGES) as usize);
        let page = extent.map_or(PageId(0), |extent| extent.first_page.plus(page % EXTENT_PAGES));
        StorageError::Corrupt { file: FILE_NAME.to_owned(), page, what: "key index".to_owned(), detail }
    }
}

fn corrupt(owner: &SegmentOwner, page: PageId, detail: String) -> StorageError {
    StorageError::Corrupt { file: owner.file.clone(), page, what: owner.what().to_owned(), detail }
}

impl LeafEntries {
    fn clear(&mut self) {
        self.integers.clear();
        self.keys.clear();
        self.key_ends.clear();
        self.offsets.clear();
    }

    fn bytes(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.key_ends[at - 1] };
        &self.keys[start..self.key_ends[at]]
    }

    fn key(&self, at: usize) -> IndexKey {
        match self.integers.get(at) {
            Some(key) => IndexKey::Integer(*key),
            None => IndexKey::Bytes(self.bytes(at).to_vec()),
        }
    }
}

/// Reads a tree in order, a leaf at a time.
pub struct TreeScan<'t> {
    tree: &'t KeyTree,
    next_leaf: u64,
    entries: LeafEntries,
    at: usize,
}

impl TreeScan<'_> {
    /// The next entry.
    pub fn next(&mut self, cursor: &mut Cursor<'_>) -> StorageResult<Option<(IndexKey, u64)>> {
        if !self.fill(cursor)? {
            return Ok(None);
        }
        let entry = (self.entries.key(self.at), self.entries.offsets[self.at]);
        self.at += 1;
        Ok(Some(entry))
    }

    /// The next entry of a tree of integer keys, without allocation.
    pub fn next_integer(&mut self, cursor: &mut Cursor<'_>) -> StorageResult<Option<(u64, u64)>> {
        if !self.fill(cursor)? {
            return Ok(None);
        }
        let at = self.at;
        self.at += 1;
        Ok(self.entries.integers.get(at).map(|key| (*key, self.entries.offsets[at])))
    }

    /// The next entry of a tree of byte keys, borrowed until the next call.
    pub fn next_bytes(&mut self, cursor: &mut Cursor<'_>) -> StorageResult<Option<(&[u8], u64)>> {
        if !self.fill(cursor)? || self.tree.reference.kind != KeyTreeKind::Bytes {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some((self.entries.bytes(self.at - 1), self.entries.offsets[self.at - 1])))
    }

    fn fill(&mut self, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        while self.at >= self.entries.offsets.len() {
            if !self.load(cursor)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies the next leaf; false after the last.
    fn load(&mut self, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        self.entries.clear();
        self.at = 0;
        // Leaves come first, and the page after the last leaf is of another kind.
        if self.next_leaf >= self.tree.page_count || (self.next_leaf > 0 && self.is_inner(cursor)?) {
            return Ok(false);
        }
        let page = self.next_leaf;
        self.next_leaf += 1;
        let entries = &mut self.entries;
        match self.tree.reference.kind {
            KeyTreeKind::Integer => {
                let leaf = self.tree.view(page, PageKind::IntegerLeaf, cursor)?;
                entries.integers.extend((0..leaf.count()).map(|at| leaf.integer_key(at)));
                entries.offsets.extend((0..leaf.count()).map(|at| leaf.offset(at)));
            }
            KeyTreeKind::Bytes => {
                let leaf = self.tree.bytes_view(page, PageKind::BytesLeaf, cursor)?;
                for at in 0..leaf.page.count() {
                    entries.keys.extend_from_slice(leaf.prefix);
                    entries.keys.extend_from_slice(leaf.suffix(at));
                    entries.key_ends.push(entries.keys.len());
                    entries.offsets.push(leaf.page.offset(at));
                }
            }
        }
        Ok(true)
    }

    fn is_inner(&self, cursor: &mut Cursor<'_>) -> StorageResult<bool> {
        let kind = match self.tree.reference.kind {
            KeyTreeKind::Integer => PageKind::IntegerInner,
            KeyTreeKind::Bytes => PageKind::BytesInner,
        };
        let bytes = self.tree.bytes(self.next_leaf, cursor)?;
        Ok(PageView::new(bytes, kind).is_ok())
    }
}
