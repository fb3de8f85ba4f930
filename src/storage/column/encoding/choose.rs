//! What one scan over the values of a segment finds out, and the choice it leads to.

use super::EncodingKind;
use crate::catalog::DistinctSketch;

/// Bits of the table behind the distinct estimate.
const COUNTER_BITS: usize = 1 << 17;

/// Estimates how many different hashes were seen (linear counting: exact for few, within some percent up to
/// several times the table's size in rows).
pub struct DistinctCounter {
    words: Vec<u64>,
    sketch: DistinctSketch,
}

impl DistinctCounter {
    pub fn new() -> Self {
        DistinctCounter { words: vec![0; COUNTER_BITS / 64], sketch: DistinctSketch::new() }
    }

    /// Notes a value by its hash, of which the upper bits must be well mixed.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let bit = (hash >> (64 - COUNTER_BITS.trailing_zeros())) as usize;
        self.words[bit / 64] |= 1 << (bit % 64);
        self.sketch.insert_hash(hash);
    }

    /// The same for merging with other segments.
    pub fn into_sketch(self) -> DistinctSketch {
        self.sketch
    }

    /// The estimate, never above `rows`.
    pub fn estimate(&self, rows: u32) -> u32 {
        let set: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        let free = COUNTER_BITS as f64 - f64::from(set);
        if free < 1.0 {
            return rows;
        }
        let estimate = -(COUNTER_BITS as f64) * (free / COUNTER_BITS as f64).ln();
        (estimate.round() as u32).clamp(u32::from(rows > 0), rows)
    }
}

impl Default for DistinctCounter {
    fn default() -> Self {
        Self::new()
    }
}

/// Mixes a 64-bit pattern so that its upper bits depend on all of it.
#[inline]
pub fn mix(bits: u64) -> u64 {
    let mixed = (bits ^ bits >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Mixes bytes.
pub fn mix_bytes(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(tail))
}

/// The sizes in bytes that the applicable encodings would have.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sizes {
    pub plain: usize,
    pub bit_packed: Option<usize>,
    pub dictionary: Option<usize>,
    pub run_length: Option<usize>,
    pub constant: bool,
}

/// The smallest wins, but bytes are not all: plain values are borrowed as they lie, packed ones need work for each
/// read, and a value among runs is found by a search only.
pub fn choose(sizes: &Sizes, forced: Option<EncodingKind>) -> EncodingKind {
    if let Some(kind) = forced {
        let applies = match kind {
            EncodingKind::Constant => sizes.constant,
            EncodingKind::Plain => true,
            EncodingKind::BitPacked => sizes.bit_packed.is_some(),
            EncodingKind::Dictionary => sizes.dictionary.is_some(),
            EncodingKind::RunLength => sizes.run_length.is_some(),
        };
        if applies {
            return kind;
        }
    }
    if sizes.constant {
        return EncodingKind::Constant;
    }
    let mut best = (EncodingKind::Plain, sizes.plain * 4);
    for (kind, bytes, weight) in [
        (EncodingKind::BitPacked, sizes.bit_packed, 5),
        (EncodingKind::Dictionary, sizes.dictionary, 5),
        (EncodingKind::RunLength, sizes.run_length, 10),
    ] {
        if let Some(bytes) = bytes
            && bytes * weight < best.1
        {
            best = (kind, bytes * weight);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_estimates_are_close() {
        for expected in [1u64, 10, 1000, 65_536] {
            let mut counter = DistinctCounter::new();
            (0..131_072u64).for_each(|i| counter.add(mix(i % expected)));
            let estimate = f64::from(counter.estimate(131_072));
            assert!((estimate / expected as f64 - 1.0).abs() < 0.03, "{estimate} for {expected}");
        }
    }

    #[test]
    fn forced_encodings_apply_only_where_they_can() {
        let sizes = Sizes { plain: 100, bit_packed: Some(10), ..Sizes::default() };
        assert_eq!(choose(&sizes, None), EncodingKind::BitPacked);
        assert_eq!(choose(&sizes, Some(EncodingKind::Plain)), EncodingKind::Plain);
        assert_eq!(choose(&sizes, Some(EncodingKind::Dictionary)), EncodingKind::BitPacked);
    }
}
