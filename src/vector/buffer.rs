//! Owned vectors that grow: what kernels write, scans decode into and operators keep.

use super::{
    AnyChildren, AnyVector, Children, ListBuffer, Native, Shape, StringBuffer, Validity, ValidityBuffer,
    ValueVector, Values,
};
use crate::types::{DataType, Interval, PhysicalType, Time, Zoned, leave_if_stopped};

/// A growable vector of one type. `clear` keeps its memory; `vector` lends it.
#[derive(Debug, Clone)]
pub struct VectorBuffer {
    pub(super) data_type: DataType,
    pub(super) validity: ValidityBuffer,
    pub(super) data: BufferData,
    pub(super) scratch: Vec<u32>,
}

/// The values of a buffer by physical type.
#[derive(Debug, Clone, Default)]
pub enum BufferData {
    #[default]
    Null,
    Bool(Vec<u8>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I128(Vec<i128>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Str(StringBuffer),
    Time(Vec<Time>),
    Interval(Vec<Interval>),
    Zoned(Vec<Zoned>),
    List(ListBuffer),
    Struct(Vec<VectorBuffer>),
    Union {
        tags: Vec<u8>,
        children: Vec<VectorBuffer>,
    },
    Any {
        tags: Vec<u8>,
        words: Vec<[u8; 16]>,
        text: StringBuffer,
        children: Vec<VectorBuffer>,
    },
}

/// Applies one expression to every variant that is a plain `Vec`.
macro_rules! for_plain {
    ($data:expr, $vector:ident => $body:expr, $($rest:tt)*) => {
        match $data {
            BufferData::Bool($vector) => $body,
            BufferData::I8($vector) => $body,
            BufferData::I16($vector) => $body,
            BufferData::I32($vector) => $body,
            BufferData::I64($vector) => $body,
            BufferData::I128($vector) => $body,
            BufferData::U8($vector) => $body,
            BufferData::U16($vector) => $body,
            BufferData::U32($vector) => $body,
            BufferData::U64($vector) => $body,
            BufferData::F32($vector) => $body,
            BufferData::F64($vector) => $body,
            BufferData::Time($vector) => $body,
            BufferData::Interval($vector) => $body,
            BufferData::Zoned($vector) => $body,
            $($rest)*
        }
    };
}
pub(super) use for_plain;

impl Drop for VectorBuffer {
    fn drop(&mut self) {
        leave_if_stopped(self.bytes() as u64, &mut self.data);
    }
}

impl VectorBuffer {
    /// An empty buffer of a type.
    pub fn new(data_type: DataType) -> Self {
        let data = empty_data(&data_type);
        VectorBuffer { data_type, validity: ValidityBuffer::default(), data, scratch: Vec::new() }
    }

    /// The type of the values.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Empties the buffer for values of a type; memory is kept where the physical type stays the same.
    pub fn reset(&mut self, data_type: &DataType) {
        if self.data_type == *data_type {
            return self.clear();
        }
        let plain = !data_type.is_nested() && *data_type != DataType::Any;
        if plain && self.data_type.physical() == data_type.physical() {
            self.clear();
        } else {
            self.validity.clear();
            self.data = empty_data(data_type);
        }
        self.data_type = data_type.clone();
    }

    /// Rows so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.validity.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Null rows so far.
    pub fn null_count(&self) -> usize {
        self.validity.null_count()
    }

    /// Makes room for the values of so many more rows, and no more; not for texts and elements of lists.
    pub fn reserve(&mut self, rows: usize) {
        for_plain!(&mut self.data, vector => vector.reserve_exact(rows),
            BufferData::Str(strings) => strings.reserve(rows),
            BufferData::Struct(children) => children.iter_mut().for_each(|child| child.reserve(rows)),
            BufferData::Null | BufferData::List(_) | BufferData::Union { .. } | BufferData::Any { .. } => {}
        );
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.validity.clear();
        for_plain!(&mut self.data, vector => vector.clear(),
            BufferData::Null => {}
            BufferData::Str(strings) => strings.clear(),
            BufferData::List(lists) => lists.clear(),
            BufferData::Struct(children) => children.iter_mut().for_each(VectorBuffer::clear),
            BufferData::Union { tags, children } => {
                tags.clear();
                children.iter_mut().for_each(VectorBuffer::clear);
            }
            BufferData::Any { tags, words, text, children } => {
                tags.clear();
                words.clear();
                text.clear();
                children.clear();
            }
        );
    }

    /// Drops the rows from `length` on.
    pub fn truncate(&mut self, length: usize) {
        if length >= self.len() {
            return;
        }
        self.validity.truncate(length);
        for_plain!(&mut self.data, vector => vector.truncate(length),
            BufferData::Null => {}
            BufferData::Str(strings) => strings.truncate(length),
            BufferData::List(lists) => lists.truncate(length),
            BufferData::Struct(children) => children.iter_mut().for_each(|child| child.truncate(length)),
            BufferData::Union { tags, children } => {
                tags.truncate(length);
                children.iter_mut().for_each(|child| child.truncate(length));
            }
            // What the dropped rows had in children and text stays until `clear`.
            BufferData::Any { tags, words, .. } => {
                tags.truncate(length);
                words.truncate(length);
            }
        );
    }

    /// Bytes held, for the memory limit.
    pub fn bytes(&self) -> usize {
        let children = |children: &[VectorBuffer]| children.iter().map(VectorBuffer::bytes).sum::<usize>();
        self.validity.bytes()
            + self.scratch.capacity() * 4
            + for_plain!(&self.data, vector => plain_bytes(vector),
                BufferData::Null => 0,
                BufferData::Str(strings) => strings.bytes(),
                BufferData::List(lists) => lists.bytes(),
                BufferData::Struct(members) => children(members),
                BufferData::Union { tags, children: members } => tags.capacity() + children(members),
                BufferData::Any { tags, words, text, children: members } => {
                    tags.capacity() + words.capacity() * 16 + text.bytes() + children(members)
                }
            )
    }

    /// The rows as a flat vector.
    #[inline]
    pub fn vector(&self) -> ValueVector<'_> {
        ValueVector { shape: Shape::Flat(self.values()), validity: self.validity() }
    }

    /// Row 0 repeated for ever; a buffer without rows repeats null.
    pub fn constant_vector(&self) -> ValueVector<'_> {
        if self.is_empty() || self.vector().is_null(0) {
            return ValueVector { shape: Shape::Constant(Values::Null), validity: Validity::AllNull };
        }
        ValueVector::constant(self.values())
    }

    fn validity(&self) -> Validity<'_> {
        match self.data {
            BufferData::Null => Validity::AllNull,
            _ => self.validity.view(),
        }
    }

    /// The values, without their nulls.
    pub fn values(&self) -> Values<'_> {
        match &self.data {
            BufferData::Null => Values::Null,
            BufferData::Bool(values) => Values::Bool(values),
            BufferData::I8(values) => Values::I8(values),
            BufferData::I16(values) => Values::I16(values),
            BufferData::I32(values) => Values::I32(values),
            BufferData::I64(values) => Values::I64(values),
            BufferData::I128(values) => Values::I128(values),
            BufferData::U8(values) => Values::U8(values),
            BufferData::U16(values) => Values::U16(values),
            BufferData::U32(values) => Values::U32(values),
            BufferData::U64(values) => Values::U64(values),
            BufferData::F32(values) => Values::F32(values),
            BufferData::F64(values) => Values::F64(values),
            BufferData::Str(strings) => Values::Str(strings.view()),
            BufferData::Time(values) => Values::Time(values),
            BufferData::Interval(values) => Values::Interval(values),
            BufferData::Zoned(values) => Values::Zoned(values),
            BufferData::List(lists) => Values::List(lists.view()),
            BufferData::Struct(children) => Values::Struct(Children::buffers(children)),
            BufferData::Union { tags, children } => {
                Values::Union { tags, children: Children::buffers(children) }
            }
            BufferData::Any { tags, words, text, children } => Values::Any(AnyVector {
                tags,
                words,
                buffers: text.buffers(),
                children: AnyChildren::Buffers(children),
            }),
        }
    }

    /// Appends exactly `length` values that `write` pushes, with their validity. None if the buffer is of another
    /// physical type. A kernel writes whole vectors through this.
    pub fn fill<T: Native, E>(
        &mut self,
        length: usize,
        validity: Validity<'_>,
        write: impl FnOnce(&mut Vec<T>) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let before = self.validity.len();
        let values = T::vector(&mut self.data)?;
        let outcome = write(values);
        // Also after an error rows and validity stay in step.
        values.resize(before + if outcome.is_ok() { length } else { 0 }, T::default());
        if outcome.is_ok() {
            self.validity.extend(validity, length);
        }
        Some(outcome)
    }

    /// As `fill`, for BOOL: `write` pushes 0 or 1.
    pub fn fill_bools<E>(
        &mut self,
        length: usize,
        validity: Validity<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let before = self.validity.len();
        let BufferData::Bool(values) = &mut self.data else { return None };
        let outcome = write(values);
        values.resize(before + if outcome.is_ok() { length } else { 0 }, 0);
        if outcome.is_ok() {
            self.validity.extend(validity, length);
        }
        Some(outcome)
    }

    /// The values of fixed size for changes in place; their number must stay.
    pub fn natives_mut<T: Native>(&mut self) -> Option<&mut [T]> {
        T::vector(&mut self.data).map(Vec::as_mut_slice)
    }

    /// Turns a row into null; its value stays unread.
    pub fn set_null(&mut self, row: usize) {
        self.validity.set_null(row);
    }

    /// Rows with a list that was kept for a row before them.
    pub fn lists_shared(&self) -> usize {
        match &self.data {
            BufferData::List(lists) => lists.shared(),
            _ => 0,
        }
    }

    /// The parts of a list buffer: offsets to push the new ends to, and the elements, whose number so far the first list
    /// begins at. Follow with `finish_rows`.
    pub fn list_mut(&mut self) -> Option<(&mut Vec<u32>, &mut VectorBuffer)> {
        match &mut self.data {
            BufferData::List(lists) => Some(lists.parts_mut()),
            _ => None,
        }
    }

    /// The members of a STRUCT buffer, each of which takes the same rows. Follow with `finish_rows`.
    pub fn members_mut(&mut self) -> Option<&mut [VectorBuffer]> {
        match &mut self.data {
            BufferData::Struct(children) => Some(children),
            _ => None,
        }
    }

    /// The tags of a UNION buffer and its members, each of which takes the same rows. Follow with `finish_rows`.
    pub fn union_mut(&mut self) -> Option<(&mut Vec<u8>, &mut [VectorBuffer])> {
        match &mut self.data {
            BufferData::Union { tags, children } => Some((tags, children)),
            _ => None,
        }
    }

    /// The strings of a STRING, BLOB or JSON buffer. Follow with `finish_rows`.
    pub fn strings_mut(&mut self) -> Option<&mut StringBuffer> {
        match &mut self.data {
            BufferData::Str(strings) => Some(strings),
            _ => None,
        }
    }

    /// Declares the rows that were pushed through one of the `_mut` methods.
    pub fn finish_rows(&mut self, length: usize, validity: Validity<'_>) {
        if let BufferData::List(lists) = &mut self.data {
            lists.finish();
        }
        self.validity.extend(validity, length);
        debug_assert_eq!(self.validity.len(), self.data_len());
    }

    fn data_len(&self) -> usize {
        for_plain!(&self.data, vector => vector.len(),
            BufferData::Null => self.validity.len(),
            BufferData::Str(strings) => strings.len(),
            BufferData::List(lists) => lists.rows(),
            BufferData::Struct(children) => children.first().map_or(self.validity.len(), VectorBuffer::len),
            BufferData::Union { tags, .. } | BufferData::Any { tags, .. } => tags.len(),
        )
    }
}

fn plain_bytes<T>(vector: &Vec<T>) -> usize {
    vector.capacity() * size_of::<T>()
}

fn empty_data(data_type: &DataType) -> BufferData {
    let children = || data_type.children().into_iter().map(VectorBuffer::new).collect::<Vec<_>>();
    match data_type.physical() {
        PhysicalType::Null => BufferData::Null,
        PhysicalType::Bool => BufferData::Bool(Vec::new()),
        PhysicalType::I8 => BufferData::I8(Vec::new()),
        PhysicalType::I16 => BufferData::I16(Vec::new()),
        PhysicalType::I32 => BufferData::I32(Vec::new()),
        PhysicalType::I64 => BufferData::I64(Vec::new()),
        PhysicalType::I128 => BufferData::I128(Vec::new()),
        PhysicalType::U8 => BufferData::U8(Vec::new()),
        PhysicalType::U16 => BufferData::U16(Vec::new()),
        PhysicalType::U32 => BufferData::U32(Vec::new()),
        PhysicalType::U64 => BufferData::U64(Vec::new()),
        PhysicalType::F32 => BufferData::F32(Vec::new()),
        PhysicalType::F64 => BufferData::F64(Vec::new()),
        PhysicalType::Str => BufferData::Str(StringBuffer::default()),
        PhysicalType::Time => BufferData::Time(Vec::new()),
        PhysicalType::Interval => BufferData::Interval(Vec::new()),
        PhysicalType::Zoned => BufferData::Zoned(Vec::new()),
        PhysicalType::List => {
            let element = data_type.children().pop().unwrap_or(DataType::Null);
            BufferData::List(ListBuffer::new(VectorBuffer::new(element)))
        }
        PhysicalType::Struct => BufferData::Struct(children()),
        PhysicalType::Union => BufferData::Union { tags: Vec::new(), children: children() },
        PhysicalType::Any => BufferData::Any {
            tags: Vec::new(),
            words: Vec::new(),
            text: StringBuffer::default(),
            children: Vec::new(),
        },
    }
}
