//! The pages of a key tree. Leaves hold keys with row offsets, inner pages the least key of each child; the children
//! of a page are consecutive pages. Integer keys and offsets are differences to the page's first, in as few bytes as
//! they need, or nothing at all where they count up one by one. Byte keys share a prefix.

use super::key::KEY_BYTES_MAX;
use crate::storage::page::PAGE_SIZE;

/// The version in every page.
const VERSION: u8 = 1;
const KIND_AT: usize = 1;
const KEY_WIDTH_AT: usize = 2;
const OFFSET_WIDTH_AT: usize = 3;
const COUNT_AT: usize = 4;
/// Leaves: the least offset, or the first where offsets count up. Inner pages: the first child's number.
const BASE_AT: usize = 8;
/// Integer pages: the first key. Byte pages: the length of the prefix.
const KEY_BASE_AT: usize = 16;
const BODY_AT: usize = 24;
const BODY_BYTES: usize = PAGE_SIZE - BODY_AT;

const _: () =
    assert!(BODY_BYTES >= 2 * (KEY_BYTES_MAX + 1 + 2 + 8), "two keys of any length fit into a page");

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PageKind {
    IntegerLeaf = 1,
    IntegerInner = 2,
    BytesLeaf = 3,
    BytesInner = 4,
}

/// Why a page cannot be used.
pub(super) type Damage = String;

/// Bytes that hold a number.
fn width_of(number: u64) -> usize {
    (8 - number.leading_zeros() as usize / 8).min(8)
}

/// Key differences are read as machine words.
fn key_width_of(number: u64) -> usize {
    match width_of(number) {
        0 | 1 => 1,
        2 => 2,
        3 | 4 => 4,
        _ => 8,
    }
}

fn header(
    kind: PageKind,
    key_width: usize,
    offset_width: usize,
    count: usize,
    base: u64,
    key_base: u64,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(PAGE_SIZE);
    out.extend_from_slice(&[VERSION, kind as u8, key_width as u8, offset_width as u8]);
    out.extend_from_slice(&(count as u32).to_le_bytes());
    out.extend_from_slice(&base.to_le_bytes());
    out.extend_from_slice(&key_base.to_le_bytes());
    out
}

fn push_number(out: &mut Vec<u8>, number: u64, width: usize) {
    out.extend_from_slice(&number.to_le_bytes()[..width]);
}

/// Zeros up to a whole page.
fn pad(mut page: Vec<u8>) -> Vec<u8> {
    page.resize(PAGE_SIZE, 0);
    page
}

/// The entries that the next integer leaf takes from the front of `entries` (key, offset; keys rising), and the page.
pub(super) fn integer_leaf(entries: &[(u64, u64)]) -> (usize, Vec<u8>) {
    let Some((first_key, first_offset)) = entries.first().copied() else { return (0, Vec::new()) };
    let counts_up = |at: usize| {
        let step = at as u64;
        entries[at] == (first_key.wrapping_add(step), first_offset.wrapping_add(step))
    };
    let run = (1..entries.len()).find(|at| !counts_up(*at)).unwrap_or(entries.len());
    let run = run.min(u32::MAX as usize);
    let packed = packed_count(entries);
    if run >= packed {
        return (run, pad(header(PageKind::IntegerLeaf, 0, 0, run, first_offset, first_key)));
    }
    let taken = &entries[..packed];
    let shape = Shape::of(taken);
    let mut page = header(
        PageKind::IntegerLeaf,
        shape.key_width,
        shape.offset_width,
        packed,
        shape.offset_base,
        first_key,
    );
    if shape.key_width > 0 {
        taken.iter().for_each(|(key, _)| push_number(&mut page, key - first_key, shape.key_width));
    }
    if shape.offset_width > 0 {
        taken
            .iter()
            .for_each(|(_, offset)| push_number(&mut page, offset - shape.offset_base, shape.offset_width));
    }
    (packed, pad(page))
}

struct Shape {
    key_width: usize,
    offset_width: usize,
    offset_base: u64,
}

impl Shape {
    fn of(entries: &[(u64, u64)]) -> Shape {
        let mut growing = GrowingShape::new(entries[0]);
        entries[1..].iter().for_each(|entry| growing.add(*entry));
        growing.shape()
    }
}

/// The widths that entries need, one entry more at a time.
struct GrowingShape {
    first: (u64, u64),
    last_key: u64,
    least: u64,
    greatest: u64,
    count: u64,
    keys_count_up: bool,
    offsets_count_up: bool,
}

impl GrowingShape {
    fn new(first: (u64, u64)) -> GrowingShape {
        GrowingShape {
            first,
            last_key: first.0,
            least: first.1,
            greatest: first.1,
            count: 1,
            keys_count_up: true,
            offsets_count_up: true,
        }
    }

    fn add(&mut self, (key, offset): (u64, u64)) {
        self.keys_count_up &= key == self.first.0.wrapping_add(self.count);
        self.offsets_count_up &= offset == self.first.1.wrapping_add(self.count);
        self.last_key = key;
        self.least = self.least.min(offset);
        self.greatest = self.greatest.max(offset);
        self.count += 1;
    }

    fn shape(&self) -> Shape {
        let key_width = if self.keys_count_up { 0 } else { key_width_of(self.last_key - self.first.0) };
        let (offset_width, offset_base) = match self.offsets_count_up {
            true => (0, self.first.1),
            false => (width_of(self.greatest - self.least).max(1), self.least),
        };
        Shape { key_width, offset_width, offset_base }
    }

    fn fits(&self) -> bool {
        let shape = self.shape();
        (shape.key_width + shape.offset_width) as u64 * self.count <= BODY_BYTES as u64
    }
}

/// How many entries fit into one page with arrays of differences.
fn packed_count(entries: &[(u64, u64)]) -> usize {
    let mut shape = GrowingShape::new(entries[0]);
    // A page that counts up in both is a run, which the caller knows to be no longer than this.
    for (at, entry) in entries.iter().enumerate().skip(1) {
        shape.add(*entry);
        if !shape.fits() || at > BODY_BYTES {
            return at;
        }
    }
    entries.len()
}

/// Children of one inner page of integer keys.
pub(super) const INTEGER_CHILDREN: usize = BODY_BYTES / 8;

/// The inner page above consecutive children, given the first key of each.
pub(super) fn integer_inner(first_child: u64, first_keys: &[u64]) -> Vec<u8> {
    let mut page = header(PageKind::IntegerInner, 8, 0, first_keys.len(), first_child, 0);
    first_keys.iter().for_each(|key| push_number(&mut page, *key, 8));
    pad(page)
}

/// Whether a further key, which makes the prefix `prefix` and the keys together `key_bytes` long, still fits.
fn bytes_fit(count: usize, prefix: usize, key_bytes: usize, offset_width: usize) -> bool {
    count * (2 + offset_width) + prefix + (key_bytes - count * prefix) <= BODY_BYTES
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

/// The entries that the next byte leaf takes from the front (keys rising), and the page.
pub(super) fn bytes_leaf(keys: &[&[u8]], offsets: &[u64]) -> (usize, Vec<u8>) {
    let Some(first) = keys.first() else { return (0, Vec::new()) };
    let (mut prefix, mut key_bytes, mut shape) =
        (first.len(), first.len(), GrowingShape::new((0, offsets[0])));
    let mut count = 1;
    while count < keys.len() {
        let longer = common_prefix(first, keys[count]).min(prefix);
        shape.add((0, offsets[count]));
        let width = shape.shape().offset_width;
        if !bytes_fit(count + 1, longer, key_bytes + keys[count].len(), width) {
            break;
        }
        (prefix, key_bytes) = (longer, key_bytes + keys[count].len());
        count += 1;
    }
    let mut taken = GrowingShape::new((0, offsets[0]));
    offsets[1..count].iter().for_each(|offset| taken.add((0, *offset)));
    let shape = taken.shape();
    let mut page =
        header(PageKind::BytesLeaf, 0, shape.offset_width, count, shape.offset_base, prefix as u64);
    push_ends(&mut page, &keys[..count], prefix);
    if shape.offset_width > 0 {
        offsets[..count]
            .iter()
            .for_each(|offset| push_number(&mut page, offset - shape.offset_base, shape.offset_width));
    }
    push_suffixes(&mut page, &keys[..count], prefix);
    (count, pad(page))
}

/// The children that the next inner page takes, given a separator for each, and the page.
pub(super) fn bytes_inner(first_child: u64, separators: &[Vec<u8>]) -> (usize, Vec<u8>) {
    let Some(first) = separators.first() else { return (0, Vec::new()) };
    let (mut prefix, mut key_bytes, mut count) = (first.len(), first.len(), 1);
    while count < separators.len() {
        let longer = common_prefix(first, &separators[count]).min(prefix);
        if !bytes_fit(count + 1, longer, key_bytes + separators[count].len(), 0) {
            break;
        }
        (prefix, key_bytes) = (longer, key_bytes + separators[count].len());
        count += 1;
    }
    let keys: Vec<&[u8]> = separators[..count].iter().map(Vec::as_slice).collect();
    let mut page = header(PageKind::BytesInner, 0, 0, count, first_child, prefix as u64);
    push_ends(&mut page, &keys, prefix);
    push_suffixes(&mut page, &keys, prefix);
    (count, pad(page))
}

fn push_ends(page: &mut Vec<u8>, keys: &[&[u8]], prefix: usize) {
    let mut end = 0;
    for key in keys {
        end += key.len() - prefix;
        // All suffixes are within one page.
        page.extend_from_slice(&(end as u16).to_le_bytes());
    }
}

fn push_suffixes(page: &mut Vec<u8>, keys: &[&[u8]], prefix: usize) {
    page.extend_from_slice(&keys[0][..prefix]);
    keys.iter().for_each(|key| page.extend_from_slice(&key[prefix..]));
}

/// The shortest bytes above `left` that are not above `right`; `left` is below `right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    right[..(common_prefix(left, right) + 1).min(right.len())].to_vec()
}

/// A page as it is read. `kind` was compared with what the level says, and all arrays lie within the page.
#[derive(Clone, Copy)]
pub(super) struct PageView<'p> {
    count: usize,
    base: u64,
    key_base: u64,
    key_width: usize,
    offset_width: usize,
    body: &'p [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'p> PageView<'p> {
    /// Looks at a page that must be of this kind.
    #[inline]
    pub fn new(bytes: &'p [u8], kind: PageKind) -> Result<PageView<'p>, Damage> {
        let read = || {
            let count = u32::from_le_bytes(*bytes.get(COUNT_AT..)?.first_chunk()?) as usize;
            let (base, key_base) = (word(bytes, BASE_AT)?, word(bytes, KEY_BASE_AT)?);
            let (key_width, offset_width) =
                (usize::from(bytes[KEY_WIDTH_AT]), usize::from(bytes[OFFSET_WIDTH_AT]));
            let body = bytes.get(BODY_AT..)?;
            Some(PageView { count, base, key_base, key_width, offset_width, body })
        };
        match read() {
            Some(view) if bytes[0] == VERSION && bytes[KIND_AT] == kind as u8 && view.is_whole(kind) => {
                Ok(view)
            }
            _ => Err(format!("not a whole page of kind {kind:?} of this format")),
        }
    }

    #[inline]
    fn is_whole(&self, kind: PageKind) -> bool {
        let arrays = match kind {
            PageKind::IntegerLeaf if !matches!(self.key_width, 0 | 1 | 2 | 4 | 8) => return false,
            PageKind::IntegerLeaf => self.key_width + self.offset_width,
            PageKind::IntegerInner => 8,
            PageKind::BytesLeaf => 2 + self.offset_width,
            PageKind::BytesInner => 2,
        };
        self.count > 0 && self.offset_width <= 8 && arrays.saturating_mul(self.count) <= self.body.len()
    }

    /// Entries of a leaf, children of an inner page.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The page number of a child.
    #[inline]
    pub fn child(&self, at: usize) -> u64 {
        self.base.saturating_add(at as u64)
    }

    /// The key of an entry of an integer page.
    #[inline]
    pub fn integer_key(&self, at: usize) -> u64 {
        if self.key_width == 0 {
            return self.key_base.wrapping_add(at as u64);
        }
        self.key_base.wrapping_add(self.number(at * self.key_width, self.key_width))
    }

    /// A number of `width` bytes; beyond the body, which `is_whole` rules out, it is 0.
    #[inline]
    fn number(&self, at: usize, width: usize) -> u64 {
        match width {
            1 => self.body.get(at).map_or(0, |byte| u64::from(*byte)),
            2 => self.fixed(at).map_or(0, |bytes| u64::from(u16::from_le_bytes(bytes))),
            4 => self.fixed(at).map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes))),
            8 => self.fixed(at).map_or(0, u64::from_le_bytes),
            _ => {
                let bytes = self.body.get(at..at + width).unwrap_or(&[]);
                bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
        }
    }

    #[inline]
    fn fixed<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.body.get(at..)?.first_chunk().copied()
    }

    /// The position of the first integer key that is not below `key`.
    #[inline]
    pub fn lower_bound_integer(&self, key: u64) -> usize {
        if self.key_width == 0 {
            return key.saturating_sub(self.key_base).min(self.count as u64) as usize;
        }
        partition(self.count, |at| self.integer_key(at) < key)
    }

    /// The row offset of an entry of a leaf. `keys` is the bytes that the keys' array takes.
    #[inline]
    pub fn offset(&self, at: usize) -> u64 {
        if self.offset_width == 0 {
            return self.base.wrapping_add(at as u64);
        }
        let array = self.keys_end() + at * self.offset_width;
        self.base.wrapping_add(self.number(array, self.offset_width))
    }

    /// Where the offsets begin: behind the key differences, or behind the ends of byte keys.
    #[inline]
    fn keys_end(&self) -> usize {
        self.count * self.key_width
    }

    /// The child of an inner page of integer keys under which `key` is, if it is anywhere.
    #[inline]
    pub fn integer_child(&self, key: u64) -> u64 {
        let after = partition(self.count, |at| self.integer_key(at) <= key);
        self.child(after.saturating_sub(1))
    }

    /// The same page with what byte keys need.
    #[inline]
    pub fn with_bytes(mut self) -> Result<BytesView<'p>, Damage> {
        // Ends are two bytes each; offsets follow them as they follow the keys of an integer leaf.
        self.key_width = 2;
        let suffixes_at = self.count * (2 + self.offset_width);
        let prefix_length = usize::try_from(self.key_base).unwrap_or(usize::MAX);
        let parts = self.body.get(suffixes_at..).and_then(|rest| rest.split_at_checked(prefix_length));
        let (prefix, suffixes) = parts.ok_or("a prefix that does not end within its page")?;
        Ok(BytesView { page: self, prefix, suffixes })
    }
}

/// A page of byte keys.
#[derive(Clone, Copy)]
pub(super) struct BytesView<'p> {
    pub page: PageView<'p>,
    /// What all keys begin with.
    pub prefix: &'p [u8],
    suffixes: &'p [u8],
}

impl<'p> BytesView<'p> {
    /// What follows the prefix in a key; empty where the page is damaged.
    #[inline]
    pub fn suffix(&self, at: usize) -> &'p [u8] {
        let start = if at == 0 { 0 } else { self.page.number((at - 1) * 2, 2) as usize };
        let end = self.page.number(at * 2, 2) as usize;
        self.suffixes.get(start..end).unwrap_or(&[])
    }

    /// The number of keys below `key` (`or_equal`: below or equal).
    #[inline]
    fn count_below(&self, key: &[u8], or_equal: bool) -> usize {
        let head = &key[..key.len().min(self.prefix.len())];
        match head.cmp(self.prefix) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => self.page.count,
            std::cmp::Ordering::Equal => {
                let rest = &key[head.len()..];
                partition(self.page.count, |at| match self.suffix(at).cmp(rest) {
                    std::cmp::Ordering::Less => true,
                    std::cmp::Ordering::Equal => or_equal,
                    std::cmp::Ordering::Greater => false,
                })
            }
        }
    }

    /// The position of the first key that is not below `key`.
    #[inline]
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        self.count_below(key, false)
    }

    /// Whether the key at a position is `key`.
    #[inline]
    pub fn is_key(&self, at: usize, key: &[u8]) -> bool {
        key.strip_prefix(self.prefix).is_some_and(|rest| rest == self.suffix(at))
    }

    /// The child under which `key` is, if it is anywhere.
    #[inline]
    pub fn child(&self, key: &[u8]) -> u64 {
        self.page.child(self.count_below(key, true).saturating_sub(1))
    }
}

/// The number of leading positions for which `before` holds; it holds for a prefix of them.
#[inline]
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut size) = (0, count);
    while size > 0 {
        let half = size / 2;
        let middle = low + half;
        if before(middle) {
            low = middle + 1;
            size -= half + 1;
        } else {
            size = half;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_golden(name: &str, page: &[u8], golden: &[u8]) {
        assert_eq!(page.len(), PAGE_SIZE);
        let used = PAGE_SIZE - page.iter().rev().take_while(|byte| **byte == 0).count();
        if std::env::var_os("QUIRE_BLESS").is_some() {
            let path = format!("{}/tests/contract/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, &page[..used]).unwrap();
            return;
        }
        assert!(
            &page[..used] == golden,
            "{name}: the format changed; a new version and a fixture are needed"
        );
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let entries: Vec<(u64, u64)> =
            (0..50u64).map(|at| ((1 << 63) | (at * at), 70_000 + at * 37 % 50)).collect();
        let golden = include_bytes!("../../../tests/contract/key_integer_leaf_v1.bin");
        check_golden("key_integer_leaf_v1.bin", &integer_leaf(&entries).1, golden);
        let golden = include_bytes!("../../../tests/contract/key_integer_inner_v1.bin");
        check_golden("key_integer_inner_v1.bin", &integer_inner(7, &[0, 5, 1 << 63]), golden);
        let keys: Vec<String> = (10..40).map(|at| format!("airport {at}")).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let offsets: Vec<u64> = (0..30).map(|at| at * 7 % 30).collect();
        let golden = include_bytes!("../../../tests/contract/key_bytes_leaf_v1.bin");
        check_golden("key_bytes_leaf_v1.bin", &bytes_leaf(&keys, &offsets).1, golden);
        let separators = [Vec::new(), b"ba".to_vec(), b"bc".to_vec()];
        let golden = include_bytes!("../../../tests/contract/key_bytes_inner_v1.bin");
        check_golden("key_bytes_inner_v1.bin", &bytes_inner(9, &separators).1, golden);
    }

    fn check_integers(entries: &[(u64, u64)], expected_count: std::ops::RangeInclusive<usize>) {
        let (count, page) = integer_leaf(entries);
        assert!(expected_count.contains(&count), "{count}");
        let view = PageView::new(&page, PageKind::IntegerLeaf).unwrap();
        assert_eq!(view.count(), count);
        for (at, (key, offset)) in entries[..count].iter().enumerate().step_by(count / 500 + 1) {
            assert_eq!((view.integer_key(at), view.offset(at)), (*key, *offset));
            assert_eq!(view.lower_bound_integer(*key), at);
        }
    }

    #[test]
    fn integers_take_no_more_room_than_they_need() {
        check_integers(&(0..100_000).map(|at| (at + 7, at)).collect::<Vec<_>>(), 100_000..=100_000);
        check_integers(&(0..9_000).map(|at| (at + 7, at * 7919 % 9_000)).collect::<Vec<_>>(), 2036..=2036);
        check_integers(&(0..9_000).map(|at| (at * 3, at)).collect::<Vec<_>>(), 2036..=2036);
        check_integers(&(0..9_000).map(|at| (at << 50, at * 7919 % 9_000)).collect::<Vec<_>>(), 400..=420);
        check_integers(&(0..9_000).map(|at| (at << 50, at << 40)).collect::<Vec<_>>(), 250..=300);
        check_integers(&[(u64::MAX, u64::MAX >> 16)], 1..=1);
        check_integers(&[(0, 9), (u64::MAX, 3)], 2..=2);
    }

    #[test]
    fn byte_keys_share_their_prefix() {
        let keys: Vec<String> = (0..5000).map(|at| format!("https://example.org/{at:06}")).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let offsets: Vec<u64> = (0..5000).collect();
        let (count, page) = bytes_leaf(&keys, &offsets);
        assert!(count > 600, "{count}");
        let view = PageView::new(&page, PageKind::BytesLeaf).and_then(PageView::with_bytes).unwrap();
        for (at, key) in keys[..count].iter().enumerate() {
            assert_eq!((view.lower_bound(key), view.page.offset(at)), (at, offsets[at]));
            assert!(view.is_key(at, key));
        }
        assert_eq!(view.lower_bound(b"a"), 0);
        assert_eq!(view.lower_bound(b"z"), count);
        assert_eq!(view.lower_bound(b"https"), 0);
    }

    #[test]
    fn separators_are_short_and_between() {
        for (left, right) in [(&b"abc"[..], &b"abd"[..]), (b"a", b"ab"), (b"", b"x"), (b"apple", b"banana")] {
            let between = separator(left, right);
            assert!(left < &between[..] && &between[..] <= right && between.len() <= left.len() + 1);
        }
    }

    #[test]
    fn damaged_pages_are_refused_or_read_without_a_panic() {
        let entries: Vec<(u64, u64)> = (0..400u64).map(|at| (at * at, at * 37 % 400)).collect();
        let page = integer_leaf(&entries).1;
        assert!(PageView::new(&page[..20], PageKind::IntegerLeaf).is_err());
        assert!(PageView::new(&page, PageKind::BytesLeaf).is_err());
        for at in 0..BODY_AT {
            for bit in 0..8 {
                let mut damaged = page.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(view) = PageView::new(&damaged, PageKind::IntegerLeaf) {
                    let _ = (view.integer_key(view.count() - 1), view.offset(view.count() - 1));
                    let _ = view.with_bytes().map(|view| view.suffix(view.page.count() - 1).len());
                }
            }
        }
    }
}
