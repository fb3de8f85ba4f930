//! Comparison and sum kernels with a build for AVX2 that is chosen at run time. A comparison first fills 64 bytes with
//! truth values, which every compiler vectorizes, and then packs them into one mask word. Both builds run the same
//! generic code, so their results are equal; only packing differs.
#![allow(unsafe_code)]

use super::{Native, ones_below};

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl CompareOp {
    /// The operator with its sides exchanged.
    pub fn mirrored(self) -> CompareOp {
        match self {
            CompareOp::Lt => CompareOp::Gt,
            CompareOp::Le => CompareOp::Ge,
            CompareOp::Gt => CompareOp::Lt,
            CompareOp::Ge => CompareOp::Le,
            same => same,
        }
    }

    /// What the operator says about an order.
    #[inline]
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            CompareOp::Eq => order.is_eq(),
            CompareOp::Ne => order.is_ne(),
            CompareOp::Lt => order.is_lt(),
            CompareOp::Le => order.is_le(),
            CompareOp::Gt => order.is_gt(),
            CompareOp::Ge => order.is_ge(),
        }
    }
}

/// The right side of a comparison.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a, T> {
    Slice(&'a [T]),
    Constant(T),
}

impl<T: Copy> Operand<'_, T> {
    /// The value of a row.
    #[inline(always)]
    pub fn get(&self, row: usize) -> T {
        match self {
            Operand::Slice(values) => values[row],
            Operand::Constant(value) => *value,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

/// A loop elsewhere that gains from AVX2. `run` and what it calls in its loop are `#[inline(always)]`, so that
/// [`vectorized`] compiles all of it twice.
pub trait Kernel {
    /// What the loop gives.
    type Output;
    /// The loop.
    fn run(self) -> Self::Output;
}

/// Runs the build of a kernel that fits the processor.
pub fn vectorized<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the processor has just been asked for AVX2, the only feature that the callee needs.
        return unsafe { run_avx2(kernel) };
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// Writes a function twice: `$name` picks the AVX2 build where the processor has it.
macro_rules! dispatched {
    ($(#[$doc:meta])* pub fn $name:ident < $($generic:ident : $bound:path),* > ($($argument:ident : $type:ty),*) $(-> $result:ty)? = $body:ident, $avx2:ident) => {
        $(#[$doc])*
        pub fn $name<$($generic: $bound),*>($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            if has_avx2() {
                // SAFETY: the processor has just been asked for AVX2, the only feature that the callee needs.
                return unsafe { $avx2($($argument),*) };
            }
            $body($($argument),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $avx2<$($generic: $bound),*>($($argument: $type),*) $(-> $result)? {
            $body($($argument),*)
        }
    };
}

dispatched! {
    /// Bit `i` of `words` becomes `left[i] op right[i]`; bits beyond the rows become zero. `words` has a word for every
    /// 64 values of `left`, `right` as many values as `left` (or is constant).
    pub fn compare_mask<T: Native>(op: CompareOp, left: &[T], right: Operand<'_, T>, words: &mut [u64])
        = compare_body, compare_avx2
}

#[inline(always)]
fn compare_body<T: Native>(op: CompareOp, left: &[T], right: Operand<'_, T>, words: &mut [u64]) {
    match right {
        Operand::Constant(value) => match op {
            CompareOp::Eq => mask_constant(left, value, words, |left, right| left == right),
            CompareOp::Ne => mask_constant(left, value, words, |left, right| left != right),
            CompareOp::Lt => mask_constant(left, value, words, |left, right| left < right),
            CompareOp::Le => mask_constant(left, value, words, |left, right| left <= right),
            CompareOp::Gt => mask_constant(left, value, words, |left, right| left > right),
            CompareOp::Ge => mask_constant(left, value, words, |left, right| left >= right),
        },
        Operand::Slice(right) => match op {
            CompareOp::Eq => mask_slices(left, right, words, |left, right| left == right),
            CompareOp::Ne => mask_slices(left, right, words, |left, right| left != right),
            CompareOp::Lt => mask_slices(left, right, words, |left, right| left < right),
            CompareOp::Le => mask_slices(left, right, words, |left, right| left <= right),
            CompareOp::Gt => mask_slices(left, right, words, |left, right| left > right),
            CompareOp::Ge => mask_slices(left, right, words, |left, right| left >= right),
        },
    }
}

#[inline(always)]
fn mask_constant<T: Copy>(left: &[T], right: T, words: &mut [u64], holds: impl Fn(T, T) -> bool) {
    for (chunk, word) in left.chunks(64).zip(words) {
        let mut truths = [0u8; 64];
        for (truth, value) in truths.iter_mut().zip(chunk) {
            *truth = u8::from(holds(*value, right));
        }
        *word = pack(&truths);
    }
}

#[inline(always)]
fn mask_slices<T: Copy>(left: &[T], right: &[T], words: &mut [u64], holds: impl Fn(T, T) -> bool) {
    for ((left, right), word) in left.chunks(64).zip(right.chunks(64)).zip(words) {
        let mut truths = [0u8; 64];
        for ((truth, left), right) in truths.iter_mut().zip(left).zip(right) {
            *truth = u8::from(holds(*left, *right));
        }
        *word = pack(&truths);
    }
}

/// One bit per byte of 0 or 1: a multiplication gathers the lowest bits of eight bytes in the highest byte.
#[inline(always)]
fn pack(truths: &[u8; 64]) -> u64 {
    let mut word = 0;
    for (position, eight) in truths.as_chunks::<8>().0.iter().enumerate() {
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= gathered << (position * 8);
    }
    word
}

/// How far ahead of a loop values are fetched: the processor's own prefetchers stop at the end of a page, and begin
/// anew with every batch.
const AHEAD_BYTES: usize = 4096;

/// Asks the processor for the cache lines of the values so far behind these. They may lie in the next batch, or nowhere.
#[inline(always)]
fn prefetch_ahead<T>(values: &[T; 64]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in 0..size_of_val(values) / 64 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = values.as_ptr().wrapping_byte_add(AHEAD_BYTES + line * 64);
        // SAFETY: a prefetch reads nothing and faults nowhere, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = values;
}

struct OrMask<'k, T, F> {
    values: &'k [T],
    words: &'k mut [u64],
    passes: F,
}

impl<T: Copy, F: Fn(T) -> bool> Kernel for OrMask<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (chunks, rest) = self.values.as_chunks::<64>();
        let mut words = self.words.iter_mut();
        for (chunk, word) in chunks.iter().zip(&mut words) {
            prefetch_ahead(chunk);
            *word |= bits_where(chunk, &self.passes);
        }
        if let Some(word) = words.next() {
            for (bit, value) in rest.iter().enumerate() {
                *word |= u64::from((self.passes)(*value)) << bit;
            }
        }
    }
}

/// One bit per value. Wide values keep their bits in eight lanes of their own width, which are united at the end;
/// narrow ones go through bytes.
#[inline(always)]
fn bits_where<T: Copy>(values: &[T; 64], passes: &impl Fn(T) -> bool) -> u64 {
    if size_of::<T>() < 8 {
        let mut truths = [0u8; 64];
        for (truth, value) in truths.iter_mut().zip(values) {
            *truth = u8::from(passes(*value));
        }
        return pack(&truths);
    }
    let mut lanes = [0u64; 8];
    let mut bits = FIRST_BITS;
    for eight in values.as_chunks::<8>().0 {
        let truths: [u64; 8] = eight.map(|value| u64::from(passes(value)).wrapping_neg());
        for lane in 0..8 {
            lanes[lane] |= truths[lane] & bits[lane];
        }
        bits = bits.map(|bit| bit << 8);
    }
    lanes.iter().fold(0, |word, lane| word | lane)
}

/// The bits of the first eight values of a word.
const FIRST_BITS: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// Sets bit `i` of `words` where value `i` passes; other bits stay. `words` has a word for every 64 values.
pub fn or_mask<T: Copy>(values: &[T], words: &mut [u64], passes: impl Fn(T) -> bool) {
    vectorized(OrMask { values, words, passes });
}

/// Bit `i` of `words` becomes `bytes[i] != 0` for truth values of 0 and 1.
pub fn pack_truths(bytes: &[u8], words: &mut [u64]) {
    for (chunk, word) in bytes.chunks(64).zip(words) {
        *word = match chunk.first_chunk::<64>() {
            Some(truths) => pack(truths),
            None => {
                let mut truths = [0; 64];
                truths[..chunk.len()].copy_from_slice(chunk);
                pack(&truths)
            }
        };
    }
}

/// Integers whose sums are exact in `i128`.
pub trait Summable: Native {
    /// The value, widened.
    fn wide(self) -> i64;
}

macro_rules! summable {
    ($($rust:ty),*) => {$(
        impl Summable for $rust {
            #[inline(always)]
            fn wide(self) -> i64 {
                i64::from(self)
            }
        }
    )*};
}
summable!(i8, i16, i32, i64, u8, u16, u32);

dispatched! {
    /// The exact sum.
    pub fn sum_integers<T: Summable>(values: &[T]) -> i128 = sum_body, sum_avx2
}

/// Halves are summed apart, so that a chunk of 2^16 values cannot overflow and no wide addition stands in the loop.
#[inline(always)]
fn sum_body<T: Summable>(values: &[T]) -> i128 {
    let mut total = 0i128;
    for chunk in values.chunks(1 << 16) {
        let (mut low, mut high) = (0i64, 0i64);
        for value in chunk {
            let value = value.wide();
            low += value & 0xFFFF_FFFF;
            high += value >> 32;
        }
        total += i128::from(low) + (i128::from(high) << 32);
    }
    total
}

dispatched! {
    /// The exact sum of the values whose bits are set, and their number. Values beyond the words are not selected.
    pub fn sum_selected<T: Summable>(values: &[T], words: &[u64]) -> (i128, u64)
        = sum_selected_body, sum_selected_avx2
}

/// Values are shifted by 2^63 to be without sign, which is taken back once. Their sum modulo 2^64 and the sum of their
/// upper halves give the whole: what the upper halves leave open is less than 2^64 for fewer than 2^32 values.
#[inline(always)]
fn sum_selected_body<T: Summable>(values: &[T], words: &[u64]) -> (i128, u64) {
    const SIGN: u64 = 1 << 63;
    let (mut wrapped, mut upper, mut count) = ([0u64; 8], [0u64; 8], 0u64);
    let (chunks, rest) = values.as_chunks::<64>();
    for (chunk, word) in chunks.iter().zip(words) {
        prefetch_ahead(chunk);
        count += u64::from(word.count_ones());
        let mut bits = FIRST_BITS;
        for eight in chunk.as_chunks::<8>().0 {
            for lane in 0..8 {
                let value = eight[lane].wide() as u64 ^ SIGN;
                let value = if word & bits[lane] == 0 { 0 } else { value };
                wrapped[lane] = wrapped[lane].wrapping_add(value);
                upper[lane] += value >> 32;
            }
            bits.iter_mut().for_each(|bit| *bit <<= 8);
        }
    }
    let word = words.get(chunks.len()).copied().unwrap_or(0);
    for (bit, value) in rest.iter().enumerate().filter(|(bit, _)| word >> bit & 1 == 1) {
        let value = value.wide() as u64 ^ SIGN;
        wrapped[bit % 8] = wrapped[bit % 8].wrapping_add(value);
        upper[bit % 8] += value >> 32;
        count += 1;
    }
    let upper = upper.into_iter().map(i128::from).sum::<i128>() << 32;
    let wrapped = wrapped.into_iter().fold(0, u64::wrapping_add);
    (upper + i128::from(wrapped.wrapping_sub(upper as u64)) - (i128::from(count) << 63), count)
}

/// Floats that are summed as DOUBLE.
pub trait Floating: Native {
    /// The value as DOUBLE.
    fn double(self) -> f64;
}

impl Floating for f32 {
    #[inline(always)]
    fn double(self) -> f64 {
        f64::from(self)
    }
}

impl Floating for f64 {
    #[inline(always)]
    fn double(self) -> f64 {
        self
    }
}

dispatched! {
    /// The sum in eight lanes, added in a fixed order.
    pub fn sum_floats<T: Floating>(values: &[T]) -> f64 = sum_floats_body, sum_floats_avx2
}

#[inline(always)]
fn sum_floats_body<T: Floating>(values: &[T]) -> f64 {
    let mut lanes = [0f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.double();
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value.double();
    }
    lanes.iter().sum()
}

/// Clears the bits of a mask beyond `length` rows.
pub fn clear_beyond(words: &mut [u64], length: usize) {
    for (index, word) in words.iter_mut().enumerate() {
        *word &= ones_below(length.saturating_sub(index * 64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Native>(left: &[T], right: &[T]) {
        let ops = [CompareOp::Eq, CompareOp::Ne, CompareOp::Lt, CompareOp::Le, CompareOp::Gt, CompareOp::Ge];
        for op in ops {
            for operand in [Operand::Slice(right), Operand::Constant(right[0])] {
                let mut words = vec![u64::MAX; left.len().div_ceil(64)];
                let mut plain = words.clone();
                compare_mask(op, left, operand, &mut words);
                compare_body(op, left, operand, &mut plain);
                assert_eq!(words, plain);
                for (row, value) in left.iter().enumerate() {
                    let expected = match op {
                        CompareOp::Eq => *value == operand.get(row),
                        CompareOp::Ne => *value != operand.get(row),
                        CompareOp::Lt => *value < operand.get(row),
                        CompareOp::Le => *value <= operand.get(row),
                        CompareOp::Gt => *value > operand.get(row),
                        CompareOp::Ge => *value >= operand.get(row),
                    };
                    assert_eq!(words[row / 64] >> (row % 64) & 1 == 1, expected, "{op:?} {row}");
                }
            }
        }
    }

    #[test]
    fn masks_are_those_of_single_comparisons() {
        let numbers: Vec<i64> = (0..333).map(|row: i64| (row * 7919) % 13 - 6).collect();
        let others: Vec<i64> = (0..333).map(|row: i64| (row * 104_729) % 13 - 6).collect();
        check(&numbers, &others);
        let floats: Vec<f64> = numbers.iter().map(|n| if *n == 0 { f64::NAN } else { *n as f64 }).collect();
        check(&floats, &others.iter().map(|n| *n as f64).collect::<Vec<_>>());
        check(&[1u8, 2, 3], &[3u8, 2, 1]);
    }

    #[test]
    fn sums_are_exact_and_equal_in_both_builds() {
        let values: Vec<i64> =
            (0..100_000).map(|row| if row % 2 == 0 { i64::MAX } else { i64::MIN + row }).collect();
        let expected: i128 = values.iter().map(|value| i128::from(*value)).sum();
        assert_eq!(sum_integers(&values), expected);
        assert_eq!(sum_body(&values), expected);
        let floats: Vec<f64> = values.iter().map(|value| *value as f64 / 3.0).collect();
        assert_eq!(sum_floats(&floats).to_bits(), sum_floats_body(&floats).to_bits());
        assert_eq!(sum_floats(&[0.5f32; 10]), 5.0);
    }

    #[test]
    fn selected_sums_are_those_of_single_values() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state >> 29
        };
        for length in [0, 1, 63, 64, 65, 200, 2048] {
            let extremes = [i64::MAX, i64::MIN, -1, 0];
            let values: Vec<i64> = (0..length)
                .map(|row| if row % 5 == 0 { extremes[row / 5 % 4] } else { next() as i64 })
                .collect();
            let words: Vec<u64> = (0..length.div_ceil(64)).map(|_| next()).collect();
            let picked = values.iter().enumerate().filter(|(row, _)| words[row / 64] >> (row % 64) & 1 == 1);
            let picked: Vec<i128> = picked.map(|(_, value)| i128::from(*value)).collect();
            let expected = (picked.iter().sum::<i128>(), picked.len() as u64);
            assert_eq!(sum_selected(&values, &words), expected);
            assert_eq!(sum_selected_body(&values, &words), expected);
            let narrow: Vec<i32> = values.iter().map(|value| *value as i32).collect();
            assert_eq!(sum_selected(&narrow, &words), sum_selected_body(&narrow, &words));
        }
    }

    #[test]
    fn masks_hold_what_passes() {
        fn check<T: Copy>(values: &[T], passes: impl Fn(T) -> bool) {
            let mut words = vec![0; values.len().div_ceil(64)];
            or_mask(values, &mut words, &passes);
            for (row, value) in values.iter().enumerate() {
                assert_eq!(words[row / 64] >> (row % 64) & 1 == 1, passes(*value), "{row}");
            }
            let beyond = values.len() % 64;
            assert!(beyond == 0 || words.last().is_none_or(|word| word >> beyond == 0));
        }
        let numbers: Vec<i64> = (0..333).map(|row: i64| (row * 7919) % 13 - 6).collect();
        check(&numbers, |value| value > 2);
        check(&numbers[..320], |value| value % 3 == 0);
        check(&numbers.iter().map(|value| *value as u8).collect::<Vec<_>>(), |value| value < 4);
        check(&numbers.iter().map(|value| i128::from(*value)).collect::<Vec<_>>(), |value| value != 0);
    }

    #[test]
    fn truths_pack() {
        let bytes: Vec<u8> = (0..130).map(|row| u8::from(row % 3 == 0)).collect();
        let mut words = [0; 3];
        pack_truths(&bytes, &mut words);
        assert!((0..130).all(|row| words[row / 64] >> (row % 64) & 1 == u64::from(bytes[row])));
        assert_eq!(words[2] >> 2, 0);
    }
}
