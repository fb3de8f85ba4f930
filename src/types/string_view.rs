//! A string in 16 bytes, laid out as Arrow's views: length, then either up to 12 bytes of text, or a prefix of four,
//! a buffer's index and an offset in it. Unused bytes are zero, so that equal short strings have equal views.

use std::cmp::Ordering;

/// Strings up to this length live in the view itself.
pub const INLINE_BYTES: usize = 12;

/// A view of a string or blob; long text lies in a buffer that stands beside the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct StringView {
    length: u32,
    rest: [u8; INLINE_BYTES],
}

const _: () = assert!(size_of::<StringView>() == 16);

impl StringView {
    /// The empty string.
    pub const EMPTY: StringView = StringView { length: 0, rest: [0; INLINE_BYTES] };

    /// A view that holds its text, if that is short enough.
    #[inline]
    pub fn inline(text: &[u8]) -> Option<StringView> {
        if text.len() > INLINE_BYTES {
            return None;
        }
        let mut rest = [0; INLINE_BYTES];
        rest[..text.len()].copy_from_slice(text);
        Some(StringView { length: text.len() as u32, rest })
    }

    /// A view of `text`, which lies at `offset` of buffer `buffer`; short text is held inline instead.
    #[inline]
    pub fn new(text: &[u8], buffer: u32, offset: u32) -> StringView {
        Self::inline(text).unwrap_or_else(|| {
            let mut rest = [0; INLINE_BYTES];
            rest[..4].copy_from_slice(&text[..4]);
            rest[4..8].copy_from_slice(&buffer.to_le_bytes());
            rest[8..].copy_from_slice(&offset.to_le_bytes());
            StringView { length: text.len() as u32, rest }
        })
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether the text has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the text lies in the view.
    #[inline]
    pub fn is_inline(&self) -> bool {
        self.len() <= INLINE_BYTES
    }

    /// The text, if it lies in the view.
    #[inline]
    pub fn inline_bytes(&self) -> Option<&[u8]> {
        self.rest.get(..self.len())
    }

    /// The first four bytes, padded with zeros.
    #[inline]
    pub fn prefix(&self) -> [u8; 4] {
        [self.rest[0], self.rest[1], self.rest[2], self.rest[3]]
    }

    /// Length and prefix in one word: different words mean different strings.
    #[inline]
    pub fn head(&self) -> u64 {
        u64::from(self.length) | (u64::from(u32::from_le_bytes(self.prefix())) << 32)
    }

    /// The buffer that holds a long text.
    #[inline]
    pub fn buffer(&self) -> u32 {
        u32::from_le_bytes([self.rest[4], self.rest[5], self.rest[6], self.rest[7]])
    }

    /// Where a long text starts in its buffer.
    #[inline]
    pub fn offset(&self) -> u32 {
        u32::from_le_bytes([self.rest[8], self.rest[9], self.rest[10], self.rest[11]])
    }

    /// The same view with its buffer's index moved up, for vectors that are put together from several.
    #[inline]
    pub fn with_buffer_base(mut self, base: u32) -> StringView {
        if !self.is_inline() {
            let moved = self.buffer().wrapping_add(base);
            self.rest[4..8].copy_from_slice(&moved.to_le_bytes());
        }
        self
    }

    /// Decides the order of two strings by their prefixes where these differ.
    #[inline]
    pub fn prefix_order(&self, other: &StringView) -> Ordering {
        u32::from_be_bytes(self.prefix()).cmp(&u32::from_be_bytes(other.prefix()))
    }

    /// The 16 bytes.
    #[inline]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..].copy_from_slice(&self.rest);
        bytes
    }

    /// The view that `to_bytes` wrote.
    #[inline]
    pub fn from_bytes(bytes: [u8; 16]) -> StringView {
        let mut rest = [0; INLINE_BYTES];
        rest.copy_from_slice(&bytes[4..]);
        StringView { length: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_is_held_and_long_text_is_named() {
        let short = StringView::new(b"hello", 9, 9);
        assert_eq!(short.inline_bytes(), Some(&b"hello"[..]));
        let long = StringView::new(b"a longer string", 3, 77);
        assert_eq!((long.inline_bytes(), long.buffer(), long.offset(), long.len()), (None, 3, 77, 15));
        assert_eq!(long.with_buffer_base(2).buffer(), 5);
        assert_eq!(StringView::from_bytes(long.to_bytes()), long);
    }
}
