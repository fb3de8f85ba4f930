//! Strings that grow: views over chunks of text, whose memory is used again after `clear`.

use super::{StringBuffers, StringVector};
use crate::types::StringView;

/// What one short text takes: many buffers hold a single row, and what the allocator keeps per thread is smaller than a page.
const CHUNK_BYTES_MIN: usize = 64;
const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// An owned string vector.
#[derive(Debug, Clone, Default)]
pub struct StringBuffer {
    views: Vec<StringView>,
    chunks: Vec<Vec<u8>>,
    /// The chunk that takes the next text.
    current: usize,
}

impl StringBuffer {
    /// Appends a string. Longer than 4 GiB is our own mistake: no format can hold it.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        let view = self.intern(text);
        self.views.push(view);
    }

    /// Keeps the text without a row for it and gives the view.
    #[inline]
    pub fn intern(&mut self, text: &[u8]) -> StringView {
        match StringView::inline(text) {
            Some(view) => view,
            None => self.intern_long(text),
        }
    }

    fn intern_long(&mut self, text: &[u8]) -> StringView {
        assert!(u32::try_from(text.len()).is_ok(), "a string of {} bytes", text.len());
        let chunk = self.chunk_for(text.len());
        let offset = self.chunks[chunk].len();
        self.chunks[chunk].extend_from_slice(text);
        StringView::new(text, chunk as u32, offset as u32)
    }

    /// The chunk that has room; a full one is left behind until the next `clear`.
    fn chunk_for(&mut self, length: usize) -> usize {
        while let Some(chunk) = self.chunks.get(self.current) {
            if chunk.capacity() - chunk.len() >= length {
                return self.current;
            }
            self.current += 1;
        }
        let grown = self.chunks.last().map_or(CHUNK_BYTES_MIN, |chunk| chunk.capacity() * 2);
        self.chunks.push(Vec::with_capacity(grown.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX).max(length)));
        self.current = self.chunks.len() - 1;
        self.current
    }

    /// Makes room for so many more rows, and no more.
    pub fn reserve(&mut self, rows: usize) {
        self.views.reserve_exact(rows);
    }

    /// Appends a view that `intern` gave.
    #[inline]
    pub fn push_view(&mut self, view: StringView) {
        self.views.push(view);
    }

    /// Appends `count` empty strings, what stands under nulls.
    pub fn push_empty(&mut self, count: usize) {
        self.views.resize(self.views.len() + count, StringView::EMPTY);
    }

    /// Appends one string `count` times; its text is stored once.
    pub fn push_repeated(&mut self, text: &[u8], count: usize) {
        let view = self.intern(text);
        self.views.resize(self.views.len() + count, view);
    }

    /// Appends rows of another vector.
    pub fn extend(&mut self, strings: &StringVector<'_>, rows: impl Iterator<Item = usize>) {
        self.views.reserve(rows.size_hint().0);
        for row in rows {
            let view = strings.views[row];
            if view.is_inline() {
                self.views.push(view);
            } else {
                self.push(strings.bytes(row));
            }
        }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// Forgets the strings, keeps the memory.
    pub fn clear(&mut self) {
        self.views.clear();
        self.chunks.iter_mut().for_each(Vec::clear);
        self.current = 0;
    }

    /// Drops the rows from `length` on; their text goes with the next `clear`.
    pub fn truncate(&mut self, length: usize) {
        self.views.truncate(length);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.views.capacity() * size_of::<StringView>() + self.chunks.iter().map(Vec::capacity).sum::<usize>()
    }

    /// The text of the views.
    pub fn buffers(&self) -> StringBuffers<'_> {
        StringBuffers::Chunks(&self.chunks)
    }

    /// The strings, borrowed.
    #[inline]
    pub fn view(&self) -> StringVector<'_> {
        StringVector { views: &self.views, buffers: self.buffers() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_any_length_come_back_and_memory_is_kept() {
        let texts: Vec<Vec<u8>> =
            (0..600).map(|row: usize| vec![b'a' + (row % 26) as u8; row * 7 % 5000]).collect();
        let mut buffer = StringBuffer::default();
        for _ in 0..2 {
            texts.iter().for_each(|text| buffer.push(text));
            texts.iter().enumerate().for_each(|(row, text)| assert_eq!(buffer.view().bytes(row), &text[..]));
            let bytes = buffer.bytes();
            buffer.clear();
            assert_eq!(buffer.bytes(), bytes);
        }
    }
}
