//! The two temporal values that carry more than a number: TIME with its offset and DATETIME with offset or zone.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::ZoneId;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// TIME: nanoseconds of the local day and the offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Time {
    /// Nanoseconds since local midnight.
    pub nanos: i64,
    /// East of Greenwich is positive.
    pub offset_seconds: i32,
}

const _: () = assert!(size_of::<Time>() == 16);

impl Time {
    /// Nanoseconds since midnight in UTC; may be negative or beyond a day, which keeps the order total.
    pub fn utc_nanos(&self) -> i64 {
        // Both terms are bounded by a few days, so saturation never happens for values that we make.
        self.nanos.saturating_sub(i64::from(self.offset_seconds) * NANOS_PER_SECOND)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By the instant, then by the offset.
impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.utc_nanos(), self.offset_seconds).cmp(&(other.utc_nanos(), other.offset_seconds))
    }
}

impl Hash for Time {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.nanos, self.offset_seconds).hash(state);
    }
}

/// DATETIME: an instant, the offset that applies to it and the zone, if one was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Zoned {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub nanos: i128,
    /// East of Greenwich is positive.
    pub offset_seconds: i32,
    /// `ZoneId::NONE` where only an offset is known.
    pub zone: ZoneId,
}

const _: () = assert!(size_of::<Zoned>() == 32);

impl Zoned {
    /// Nanoseconds since 1970-01-01T00:00:00 on the local clock.
    pub fn local_nanos(&self) -> i128 {
        self.nanos.saturating_add(i128::from(self.offset_seconds) * i128::from(NANOS_PER_SECOND))
    }
}

impl PartialOrd for Zoned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By the instant, then by offset, then by the zone's name; the order of interning never shows.
impl Ord for Zoned {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.nanos, self.offset_seconds).cmp(&(other.nanos, other.offset_seconds)).then_with(|| {
            if self.zone == other.zone { Ordering::Equal } else { self.zone.name().cmp(&other.zone.name()) }
        })
    }
}

impl Hash for Zoned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.nanos, self.offset_seconds, self.zone).hash(state);
    }
}
