//! Frame-of-reference bit-packing: unsigned distances from a base, `width` bits each, in blocks of 1024 values.
//!
//! A block is a table of 64-bit words with 16 columns (*lanes*). Value `i` of a block belongs to lane `i % 16` and
//! is number `i / 16` of it; a lane's values follow each other in its words without gaps, lowest bits first. So
//! sixteen neighbours in value order share one shift and one mask, which the compiler turns into vector code for
//! every width without one function per width, while a single value is two words and a shift. The last block ends
//! with the last row of words that it needs.

use super::super::bytes::{Damage, Damaged};
use crate::vector::simd::{Kernel, vectorized};

/// Values of one block.
pub const BLOCK_VALUES: usize = 1024;
/// Lanes of a block.
pub const LANES: usize = 16;
/// Bytes of one row of words.
const ROW_BYTES: usize = LANES * 8;

type Row = [[u8; 8]; LANES];

/// Rows of words that `count` (at most 1024) values of `width` bits take.
const fn rows_for(count: usize, width: usize) -> usize {
    (count.div_ceil(LANES) * width).div_ceil(64)
}

/// Bytes that `count` values of `width` bits take.
pub const fn packed_bytes(count: usize, width: u8) -> usize {
    let width = width as usize;
    let whole = count / BLOCK_VALUES;
    (whole * width + rows_for(count % BLOCK_VALUES, width)) * ROW_BYTES
}

/// Where block `block` of values of `width` bits begins.
pub const fn block_start(block: usize, width: u8) -> usize {
    block * width as usize * ROW_BYTES
}

/// Bits needed for `largest`.
pub const fn width_of(largest: u64) -> u8 {
    (64 - largest.leading_zeros()) as u8
}

const fn mask(width: u8) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Packs `values`, each of which must fit `width` bits (higher bits are cut off).
pub fn pack(values: &[u64], width: u8, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let bits = usize::from(width);
    let mask = mask(width);
    let mut words = [0u64; 64 * LANES];
    for block in values.chunks(BLOCK_VALUES) {
        let used = rows_for(block.len(), bits) * LANES;
        words[..used].fill(0);
        for (position, sixteen) in block.chunks(LANES).enumerate() {
            let bit = position * bits;
            let (row, shift) = (bit / 64 * LANES, bit % 64);
            for (lane, value) in sixteen.iter().enumerate() {
                words[row + lane] |= (value & mask) << shift;
            }
            if shift + bits > 64 {
                for (lane, value) in sixteen.iter().enumerate() {
                    words[row + LANES + lane] |= (value & mask) >> (64 - shift);
                }
            }
        }
        for word in &words[..used] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
}

fn rows_of(bytes: &[u8], count: usize, width: u8) -> Damaged<&[Row]> {
    let rows = bytes.as_chunks::<8>().0.as_chunks::<LANES>().0;
    if width > 64 || rows.len() < rows_for(count, usize::from(width)) {
        return Err(Damage("bit-packed block is cut short"));
    }
    Ok(rows)
}

/// The 16 packed values of a block that are its number `position`; `rows` hold them. Written without closures, so
/// that kernels compile it for the instruction set they were chosen for.
#[inline(always)]
fn sixteen_at(rows: &[Row], position: usize, bits: usize, mask: u64) -> [u64; LANES] {
    let mut sixteen = [0u64; LANES];
    if bits == 0 {
        return sixteen;
    }
    let bit = position * bits;
    let (row, shift) = (bit / 64, (bit % 64) as u32);
    let low = &rows[row];
    if shift as usize + bits > 64 {
        let high = &rows[row + 1];
        for lane in 0..LANES {
            let word =
                u64::from_le_bytes(low[lane]) >> shift | u64::from_le_bytes(high[lane]) << (64 - shift);
            sixteen[lane] = word & mask;
        }
    } else {
        for lane in 0..LANES {
            sixteen[lane] = u64::from_le_bytes(low[lane]) >> shift & mask;
        }
    }
    sixteen
}

/// Unpacks the first `out.len()` (at most 1024) values of the block at the start of `bytes`; `make` turns each
/// distance into a value.
pub fn unpack_block<T: Copy>(bytes: &[u8], width: u8, out: &mut [T], make: impl Fn(u64) -> T) -> Damaged<()> {
    vectorized(Unpack { bytes, width, out, make })
}

struct Unpack<'k, T, F> {
    bytes: &'k [u8],
    width: u8,
    out: &'k mut [T],
    make: F,
}

impl<T: Copy, F: Fn(u64) -> T> Kernel for Unpack<'_, T, F> {
    type Output = Damaged<()>;
    #[inline(always)]
    fn run(self) -> Damaged<()> {
        let Unpack { bytes, width, out, make } = self;
        let count = out.len().min(BLOCK_VALUES);
        let (rows, bits, mask) = (rows_of(bytes, count, width)?, usize::from(width), mask(width));
        let (whole, rest) = out[..count].as_chunks_mut::<LANES>();
        for (position, slots) in whole.iter_mut().enumerate() {
            let sixteen = sixteen_at(rows, position, bits, mask);
            for lane in 0..LANES {
                slots[lane] = make(sixteen[lane]);
            }
        }
        if !rest.is_empty() {
            let sixteen = sixteen_at(rows, whole.len(), bits, mask);
            for (slot, packed) in rest.iter_mut().zip(sixteen) {
                *slot = make(packed);
            }
        }
        Ok(())
    }
}

/// Compares all distances of a block with an inclusive range and sets bit `i` of `mask_out` where value `i` is
/// inside. Bits at and after `count` are zero.
pub fn compare_block(
    bytes: &[u8],
    count: usize,
    width: u8,
    low: u64,
    high: u64,
    mask_out: &mut [u64; BLOCK_VALUES / 64],
) -> Damaged<()> {
    mask_out.fill(0);
    let count = count.min(BLOCK_VALUES);
    if high < low {
        return rows_of(bytes, count, width).map(|_| ());
    }
    vectorized(Compare { bytes, count, width, low, span: high - low, mask_out })?;
    if !count.is_multiple_of(64) {
        mask_out[count / 64] &= (1 << (count % 64)) - 1;
    }
    Ok(())
}

struct Compare<'k> {
    bytes: &'k [u8],
    count: usize,
    width: u8,
    low: u64,
    span: u64,
    mask_out: &'k mut [u64; BLOCK_VALUES / 64],
}

impl Kernel for Compare<'_> {
    type Output = Damaged<()>;
    #[inline(always)]
    fn run(self) -> Damaged<()> {
        let Compare { bytes, count, width, low, span, mask_out } = self;
        let (rows, bits, mask) = (rows_of(bytes, count, width)?, usize::from(width), mask(width));
        let positions = count.div_ceil(LANES);
        // Four times sixteen values make a word: every lane gathers its four bits, then the lanes are united.
        for (word, out) in mask_out.iter_mut().enumerate().take(count.div_ceil(64)) {
            let mut found = [0u64; LANES];
            for part in 0..(positions - word * 4).min(4) {
                let sixteen = sixteen_at(rows, word * 4 + part, bits, mask);
                for lane in 0..LANES {
                    let bit = 1u64 << lane << (part * LANES);
                    found[lane] |= if sixteen[lane].wrapping_sub(low) <= span { bit } else { 0 };
                }
            }
            *out = found.iter().fold(0, |word, lane| word | lane);
        }
        Ok(())
    }
}

/// One value: `index` counts from the start of `bytes`, which starts at a block.
pub fn get(bytes: &[u8], width: u8, index: usize) -> Damaged<u64> {
    if width == 0 {
        return Ok(0);
    }
    let (block, inside) = (index / BLOCK_VALUES, index % BLOCK_VALUES);
    let bit = inside / LANES * usize::from(width);
    let shift = (bit % 64) as u32;
    let at = block_start(block, width) + (bit / 64) * ROW_BYTES + inside % LANES * 8;
    let word = |at: usize| -> Damaged<u64> {
        let eight = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
        eight
            .map(|eight| u64::from_le_bytes(*eight))
            .ok_or(Damage("bit-packed value lies outside its segment"))
    };
    let mut value = word(at)? >> shift;
    if shift + u32::from(width) > 64 {
        value |= word(at + ROW_BYTES)? << (64 - shift);
    }
    Ok(value & mask(width))
}

/// The bytes in which the value `index` lies, for a probe that reads no more than it must.
pub fn value_range(width: u8, index: usize) -> std::ops::Range<usize> {
    let (block, inside) = (index / BLOCK_VALUES, index % BLOCK_VALUES);
    let bit = inside / LANES * usize::from(width);
    let start = block_start(block, width) + (bit / 64) * ROW_BYTES + inside % LANES * 8;
    let straddles = bit % 64 + usize::from(width) > 64;
    start..start + if straddles { ROW_BYTES + 8 } else { 8 }
}

/// The value `index` from the bytes that `value_range` names.
pub fn get_in_range(bytes: &[u8], width: u8, index: usize) -> Damaged<u64> {
    let bit = index % BLOCK_VALUES / LANES * usize::from(width);
    let shift = (bit % 64) as u32;
    let damage = Damage("bit-packed value lies outside its segment");
    let mut value = u64::from_le_bytes(*bytes.first_chunk::<8>().ok_or(damage)?) >> shift;
    if shift + u32::from(width) > 64 {
        value |= u64::from_le_bytes(*bytes.last_chunk::<8>().ok_or(damage)?) << (64 - shift);
    }
    Ok(value & mask(width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[u64], width: u8) {
        let mut bytes = Vec::new();
        pack(values, width, &mut bytes);
        assert_eq!(bytes.len(), packed_bytes(values.len(), width));
        let mut out = vec![0u64; values.len()];
        for (block, slots) in out.chunks_mut(BLOCK_VALUES).enumerate() {
            unpack_block(&bytes[block_start(block, width)..], width, slots, |value| value).unwrap();
        }
        assert_eq!(out, values);
        for (index, value) in values.iter().enumerate() {
            assert_eq!(get(&bytes, width, index).unwrap(), *value);
            if width > 0 {
                assert_eq!(get_in_range(&bytes[value_range(width, index)], width, index).unwrap(), *value);
            }
        }
        if !bytes.is_empty() {
            let cut = &bytes[..bytes.len() - 1];
            let last = (values.len() - 1) / BLOCK_VALUES;
            let rest = values.len() - last * BLOCK_VALUES;
            let mut slots = vec![0u64; rest];
            assert!(
                unpack_block(&cut[block_start(last, width)..], width, &mut slots, |value| value).is_err()
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_width_comes_back(width in 0u8..=64, seed in any::<u64>(), count in 1usize..2100) {
            let values: Vec<u64> = (0..count as u64)
                .map(|i| (i ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask(width))
                .collect();
            check(&values, width);
        }

        #[test]
        fn compare_equals_decode_and_compare(width in 0u8..=64, a in any::<u64>(), b in any::<u64>(), count in 1usize..=1024) {
            let values: Vec<u64> =
                (0..count as u64).map(|i| (i ^ a).wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask(width)).collect();
            let (low, high) = (a & mask(width), b & mask(width));
            let mut bytes = Vec::new();
            pack(&values, width, &mut bytes);
            let mut found = [0u64; 16];
            compare_block(&bytes, count, width, low, high, &mut found).unwrap();
            for i in 0..1024 {
                let expected = values.get(i).is_some_and(|value| (low..=high).contains(value));
                prop_assert_eq!(found[i / 64] >> (i % 64) & 1 == 1, expected);
            }
        }
    }

    #[test]
    fn golden_block() {
        let mut bytes = Vec::new();
        pack(&[1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 5, 6], 3, &mut bytes);
        assert_eq!(bytes.len(), 128);
        // Lane 0 holds value 0 in bits 0..3 and value 16 in bits 3..6.
        assert_eq!(&bytes[..17], &[1 | 5 << 3, 0, 0, 0, 0, 0, 0, 0, 2 | 6 << 3, 0, 0, 0, 0, 0, 0, 0, 3]);
    }
}
