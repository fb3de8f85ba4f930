//! The strings of a chunk, row by row, and their lengths alone.

use std::ops::Range;

use super::bytes::Damage;
use super::chunk::{Chunk, Segment};
use super::chunk_reader::{ChunkResult, Lender, for_each_segment};
use super::encoding::{Encoding, fixed, rle, strings};
use crate::storage::buffer_pool::{SegmentGuard, SegmentRef};

/// Gives the strings of rows `rows` to `each`, which also gets how often each repeats.
pub fn for_each_string(
    chunk: &Chunk<SegmentRef>,
    rows: &Range<usize>,
    lender: &Lender,
    each: &mut dyn FnMut(&[u8], usize),
) -> ChunkResult<()> {
    for_each_segment(chunk, rows, |segment, rows| match &segment.encoding {
        Encoding::Constant { value } => {
            each(value, rows.len());
            Ok(())
        }
        Encoding::Plain => {
            let (ends, texts) = plain_window(segment, &rows, lender)?;
            let before = rows.start.saturating_sub(1);
            let base =
                if rows.start == 0 { 0 } else { strings::text_range(&ends, before, rows.start)?.start };
            for row in rows {
                let range = strings::text_range(&ends, before, row)?;
                let text = texts.get(range.start.wrapping_sub(base)..range.end.wrapping_sub(base));
                each(text.ok_or(Damage("string lies outside its segment"))?, 1);
            }
            Ok(())
        }
        _ => {
            let table = StringTable::open(segment, lender)?;
            for_each_entry(segment, &rows, lender, |entry, times| table.with(entry, |text| each(text, times)))
        }
    })
}

/// The same with the lengths of the strings: their bytes are not read.
pub fn for_each_length(
    chunk: &Chunk<SegmentRef>,
    rows: &Range<usize>,
    lender: &Lender,
    each: &mut dyn FnMut(usize, usize),
) -> ChunkResult<()> {
    for_each_segment(chunk, rows, |segment, rows| {
        let (start, entries) = strings::table_of(&segment.encoding, segment.row_count as usize);
        match &segment.encoding {
            Encoding::Constant { value } => each(value.len(), rows.len()),
            Encoding::Plain if rows.is_empty() => {}
            Encoding::Plain => {
                let before = rows.start.saturating_sub(1);
                let ends = lender.lend(&segment.bytes, before * 4..rows.end * 4)?;
                for row in rows {
                    each(strings::text_range(&ends, before, row)?.len(), 1);
                }
            }
            _ => {
                let ends = lender.lend(&segment.bytes, start..start + entries * 4)?;
                for_each_entry(segment, &rows, lender, |entry, times| {
                    each(strings::text_range(&ends, 0, entry)?.len(), times);
                    Ok(())
                })?;
            }
        }
        Ok(())
    })
}

/// The entries of a string table that stand for rows of its segment.
fn for_each_entry(
    segment: &Segment<SegmentRef>,
    rows: &Range<usize>,
    lender: &Lender,
    mut each: impl FnMut(usize, usize) -> ChunkResult<()>,
) -> ChunkResult<()> {
    let count = segment.row_count as usize;
    match segment.encoding {
        Encoding::Dictionary { entries, code_width } => {
            let (first, range) = fixed::byte_range(&segment.encoding, 0, count, rows);
            let bytes = lender.lend(&segment.bytes, range)?;
            let mut codes = Vec::with_capacity(rows.len());
            fixed::read_codes(&bytes, first, count, entries, code_width, rows.clone(), &mut codes)?;
            codes.into_iter().try_for_each(|code| each(code as usize, 1))
        }
        Encoding::RunLength { runs } => {
            let runs = runs as usize;
            let ends = lender.lend(&segment.bytes, 0..runs * 4)?;
            rle::for_each(&ends, runs, rows.start, rows.end, each)
        }
        _ => Err(Damage("bit-packed strings").into()),
    }
}

/// The string table of a segment: lent as a whole, or text by text where it would take too much of the pool.
struct StringTable<'s> {
    segment: &'s Segment<SegmentRef>,
    lender: &'s Lender,
    start: usize,
    entries: usize,
    whole: Option<SegmentGuard>,
}

impl<'s> StringTable<'s> {
    fn open(segment: &'s Segment<SegmentRef>, lender: &'s Lender) -> ChunkResult<StringTable<'s>> {
        let (start, entries) = strings::table_of(&segment.encoding, segment.row_count as usize);
        let end = segment.bytes.len() as usize;
        let is_small = end.saturating_sub(start) <= lender.share();
        let whole = is_small.then(|| lender.lend(&segment.bytes, start..end)).transpose()?;
        Ok(StringTable { segment, lender, start, entries, whole })
    }

    fn with(&self, entry: usize, each: impl FnOnce(&[u8])) -> ChunkResult<()> {
        if let Some(whole) = &self.whole {
            each(strings::table_entry(whole, self.entries, entry)?);
            return Ok(());
        }
        if entry >= self.entries {
            return Err(Damage("string lies behind its table").into());
        }
        let bytes = &self.segment.bytes;
        let before = entry.saturating_sub(1);
        let ends = self.lender.lend(bytes, self.start + before * 4..self.start + (entry + 1) * 4)?;
        let text = strings::text_range(&ends, before, entry)?;
        let texts = self.start + self.entries * 4;
        each(&self.lender.lend(bytes, texts + text.start..texts + text.end)?);
        Ok(())
    }
}

/// The ends and the bytes of rows of a plain string segment: ends begin with row `rows.start - 1` (or 0), bytes with
/// the text of row `rows.start`.
pub fn plain_window(
    segment: &Segment<SegmentRef>,
    rows: &Range<usize>,
    lender: &Lender,
) -> ChunkResult<(SegmentGuard, SegmentGuard)> {
    let before = rows.start.saturating_sub(1);
    let ends = lender.lend(&segment.bytes, before * 4..rows.end * 4)?;
    let texts_start = segment.row_count as usize * 4;
    let range = match rows.is_empty() {
        true => 0..0,
        false => {
            let start = strings::text_range(&ends, before, rows.start)?.start;
            let end = strings::text_range(&ends, before, rows.end - 1)?.end;
            if end < start {
                return Err(Damage("ends of strings do not rise").into());
            }
            start..end
        }
    };
    let texts = lender.lend(&segment.bytes, texts_start + range.start..texts_start + range.end)?;
    Ok((ends, texts))
}
