//! Fixed-size values of a vector as Rust types.

use super::{BufferData, Shape, ValueVector, Values, VectorRef};
use crate::types::{Interval, Time, Zoned};

/// A fixed-size physical type other than BOOL.
pub trait Native: Copy + Default + PartialEq + PartialOrd + Send + Sync + std::fmt::Debug + 'static {
    /// The slice, if the values are of this type.
    fn slice<'b>(values: &Values<'b>) -> Option<&'b [Self]>;
    /// Values over a slice.
    fn values(slice: &[Self]) -> Values<'_>;
    /// The vector inside a buffer, if it is of this type.
    fn vector(data: &mut BufferData) -> Option<&mut Vec<Self>>;
    /// The value from a u64, for the shapes that hold ids without storing them.
    fn from_u64(_value: u64) -> Option<Self> {
        None
    }
}

macro_rules! native {
    ($($rust:ty => $variant:ident $(, $from:expr)?;)*) => {$(
        impl Native for $rust {
            #[inline]
            fn slice<'b>(values: &Values<'b>) -> Option<&'b [Self]> {
                match values {
                    Values::$variant(slice) => Some(slice),
                    _ => None,
                }
            }
            fn values(slice: &[Self]) -> Values<'_> {
                Values::$variant(slice)
            }
            #[inline]
            fn vector(data: &mut BufferData) -> Option<&mut Vec<Self>> {
                match data {
                    BufferData::$variant(vector) => Some(vector),
                    _ => None,
                }
            }
            $(
                #[inline]
                fn from_u64(value: u64) -> Option<Self> {
                    Some($from(value))
                }
            )?
        }
    )*};
}

native! {
    i8 => I8; i16 => I16; i32 => I32; i64 => I64; i128 => I128;
    u8 => U8; u16 => U16; u32 => U32; u64 => U64, std::convert::identity;
    f32 => F32; f64 => F64; Time => Time; Interval => Interval; Zoned => Zoned;
}

/// Reads single rows of a vector of any shape.
#[derive(Debug, Clone, Copy)]
pub enum NativeReader<'b, T> {
    Flat(&'b [T]),
    Constant(T),
    Codes(&'b [u32], &'b [T]),
    /// A dictionary over a dictionary of flat values.
    Nested(&'b [u32], &'b [u32], &'b [T]),
    /// A dictionary over ids that lie one after the other.
    SequenceCodes(&'b [u32], u64),
    /// A dictionary over a shape that is none of these.
    Indirect(&'b [u32], VectorRef<'b>),
    Sequence(u64),
    Offsets(u64, &'b [u32]),
}

impl<'b, T: Native> NativeReader<'b, T> {
    /// The value of a row, whether or not it is null.
    #[inline]
    pub fn get(&self, row: usize) -> T {
        match self {
            NativeReader::Flat(values) => values[row],
            NativeReader::Constant(value) => *value,
            NativeReader::Codes(codes, values) => values[codes[row] as usize],
            NativeReader::Nested(codes, inner, values) => values[inner[codes[row] as usize] as usize],
            NativeReader::SequenceCodes(codes, start) => {
                T::from_u64(start + u64::from(codes[row])).unwrap_or_default()
            }
            NativeReader::Indirect(codes, values) => values
                .get()
                .native_reader::<T>()
                .map_or(T::default(), |reader| reader.get(codes[row] as usize)),
            NativeReader::Sequence(start) => T::from_u64(start + row as u64).unwrap_or_default(),
            NativeReader::Offsets(base, offsets) => {
                T::from_u64(base + u64::from(offsets[row])).unwrap_or_default()
            }
        }
    }
}

impl<'b> ValueVector<'b> {
    /// A reader of single rows, if the vector is of this type.
    pub fn native_reader<T: Native>(&self) -> Option<NativeReader<'b, T>> {
        match self.shape {
            Shape::Flat(values) => T::slice(&values).map(NativeReader::Flat),
            Shape::Constant(values) => T::slice(&values)
                .map(|slice| NativeReader::Constant(slice.first().copied().unwrap_or_default())),
            Shape::Dictionary { codes, values } => match values.get().shape {
                Shape::Flat(flat) => T::slice(&flat).map(|slice| NativeReader::Codes(codes, slice)),
                Shape::Sequence { start } => {
                    T::from_u64(0).map(|_| NativeReader::SequenceCodes(codes, start))
                }
                Shape::Dictionary { codes: inner, values: below } => match below.get().shape {
                    Shape::Flat(flat) => {
                        T::slice(&flat).map(|slice| NativeReader::Nested(codes, inner, slice))
                    }
                    _ => values.get().native_reader::<T>().map(|_| NativeReader::Indirect(codes, values)),
                },
                _ => values.get().native_reader::<T>().map(|_| NativeReader::Indirect(codes, values)),
            },
            Shape::Sequence { start } => T::from_u64(0).map(|_| NativeReader::Sequence(start)),
            Shape::Offsets { base, offsets } => T::from_u64(0).map(|_| NativeReader::Offsets(base, offsets)),
        }
    }

    /// The slice of a flat vector of this type.
    #[inline]
    pub fn slice_of<T: Native>(&self) -> Option<&'b [T]> {
        match &self.shape {
            Shape::Flat(values) => T::slice(values),
            _ => None,
        }
    }

    /// The value that a constant vector of this type repeats; a null constant has one too.
    pub fn constant_of<T: Native>(&self) -> Option<T> {
        match &self.shape {
            Shape::Constant(values) => T::slice(values).and_then(|slice| slice.first().copied()),
            _ => None,
        }
    }

    /// Calls `visit` with the first `length` values as one slice, copied into `scratch` unless they lie flat.
    /// None if the vector is of another type.
    pub fn with_slice<T: Native, R>(
        &self,
        length: usize,
        scratch: &mut Vec<T>,
        visit: impl FnOnce(&[T]) -> R,
    ) -> Option<R> {
        if let Some(slice) = self.slice_of::<T>() {
            return Some(visit(&slice[..length]));
        }
        let reader = self.native_reader::<T>()?;
        scratch.clear();
        scratch.extend((0..length).map(|row| reader.get(row)));
        Some(visit(scratch))
    }

    /// `with_slice` for I64.
    pub fn with_i64<R>(
        &self,
        length: usize,
        scratch: &mut Vec<i64>,
        visit: impl FnOnce(&[i64]) -> R,
    ) -> Option<R> {
        self.with_slice(length, scratch, visit)
    }

    /// `with_slice` for U64, the type of ids and offsets.
    pub fn with_u64<R>(
        &self,
        length: usize,
        scratch: &mut Vec<u64>,
        visit: impl FnOnce(&[u64]) -> R,
    ) -> Option<R> {
        self.with_slice(length, scratch, visit)
    }

    /// `with_slice` for F64.
    pub fn with_f64<R>(
        &self,
        length: usize,
        scratch: &mut Vec<f64>,
        visit: impl FnOnce(&[f64]) -> R,
    ) -> Option<R> {
        self.with_slice(length, scratch, visit)
    }
}
