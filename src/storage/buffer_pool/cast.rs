//! Aligned bytes, and bytes seen as slices of plain values. Pages lie at multiples of 4096 and segments at multiples
//! of 64 within them, so what the pool lends can be read as integers in place.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
}

/// A type of which every bit pattern is a value and which has no padding.
pub trait Plain: Copy + Send + Sync + 'static + sealed::Sealed {}

macro_rules! plain {
    ($($name:ty),*) => { $(impl sealed::Sealed for $name {} impl Plain for $name {})* };
}
plain!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, f32, f64);

/// `bytes` as values of `T`, in the machine's byte order. `None` when the start is not aligned for `T` or the length
/// is no multiple of its size.
#[inline]
pub fn try_bytes_as<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    let size = size_of::<T>();
    if bytes.is_empty() {
        return Some(&[]);
    }
    if !bytes.as_ptr().cast::<T>().is_aligned() || !bytes.len().is_multiple_of(size) {
        return None;
    }
    // SAFETY: the pointer is aligned and points to `len / size` values' worth of initialised bytes; `Plain` is sealed
    // and holds only types without padding or invalid bit patterns; the result borrows `bytes`.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<T>(), bytes.len() / size) })
}

/// `bytes` as values of `T`. The caller lends from a segment at an offset that is a multiple of the size.
///
/// # Panics
///
/// When the start is not aligned or the length is no multiple of the size: a mistake of the caller, which decides
/// both. For lengths that come from a file use [`try_bytes_as`].
#[inline]
pub fn bytes_as<T: Plain>(bytes: &[u8]) -> &[T] {
    match try_bytes_as(bytes) {
        Some(values) => values,
        // The caller decides alignment and length, see above.
        None => panic!("{} bytes at {:p} are no slice of {}", bytes.len(), bytes, std::any::type_name::<T>()),
    }
}

/// The bytes of plain values, in the machine's byte order.
#[inline]
pub fn as_bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: `Plain` types have no padding, so all bytes are initialised; the result borrows `values`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }
}

/// The alignment of segments and of every buffer that stands in for one.
pub const SEGMENT_ALIGNMENT: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; SEGMENT_ALIGNMENT]);

/// A growable buffer whose start is aligned to 64 bytes.
#[derive(Default)]
pub struct AlignedBuffer {
    lines: Vec<Line>,
    length: usize,
}

impl AlignedBuffer {
    /// A buffer of `length` zero bytes.
    pub fn zeroed(length: usize) -> AlignedBuffer {
        AlignedBuffer { lines: vec![Line([0; 64]); length.div_ceil(SEGMENT_ALIGNMENT)], length }
    }

    /// An aligned copy.
    pub fn copy_of(bytes: &[u8]) -> AlignedBuffer {
        let mut copy = AlignedBuffer::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }

    /// Bytes that the buffer can show without growing.
    pub fn capacity(&self) -> usize {
        self.lines.len() * SEGMENT_ALIGNMENT
    }

    /// Shows the first `length` bytes, growing by zero bytes where needed. Bytes that were hidden keep their values.
    pub fn set_len(&mut self, length: usize) {
        if length > self.capacity() {
            self.lines.resize(length.div_ceil(SEGMENT_ALIGNMENT), Line([0; 64]));
        }
        self.length = length;
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        debug_assert!(self.length <= self.capacity());
        // SAFETY: `length` never exceeds the bytes of the lines, which are initialised bytes without padding.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<u8>(), self.length) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the borrow is exclusive and any byte is a valid byte of a line.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<u8>(), self.length) }
    }
}

/// Shared immutable bytes whose start is aligned to 64 bytes.
pub type AlignedBytes = Arc<AlignedBuffer>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lent_in_place_only_when_aligned() {
        let buffer = AlignedBuffer::copy_of(as_bytes(&[1_u64, 2, 3]));
        assert!(buffer.as_ptr().addr().is_multiple_of(64));
        assert_eq!(bytes_as::<u64>(&buffer), [1, 2, 3]);
        assert_eq!(try_bytes_as::<u64>(&buffer[8..]), Some(&[2, 3][..]));
        assert_eq!(try_bytes_as::<u64>(&buffer[4..20]), None);
        assert_eq!(try_bytes_as::<u64>(&buffer[..20]), None);
        assert_eq!(try_bytes_as::<u32>(&buffer[4..8]), Some(&[0][..]));
        assert_eq!(try_bytes_as::<u64>(&[]), Some(&[][..]));
    }

    #[test]
    fn buffers_grow_and_keep_their_bytes() {
        let mut buffer = AlignedBuffer::copy_of(&[7; 100]);
        buffer.set_len(300);
        assert_eq!(buffer[..100], [7; 100]);
        assert_eq!(buffer[128..], [0; 172]);
        buffer.set_len(3);
        assert_eq!(&*buffer, &[7, 7, 7]);
    }
}
