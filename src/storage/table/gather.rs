//! Values of a column at any offsets. Rows of one chunk are read together where they come together; a chunk that has
//! fewer blocks than rows are wanted is checked once and read as one slice.

use std::ops::Range;

use super::column_scan::with_native;
use super::group_levels::GroupLevels;
use super::node_table::{ColumnChunk, NodeTable};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{Admission, CURSOR_BLOCKS_MAX, Cursor, PoolWorker, SegmentRef};
use crate::storage::column::bytes::Damage;
use crate::storage::column::chunk::{ChunkNulls, Segment};
use crate::storage::column::chunk_reader::ChunkResult;
use crate::storage::column::encoding::{Encoding, bit_packing, fixed, rle, strings};
use crate::storage::column::fixed::{FixedValue, read_at};
use crate::storage::column::span::append_in_pieces;
use crate::storage::delta::PatchPart;
use crate::types::{ColumnId, NODE_GROUP_ROWS, PhysicalType};
use crate::vector::{Native, Validity, VectorBuffer};

pub(super) fn gather(
    table: &NodeTable,
    column: ColumnId,
    offsets: &[u64],
    worker: &mut PoolWorker,
    out: &mut VectorBuffer,
) -> StorageResult<()> {
    if let [offset] = offsets {
        let row = (offset % NODE_GROUP_ROWS) as u32;
        return gather_group(table, column, offset / NODE_GROUP_ROWS, &[row], worker, out);
    }
    let mut at = 0;
    let mut rows: Vec<u32> = Vec::new();
    while let Some(offset) = offsets.get(at) {
        let group = offset / NODE_GROUP_ROWS;
        rows.clear();
        let same = offsets[at..].iter().take_while(|offset| **offset / NODE_GROUP_ROWS == group);
        rows.extend(same.map(|offset| (offset % NODE_GROUP_ROWS) as u32));
        at += rows.len();
        gather_group(table, column, group, &rows, worker, out)?;
    }
    Ok(())
}

fn gather_group(
    table: &NodeTable,
    column: ColumnId,
    group: u64,
    rows: &[u32],
    worker: &mut PoolWorker,
    out: &mut VectorBuffer,
) -> StorageResult<()> {
    let levels = table.group_levels(group);
    match levels.is_empty() {
        true => gather_base(table, column, group, rows, worker, out),
        false => gather_levels(table, column, group, (rows, &levels), worker, out),
    }
}

/// Rows as the group's page has them.
fn gather_base(
    table: &NodeTable,
    column: ColumnId,
    group: u64,
    rows: &[u32],
    worker: &mut PoolWorker,
    out: &mut VectorBuffer,
) -> StorageResult<()> {
    let group = table.group(usize::try_from(group).unwrap_or(usize::MAX))?;
    match group.chunk(column) {
        Some(chunk) if chunk.chunk.physical == out.data_type().physical() => {
            let known = rows.iter().all(|row| *row < group.rows());
            let patch = match chunk.is_patched() {
                true => chunk.patch(&table.data_type(column), table.pool())?,
                false => None,
            };
            let result = match (known, patch) {
                (true, None) => gather_chunk(table, chunk, rows, worker, out),
                (true, Some(patch)) => gather_patched(table, (chunk, patch), rows, worker, out),
                (false, _) => Err(Damage("a row that its group does not have").into()),
            };
            result.map_err(|error| chunk.error(error))?;
        }
        Some(chunk) => return Err(chunk.error(Damage("a chunk holds values of another type").into())),
        None => out.push_nulls(rows.len()),
    }
    Ok(())
}

/// Where the value of a row stands.
#[derive(Clone, Copy)]
enum Place<'l> {
    Base,
    Part(&'l VectorBuffer, usize),
    Patch(&'l PatchPart, usize),
    Null,
}

impl Place<'_> {
    fn same_source(&self, other: &Place<'_>) -> bool {
        match (self, other) {
            (Place::Base, Place::Base) | (Place::Null, Place::Null) => true,
            (Place::Part(ours, _), Place::Part(theirs, _)) => std::ptr::eq(*ours, *theirs),
            (Place::Patch(ours, _), Place::Patch(theirs, _)) => std::ptr::eq(*ours, *theirs),
            _ => false,
        }
    }
}

/// Rows of a group that levels have changed: those of one source that follow each other are read together.
fn gather_levels(
    table: &NodeTable,
    column: ColumnId,
    group: u64,
    (rows, levels): (&[u32], &GroupLevels),
    worker: &mut PoolWorker,
    out: &mut VectorBuffer,
) -> StorageResult<()> {
    let patched = levels.is_patched(column);
    let place = |row: &u32| {
        let row = *row as u16;
        if patched && let Some((part, at)) = levels.patch(column, row) {
            return Place::Patch(part, at);
        }
        match levels.birth(row) {
            Some((part, at)) => part.column(column).map_or(Place::Null, |values| Place::Part(values, at)),
            None => Place::Base,
        }
    };
    let places: Vec<Place<'_>> = rows.iter().map(place).collect();
    let (mut start, mut positions) = (0, Vec::new());
    for same in places.chunk_by(Place::same_source) {
        let wanted = &rows[start..start + same.len()];
        start += same.len();
        positions.clear();
        positions.extend(same.iter().map(|place| match place {
            Place::Part(_, at) | Place::Patch(_, at) => *at as u32,
            Place::Base | Place::Null => 0,
        }));
        let found = match same[0] {
            Place::Part(values, _) => values.data_type().physical(),
            Place::Patch(part, _) => part.data_type().physical(),
            Place::Base | Place::Null => out.data_type().physical(),
        };
        if found != out.data_type().physical() {
            let group = table.group(usize::try_from(group).unwrap_or(usize::MAX))?;
            return Err(group.error(Damage("a change holds values of another type")));
        }
        match same[0] {
            Place::Base => gather_base(table, column, group, wanted, worker, out)?,
            Place::Null => out.push_nulls(same.len()),
            Place::Part(values, _) => out.append_rows(&values.vector(), &positions),
            Place::Patch(part, _) => out.append_rows(&part.values(), &positions),
        }
    }
    Ok(())
}

/// Rows of a chunk with new values beside its segments.
fn gather_patched(
    table: &NodeTable,
    (chunk, patch): (&ColumnChunk, &PatchPart),
    rows: &[u32],
    worker: &mut PoolWorker,
    out: &mut VectorBuffer,
) -> ChunkResult<()> {
    let place = |row: &u32| patch.rows().binary_search(&(*row as u16)).ok().map(|at| at as u32);
    let places: Vec<Option<u32>> = rows.iter().map(place).collect();
    let mut start = 0;
    for same in places.chunk_by(|one, next| one.is_some() == next.is_some()) {
        let wanted = &rows[start..start + same.len()];
        start += same.len();
        match same[0] {
            None => gather_chunk(table, chunk, wanted, worker, out)?,
            Some(_) => {
                let positions: Vec<u32> = same.iter().flatten().copied().collect();
                out.append_rows(&patch.values(), &positions);
            }
        }
    }
    Ok(())
}

fn gather_chunk(
    table: &NodeTable,
    column: &ColumnChunk,
    rows: &[u32],
    worker: &mut PoolWorker,
    out: &mut VectorBuffer,
) -> ChunkResult<()> {
    let chunk = &column.chunk;
    let simple = chunk.physical.width() > 0 && chunk.children.is_empty();
    let [segment] = chunk.segments.as_slice() else {
        return gather_runs(table, column, rows, out);
    };
    if !simple || matches!(chunk.nulls, ChunkNulls::All) {
        return gather_runs(table, column, rows, out);
    }
    let mut source = Source { cursor: worker.cursor(), segment };
    let mask = match &chunk.nulls {
        ChunkNulls::Bitmap(bitmap) => Some(source.valid_rows(bitmap, rows)?),
        _ => None,
    };
    let validity = mask.as_ref().map_or(Validity::AllValid, |words| Validity::Mask(words));
    let damaged = Damage("a buffer of another type");
    match chunk.physical {
        PhysicalType::Str => {
            let buffer = out.strings_mut().ok_or(damaged)?;
            let before = buffer.len();
            let result = source.strings(rows, &mut |text| buffer.push(text));
            buffer.push_empty((before + rows.len()).saturating_sub(buffer.len()));
            out.finish_rows(rows.len(), validity);
            result
        }
        PhysicalType::Bool => {
            out.fill_bools(rows.len(), validity, |values| source.fixed::<u8>(rows, values)).ok_or(damaged)?
        }
        physical => with_native!(physical, T => {
            out.fill(rows.len(), validity, |values| source.fixed::<T>(rows, values)).ok_or(damaged)?
        }, else gather_runs(table, column, rows, out)),
    }
}

/// Composite and nested values, rows that follow each other together as far as the pool has room.
fn gather_runs(
    table: &NodeTable,
    column: &ColumnChunk,
    rows: &[u32],
    out: &mut VectorBuffer,
) -> ChunkResult<()> {
    let lender = table.lender(Admission::Frames);
    let data_type = out.data_type().clone();
    for run in rows.chunk_by(|row, next| row.checked_add(1) == Some(*next)) {
        let start = run[0] as usize;
        append_in_pieces(&column.chunk, &data_type, start..start + run.len(), &lender, out)?;
    }
    Ok(())
}

struct Source<'w, 's> {
    cursor: Cursor<'w>,
    segment: &'s Segment<SegmentRef>,
}

/// Whether checking all blocks of a segment once is cheaper than checking one per row.
fn worth_viewing(segment: &SegmentRef, rows: usize) -> bool {
    let blocks = segment.block_count();
    blocks <= CURSOR_BLOCKS_MAX && (blocks as usize) < rows.max(2)
}

fn wide(range: Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}

impl Source<'_, '_> {
    /// A mask of the rows that are not null.
    fn valid_rows(&mut self, bitmap: &SegmentRef, rows: &[u32]) -> ChunkResult<Vec<u64>> {
        let bytes = self.cursor.view(bitmap)?;
        let mut mask = vec![0u64; rows.len().div_ceil(64)];
        for (position, row) in rows.iter().enumerate() {
            let byte = bytes.get(*row as usize / 8).ok_or(Damage("null bitmap is cut short"))?;
            mask[position / 64] |= u64::from(byte >> (row % 8) & 1) << (position % 64);
        }
        Ok(mask)
    }

    fn fixed<T: FixedValue + Native>(&mut self, rows: &[u32], out: &mut Vec<T>) -> ChunkResult<()> {
        let count = self.segment.row_count as usize;
        match &self.segment.encoding {
            Encoding::Constant { value } => {
                let value = T::read_from(value).ok_or(Damage("constant is too short"))?;
                out.resize(out.len() + rows.len(), value);
            }
            Encoding::Plain => self.each_range(
                rows,
                |row| row * T::WIDTH..(row + 1) * T::WIDTH,
                |bytes, whole, row| {
                    out.push(read_at(bytes, if whole { row } else { 0 })?);
                    Ok(())
                },
            )?,
            Encoding::BitPacked { base, width } => self.each_packed(rows, *width, |distance| {
                out.push(T::at_distance(*base, distance));
                Ok(())
            })?,
            Encoding::Dictionary { entries, code_width } => {
                let codes = self.codes(rows, *entries, *code_width)?;
                let range = fixed::dictionary_range(*entries, *code_width, T::WIDTH, count);
                self.each_entry(&codes, range, T::WIDTH, |bytes, at| {
                    out.push(read_at(bytes, at)?);
                    Ok(())
                })?;
            }
            Encoding::RunLength { runs } => {
                let runs = *runs as usize;
                let bytes = self.copy(self.segment.bytes.len())?;
                let values = bytes.get(rle::values_start(runs)..).ok_or(Damage("runs are cut short"))?;
                for row in rows {
                    out.push(read_at(values, rle::find(&bytes, runs, *row as usize)?)?);
                }
            }
        }
        Ok(())
    }

    fn codes(&mut self, rows: &[u32], entries: u32, width: u8) -> ChunkResult<Vec<u32>> {
        let mut codes = Vec::with_capacity(rows.len());
        self.each_packed(rows, width, |code| {
            if code >= u64::from(entries) {
                return Err(Damage("dictionary code without a value").into());
            }
            codes.push(code as u32);
            Ok(())
        })?;
        Ok(codes)
    }

    fn each_packed(
        &mut self,
        rows: &[u32],
        width: u8,
        mut each: impl FnMut(u64) -> ChunkResult<()>,
    ) -> ChunkResult<()> {
        if width == 0 {
            return rows.iter().try_for_each(|_| each(0));
        }
        self.each_range(
            rows,
            |row| bit_packing::value_range(width, row),
            |bytes, whole, row| match whole {
                true => each(bit_packing::get(bytes, width, row)?),
                false => each(bit_packing::get_in_range(bytes, width, row)?),
            },
        )
    }

    /// Calls `each` for every row with the bytes of its range, or with the whole segment (`true`).
    fn each_range(
        &mut self,
        rows: &[u32],
        range: impl Fn(usize) -> Range<usize>,
        mut each: impl FnMut(&[u8], bool, usize) -> ChunkResult<()>,
    ) -> ChunkResult<()> {
        let segment = &self.segment.bytes;
        if worth_viewing(segment, rows.len()) {
            let bytes = self.cursor.view(segment)?;
            return rows.iter().try_for_each(|row| each(&bytes, true, *row as usize));
        }
        for row in rows {
            let bytes = self.cursor.bytes(segment, wide(range(*row as usize)))?;
            each(bytes, false, *row as usize)?;
        }
        Ok(())
    }

    /// Calls `each` with the values of a dictionary and the place of the entry there.
    fn each_entry(
        &mut self,
        codes: &[u32],
        range: Range<usize>,
        width: usize,
        mut each: impl FnMut(&[u8], usize) -> ChunkResult<()>,
    ) -> ChunkResult<()> {
        let segment = &self.segment.bytes;
        if worth_viewing(segment, codes.len()) {
            let view = self.cursor.view(segment)?;
            let values = view.get(range).ok_or(Damage("dictionary is cut short"))?;
            return codes.iter().try_for_each(|code| each(values, *code as usize));
        }
        for code in codes {
            let start = range.start + *code as usize * width;
            each(self.cursor.bytes(segment, wide(start..start + width))?, 0)?;
        }
        Ok(())
    }

    /// A copy of the first `length` bytes of the segment, which may be more than is lent at once.
    fn copy(&mut self, length: u64) -> ChunkResult<Vec<u8>> {
        let segment = &self.segment.bytes;
        let mut bytes = Vec::with_capacity(length.min(segment.len()) as usize);
        let piece = crate::storage::buffer_pool::BLOCK_BYTES;
        let mut at = 0;
        while at < length {
            let end = (at + piece).min(length);
            bytes.extend_from_slice(self.cursor.bytes(segment, at..end)?);
            at = end;
        }
        Ok(bytes)
    }

    fn strings(&mut self, rows: &[u32], each: &mut dyn FnMut(&[u8])) -> ChunkResult<()> {
        let count = self.segment.row_count as usize;
        match &self.segment.encoding {
            Encoding::Constant { value } => rows.iter().for_each(|_| each(value)),
            Encoding::Plain => self.table_entries(0, count, rows, each)?,
            Encoding::Dictionary { entries, code_width } => {
                let codes = self.codes(rows, *entries, *code_width)?;
                let (start, entries) = strings::table_of(&self.segment.encoding, count);
                self.table_entries(start, entries, &codes, each)?;
            }
            Encoding::RunLength { runs } => {
                let runs = *runs as usize;
                let (start, entries) = strings::table_of(&self.segment.encoding, count);
                let ends = self.copy(runs as u64 * 4)?;
                let find = |row: &u32| rle::find(&ends, runs, *row as usize).map(|run| run as u32);
                let wanted = rows.iter().map(find).collect::<Result<Vec<u32>, Damage>>()?;
                self.table_entries(start, entries, &wanted, each)?;
            }
            Encoding::BitPacked { .. } => return Err(Damage("bit-packed strings").into()),
        }
        Ok(())
    }

    /// Strings of a string table that begins at byte `start` of the segment.
    fn table_entries(
        &mut self,
        start: usize,
        entries: usize,
        wanted: &[u32],
        each: &mut dyn FnMut(&[u8]),
    ) -> ChunkResult<()> {
        let segment = &self.segment.bytes;
        if worth_viewing(segment, wanted.len()) {
            let view = self.cursor.view(segment)?;
            let table = view.get(start..).ok_or(Damage("strings are cut short"))?;
            for entry in wanted {
                each(strings::table_entry(table, entries, *entry as usize)?);
            }
            return Ok(());
        }
        let texts = start + entries * 4;
        let mut long = Vec::new();
        for entry in wanted {
            let entry = *entry as usize;
            let before = entry.saturating_sub(1);
            let ends = self.cursor.bytes(segment, wide(start + before * 4..start + (entry + 1) * 4))?;
            let text = strings::text_range(ends, before, entry)?;
            let (from, to) = (texts + text.start, texts + text.end);
            let piece = crate::storage::buffer_pool::BLOCK_BYTES as usize;
            if to - from <= piece {
                each(self.cursor.bytes(segment, wide(from..to))?);
                continue;
            }
            long.clear();
            for at in (from..to).step_by(piece) {
                long.extend_from_slice(self.cursor.bytes(segment, wide(at..(at + piece).min(to)))?);
            }
            each(&long);
        }
        Ok(())
    }
}
