//! How many different values a column has, roughly, in 256 bytes that can be merged: HyperLogLog.

/// Registers of a sketch; the standard error is 1.04 / √256, that is 6.5 %.
const REGISTERS: usize = 256;
/// Bits of the hash that choose the register.
const REGISTER_BITS: u32 = REGISTERS.trailing_zeros();

/// A mergeable estimate of the number of distinct values.
#[derive(Clone, PartialEq, Eq)]
pub struct DistinctSketch {
    registers: Box<[u8; REGISTERS]>,
}

impl DistinctSketch {
    /// Bytes of `to_bytes`.
    pub const SIZE: usize = REGISTERS;

    /// The sketch of no values.
    pub fn new() -> DistinctSketch {
        DistinctSketch { registers: Box::new([0; REGISTERS]) }
    }

    /// Adds a value by its hash; the hash is mixed again, so any hash that tells values apart will do.
    pub fn insert_hash(&mut self, hash: u64) {
        let mixed = mix(hash);
        let register = (mixed >> (64 - REGISTER_BITS)) as usize;
        let rank = ((mixed << REGISTER_BITS).leading_zeros() + 1).min(64 - REGISTER_BITS + 1) as u8;
        self.registers[register] = self.registers[register].max(rank);
    }

    /// Adds all values of the other sketch.
    pub fn merge(&mut self, other: &DistinctSketch) {
        for (register, rank) in self.registers.iter_mut().zip(other.registers.iter()) {
            *register = (*register).max(*rank);
        }
    }

    /// The estimate.
    pub fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = self.registers.iter().filter(|rank| **rank == 0).count();
        if raw <= 2.5 * count && empty > 0 {
            return (count * (count / empty as f64).ln()).round() as u64;
        }
        raw.round() as u64
    }

    /// The registers, as they are stored.
    pub fn to_bytes(&self) -> &[u8] {
        self.registers.as_slice()
    }

    /// The inverse of `to_bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Option<DistinctSketch> {
        let registers: [u8; REGISTERS] = bytes.try_into().ok()?;
        Some(DistinctSketch { registers: Box::new(registers) })
    }
}

impl Default for DistinctSketch {
    fn default() -> Self {
        DistinctSketch::new()
    }
}

impl std::fmt::Debug for DistinctSketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DistinctSketch(~{})", self.estimate())
    }
}

/// The finalizer of splitmix64: every bit of the input moves every bit of the output.
fn mix(hash: u64) -> u64 {
    let mut mixed = hash.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(distinct: u64, tolerance: f64) {
        let mut sketch = DistinctSketch::new();
        for _round in 0..2 {
            (0..distinct).for_each(|value| sketch.insert_hash(value));
        }
        let error = sketch.estimate() as f64 - distinct as f64;
        assert!(error.abs() <= distinct as f64 * tolerance, "{distinct}: {sketch:?}");
    }

    #[test]
    fn estimates_are_near() {
        check(0, 0.0);
        check(1, 0.0);
        check(10, 0.1);
        check(1_000, 0.15);
        check(100_000, 0.15);
    }

    #[test]
    fn merging_is_adding_all_values() {
        let (mut left, mut right, mut both) =
            (DistinctSketch::new(), DistinctSketch::new(), DistinctSketch::new());
        for value in 0..5_000u64 {
            both.insert_hash(value);
            if value % 3 == 0 { left.insert_hash(value) } else { right.insert_hash(value) }
        }
        left.merge(&right);
        assert_eq!(left, both);
        assert_eq!(DistinctSketch::from_bytes(both.to_bytes()), Some(both));
    }
}
