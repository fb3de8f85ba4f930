//! What statistics of a column say about predicates: shares of its rows.

use super::statistics::ColumnStatistics;
use crate::types::Value;

impl ColumnStatistics {
    /// Nulls among so many rows.
    pub fn share_of_nulls(&self, rows: f64) -> f64 {
        (self.null_count as f64 / rows.max(1.0)).clamp(0.0, 1.0)
    }

    /// Rows with a certain value; `None` is a value that is not known yet.
    pub fn share_equal(&self, value: Option<&Value>, rows: f64) -> f64 {
        let there = 1.0 - self.share_of_nulls(rows);
        let mean = there / (self.distinct as f64).max(1.0);
        let Some(value) = value else { return mean };
        if let Some(distribution) = &self.distribution {
            return there * distribution.equal(value, self.distinct as f64);
        }
        match position(self, value) {
            Some(at) if !(0.0..=1.0).contains(&at) => 0.0,
            _ => mean,
        }
    }

    /// Rows with values below one, which counts itself if `inclusive`; `None` where the order is not known.
    pub fn share_below(&self, value: &Value, inclusive: bool, rows: f64) -> Option<f64> {
        let there = 1.0 - self.share_of_nulls(rows);
        if let Some(distribution) = &self.distribution {
            return Some(there * distribution.below(value, inclusive));
        }
        let at = position(self, value)?;
        let one = if inclusive { there / (self.distinct as f64).max(1.0) } else { 0.0 };
        Some(match at {
            at if at < 0.0 => 0.0,
            at if at > 1.0 => there,
            at => (at * (there - one) + one).clamp(0.0, there),
        })
    }
}

/// Where a value stands between the least (0) and the greatest (1).
fn position(column: &ColumnStatistics, value: &Value) -> Option<f64> {
    between(column.min.as_ref()?, column.max.as_ref()?, value)
}

/// Where a value stands between two others, 0 to 1, or below or above them.
pub fn between(min: &Value, max: &Value, value: &Value) -> Option<f64> {
    if let (Value::String(min), Value::String(max), Value::String(value)) = (min, max, value) {
        return Some(text_position(min.as_bytes(), max.as_bytes(), value.as_bytes()));
    }
    let (min, max, at) = (number(min)?, number(max)?, number(value)?);
    Some(match max > min {
        true => (at - min) / (max - min),
        false if at == min => 0.5,
        false => {
            if at < min {
                -1.0
            } else {
                2.0
            }
        }
    })
}

/// The same for texts, by the letters behind what all have in common.
fn text_position(min: &[u8], max: &[u8], value: &[u8]) -> f64 {
    // The greatest may be cut short.
    if value < min {
        return -1.0;
    }
    if value > max && !value.starts_with(max) {
        return 2.0;
    }
    let common = min.iter().zip(max).take_while(|(a, b)| a == b).count();
    let fraction = |text: &[u8]| {
        let letters = text.get(common..).unwrap_or_default().iter().take(6);
        letters.rev().fold(0.0, |below, letter| (f64::from(*letter) + below) / 256.0)
    };
    let (low, high, at) = (fraction(min), fraction(max), fraction(value));
    if high > low { ((at - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
}

/// A value on the axis of its type.
pub fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Bool(x) => f64::from(u8::from(*x)),
        Value::Int8(x) => f64::from(*x),
        Value::Int16(x) => f64::from(*x),
        Value::Int32(x) => f64::from(*x),
        Value::Int64(x)
        | Value::Date(x)
        | Value::LocalTime(x)
        | Value::Timestamp(_, x)
        | Value::TimestampTz(x) => *x as f64,
        Value::Int128(x) | Value::LocalDateTime(x) => *x as f64,
        Value::Decimal(x, _, scale) => *x as f64 / 10f64.powi(i32::from(*scale)),
        Value::UInt8(x) => f64::from(*x),
        Value::UInt16(x) => f64::from(*x),
        Value::UInt32(x) => f64::from(*x),
        Value::UInt64(x) => *x as f64,
        Value::Float(x) => f64::from(*x),
        Value::Double(x) => *x,
        _ => return None,
    })
}
