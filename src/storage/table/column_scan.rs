//! One column of a scan: lends what lies in the pages as it is, decodes the rest into scratch that is used again.
//! A *window* is the range of rows whose bytes are held by guards; batches are cut from it.

use std::ops::Range;

use super::node_table::ColumnChunk;
use crate::storage::StorageResult;
use crate::storage::buffer_pool::SegmentRef;
use crate::storage::buffer_pool::{SegmentGuard, try_bytes_as};
use crate::storage::column::bytes::Damage;
use crate::storage::column::chunk::{ChunkNulls, Segment};
use crate::storage::column::chunk_reader::{ChunkResult, Lender, append_rows, null_range};
use crate::storage::column::chunk_strings::plain_window;
use crate::storage::column::encoding::{Encoding, fixed, strings};
use crate::storage::column::fixed::{FixedValue, read_all};
use crate::storage::column::predicate::{
    ColumnTest, TextRange, distances_of, or_bits, test_fixed, test_packed,
};
use crate::storage::column::span::{bytes_max, fitting_end};
use crate::types::{DataType, PhysicalType, StringView};
use crate::vector::{Native, StringBuffers, StringVector, Validity, ValueVector, Values, VectorBuffer};

/// How the current chunk is read.
enum Mode {
    /// No chunk, or all null.
    Null,
    /// `values` holds the one value.
    Constant,
    /// Lent as it lies.
    Plain,
    /// Unpacked from the guard into `values`, batch by batch.
    Packed,
    /// Codes into `codes`; `values` holds the dictionary.
    Dictionary,
    /// Views over the bytes of the guards.
    Text,
    /// By the general reader into `values`.
    Copied,
}

/// Reads one column, chunk after chunk.
pub(super) struct ColumnScan {
    data_type: DataType,
    mode: Mode,
    values: VectorBuffer,
    codes: Vec<u32>,
    views: Vec<StringView>,
    window: Window,
    /// The rows that `values`, `codes` or `views` hold now.
    decoded: Range<usize>,
    /// Which dictionary codes pass the tests, one list per test.
    passing: Vec<Vec<bool>>,
    scratch: Vec<u64>,
}

#[derive(Default)]
struct Window {
    rows: Range<usize>,
    /// The row that the main guard's bytes begin with.
    first: usize,
    main: Option<SegmentGuard>,
    texts: Option<SegmentGuard>,
    nulls: Option<SegmentGuard>,
}

/// Runs an expression with `$native` bound to the type of a fixed-width physical type.
macro_rules! with_native {
    ($physical:expr, $native:ident => $body:expr, else $other:expr) => {
        match $physical {
            PhysicalType::I8 => {
                type $native = i8;
                $body
            }
            PhysicalType::I16 => {
                type $native = i16;
                $body
            }
            PhysicalType::I32 => {
                type $native = i32;
                $body
            }
            PhysicalType::I64 => {
                type $native = i64;
                $body
            }
            PhysicalType::I128 => {
                type $native = i128;
                $body
            }
            PhysicalType::U8 => {
                type $native = u8;
                $body
            }
            PhysicalType::U16 => {
                type $native = u16;
                $body
            }
            PhysicalType::U32 => {
                type $native = u32;
                $body
            }
            PhysicalType::U64 => {
                type $native = u64;
                $body
            }
            PhysicalType::F32 => {
                type $native = f32;
                $body
            }
            PhysicalType::F64 => {
                type $native = f64;
                $body
            }
            _ => $other,
        }
    };
}
pub(super) use with_native;

impl ColumnScan {
    pub(super) fn new(data_type: DataType) -> Self {
        ColumnScan {
            mode: Mode::Null,
            values: VectorBuffer::new(data_type.clone()),
            codes: Vec::new(),
            views: Vec::new(),
            window: Window::default(),
            decoded: 0..0,
            passing: Vec::new(),
            scratch: Vec::new(),
            data_type,
        }
    }

    /// Begins a chunk; none means that all rows are null. `tests` are the predicates on this column.
    pub(super) fn open(
        &mut self,
        chunk: Option<&ColumnChunk>,
        tests: &[ColumnTest],
        lender: &Lender,
    ) -> StorageResult<()> {
        self.window = Window::default();
        self.decoded = 0..0;
        self.values.clear();
        self.passing.clear();
        let Some(chunk) = chunk else {
            self.mode = Mode::Null;
            return Ok(());
        };
        if chunk.chunk.physical != self.data_type.physical() {
            return Err(chunk.error(Damage("a chunk holds values of another type").into()));
        }
        self.prepare(chunk, tests, lender).map_err(|error| chunk.error(error))
    }

    fn prepare(&mut self, column: &ColumnChunk, tests: &[ColumnTest], lender: &Lender) -> ChunkResult<()> {
        let chunk = &column.chunk;
        let text = chunk.physical == PhysicalType::Str;
        let wide = chunk.physical.width() > 0 && chunk.children.is_empty();
        self.mode = match (&chunk.nulls, chunk.segments.as_slice()) {
            (ChunkNulls::All, _) => Mode::Null,
            (_, [segment]) if wide => match &segment.encoding {
                Encoding::Constant { .. } => Mode::Constant,
                Encoding::Plain if text => Mode::Text,
                Encoding::Plain if chunk.physical != PhysicalType::Bool => Mode::Plain,
                Encoding::Dictionary { .. } if chunk.physical == PhysicalType::Bool => Mode::Copied,
                // A dictionary that takes much of the pool is not held: its texts are read one by one.
                Encoding::Dictionary { .. } if segment.bytes.len() as usize > lender.share() => Mode::Copied,
                Encoding::Dictionary { .. } => Mode::Dictionary,
                _ if text => Mode::Copied,
                _ => Mode::Packed,
            },
            _ => Mode::Copied,
        };
        match (&self.mode, chunk.segments.first()) {
            (Mode::Constant, Some(segment)) => self.read_constant(segment, lender),
            (Mode::Dictionary, Some(segment)) => {
                self.read_dictionary(segment, lender)?;
                self.test_dictionary(tests);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_constant(&mut self, segment: &Segment<SegmentRef>, _: &Lender) -> ChunkResult<()> {
        let Encoding::Constant { value } = &segment.encoding else { return Ok(()) };
        match self.data_type.physical() {
            PhysicalType::Str => self.values.push_bytes(value),
            PhysicalType::Bool => self.values.push_bool(value.first().is_some_and(|byte| *byte != 0)),
            physical => with_native!(physical, T => {
                let value = T::read_from(value).ok_or(Damage("constant is too short"))?;
                self.values.push(value);
            }, else return Err(Damage("constant of a composite type").into())),
        }
        Ok(())
    }

    fn read_dictionary(&mut self, segment: &Segment<SegmentRef>, lender: &Lender) -> ChunkResult<()> {
        let count = segment.row_count as usize;
        let Encoding::Dictionary { entries, code_width } = segment.encoding else { return Ok(()) };
        let physical = self.data_type.physical();
        if physical == PhysicalType::Str {
            let (start, entries) = strings::table_of(&segment.encoding, count);
            let table = lender.lend(&segment.bytes, start..segment.bytes.len() as usize)?;
            for entry in 0..entries {
                self.values.push_bytes(strings::table_entry(&table, entries, entry)?);
            }
            return Ok(());
        }
        let range = fixed::dictionary_range(entries, code_width, physical.width(), count);
        let bytes = lender.lend(&segment.bytes, range)?;
        with_native!(physical, T => {
            let mut values = vec![T::default(); entries as usize];
            read_all(&bytes, &mut values)?;
            self.values.extend(&values);
        }, else return Err(Damage("dictionary of a composite type").into()));
        Ok(())
    }

    fn test_dictionary(&mut self, tests: &[ColumnTest]) {
        let entries = self.values.len();
        for test in tests {
            let vector = self.values.vector();
            let mut passes = Vec::with_capacity(entries);
            match test {
                ColumnTest::Null(_) => passes.resize(entries, true),
                ColumnTest::Text(_) => {
                    passes.extend(
                        (0..entries)
                            .map(|row| vector.bytes_at(row).is_some_and(|text| test.text_passes(text))),
                    );
                }
                ColumnTest::Keys(_) => with_native!(self.data_type.physical(), T => {
                    let values = vector.slice_of::<T>().unwrap_or_default();
                    passes.extend(values.iter().map(|value| test.key_passes(value.key())));
                }, else passes.resize(entries, false)),
            }
            self.passing.push(passes);
        }
    }

    /// Gives the guards back; rows are read again after the next `load`.
    pub(super) fn rest(&mut self) {
        self.decoded = 0..0;
        self.window = Window::default();
    }

    /// Whether the rows of the current chunk could take more than `bytes` in pages that are held, or in copies.
    pub(super) fn may_be_wide(&self, chunk: &ColumnChunk, bytes: usize) -> bool {
        matches!(self.mode, Mode::Text | Mode::Copied) && bytes_max(&chunk.chunk) > bytes as u64
    }

    /// The end of those first rows of `rows` that take at most `bytes`.
    pub(super) fn fitting_end(
        &self,
        chunk: Option<&ColumnChunk>,
        rows: &Range<usize>,
        bytes: usize,
        lender: &Lender,
    ) -> StorageResult<usize> {
        let Some(chunk) = chunk else { return Ok(rows.end) };
        fitting_end(&chunk.chunk, &self.data_type, rows, bytes, lender).map_err(|error| chunk.error(error))
    }

    /// Takes guards for the bytes of rows `rows`.
    pub(super) fn load(
        &mut self,
        chunk: Option<&ColumnChunk>,
        rows: Range<usize>,
        lender: &Lender,
    ) -> StorageResult<()> {
        self.decoded = 0..0;
        self.window = Window { rows: rows.clone(), first: rows.start, ..Window::default() };
        let Some(chunk) = chunk else { return Ok(()) };
        self.load_window(chunk, rows, lender).map_err(|error| chunk.error(error))
    }

    fn load_window(&mut self, column: &ColumnChunk, rows: Range<usize>, lender: &Lender) -> ChunkResult<()> {
        let chunk = &column.chunk;
        if let (ChunkNulls::Bitmap(segment), false) = (&chunk.nulls, matches!(self.mode, Mode::Copied)) {
            self.window.nulls = Some(lender.lend(segment, null_range(&rows))?);
        }
        let Some(segment) = chunk.segments.first() else { return Ok(()) };
        match self.mode {
            Mode::Plain | Mode::Packed | Mode::Dictionary => {
                let (count, width) = (segment.row_count as usize, chunk.physical.width());
                let (first, range) = fixed::byte_range(&segment.encoding, width, count, &rows);
                self.window.first = first;
                self.window.main = Some(lender.lend(&segment.bytes, range)?);
            }
            Mode::Text => {
                let (ends, texts) = plain_window(segment, &rows, lender)?;
                self.window.first = rows.start.saturating_sub(1);
                (self.window.main, self.window.texts) = (Some(ends), Some(texts));
            }
            Mode::Null | Mode::Constant | Mode::Copied => {}
        }
        Ok(())
    }

    /// Makes rows `rows` of the window ready for `vector`.
    pub(super) fn read(
        &mut self,
        chunk: Option<&ColumnChunk>,
        rows: Range<usize>,
        lender: &Lender,
    ) -> StorageResult<()> {
        let Some(chunk) = chunk else { return Ok(()) };
        if self.decoded == rows {
            return Ok(());
        }
        self.decode(chunk, rows.clone(), lender).map_err(|error| chunk.error(error))?;
        self.decoded = rows;
        Ok(())
    }

    fn decode(&mut self, column: &ColumnChunk, rows: Range<usize>, lender: &Lender) -> ChunkResult<()> {
        let chunk = &column.chunk;
        let main = self.window.main.as_deref().unwrap_or_default();
        match (&self.mode, chunk.segments.first()) {
            (Mode::Copied, _) => {
                self.values.clear();
                append_rows(chunk, &self.data_type, rows, lender, &mut self.values)
            }
            (Mode::Packed, Some(segment)) => {
                self.values.clear();
                let (first, count, length) = (self.window.first, segment.row_count as usize, rows.len());
                let damaged = Damage("a buffer of another type");
                if chunk.physical == PhysicalType::Bool {
                    let read =
                        |out: &mut Vec<u8>| fixed::read(&segment.encoding, main, first, count, rows, out);
                    return Ok(self.values.fill_bools(length, Validity::AllValid, read).ok_or(damaged)??);
                }
                with_native!(chunk.physical, T => {
                    let read = |out: &mut Vec<T>| fixed::read(&segment.encoding, main, first, count, rows, out);
                    Ok(self.values.fill(length, Validity::AllValid, read).ok_or(damaged)??)
                }, else Err(damaged.into()))
            }
            (Mode::Dictionary, Some(segment)) => {
                self.codes.clear();
                let Encoding::Dictionary { entries, code_width } = segment.encoding else { return Ok(()) };
                let (first, count) = (self.window.first, segment.row_count as usize);
                Ok(fixed::read_codes(main, first, count, entries, code_width, rows, &mut self.codes)?)
            }
            (Mode::Text, _) => {
                let texts = self.window.texts.as_deref().unwrap_or_default();
                make_views(main, self.window.first, texts, &self.window.rows, rows, &mut self.views)
            }
            _ => Ok(()),
        }
    }

    /// The rows that `read` made ready.
    pub(super) fn vector(&self, rows: &Range<usize>) -> ValueVector<'_> {
        let validity = self.validity(rows);
        let plain = |values| ValueVector::flat(values).with_validity(validity);
        match self.mode {
            Mode::Null => ValueVector::null(),
            Mode::Constant => self.values.constant_vector().with_validity(validity),
            Mode::Plain => match self.plain_values(rows) {
                Some(values) => plain(values),
                // Segments are aligned and windows end with whole values, so this is not reached.
                None => ValueVector::null(),
            },
            Mode::Packed => plain(self.values.values()),
            Mode::Dictionary => ValueVector::dictionary(&self.codes, &self.values).with_validity(validity),
            Mode::Text => {
                let texts = self.window.texts.as_deref().unwrap_or_default();
                plain(Values::Str(StringVector::new(&self.views, StringBuffers::One(texts))))
            }
            Mode::Copied => self.values.vector(),
        }
    }

    fn validity(&self, rows: &Range<usize>) -> Validity<'_> {
        match &self.window.nulls {
            None => Validity::AllValid,
            Some(guard) => {
                let words = try_bytes_as::<u64>(guard).unwrap_or_default();
                Validity::Mask(words).slice(rows.start - self.window.rows.start / 64 * 64)
            }
        }
    }

    fn plain_values(&self, rows: &Range<usize>) -> Option<Values<'_>> {
        let bytes = self.window.main.as_deref()?;
        let (start, end) =
            (rows.start.checked_sub(self.window.first)?, rows.end.checked_sub(self.window.first)?);
        with_native!(self.data_type.physical(), T => {
            let values = try_bytes_as::<T>(bytes.get(start * T::WIDTH..end * T::WIDTH)?)?;
            Some(<T as Native>::values(values))
        }, else None)
    }

    /// And-s the rows that pass a test into `mask`, whose bit 0 is the first of the rows. `number` counts the tests
    /// given to `open`.
    pub(super) fn test(
        &mut self,
        chunk: Option<&ColumnChunk>,
        test: &ColumnTest,
        number: usize,
        rows: &Range<usize>,
        lender: &Lender,
        mask: &mut [u64],
    ) -> StorageResult<()> {
        let Some(column) = chunk else {
            if *test != ColumnTest::Null(true) {
                mask.fill(0);
            }
            return Ok(());
        };
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        found.resize(rows.len().div_ceil(64), 0);
        let result = self.find(column, test, number, rows, lender, &mut found);
        let validity = if matches!(self.mode, Mode::Copied) {
            self.values.vector().validity
        } else {
            self.validity(rows)
        };
        let null = matches!(self.mode, Mode::Null);
        for (index, (word, found)) in mask.iter_mut().zip(&found).enumerate() {
            let valid = if null { 0 } else { validity.word(index) };
            *word &= match test {
                ColumnTest::Null(true) => !valid,
                ColumnTest::Null(false) => valid,
                _ => found & valid,
            };
        }
        self.scratch = found;
        result
    }

    fn find(
        &mut self,
        column: &ColumnChunk,
        test: &ColumnTest,
        number: usize,
        rows: &Range<usize>,
        lender: &Lender,
        found: &mut [u64],
    ) -> StorageResult<()> {
        if matches!(self.mode, Mode::Null) {
            return Ok(());
        }
        if let (ColumnTest::Keys(ranges), Mode::Packed, [segment]) =
            (test, &self.mode, column.chunk.segments.as_slice())
            && let Encoding::BitPacked { base, width } = segment.encoding
        {
            let distances = distances_of(ranges, base, width);
            let (main, first) = (self.window.main.as_deref().unwrap_or_default(), self.window.first);
            let count = segment.row_count as usize;
            return test_packed(main, first, count, width, &distances, rows.clone(), found)
                .map_err(|damage| column.error(damage.into()));
        }
        self.read(Some(column), rows.clone(), lender)?;
        if matches!(test, ColumnTest::Null(_)) {
            return Ok(());
        }
        if matches!(self.mode, Mode::Dictionary) {
            let passing = self.passing.get(number).map(Vec::as_slice).unwrap_or_default();
            for (row, code) in self.codes.iter().enumerate() {
                found[row / 64] |=
                    u64::from(passing.get(*code as usize).is_some_and(|passes| *passes)) << (row % 64);
            }
            return Ok(());
        }
        let vector = self.vector(rows);
        // The null rows of a constant are taken out by the caller.
        if matches!(self.mode, Mode::Constant) {
            let passes = match vector.values() {
                Some(Values::Str(strings)) => test.text_passes(strings.bytes(0)),
                Some(values) => first_key(&values).is_some_and(|key| test.key_passes(key)),
                None => false,
            };
            found.fill(if passes { u64::MAX } else { 0 });
            return Ok(());
        }
        match (vector.values(), test) {
            (Some(Values::Str(strings)), ColumnTest::Text(_)) => {
                for row in 0..rows.len() {
                    found[row / 64] |= u64::from(test.text_passes(strings.bytes(row))) << (row % 64);
                }
            }
            (Some(Values::Bool(values)), ColumnTest::Keys(ranges)) => test_fixed(values, ranges, found),
            (Some(_), ColumnTest::Keys(ranges)) => with_native!(self.data_type.physical(), T => {
                test_fixed(vector.slice_of::<T>().unwrap_or_default(), ranges, found);
            }, else ()),
            _ => {}
        }
        Ok(())
    }
}

/// The key of the first value, for constants.
fn first_key(values: &Values<'_>) -> Option<i128> {
    if let Values::Bool(values) = values {
        return values.first().map(|value| value.key());
    }
    with_native!(values.physical(), T => T::slice(values)?.first().map(|value| value.key()), else None)
}

/// Views of the strings of rows `rows` within a window; `ends` begin with row `first`, `texts` with the text of the
/// window's first row.
fn make_views(
    ends: &[u8],
    first: usize,
    texts: &[u8],
    window: &Range<usize>,
    rows: Range<usize>,
    views: &mut Vec<StringView>,
) -> ChunkResult<()> {
    views.clear();
    views.reserve(rows.len());
    let ends = try_bytes_as::<u32>(ends).ok_or(Damage("string ends are not aligned"))?;
    let base = if window.start == 0 { 0 } else { ends.first().copied().unwrap_or(0) };
    let mut start = match rows.start.checked_sub(first + 1) {
        None if rows.start == 0 => 0,
        before => ends.get(before.unwrap_or(0)).copied().unwrap_or(0),
    };
    for end in ends.get(rows.start - first..rows.end - first).unwrap_or_default() {
        let range = start.wrapping_sub(base) as usize..end.wrapping_sub(base) as usize;
        let text = texts.get(range.clone()).ok_or(Damage("string lies outside its segment"))?;
        views.push(StringView::new(text, 0, range.start as u32));
        start = *end;
    }
    if views.len() != rows.len() {
        return Err(Damage("string ends are cut short").into());
    }
    Ok(())
}

/// And-s the rows of a vector that pass a test into `mask`. Rows that levels have are flat, or all null.
pub(super) fn test_vector(vector: &ValueVector<'_>, test: &ColumnTest, length: usize, mask: &mut [u64]) {
    let mut found = vec![0u64; length.div_ceil(64)];
    match (vector.values(), test) {
        (Some(Values::Null) | None, _) | (_, ColumnTest::Null(_)) => {}
        (Some(Values::Str(strings)), ColumnTest::Text(ranges)) => {
            match ranges.iter().map(TextRange::single).collect::<Option<Vec<&[u8]>>>() {
                Some(texts) => texts.iter().for_each(|text| find_text(&strings, text, length, &mut found)),
                None => (0..length).for_each(|row| {
                    found[row / 64] |= u64::from(test.text_passes(strings.bytes(row))) << (row % 64);
                }),
            }
        }
        (Some(Values::Bool(values)), ColumnTest::Keys(ranges)) => {
            test_fixed(values.get(..length).unwrap_or_default(), ranges, &mut found);
        }
        (Some(values), ColumnTest::Keys(ranges)) => with_native!(values.physical(), T => {
            let values = vector.slice_of::<T>().and_then(|values| values.get(..length));
            test_fixed(values.unwrap_or_default(), ranges, &mut found);
        }, else ()),
        _ => {}
    }
    for (index, (word, found)) in mask.iter_mut().zip(&found).enumerate() {
        let valid = vector.validity.word(index);
        *word &= match test {
            ColumnTest::Null(true) => !valid,
            ColumnTest::Null(false) => valid,
            _ => found & valid,
        };
    }
}

/// Sets the bits of rows that hold a text; most others differ in length or in their first bytes.
fn find_text(strings: &StringVector<'_>, text: &[u8], length: usize, found: &mut [u64]) {
    let head = StringView::new(text, 0, 0).head();
    for (word, views) in found.iter_mut().zip(strings.views[..length].chunks(64)) {
        for (bit, view) in views.iter().enumerate() {
            if view.head() == head && strings.buffers.bytes(view) == text {
                *word |= 1 << bit;
            }
        }
    }
}

/// The deleted rows among `rows`, taken out of `mask`.
pub(super) fn without_deleted(deletions: &[u64], rows: &Range<usize>, mask: &mut [u64]) {
    let mut deleted = vec![0; mask.len()];
    or_bits(deletions, rows.start, rows.len(), &mut deleted, 0);
    mask.iter_mut().zip(deleted).for_each(|(word, deleted)| *word &= !deleted);
}
