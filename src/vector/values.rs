//! The values of a vector by physical type, all borrowed.

use super::{ANY_CHILD, ANY_NULL, Validity, ValueVector, VectorBuffer, any_type};
use crate::types::{DataType, Interval, PhysicalType, StringView, Time, Zoned};

/// A slice of values of one physical type. Rows that are null hold any value of the type.
#[derive(Debug, Clone, Copy)]
pub enum Values<'b> {
    /// Every row is null.
    Null,
    /// 0 or 1.
    Bool(&'b [u8]),
    I8(&'b [i8]),
    I16(&'b [i16]),
    I32(&'b [i32]),
    I64(&'b [i64]),
    I128(&'b [i128]),
    U8(&'b [u8]),
    U16(&'b [u16]),
    U32(&'b [u32]),
    U64(&'b [u64]),
    F32(&'b [f32]),
    F64(&'b [f64]),
    Str(StringVector<'b>),
    Time(&'b [Time]),
    Interval(&'b [Interval]),
    Zoned(&'b [Zoned]),
    List(ListVector<'b>),
    /// One child per member, each as long as the vector.
    Struct(Children<'b>),
    /// The member of each row, and children that are each as long as the vector.
    Union {
        tags: &'b [u8],
        children: Children<'b>,
    },
    Any(AnyVector<'b>),
}

/// A vector that stands elsewhere: as a borrowed vector or as the buffer that owns it.
#[derive(Debug, Clone, Copy)]
pub enum VectorRef<'b> {
    /// A vector built by someone else.
    Vector(&'b ValueVector<'b>),
    /// An owned buffer, viewed when it is asked for.
    Buffer(&'b VectorBuffer),
}

impl<'b> VectorRef<'b> {
    /// The vector itself.
    #[inline]
    pub fn get(&self) -> ValueVector<'b> {
        match self {
            VectorRef::Vector(vector) => **vector,
            VectorRef::Buffer(buffer) => buffer.vector(),
        }
    }
}

impl<'b> From<&'b ValueVector<'b>> for VectorRef<'b> {
    fn from(vector: &'b ValueVector<'b>) -> Self {
        VectorRef::Vector(vector)
    }
}

impl<'b> From<&'b VectorBuffer> for VectorRef<'b> {
    fn from(buffer: &'b VectorBuffer) -> Self {
        VectorRef::Buffer(buffer)
    }
}

/// The child vectors of a STRUCT or UNION; all rows of the child from `start` on belong to the parent's rows.
#[derive(Debug, Clone, Copy)]
pub struct Children<'b> {
    source: ChildSource<'b>,
    start: usize,
}

#[derive(Debug, Clone, Copy)]
enum ChildSource<'b> {
    Vectors(&'b [ValueVector<'b>]),
    Buffers(&'b [VectorBuffer]),
}

impl<'b> Children<'b> {
    /// Children that are borrowed vectors.
    pub fn vectors(vectors: &'b [ValueVector<'b>]) -> Self {
        Children { source: ChildSource::Vectors(vectors), start: 0 }
    }

    /// Children that are owned buffers.
    pub fn buffers(buffers: &'b [VectorBuffer]) -> Self {
        Children { source: ChildSource::Buffers(buffers), start: 0 }
    }

    /// Number of children.
    pub fn len(&self) -> usize {
        match self.source {
            ChildSource::Vectors(vectors) => vectors.len(),
            ChildSource::Buffers(buffers) => buffers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One child, with row 0 standing for the parent's row 0.
    #[inline]
    pub fn get(&self, position: usize) -> ValueVector<'b> {
        let child = match self.source {
            ChildSource::Vectors(vectors) => vectors[position],
            ChildSource::Buffers(buffers) => buffers[position].vector(),
        };
        if self.start == 0 { child } else { child.slice_from(self.start) }
    }

    fn slice(&self, start: usize) -> Self {
        Children { start: self.start + start, ..*self }
    }
}

/// The buffers that hold the text of long strings.
#[derive(Debug, Clone, Copy)]
pub enum StringBuffers<'b> {
    /// One buffer, number 0.
    One(&'b [u8]),
    /// Borrowed buffers.
    Slices(&'b [&'b [u8]]),
    /// Owned buffers.
    Chunks(&'b [Vec<u8>]),
}

impl<'b> StringBuffers<'b> {
    /// Buffers for vectors whose strings are all short.
    pub const NONE: StringBuffers<'static> = StringBuffers::One(&[]);

    /// One buffer; an empty one where there is none.
    #[inline]
    pub fn get(&self, index: usize) -> &'b [u8] {
        match self {
            StringBuffers::One(bytes) => bytes,
            StringBuffers::Slices(slices) => slices.get(index).copied().unwrap_or(&[]),
            StringBuffers::Chunks(chunks) => chunks.get(index).map_or(&[], Vec::as_slice),
        }
    }

    /// The text of a view.
    #[inline]
    pub fn bytes(&self, view: &'b StringView) -> &'b [u8] {
        match view.inline_bytes() {
            Some(bytes) => bytes,
            None => self.long_bytes(view),
        }
    }

    #[inline]
    fn long_bytes(&self, view: &StringView) -> &'b [u8] {
        let start = view.offset() as usize;
        // A view that points outside its buffer reads as empty; only damaged memory could make one.
        self.get(view.buffer() as usize).get(start..start + view.len()).unwrap_or(&[])
    }
}

/// Strings: 16-byte views over buffers.
#[derive(Debug, Clone, Copy)]
pub struct StringVector<'b> {
    pub views: &'b [StringView],
    pub buffers: StringBuffers<'b>,
}

impl<'b> StringVector<'b> {
    /// Views over the given buffers.
    pub fn new(views: &'b [StringView], buffers: StringBuffers<'b>) -> Self {
        StringVector { views, buffers }
    }

    /// The bytes of a row.
    #[inline]
    pub fn bytes(&self, row: usize) -> &'b [u8] {
        self.buffers.bytes(&self.views[row])
    }

    /// The text of a row; strings are UTF-8 by construction, anything else reads up to its first bad byte.
    #[inline]
    pub fn text(&self, row: usize) -> &'b str {
        text_of(self.bytes(row))
    }

    /// Whether two rows hold the same bytes; most differences show in the views.
    #[inline]
    pub fn equal(&self, row: usize, other: &StringVector<'_>, other_row: usize) -> bool {
        let (left, right) = (&self.views[row], &other.views[other_row]);
        if left.head() != right.head() {
            return false;
        }
        if left.is_inline() { left == right } else { self.bytes(row) == other.bytes(other_row) }
    }

    /// The order of two rows by bytes, which for UTF-8 is the order of code points.
    #[inline]
    pub fn compare(&self, row: usize, other: &StringVector<'_>, other_row: usize) -> std::cmp::Ordering {
        let prefix = self.views[row].prefix_order(&other.views[other_row]);
        prefix.then_with(|| self.bytes(row).cmp(other.bytes(other_row)))
    }
}

/// The longest prefix of the bytes that is UTF-8.
#[inline]
pub fn text_of(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
    }
}

/// Lists: row `i` holds the child's rows from `starts[i]`, or from `offsets[i]` where there are no starts, to
/// `offsets[i + 1]`. With starts several rows may have the same elements.
#[derive(Debug, Clone, Copy)]
pub struct ListVector<'b> {
    /// One more than rows.
    pub offsets: &'b [u32],
    /// Empty where the lists lie one after the other.
    pub starts: &'b [u32],
    /// The elements of all lists.
    pub child: VectorRef<'b>,
    /// Vectors with the same number other than 0 have the same lists over the same elements, whenever they are seen.
    pub identity: u64,
}

impl<'b> ListVector<'b> {
    /// Lists over a child, which is a vector or a buffer.
    pub fn new(offsets: &'b [u32], child: impl Into<VectorRef<'b>>) -> Self {
        ListVector { offsets, starts: &[], child: child.into(), identity: 0 }
    }

    /// Start and end of a row's elements in the child.
    #[inline]
    pub fn range(&self, row: usize) -> (usize, usize) {
        let starts = if self.starts.is_empty() { self.offsets } else { self.starts };
        (starts[row] as usize, self.offsets[row + 1] as usize)
    }

    /// The lists of the first `rows` rows one after the other, for those who write them so: offsets and elements. None
    /// where they lie so already.
    pub fn consecutive(&self, validity: Validity<'_>, rows: usize) -> Option<(Vec<u32>, VectorBuffer)> {
        // Only buffers have rows with the same elements.
        let (false, VectorRef::Buffer(from)) = (self.starts.is_empty(), self.child) else { return None };
        let (mut offsets, mut child) = (vec![0], VectorBuffer::new(from.data_type().clone()));
        for row in 0..rows {
            if validity.is_valid(row) {
                let (start, end) = self.range(row);
                child.append_range(&from.vector(), start, end - start);
            }
            offsets.push(child.len() as u32);
        }
        Some((offsets, child))
    }
}

/// The typed children of an ANY vector.
#[derive(Debug, Clone, Copy)]
pub enum AnyChildren<'b> {
    /// Borrowed: a type beside each vector.
    Vectors(&'b [(&'b DataType, ValueVector<'b>)]),
    /// Owned buffers, which know their types.
    Buffers(&'b [VectorBuffer]),
}

impl<'b> AnyChildren<'b> {
    /// Number of children.
    pub fn len(&self) -> usize {
        match self {
            AnyChildren::Vectors(vectors) => vectors.len(),
            AnyChildren::Buffers(buffers) => buffers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Type and vector of a child.
    pub fn get(&self, position: usize) -> (&'b DataType, ValueVector<'b>) {
        match self {
            AnyChildren::Vectors(vectors) => vectors[position],
            AnyChildren::Buffers(buffers) => (buffers[position].data_type(), buffers[position].vector()),
        }
    }
}

/// Values of mixed types: a tag and a 16-byte word per row. The word holds the value itself where it fits (see
/// [`super::any_tag`]), else the number of a child (u32) and a row in it (u32).
#[derive(Debug, Clone, Copy)]
pub struct AnyVector<'b> {
    pub tags: &'b [u8],
    pub words: &'b [[u8; 16]],
    /// Text of long strings in the words.
    pub buffers: StringBuffers<'b>,
    pub children: AnyChildren<'b>,
}

impl<'b> AnyVector<'b> {
    /// Child and row in it of a row whose tag is [`ANY_CHILD`].
    #[inline]
    pub fn child(&self, row: usize) -> (usize, usize) {
        let word = u64::from_le_bytes(self.words[row].first_chunk().copied().unwrap_or_default());
        (word as u32 as usize, (word >> 32) as usize)
    }

    /// The type of a row's value; NULL for a null.
    pub fn type_of(&self, row: usize) -> DataType {
        match self.tags[row] {
            ANY_NULL => DataType::Null,
            ANY_CHILD => self.children.get(self.child(row).0).0.clone(),
            tag => any_type(tag).unwrap_or(DataType::Null),
        }
    }

    /// The text of a row that holds a string.
    pub fn bytes(&self, row: usize) -> &'b [u8] {
        let view = StringView::from_bytes(self.words[row]);
        if view.is_inline() { &self.words[row][4..4 + view.len()] } else { self.buffers.long_bytes(&view) }
    }
}

impl<'b> Values<'b> {
    /// The physical type.
    pub fn physical(&self) -> PhysicalType {
        match self {
            Values::Null => PhysicalType::Null,
            Values::Bool(_) => PhysicalType::Bool,
            Values::I8(_) => PhysicalType::I8,
            Values::I16(_) => PhysicalType::I16,
            Values::I32(_) => PhysicalType::I32,
            Values::I64(_) => PhysicalType::I64,
            Values::I128(_) => PhysicalType::I128,
            Values::U8(_) => PhysicalType::U8,
            Values::U16(_) => PhysicalType::U16,
            Values::U32(_) => PhysicalType::U32,
            Values::U64(_) => PhysicalType::U64,
            Values::F32(_) => PhysicalType::F32,
            Values::F64(_) => PhysicalType::F64,
            Values::Str(_) => PhysicalType::Str,
            Values::Time(_) => PhysicalType::Time,
            Values::Interval(_) => PhysicalType::Interval,
            Values::Zoned(_) => PhysicalType::Zoned,
            Values::List(_) => PhysicalType::List,
            Values::Struct(_) => PhysicalType::Struct,
            Values::Union { .. } => PhysicalType::Union,
            Values::Any(_) => PhysicalType::Any,
        }
    }

    /// Number of values, where the values know it: a STRUCT does not.
    pub fn len_hint(&self) -> Option<usize> {
        Some(match self {
            Values::Null | Values::Struct(_) => return None,
            Values::Bool(values) | Values::U8(values) => values.len(),
            Values::I8(values) => values.len(),
            Values::I16(values) => values.len(),
            Values::I32(values) => values.len(),
            Values::I64(values) => values.len(),
            Values::I128(values) => values.len(),
            Values::U16(values) => values.len(),
            Values::U32(values) => values.len(),
            Values::U64(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::Str(strings) => strings.views.len(),
            Values::Time(values) => values.len(),
            Values::Interval(values) => values.len(),
            Values::Zoned(values) => values.len(),
            Values::List(lists) => lists.offsets.len().saturating_sub(1),
            Values::Union { tags, .. } => tags.len(),
            Values::Any(any) => any.tags.len(),
        })
    }

    /// The values from `start` on.
    pub fn slice_from(&self, start: usize) -> Values<'b> {
        match *self {
            Values::Null => Values::Null,
            Values::Bool(values) => Values::Bool(&values[start..]),
            Values::I8(values) => Values::I8(&values[start..]),
            Values::I16(values) => Values::I16(&values[start..]),
            Values::I32(values) => Values::I32(&values[start..]),
            Values::I64(values) => Values::I64(&values[start..]),
            Values::I128(values) => Values::I128(&values[start..]),
            Values::U8(values) => Values::U8(&values[start..]),
            Values::U16(values) => Values::U16(&values[start..]),
            Values::U32(values) => Values::U32(&values[start..]),
            Values::U64(values) => Values::U64(&values[start..]),
            Values::F32(values) => Values::F32(&values[start..]),
            Values::F64(values) => Values::F64(&values[start..]),
            Values::Str(strings) => Values::Str(StringVector { views: &strings.views[start..], ..strings }),
            Values::Time(values) => Values::Time(&values[start..]),
            Values::Interval(values) => Values::Interval(&values[start..]),
            Values::Zoned(values) => Values::Zoned(&values[start..]),
            Values::List(lists) => Values::List(ListVector {
                offsets: &lists.offsets[start..],
                starts: lists.starts.get(start..).unwrap_or_default(),
                ..lists
            }),
            Values::Struct(children) => Values::Struct(children.slice(start)),
            Values::Union { tags, children } => {
                Values::Union { tags: &tags[start..], children: children.slice(start) }
            }
            Values::Any(any) => {
                Values::Any(AnyVector { tags: &any.tags[start..], words: &any.words[start..], ..any })
            }
        }
    }
}
