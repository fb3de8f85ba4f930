//! Durations that keep months, days and seconds apart, since their ratios are not fixed.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Nanoseconds in a second.
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i128 = 86_400;
/// What a month counts where durations are compared: the mean of the Gregorian calendar.
const SECONDS_PER_MONTH: i128 = 2_629_746;

/// INTERVAL, in openCypher DURATION: three independent parts; nanos is 0 to 999,999,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Interval {
    pub months: i64,
    pub days: i64,
    pub seconds: i64,
    pub nanos: i32,
}

const _: () = assert!(size_of::<Interval>() == 32);

impl Interval {
    /// Nothing.
    pub const ZERO: Interval = Interval { months: 0, days: 0, seconds: 0, nanos: 0 };

    /// Puts the parts together; the nanoseconds may be any number and are carried into the seconds.
    pub fn new(months: i64, days: i64, seconds: i64, nanos: i128) -> Option<Interval> {
        let carry = nanos.div_euclid(i128::from(NANOS_PER_SECOND));
        let seconds = i64::try_from(i128::from(seconds) + carry).ok()?;
        Some(Interval { months, days, seconds, nanos: nanos.rem_euclid(i128::from(NANOS_PER_SECOND)) as i32 })
    }

    /// The time part alone, in nanoseconds.
    pub fn time_nanos(&self) -> i128 {
        i128::from(self.seconds) * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos)
    }

    /// Sum part by part.
    pub fn checked_add(&self, other: &Interval) -> Option<Interval> {
        Interval::new(
            self.months.checked_add(other.months)?,
            self.days.checked_add(other.days)?,
            self.seconds.checked_add(other.seconds)?,
            i128::from(self.nanos) + i128::from(other.nanos),
        )
    }

    /// Difference part by part.
    pub fn checked_sub(&self, other: &Interval) -> Option<Interval> {
        self.checked_add(&other.checked_neg()?)
    }

    /// Each part negated.
    pub fn checked_neg(&self) -> Option<Interval> {
        Interval::new(
            self.months.checked_neg()?,
            self.days.checked_neg()?,
            self.seconds.checked_neg()?,
            -i128::from(self.nanos),
        )
    }

    /// The estimated length that orders durations: (seconds, nanoseconds).
    pub fn estimate(&self) -> (i128, i32) {
        let seconds = i128::from(self.months) * SECONDS_PER_MONTH
            + i128::from(self.days) * SECONDS_PER_DAY
            + i128::from(self.seconds);
        (seconds, self.nanos)
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By estimated length; then by the parts, so that only equal intervals compare as equal.
impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.estimate().cmp(&other.estimate()).then_with(|| {
            (self.months, self.days, self.seconds).cmp(&(other.months, other.days, other.seconds))
        })
    }
}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.months, self.days, self.seconds, self.nanos).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_carry_and_overflow_is_seen() {
        let half = Interval::new(0, 0, 0, 500_000_000).unwrap();
        assert_eq!(half.checked_add(&half), Interval::new(0, 0, 1, 0));
        assert_eq!(
            half.checked_neg(),
            Some(Interval { months: 0, days: 0, seconds: -1, nanos: 500_000_000 })
        );
        assert_eq!(Interval { seconds: i64::MAX, ..half }.checked_add(&half), None);
    }

    #[test]
    fn a_month_lies_between_30_and_31_days() {
        let month = Interval { months: 1, ..Interval::ZERO };
        assert!(
            Interval { days: 30, ..Interval::ZERO } < month
                && month < Interval { days: 31, ..Interval::ZERO }
        );
    }
}
