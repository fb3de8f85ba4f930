//! Values of fixed width as the encodings see them.

use super::bytes::{Damage, Damaged};

/// A plain value: little-endian bytes on disk, an order-preserving key for dictionaries and statistics.
pub trait FixedValue: Copy + PartialEq + Default + Send + Sync + 'static {
    /// Bytes on disk.
    const WIDTH: usize;
    /// Whether distances from a base can be packed.
    const PACKABLE: bool;
    /// Appends the bytes.
    fn write_to(self, out: &mut Vec<u8>);
    /// Reads the bytes, which are `WIDTH` many.
    fn read_from(bytes: &[u8]) -> Option<Self>;
    /// A bijective map into the integers that keeps the order.
    fn key(self) -> i128;
    /// The inverse of `key`.
    fn from_key(key: i128) -> Self;
    /// The value `distance` above `base` (wrapping): what bit-packing stores for packable types.
    fn at_distance(base: i128, distance: u64) -> Self;
    /// How far the value lies above `base` (wrapping), for packable types of at most 64 bits.
    fn distance_from(self, base: i128) -> u64;
    /// The smallest key.
    fn lowest() -> i128;
    /// The largest key.
    fn highest() -> i128;
}

macro_rules! fixed_integer {
    ($($native:ty),*) => {$(
        impl FixedValue for $native {
            const WIDTH: usize = size_of::<$native>();
            const PACKABLE: bool = true;
            fn write_to(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn read_from(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| <$native>::from_le_bytes(*chunk))
            }
            #[inline]
            fn key(self) -> i128 {
                self as i128
            }
            fn from_key(key: i128) -> Self {
                key as $native
            }
            #[inline(always)]
            fn at_distance(base: i128, distance: u64) -> Self {
                (base as $native).wrapping_add(distance as $native)
            }
            #[inline(always)]
            fn distance_from(self, base: i128) -> u64 {
                (self as u64).wrapping_sub(base as u64)
            }
            fn lowest() -> i128 {
                <$native>::MIN as i128
            }
            fn highest() -> i128 {
                i128::try_from(<$native>::MAX).unwrap_or(i128::MAX)
            }
        }
    )*};
}

fixed_integer!(u8, u16, u32, u64, i8, i16, i32, i64, i128);

macro_rules! fixed_float {
    ($native:ty, $bits:ty) => {
        impl FixedValue for $native {
            const WIDTH: usize = size_of::<$native>();
            const PACKABLE: bool = false;
            fn write_to(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline]
            fn read_from(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| <$native>::from_le_bytes(*chunk))
            }
            #[inline]
            fn key(self) -> i128 {
                // Negative numbers are stored as magnitude with a sign: turned round, bit patterns sort like numbers.
                let bits = self.to_bits();
                let top = 1 << (<$bits>::BITS - 1);
                i128::from(if bits & top == 0 { bits | top } else { !bits })
            }
            fn from_key(key: i128) -> Self {
                let top = 1 << (<$bits>::BITS - 1);
                let ordered = key as $bits;
                <$native>::from_bits(if ordered & top == 0 { !ordered } else { ordered & !top })
            }
            fn at_distance(base: i128, distance: u64) -> Self {
                Self::from_key(base.wrapping_add(i128::from(distance)))
            }
            fn distance_from(self, base: i128) -> u64 {
                self.key().wrapping_sub(base) as u64
            }
            fn lowest() -> i128 {
                0
            }
            fn highest() -> i128 {
                i128::from(<$bits>::MAX)
            }
        }
    };
}

fixed_float!(f32, u32);
fixed_float!(f64, u64);

/// Reads `out.len()` values from the front of `bytes`.
pub fn read_all<T: FixedValue>(bytes: &[u8], out: &mut [T]) -> Damaged<()> {
    if bytes.len() / T::WIDTH < out.len() {
        return Err(Damage("array of values is cut short"));
    }
    for (slot, chunk) in out.iter_mut().zip(bytes.chunks_exact(T::WIDTH)) {
        *slot = T::read_from(chunk).unwrap_or_default();
    }
    Ok(())
}

/// The value number `index` of an array.
pub fn read_at<T: FixedValue>(bytes: &[u8], index: usize) -> Damaged<T> {
    let at = index.checked_mul(T::WIDTH).ok_or(Damage("array index overflows"))?;
    bytes.get(at..).and_then(T::read_from).ok_or(Damage("array of values is cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FixedValue + std::fmt::Debug>(ascending: &[T]) {
        for pair in ascending.windows(2) {
            assert!(pair[0].key() < pair[1].key(), "{pair:?}");
        }
        for value in ascending {
            let mut bytes = Vec::new();
            T::from_key(value.key()).write_to(&mut bytes);
            let mut direct = Vec::new();
            value.write_to(&mut direct);
            assert_eq!(bytes, direct);
            assert_eq!(read_at::<T>(&bytes, 0).unwrap(), *value);
            assert!(read_at::<T>(&bytes[1..], 0).is_err());
        }
    }

    #[test]
    fn keys_keep_the_order() {
        check(&[i64::MIN, -1, 0, 1, i64::MAX]);
        check(&[0u64, 1, u64::MAX]);
        check(&[i128::MIN, -1, 0, i128::MAX]);
        check(&[f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY]);
        check(&[-3.0f32, 0.0, 7.5]);
    }
}
