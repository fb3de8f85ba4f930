//! Rows of a chunk, of any type and encoding, appended to a buffer. Scans take shorter ways where they can lend what
//! lies in the pages; this is the way that always works.

use std::ops::Range;

use super::bytes::{Damage, Damaged};
use super::chunk::{Child, Chunk, ChunkNulls, Segment};
use super::chunk_strings::for_each_string;
use super::chunk_writer::{CHILD_ELEMENTS, CHILD_ENDS, CHILD_TAGS};
use super::encoding::{Encoding, fixed};
use super::fixed::{FixedValue, read_at};
use crate::storage::StorageError;
use crate::storage::buffer_pool::{Admission, BufferPool, SegmentGuard, SegmentRef};
use crate::types::{DataType, Interval, PhysicalType, Time, Value, ZoneId, Zoned};
use crate::vector::{Native, Validity, VectorBuffer};

/// Readers that the pool has room for where each holds wide values.
const POOL_SHARES: u64 = 16;

/// Why rows cannot be read.
#[derive(Debug)]
pub enum ChunkError {
    /// The bytes could not be had.
    Storage(StorageError),
    /// The bytes make no sense.
    Damage(Damage),
}

impl From<StorageError> for ChunkError {
    fn from(error: StorageError) -> Self {
        ChunkError::Storage(error)
    }
}

impl From<Damage> for ChunkError {
    fn from(damage: Damage) -> Self {
        ChunkError::Damage(damage)
    }
}

/// A result of reading a chunk.
pub type ChunkResult<T> = Result<T, ChunkError>;

/// Lends the bytes of segments.
#[derive(Clone)]
pub struct Lender {
    /// Where the bytes are.
    pub pool: BufferPool,
    /// Where blocks go that have to be loaded.
    pub admission: Admission,
}

impl Lender {
    /// Bytes `range` of a segment.
    pub fn lend(&self, segment: &SegmentRef, range: Range<usize>) -> ChunkResult<SegmentGuard> {
        Ok(self.pool.lend(segment, range.start as u64..range.end as u64, self.admission)?)
    }

    /// Bytes that one reader takes of the pool at once: others read beside him.
    pub fn share(&self) -> usize {
        usize::try_from(self.pool.limit_bytes() / POOL_SHARES).unwrap_or(usize::MAX)
    }
}

/// The nulls of some rows.
pub enum RowNulls {
    /// None.
    None,
    /// All.
    All,
    /// Words of a bitmap; the first row is bit `bit` of the first.
    Words { words: Vec<u64>, bit: u32 },
}

impl RowNulls {
    /// The same as a vector's validity.
    pub fn validity(&self) -> Validity<'_> {
        match self {
            RowNulls::None => Validity::AllValid,
            RowNulls::All => Validity::AllNull,
            RowNulls::Words { words, bit: 0 } => Validity::Mask(words),
            RowNulls::Words { words, bit } => Validity::Shifted { words, bit: *bit },
        }
    }
}

/// The bytes of a null bitmap that rows `rows` need.
pub fn null_range(rows: &Range<usize>) -> Range<usize> {
    rows.start / 64 * 8..rows.end.div_ceil(64) * 8
}

/// Reads which of the rows are null.
pub fn read_nulls(chunk: &Chunk<SegmentRef>, rows: &Range<usize>, lender: &Lender) -> ChunkResult<RowNulls> {
    match &chunk.nulls {
        ChunkNulls::None => Ok(RowNulls::None),
        ChunkNulls::All => Ok(RowNulls::All),
        ChunkNulls::Bitmap(segment) => {
            let bytes = lender.lend(segment, null_range(rows))?;
            let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            Ok(RowNulls::Words { words, bit: (rows.start % 64) as u32 })
        }
    }
}

/// Appends rows `rows` of a chunk, which holds values of `data_type`.
pub fn append_rows(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: Range<usize>,
    lender: &Lender,
    out: &mut VectorBuffer,
) -> ChunkResult<()> {
    if rows.start > rows.end || rows.end > chunk.row_count as usize {
        return Err(Damage("rows behind the end of a chunk").into());
    }
    if chunk.physical != data_type.physical() || out.data_type().physical() != chunk.physical {
        return Err(Damage("a chunk holds values of another type").into());
    }
    if matches!(chunk.nulls, ChunkNulls::All) {
        out.push_nulls(rows.len());
        return Ok(());
    }
    let nulls = read_nulls(chunk, &rows, lender)?;
    let reader = Reader { chunk, data_type, rows, lender, nulls: &nulls };
    reader.append(out)
}

struct Reader<'a> {
    chunk: &'a Chunk<SegmentRef>,
    data_type: &'a DataType,
    rows: Range<usize>,
    lender: &'a Lender,
    nulls: &'a RowNulls,
}

const WRONG_BUFFER: Damage = Damage("a buffer of another type");

impl Reader<'_> {
    fn append(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        match self.chunk.physical {
            PhysicalType::Null => {
                out.push_nulls(self.rows.len());
                Ok(())
            }
            PhysicalType::Bool => {
                let validity = self.nulls.validity();
                let read = |values: &mut Vec<u8>| append_fixed(self.chunk, &self.rows, self.lender, values);
                out.fill_bools(self.rows.len(), validity, read).ok_or(WRONG_BUFFER)?
            }
            PhysicalType::I8 => self.fixed::<i8>(out),
            PhysicalType::I16 => self.fixed::<i16>(out),
            PhysicalType::I32 => self.fixed::<i32>(out),
            PhysicalType::I64 => self.fixed::<i64>(out),
            PhysicalType::I128 => self.fixed::<i128>(out),
            PhysicalType::U8 => self.fixed::<u8>(out),
            PhysicalType::U16 => self.fixed::<u16>(out),
            PhysicalType::U32 => self.fixed::<u32>(out),
            PhysicalType::U64 => self.fixed::<u64>(out),
            PhysicalType::F32 => self.fixed::<f32>(out),
            PhysicalType::F64 => self.fixed::<f64>(out),
            PhysicalType::Str => self.strings(out),
            PhysicalType::Time => self.times(out),
            PhysicalType::Interval => self.intervals(out),
            PhysicalType::Zoned => self.zoned(out),
            PhysicalType::List => self.lists(out),
            PhysicalType::Struct => self.members(out),
            PhysicalType::Union | PhysicalType::Any => self.tagged(out),
        }
    }

    fn fixed<T: FixedValue + Native>(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let read = |values: &mut Vec<T>| append_fixed(self.chunk, &self.rows, self.lender, values);
        out.fill(self.rows.len(), self.nulls.validity(), read).ok_or(WRONG_BUFFER)?
    }

    fn strings(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let mut pushed = 0;
        let buffer = out.strings_mut().ok_or(WRONG_BUFFER)?;
        let result = for_each_string(self.chunk, &self.rows, self.lender, &mut |text, times| {
            buffer.push_repeated(text, times);
            pushed += times;
        });
        let missing = self.rows.len().saturating_sub(pushed);
        buffer.push_empty(missing);
        out.finish_rows(self.rows.len(), self.nulls.validity());
        result
    }

    /// The values of a part of a composite type.
    fn part<T: FixedValue>(&self, position: usize) -> ChunkResult<Vec<T>> {
        let child = self.chunk.children.get(position).ok_or(Damage("a part of a value is missing"))?;
        if self.rows.end > child.chunk.row_count as usize {
            return Err(Damage("a part of a value is shorter than its chunk").into());
        }
        let mut values = Vec::with_capacity(self.rows.len());
        append_fixed(&child.chunk, &self.rows, self.lender, &mut values)?;
        Ok(values)
    }

    fn composite<T: Native>(
        &self,
        out: &mut VectorBuffer,
        values: impl Iterator<Item = T>,
    ) -> ChunkResult<()> {
        let write = |vector: &mut Vec<T>| {
            vector.extend(values);
            Ok::<(), ChunkError>(())
        };
        out.fill(self.rows.len(), self.nulls.validity(), write).ok_or(WRONG_BUFFER)?
    }

    fn times(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let (nanos, offsets) = (self.part::<i64>(0)?, self.part::<i32>(1)?);
        let time = |(nanos, offset_seconds)| Time { nanos, offset_seconds };
        self.composite(out, nanos.into_iter().zip(offsets).map(time))
    }

    fn intervals(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let (months, days, seconds) = (self.part::<i64>(0)?, self.part::<i64>(1)?, self.part::<i64>(2)?);
        let nanos = self.part::<i32>(3)?;
        let interval = |row: usize| Interval {
            months: months[row],
            days: days[row],
            seconds: seconds[row],
            nanos: nanos[row],
        };
        self.composite(out, (0..self.rows.len()).map(interval))
    }

    fn zoned(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let (instants, offsets) = (self.part::<i128>(0)?, self.part::<i32>(1)?);
        let names = self.chunk.children.get(2).ok_or(Damage("the zones of a chunk are missing"))?;
        let mut zones = Vec::with_capacity(self.rows.len());
        let mut unknown = false;
        let mut last: (Vec<u8>, ZoneId) = (Vec::new(), ZoneId::NONE);
        for_each_string(&names.chunk, &self.rows, self.lender, &mut |name, times| {
            if name != last.0 {
                let zone = std::str::from_utf8(name).ok().and_then(|name| match name {
                    "" => Some(ZoneId::NONE),
                    name => ZoneId::intern(name).ok(),
                });
                unknown |= zone.is_none();
                last = (name.to_vec(), zone.unwrap_or_default());
            }
            zones.resize(zones.len() + times, last.1);
        })?;
        if unknown || zones.len() != self.rows.len() {
            return Err(Damage("a time zone that the time zone database does not know").into());
        }
        let value =
            |row: usize| Zoned { nanos: instants[row], offset_seconds: offsets[row], zone: zones[row] };
        self.composite(out, (0..self.rows.len()).map(value))
    }

    fn lists(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let ends = list_ends(self.chunk, self.data_type, &self.rows, self.lender)?;
        let (first, last) = (ends[0], ends[ends.len() - 1]);
        if ends.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(Damage("ends of lists do not rise").into());
        }
        let element = self.data_type.children().pop().unwrap_or(DataType::Null);
        let (offsets, child) = out.list_mut().ok_or(WRONG_BUFFER)?;
        let base = child.len() as u64;
        if base + (last - first) > u64::from(u32::MAX) {
            return Err(Damage("more list elements than a vector holds").into());
        }
        if last > first {
            let elements = child_of(&self.chunk.children, CHILD_ELEMENTS)?;
            append_rows(&elements.chunk, &element, first as usize..last as usize, self.lender, child)?;
        }
        offsets.extend(ends[1..].iter().map(|end| (base + end - first) as u32));
        out.finish_rows(self.rows.len(), self.nulls.validity());
        Ok(())
    }

    fn members(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let types = self.data_type.children();
        let members = out.members_mut().ok_or(WRONG_BUFFER)?;
        for (position, (data_type, member)) in types.iter().zip(members.iter_mut()).enumerate() {
            match child_of(&self.chunk.children, position as u8) {
                Ok(child) => append_rows(&child.chunk, data_type, self.rows.clone(), self.lender, member)?,
                Err(_) => member.push_nulls(self.rows.len()),
            }
        }
        out.finish_rows(self.rows.len(), self.nulls.validity());
        Ok(())
    }

    /// UNION and ANY, value by value.
    fn tagged(&self, out: &mut VectorBuffer) -> ChunkResult<()> {
        let mut tags: Vec<u8> = Vec::with_capacity(self.rows.len());
        append_fixed(&child_of(&self.chunk.children, CHILD_TAGS)?.chunk, &self.rows, self.lender, &mut tags)?;
        let types = self.data_type.children();
        let mut members: Vec<Option<VectorBuffer>> = Vec::new();
        for child in self.chunk.children.iter().filter(|child| child.tag != CHILD_TAGS) {
            let known = types.get(usize::from(child.tag)).cloned();
            let data_type = child.data_type.clone().or(known).ok_or(Damage("a member without a type"))?;
            let mut values = VectorBuffer::new(data_type.clone());
            append_rows(&child.chunk, &data_type, self.rows.clone(), self.lender, &mut values)?;
            let tag = usize::from(child.tag);
            members.resize_with(members.len().max(tag + 1), || None);
            members[tag] = Some(values);
        }
        let validity = self.nulls.validity();
        for (row, tag) in tags.iter().enumerate() {
            if !validity.is_valid(row) {
                out.push_null();
                continue;
            }
            let member = members.get(usize::from(*tag)).and_then(Option::as_ref);
            let member = member.ok_or(Damage("a tag without a member"))?;
            let value = member.vector().value(row, member.data_type());
            let value = match self.data_type.fields().and_then(|fields| fields.get(usize::from(*tag))) {
                Some(field) => Value::Union(field.name.clone(), Box::new(value)),
                None => value,
            };
            out.push_value(&value).map_err(|_| Damage("a member holds values of another type"))?;
        }
        Ok(())
    }
}

/// Where the lists of the rows begin and the last ends; one more than rows.
pub(super) fn list_ends(
    chunk: &Chunk<SegmentRef>,
    data_type: &DataType,
    rows: &Range<usize>,
    lender: &Lender,
) -> ChunkResult<Vec<u64>> {
    let (start, end) = (rows.start, rows.end);
    let Ok(ends) = child_of(&chunk.children, CHILD_ENDS) else {
        let length = match data_type {
            DataType::Array(_, length) => u64::from(*length),
            _ => return Err(Damage("the ends of lists are missing").into()),
        };
        return Ok((start as u64..=end as u64).map(|row| row * length).collect());
    };
    if end > ends.chunk.row_count as usize {
        return Err(Damage("fewer list ends than rows").into());
    }
    let before = start.saturating_sub(1);
    let mut values: Vec<u32> = Vec::with_capacity(end - before + 1);
    if start == 0 {
        values.push(0);
    }
    append_fixed(&ends.chunk, &(before..end), lender, &mut values)?;
    if values.len() != end - start + 1 {
        // Only an empty range of rows reads one end too many or too few.
        values.truncate(1);
    }
    Ok(values.into_iter().map(u64::from).collect())
}

pub(super) fn child_of(children: &[Child<SegmentRef>], tag: u8) -> Damaged<&Child<SegmentRef>> {
    children.iter().find(|child| child.tag == tag).ok_or(Damage("a child of a chunk is missing"))
}

/// Calls `each` with every segment that the rows touch and the rows within it.
pub(super) fn for_each_segment<'c>(
    chunk: &'c Chunk<SegmentRef>,
    rows: &Range<usize>,
    mut each: impl FnMut(&'c Segment<SegmentRef>, Range<usize>) -> ChunkResult<()>,
) -> ChunkResult<()> {
    let mut row = rows.start;
    while row < rows.end {
        let segment = chunk.segment_of(row).ok_or(Damage("rows without a segment"))?;
        let first = segment.first_row as usize;
        let end = rows.end.min(first + segment.row_count as usize);
        each(segment, row - first..end - first)?;
        row = end;
    }
    Ok(())
}

/// Appends plain values of rows `rows`.
pub fn append_fixed<T: FixedValue>(
    chunk: &Chunk<SegmentRef>,
    rows: &Range<usize>,
    lender: &Lender,
    out: &mut Vec<T>,
) -> ChunkResult<()> {
    for_each_segment(chunk, rows, |segment, rows| {
        let count = segment.row_count as usize;
        let (first, range) = fixed::byte_range(&segment.encoding, T::WIDTH, count, &rows);
        let bytes = lender.lend(&segment.bytes, range)?;
        match segment.encoding {
            Encoding::Dictionary { entries, code_width } => {
                let mut codes = Vec::with_capacity(rows.len());
                fixed::read_codes(&bytes, first, count, entries, code_width, rows, &mut codes)?;
                let range = fixed::dictionary_range(entries, code_width, T::WIDTH, count);
                let values = lender.lend(&segment.bytes, range)?;
                for code in codes {
                    out.push(read_at(&values, code as usize)?);
                }
                Ok(())
            }
            _ => Ok(fixed::read(&segment.encoding, &bytes, first, count, rows, out)?),
        }
    })
}
