//! A vector becomes a chunk: nulls apart, values encoded, nested types taken to pieces.

use super::chunk::{Child, Chunk, ChunkNulls, SEGMENT_ROWS_MAX, SEGMENT_TEXT_MAX, Segment};
use super::encoding::fixed::EncodedValues;
use super::encoding::{EncodingKind, fixed, strings};
use super::fixed::FixedValue;
use super::statistics::{Bound, ChunkStatistics};
use crate::storage::{StorageError, StorageResult};
use crate::types::{DataType, PhysicalType};
use crate::vector::{
    AnyVector, Children, ListVector, Shape, StringVector, Validity, ValueVector, Values, VectorBuffer,
};

/// How chunks are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    /// Takes this encoding wherever it applies; for tests.
    pub force_encoding: Option<EncodingKind>,
}

/// The tag of the child that holds the ends of lists.
pub const CHILD_ENDS: u8 = 0;
/// The tag of the child that holds the elements of lists.
pub const CHILD_ELEMENTS: u8 = 1;
/// The tag of the child that says which member each row of a UNION or ANY has.
pub const CHILD_TAGS: u8 = 255;
/// Types that one chunk of type ANY tells apart.
const ANY_TYPES_MAX: usize = 254;

type Bytes = Vec<u8>;

/// Encodes `rows` rows of a vector of `data_type`.
pub fn write_chunk(
    vector: &ValueVector<'_>,
    data_type: &DataType,
    rows: usize,
    options: &WriteOptions,
) -> StorageResult<Chunk<Bytes>> {
    if u32::try_from(rows).is_err() {
        return Err(StorageError::Limit {
            what: "the rows of a chunk".to_owned(),
            limit: u64::from(u32::MAX),
        });
    }
    let writer = Writer { options, data_type, rows };
    if let Shape::Flat(Values::List(lists)) = vector.shape
        && let Some((offsets, child)) = lists.consecutive(vector.validity, rows)
    {
        return writer.write(Values::List(ListVector::new(&offsets, &child)), vector.validity);
    }
    match vector.shape {
        Shape::Flat(values) if !matches!(values, Values::List(_)) => writer.write(values, vector.validity),
        Shape::Flat(Values::List(lists)) if lists.offsets.first() == Some(&0) => {
            writer.write(Values::List(lists), vector.validity)
        }
        _ => {
            let mut flat = VectorBuffer::new(data_type.clone());
            vector.flatten(rows, &mut flat);
            let flat = flat.vector();
            match flat.shape {
                Shape::Flat(Values::List(lists)) if !lists.starts.is_empty() => {
                    write_chunk(&flat, data_type, rows, options)
                }
                Shape::Flat(values) => writer.write(values, flat.validity),
                // A buffer lends flat vectors only; anything else has no values.
                _ => writer.write(Values::Null, Validity::AllNull),
            }
        }
    }
}

struct Writer<'a> {
    options: &'a WriteOptions,
    data_type: &'a DataType,
    rows: usize,
}

impl Writer<'_> {
    fn write(&self, values: Values<'_>, validity: Validity<'_>) -> StorageResult<Chunk<Bytes>> {
        let valid = validity.count_valid(self.rows);
        let mut chunk = self.empty(validity, valid);
        if valid == 0 {
            return Ok(chunk);
        }
        match values {
            Values::Null => chunk.nulls = ChunkNulls::All,
            Values::Bool(values) | Values::U8(values) => self.fixed(values, validity, &mut chunk),
            Values::I8(values) => self.fixed(values, validity, &mut chunk),
            Values::I16(values) => self.fixed(values, validity, &mut chunk),
            Values::I32(values) => self.fixed(values, validity, &mut chunk),
            Values::I64(values) => self.fixed(values, validity, &mut chunk),
            Values::I128(values) => self.fixed(values, validity, &mut chunk),
            Values::U16(values) => self.fixed(values, validity, &mut chunk),
            Values::U32(values) => self.fixed(values, validity, &mut chunk),
            Values::U64(values) => self.fixed(values, validity, &mut chunk),
            Values::F32(values) => {
                self.fixed(values, validity, &mut chunk);
                self.float_range(
                    values.iter().map(|value| f64::from(*value)),
                    validity,
                    &mut chunk.statistics,
                );
            }
            Values::F64(values) => {
                self.fixed(values, validity, &mut chunk);
                self.float_range(values.iter().copied(), validity, &mut chunk.statistics);
            }
            Values::Str(strings) => self.strings(&strings, validity, &mut chunk),
            Values::Time(values) => {
                self.part(&mut chunk, values.iter().map(|value| value.nanos), PhysicalType::I64, validity);
                self.part(
                    &mut chunk,
                    values.iter().map(|value| value.offset_seconds),
                    PhysicalType::I32,
                    validity,
                );
            }
            Values::Interval(values) => {
                self.part(&mut chunk, values.iter().map(|value| value.months), PhysicalType::I64, validity);
                self.part(&mut chunk, values.iter().map(|value| value.days), PhysicalType::I64, validity);
                self.part(&mut chunk, values.iter().map(|value| value.seconds), PhysicalType::I64, validity);
                self.part(&mut chunk, values.iter().map(|value| value.nanos), PhysicalType::I32, validity);
            }
            Values::Zoned(values) => {
                self.part(&mut chunk, values.iter().map(|value| value.nanos), PhysicalType::I128, validity);
                self.part(
                    &mut chunk,
                    values.iter().map(|value| value.offset_seconds),
                    PhysicalType::I32,
                    validity,
                );
                self.zone_names(&mut chunk, values, validity);
                chunk.statistics.range =
                    chunk.children.first().and_then(|child| child.chunk.statistics.range.clone());
            }
            Values::List(lists) => self.lists(&lists, &mut chunk)?,
            Values::Struct(children) => self.members(&children, &mut chunk, |_| true)?,
            Values::Union { tags, children } => {
                self.tags(tags.iter().copied(), validity, &mut chunk);
                let occurs = |member: usize| {
                    (0..self.rows).any(|row| validity.is_valid(row) && usize::from(tags[row]) == member)
                };
                self.members(&children, &mut chunk, occurs)?;
            }
            Values::Any(any) => self.any(&any, validity, &mut chunk)?,
        }
        Ok(chunk)
    }

    /// A chunk with its nulls and nothing else.
    fn empty(&self, validity: Validity<'_>, valid: usize) -> Chunk<Bytes> {
        let nulls = match valid {
            0 => ChunkNulls::All,
            valid if valid == self.rows => ChunkNulls::None,
            _ => {
                let words = (0..self.rows.div_ceil(64)).map(|word| {
                    let kept = crate::vector::ones_below(self.rows - word * 64);
                    validity.word(word) & kept
                });
                ChunkNulls::Bitmap(words.flat_map(u64::to_le_bytes).collect())
            }
        };
        let null_count = (self.rows - valid) as u32;
        Chunk {
            physical: self.data_type.physical(),
            row_count: self.rows as u32,
            nulls,
            statistics: ChunkStatistics { null_count, ..ChunkStatistics::default() },
            segments: Vec::new(),
            children: Vec::new(),
            patch: None,
        }
    }

    /// Encodes numbers; null rows repeat the value before them, so that they cost no width.
    fn fixed<T: FixedValue>(&self, values: &[T], validity: Validity<'_>, chunk: &mut Chunk<Bytes>) {
        let values = values.get(..self.rows).unwrap_or(values);
        let filled: Vec<T>;
        let values = if validity.is_all_valid() {
            values
        } else {
            let mut previous =
                (0..values.len()).find(|row| validity.is_valid(*row)).map_or(T::default(), |row| values[row]);
            filled = (values.iter().enumerate())
                .map(|(row, value)| {
                    if validity.is_valid(row) {
                        previous = *value;
                    }
                    previous
                })
                .collect();
            &filled
        };
        for (number, part) in values.chunks(SEGMENT_ROWS_MAX).enumerate() {
            let encoded = fixed::encode(part, self.options.force_encoding);
            let statistics = &mut chunk.statistics;
            statistics.distinct = statistics.distinct.saturating_add(encoded.distinct);
            let sketch = Some(encoded.sketch.clone());
            statistics.merge(&ChunkStatistics { sketch, ..ChunkStatistics::default() });
            if T::PACKABLE {
                let (low, high) = (Bound::Integer(encoded.low), Bound::Integer(encoded.high));
                statistics.merge(&ChunkStatistics { range: Some((low, high)), ..ChunkStatistics::default() });
            }
            push_segment(chunk, number * SEGMENT_ROWS_MAX, part.len(), encoded);
        }
    }

    fn float_range(
        &self,
        values: impl Iterator<Item = f64>,
        validity: Validity<'_>,
        statistics: &mut ChunkStatistics,
    ) {
        let mut range: Option<(f64, f64)> = None;
        for (row, value) in values.take(self.rows).enumerate() {
            if !validity.is_valid(row) {
                continue;
            }
            if value.is_nan() {
                statistics.has_nan = true;
            } else {
                let (low, high) = range.unwrap_or((value, value));
                range = Some((low.min(value), high.max(value)));
            }
        }
        statistics.range = range.map(|(low, high)| (Bound::Float(low), Bound::Float(high)));
    }

    fn strings(&self, values: &StringVector<'_>, validity: Validity<'_>, chunk: &mut Chunk<Bytes>) {
        let mut previous: &[u8] =
            (0..self.rows).find(|row| validity.is_valid(*row)).map_or(&[], |row| values.bytes(row));
        let mut rows: Vec<&[u8]> = Vec::with_capacity(self.rows);
        let (mut first_row, mut text) = (0, 0);
        for row in 0..self.rows {
            if validity.is_valid(row) {
                previous = values.bytes(row);
            }
            // A long text is not written again for the nulls behind it.
            let value = if validity.is_valid(row) || previous.len() <= 64 { previous } else { &[] };
            if !rows.is_empty() && (text + value.len() > SEGMENT_TEXT_MAX || rows.len() == SEGMENT_ROWS_MAX) {
                self.string_segment(&rows, first_row, validity, chunk);
                first_row = row;
                (rows, text) = (Vec::new(), 0);
            }
            text += value.len();
            rows.push(value);
        }
        self.string_segment(&rows, first_row, validity, chunk);
    }

    fn string_segment(
        &self,
        rows: &[&[u8]],
        first_row: usize,
        validity: Validity<'_>,
        chunk: &mut Chunk<Bytes>,
    ) {
        let (mut low, mut high): (Option<&[u8]>, Option<&[u8]>) = (None, None);
        for (row, value) in rows.iter().enumerate() {
            if validity.is_valid(first_row + row) {
                low = Some(low.map_or(*value, |low| low.min(value)));
                high = Some(high.map_or(*value, |high| high.max(value)));
            }
        }
        let encoded = strings::encode(rows, self.options.force_encoding);
        chunk.statistics.distinct = chunk.statistics.distinct.saturating_add(encoded.distinct);
        let sketch = Some(encoded.sketch.clone());
        chunk.statistics.merge(&ChunkStatistics { sketch, ..ChunkStatistics::default() });
        if let (Some(low), Some(high)) = (low, high) {
            let range = Some((Bound::text(low), Bound::text(high)));
            chunk.statistics.merge(&ChunkStatistics { range, ..ChunkStatistics::default() });
        }
        push_segment(chunk, first_row, rows.len(), encoded);
    }

    /// Adds a child of plain numbers.
    fn part<T: FixedValue>(
        &self,
        chunk: &mut Chunk<Bytes>,
        values: impl Iterator<Item = T>,
        physical: PhysicalType,
        validity: Validity<'_>,
    ) {
        let values: Vec<T> = values.take(self.rows).collect();
        let mut child = self.empty(Validity::AllValid, self.rows);
        child.physical = physical;
        self.fixed(&values, validity, &mut child);
        let tag = chunk.children.len() as u8;
        chunk.children.push(Child { tag, data_type: None, chunk: child });
    }

    fn zone_names(&self, chunk: &mut Chunk<Bytes>, values: &[crate::types::Zoned], validity: Validity<'_>) {
        let mut names = VectorBuffer::new(DataType::String);
        for (row, value) in values.iter().take(self.rows).enumerate() {
            let name = if validity.is_valid(row) { value.zone.name() } else { None };
            names.push_str(name.as_deref().unwrap_or_default());
        }
        let mut child = self.empty(Validity::AllValid, self.rows);
        child.physical = PhysicalType::Str;
        if let Some(Values::Str(strings)) = names.vector().values() {
            self.strings(&strings, Validity::AllValid, &mut child);
        }
        let tag = chunk.children.len() as u8;
        chunk.children.push(Child { tag, data_type: None, chunk: child });
    }

    fn lists(&self, lists: &ListVector<'_>, chunk: &mut Chunk<Bytes>) -> StorageResult<()> {
        let offsets = lists.offsets.get(1..self.rows + 1).unwrap_or_default();
        let elements = offsets.last().copied().unwrap_or(0) as usize;
        // The ends of an ARRAY without nulls follow from its length.
        let implied = match self.data_type {
            DataType::Array(_, length) => {
                (offsets.iter().zip(1u64..)).all(|(end, row)| u64::from(*end) == row * u64::from(*length))
            }
            _ => false,
        };
        if !implied {
            let mut ends = self.empty(Validity::AllValid, self.rows);
            ends.physical = PhysicalType::U32;
            self.fixed(offsets, Validity::AllValid, &mut ends);
            chunk.children.push(Child { tag: CHILD_ENDS, data_type: None, chunk: ends });
        }
        if elements > 0 {
            let element = self.data_type.children().pop().unwrap_or(DataType::Null);
            let child = write_chunk(&lists.child.get(), &element, elements, self.options)?;
            chunk.children.push(Child { tag: CHILD_ELEMENTS, data_type: None, chunk: child });
        }
        Ok(())
    }

    fn members(
        &self,
        children: &Children<'_>,
        chunk: &mut Chunk<Bytes>,
        occurs: impl Fn(usize) -> bool,
    ) -> StorageResult<()> {
        for (position, data_type) in self.data_type.children().iter().enumerate() {
            if position < children.len() && occurs(position) {
                let member = write_chunk(&children.get(position), data_type, self.rows, self.options)?;
                chunk.children.push(Child { tag: position as u8, data_type: None, chunk: member });
            }
        }
        Ok(())
    }

    fn tags(&self, tags: impl Iterator<Item = u8>, validity: Validity<'_>, chunk: &mut Chunk<Bytes>) {
        let tags: Vec<u8> = tags.take(self.rows).collect();
        let mut child = self.empty(Validity::AllValid, self.rows);
        child.physical = PhysicalType::U8;
        self.fixed(&tags, validity, &mut child);
        chunk.children.push(Child { tag: CHILD_TAGS, data_type: None, chunk: child });
    }

    fn any(
        &self,
        any: &AnyVector<'_>,
        validity: Validity<'_>,
        chunk: &mut Chunk<Bytes>,
    ) -> StorageResult<()> {
        let vector = ValueVector { shape: Shape::Flat(Values::Any(*any)), validity };
        let mut members: Vec<VectorBuffer> = Vec::new();
        let mut tags = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            if !validity.is_valid(row) {
                members.iter_mut().for_each(VectorBuffer::push_null);
                tags.push(0);
                continue;
            }
            let data_type = any.type_of(row);
            let known = members.iter().position(|member| *member.data_type() == data_type);
            let position = known.unwrap_or_else(|| {
                let mut member = VectorBuffer::new(data_type);
                member.push_nulls(row);
                members.push(member);
                members.len() - 1
            });
            let value = vector.value(row, &DataType::Any);
            for (number, member) in members.iter_mut().enumerate() {
                if number != position {
                    member.push_null();
                } else if member.push_value(&value).is_err() {
                    return Err(StorageError::Limit {
                        what: format!("a value of {}", member.data_type()),
                        limit: 0,
                    });
                }
            }
            tags.push(position.min(ANY_TYPES_MAX) as u8);
        }
        if members.len() > ANY_TYPES_MAX {
            let what = "the types in one group of an ANY column".to_owned();
            return Err(StorageError::Limit { what, limit: ANY_TYPES_MAX as u64 });
        }
        self.tags(tags.into_iter(), validity, chunk);
        for (position, member) in members.iter().enumerate() {
            let data_type = member.data_type().clone();
            let child = write_chunk(&member.vector(), &data_type, self.rows, self.options)?;
            chunk.children.push(Child { tag: position as u8, data_type: Some(data_type), chunk: child });
        }
        Ok(())
    }
}

fn push_segment(chunk: &mut Chunk<Bytes>, first_row: usize, rows: usize, encoded: EncodedValues) {
    chunk.segments.push(Segment {
        first_row: first_row as u32,
        row_count: rows as u32,
        encoding: encoded.encoding,
        bytes: encoded.payload,
    });
}
