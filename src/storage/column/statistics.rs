//! Statistics of one chunk: what a zone map asks before any page is read, and what the planner sums up.

use super::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::catalog::{DistinctSketch, RowSample};

/// Bytes of a string that a bound keeps.
pub const BOUND_TEXT_MAX: usize = 16;

/// One end of the range of a chunk's values, in the order in which predicates compare them.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Integers, decimals (unscaled), dates, timestamps, booleans, UUIDs, instants.
    Integer(i128),
    /// Floats; NaN is not counted.
    Float(f64),
    /// The first bytes of a string; `truncated` when it goes on.
    Text { prefix: Vec<u8>, truncated: bool },
}

/// What is known about the values of a chunk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChunkStatistics {
    /// Smallest and largest value that is not null, where the type has an order that storage knows.
    pub range: Option<(Bound, Bound)>,
    /// Rows that are null.
    pub null_count: u32,
    /// About how many different values there are.
    pub distinct: u32,
    /// Whether a float is NaN: the range does not cover it.
    pub has_nan: bool,
    /// What table statistics are merged from; made by a load and not kept in the group page.
    pub sketch: Option<DistinctSketch>,
    /// Likewise, for how the values are spread.
    pub sample: Option<RowSample>,
}

impl Bound {
    /// The bound that a string gives.
    pub fn text(bytes: &[u8]) -> Bound {
        let kept = bytes.len().min(BOUND_TEXT_MAX);
        Bound::Text { prefix: bytes[..kept].to_vec(), truncated: kept < bytes.len() }
    }

    fn encode(&self, out: &mut ByteWriter) {
        match self {
            Bound::Integer(value) => {
                out.u8(1);
                out.i128(*value);
            }
            Bound::Float(value) => {
                out.u8(2);
                out.u64(value.to_bits());
            }
            Bound::Text { prefix, truncated } => {
                out.u8(if *truncated { 4 } else { 3 });
                out.u8(prefix.len() as u8);
                out.bytes.extend_from_slice(prefix);
            }
        }
    }

    fn decode(input: &mut ByteReader<'_>) -> Damaged<Bound> {
        Ok(match input.u8()? {
            1 => Bound::Integer(input.i128()?),
            2 => Bound::Float(f64::from_bits(input.u64()?)),
            kind @ (3 | 4) => {
                let length = input.u8()?;
                let prefix = input.take(usize::from(length))?.to_vec();
                if prefix.len() > BOUND_TEXT_MAX {
                    return Err(Damage("bound of a string is too long"));
                }
                Bound::Text { prefix, truncated: kind == 4 }
            }
            _ => return Err(Damage("unknown kind of bound")),
        })
    }
}

impl ChunkStatistics {
    /// Null count, distinct estimate, a byte of flags (1: range, 2: NaN), the two bounds.
    pub fn encode(&self, out: &mut ByteWriter) {
        out.u32(self.null_count);
        out.u32(self.distinct);
        out.u8(u8::from(self.range.is_some()) | u8::from(self.has_nan) << 1);
        if let Some((low, high)) = &self.range {
            low.encode(out);
            high.encode(out);
        }
    }

    /// The inverse of `encode`.
    pub fn decode(input: &mut ByteReader<'_>) -> Damaged<ChunkStatistics> {
        let (null_count, distinct, flags) = (input.u32()?, input.u32()?, input.u8()?);
        let range = if flags & 1 != 0 { Some((Bound::decode(input)?, Bound::decode(input)?)) } else { None };
        Ok(ChunkStatistics {
            range,
            null_count,
            distinct,
            has_nan: flags & 2 != 0,
            sketch: None,
            sample: None,
        })
    }

    /// Makes them those of a chunk of `rows` rows with new values for some: the range covers what was and what is new,
    /// and the counts are bounds, below all rows, since the chunk has values.
    pub fn widen(&mut self, new: &ChunkStatistics, rows: u32) {
        self.merge(new);
        self.distinct = self.distinct.min(rows);
        self.null_count = self.null_count.min(rows.saturating_sub(1));
    }

    /// The statistics of two parts of one chunk together.
    pub fn merge(&mut self, other: &ChunkStatistics) {
        self.null_count = self.null_count.saturating_add(other.null_count);
        self.distinct = self.distinct.saturating_add(other.distinct);
        self.has_nan |= other.has_nan;
        match (&mut self.sketch, &other.sketch) {
            (Some(sum), Some(sketch)) => sum.merge(sketch),
            (sum @ None, sketch) => sum.clone_from(sketch),
            _ => {}
        }
        match (&mut self.sample, &other.sample) {
            (Some(sum), Some(sample)) => sum.merge(sample),
            (sum @ None, sample) => sum.clone_from(sample),
            _ => {}
        }
        self.range = match (self.range.take(), &other.range) {
            (None, range) => range.clone(),
            (range, None) => range,
            (Some((low, high)), Some((other_low, other_high))) => {
                let low = if less(other_low, &low) { other_low.clone() } else { low };
                let high = if less(&high, other_high) { other_high.clone() } else { high };
                Some((low, high))
            }
        };
    }
}

fn less(a: &Bound, b: &Bound) -> bool {
    match (a, b) {
        (Bound::Integer(a), Bound::Integer(b)) => a < b,
        (Bound::Float(a), Bound::Float(b)) => a < b,
        (Bound::Text { prefix: a, truncated: x }, Bound::Text { prefix: b, truncated: y }) => (a, x) < (b, y),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(statistics: ChunkStatistics) {
        let mut out = ByteWriter::default();
        statistics.encode(&mut out);
        let mut input = ByteReader::new(&out.bytes);
        assert_eq!(ChunkStatistics::decode(&mut input).unwrap(), statistics);
        assert_eq!(input.remaining(), 0);
        for cut in 0..out.bytes.len() {
            assert!(ChunkStatistics::decode(&mut ByteReader::new(&out.bytes[..cut])).is_err());
        }
    }

    #[test]
    fn statistics_come_back() {
        check(ChunkStatistics::default());
        let range = Some((Bound::Integer(-5), Bound::Integer(i128::MAX)));
        check(ChunkStatistics {
            range,
            null_count: 3,
            distinct: 9,
            has_nan: false,
            sketch: None,
            sample: None,
        });
        let range = Some((Bound::text(b""), Bound::text(b"a string longer than sixteen")));
        check(ChunkStatistics {
            range,
            null_count: 0,
            distinct: 2,
            has_nan: false,
            sketch: None,
            sample: None,
        });
        let range = Some((Bound::Float(-1.5), Bound::Float(2.5)));
        check(ChunkStatistics {
            range,
            null_count: 0,
            distinct: 2,
            has_nan: true,
            sketch: None,
            sample: None,
        });
    }

    #[test]
    fn merging_widens() {
        let of = |low: i128, high: i128| ChunkStatistics {
            range: Some((Bound::Integer(low), Bound::Integer(high))),
            null_count: 1,
            distinct: 2,
            has_nan: false,
            sketch: None,
            sample: None,
        };
        let mut sum = of(3, 7);
        sum.merge(&of(5, 9));
        sum.merge(&ChunkStatistics { null_count: 4, ..Default::default() });
        assert_eq!(sum.range, Some((Bound::Integer(3), Bound::Integer(9))));
        assert_eq!(sum.null_count, 6);
    }
}
