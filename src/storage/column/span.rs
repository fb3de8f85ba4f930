//! How far rows reach within so many bytes. Who holds rows of a chunk takes only so many that their texts and lists fit:
//! the ends of the values say it before the values themselves are read.

use std::ops::Range;

use super::bytes::Damage;
use super::chunk::{Chunk, ChunkNulls, Segment};
use super::chunk_reader::{ChunkResult, Lender, append_rows, child_of, list_ends};
use super::chunk_strings::for_each_length;
use super::chunk_writer::CHILD_ELEMENTS;
use super::encoding::Encoding;
use crate::storage::buffer_pool::SegmentRef;
use crate::types::{DataType, PhysicalType};
use crate::vector::VectorBuffer;

/// Values whose ends are looked at together.
const STEP_ROWS: usize = 16 * 1024;
/// What a text or a list takes beside its contents.
const END_BYTES: usize = 4;

/// The end of those first rows of `rows` that take at most `bytes` together; one row is always among them.
pub fn fitting_end(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: &Range<usize>,
    bytes: usize,
    lender: &Lender,
) -> ChunkResult<usize> {
    let reached = reach(chunk, data_type, rows, bytes, lender)?;
    Ok(reached.end.max(rows.start + 1).min(rows.end))
}

/// More than the rows of a chunk can take once they are read.
pub fn bytes_max(chunk: &Chunk<SegmentRef>) -> u64 {
    let own: u64 = match chunk.physical {
        PhysicalType::Str => chunk.segments.iter().map(segment_bytes_max).sum(),
        physical => u64::from(chunk.row_count) * physical.width() as u64,
    };
    let children = chunk.children.iter().map(|child| bytes_max(&child.chunk));
    children.fold(own, u64::saturating_add)
}

/// A text of a table can stand in every row.
fn segment_bytes_max(segment: &Segment<SegmentRef>) -> u64 {
    let rows = u64::from(segment.row_count);
    match &segment.encoding {
        Encoding::Plain => segment.bytes.len(),
        Encoding::Constant { value } => rows * (value.len() + END_BYTES) as u64,
        _ => rows.saturating_mul(segment.bytes.len()),
    }
}

/// As `append_rows`, with no more of the pool held at once than one reader's share.
pub fn append_in_pieces(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: Range<usize>,
    lender: &Lender,
    out: &mut VectorBuffer,
) -> ChunkResult<()> {
    if bytes_max(chunk) <= lender.share() as u64 {
        return append_rows(chunk, data_type, rows, lender, out);
    }
    let mut left = rows;
    while !left.is_empty() {
        let end = fitting_end(chunk, data_type, &left, lender.share(), lender)?;
        append_rows(chunk, data_type, left.start..end, lender, out)?;
        left.start = end;
    }
    Ok(())
}

/// How far some rows go and what those take.
struct Reached {
    end: usize,
    bytes: usize,
}

fn reach(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: &Range<usize>,
    bytes: usize,
    lender: &Lender,
) -> ChunkResult<Reached> {
    if rows.start > rows.end || rows.end > chunk.row_count as usize {
        return Err(Damage("rows behind the end of a chunk").into());
    }
    if matches!(chunk.nulls, ChunkNulls::All) {
        return Ok(Reached { end: rows.end, bytes: 0 });
    }
    match chunk.physical {
        PhysicalType::Str => by_steps(rows, bytes, |rows, left| texts(chunk, rows, left, lender)),
        PhysicalType::List => by_steps(rows, bytes, |rows, left| lists(chunk, data_type, rows, left, lender)),
        PhysicalType::Struct | PhysicalType::Union | PhysicalType::Any => {
            members(chunk, data_type, rows, bytes, lender)
        }
        physical => {
            let width = physical.width().max(1);
            let end = rows.end.min(rows.start.saturating_add(bytes / width));
            Ok(Reached { end, bytes: (end - rows.start) * width })
        }
    }
}

/// Goes on from step to step while all rows fit.
fn by_steps(
    rows: &Range<usize>,
    bytes: usize,
    mut reach: impl FnMut(Range<usize>, usize) -> ChunkResult<Reached>,
) -> ChunkResult<Reached> {
    let mut all = Reached { end: rows.start, bytes: 0 };
    while all.end < rows.end {
        let step = all.end..rows.end.min(all.end + STEP_ROWS);
        let wanted = step.end;
        let reached = reach(step, bytes - all.bytes)?;
        all = Reached { end: reached.end, bytes: all.bytes + reached.bytes };
        if all.end < wanted {
            break;
        }
    }
    Ok(all)
}

fn texts(
    chunk: &Chunk<SegmentRef>,
    rows: Range<usize>,
    bytes: usize,
    lender: &Lender,
) -> ChunkResult<Reached> {
    let mut reached = Reached { end: rows.start, bytes: 0 };
    let mut full = false;
    for_each_length(chunk, &rows, lender, &mut |length, times| {
        let fitting = (bytes - reached.bytes) / (length + END_BYTES);
        let taken = if full { 0 } else { times.min(fitting) };
        full |= taken < times;
        reached.end += taken;
        reached.bytes += taken * (length + END_BYTES);
    })?;
    Ok(reached)
}

fn lists(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: Range<usize>,
    bytes: usize,
    lender: &Lender,
) -> ChunkResult<Reached> {
    let ends = list_ends(chunk, data_type, &rows, lender)?;
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    if ends.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(Damage("ends of lists do not rise").into());
    }
    let for_ends = rows.len().min(bytes / END_BYTES);
    let elements = match child_of(&chunk.children, CHILD_ELEMENTS) {
        Ok(elements) if last > first => {
            let element = data_type.children().pop().unwrap_or(DataType::Null);
            reach(
                &elements.chunk,
                &element,
                &(first as usize..last as usize),
                bytes - for_ends * END_BYTES,
                lender,
            )?
        }
        _ => Reached { end: last as usize, bytes: 0 },
    };
    let whole = ends[1..].partition_point(|end| *end as usize <= elements.end).min(for_ends);
    Ok(Reached { end: rows.start + whole, bytes: elements.bytes + for_ends * END_BYTES })
}

/// Values side by side: each kind gets an equal share.
fn members(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: &Range<usize>,
    bytes: usize,
    lender: &Lender,
) -> ChunkResult<Reached> {
    let types = data_type.children();
    let share = bytes / chunk.children.len().max(1);
    let mut all = Reached { end: rows.end, bytes: 0 };
    for child in &chunk.children {
        let known = child.data_type.as_ref().or_else(|| types.get(usize::from(child.tag)));
        let reached = reach(&child.chunk, known.unwrap_or(&DataType::Null), rows, share, lender)?;
        all = Reached { end: all.end.min(reached.end), bytes: all.bytes + reached.bytes };
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::chunk_writer::{WriteOptions, write_chunk};
    use super::super::encoding::EncodingKind;
    use super::super::tests::{memory_lender, through_bytes};
    use super::*;
    use crate::types::Value;

    fn chunk_of(
        data_type: &DataType,
        values: &[Value],
        force_encoding: Option<EncodingKind>,
    ) -> Chunk<SegmentRef> {
        let mut buffer = VectorBuffer::new(data_type.clone());
        values.iter().for_each(|value| buffer.push_value(value).unwrap());
        let options = WriteOptions { force_encoding };
        through_bytes(write_chunk(&buffer.vector(), data_type, values.len(), &options).unwrap())
    }

    /// Where pieces of `bytes` end, for every encoding.
    fn check(data_type: &DataType, values: &[Value], bytes: usize, expected: &[usize]) {
        let kinds =
            [None, Some(EncodingKind::Plain), Some(EncodingKind::Dictionary), Some(EncodingKind::RunLength)];
        for kind in kinds {
            let chunk = chunk_of(data_type, values, kind);
            let (mut ends, mut at) = (Vec::new(), 0);
            while at < values.len() {
                let rows = at..values.len();
                at = fitting_end(&chunk, data_type, &rows, bytes, &memory_lender()).unwrap();
                ends.push(at);
            }
            assert_eq!(ends, expected, "{data_type} {kind:?}");
            let all = reach(&chunk, data_type, &(0..values.len()), usize::MAX, &memory_lender()).unwrap();
            assert!(all.bytes as u64 <= bytes_max(&chunk).max(1), "{data_type} {kind:?}");
        }
    }

    fn text(length: usize) -> Value {
        Value::String("x".repeat(length))
    }

    #[test]
    fn texts_are_cut_by_their_bytes() {
        let values: Vec<Value> = [6, 6, 6, 200, 1, 1, 300, 300].map(text).into();
        check(&DataType::String, &values, 20, &[2, 3, 4, 6, 7, 8]);
        check(&DataType::String, &values, 1 << 20, &[8]);
        // Steps of many rows.
        let many = vec![text(0); 40_000];
        check(&DataType::String, &many, 4 * 39_000, &[39_000, 40_000]);
    }

    #[test]
    fn lists_are_cut_by_their_elements() {
        let list = |length: usize| Value::List((0..length as i64).map(Value::Int64).collect());
        let values: Vec<Value> = [3, 0, 50, 1, 2].map(list).into();
        check(&DataType::list(DataType::Int64), &values, 60, &[2, 3, 5]);
        let texts = |lengths: &[usize]| Value::List(lengths.iter().map(|length| text(*length)).collect());
        let values = [texts(&[10, 10]), texts(&[100]), texts(&[]), texts(&[20])];
        check(&DataType::list(DataType::String), &values, 64, &[1, 2, 4]);
    }

    #[test]
    fn null_rows_take_nothing() {
        check(&DataType::String, &[Value::Null, Value::Null], 0, &[2]);
    }
}
