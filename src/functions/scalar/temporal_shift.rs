//! Points in time that are counts (DATE, TIMESTAMP of any unit) moved by an interval or cut to a unit: loops over
//! integers, where the general way makes a value of each row.

use super::super::kernel::{checked_binary, each_active, mistyped, operand, strings};
use super::super::{Call, FunctionError, FunctionResult};
use super::temporal_part::truncated;
use crate::types::calendar::{NANOS_PER_DAY, YEAR_MAX, add_months, days_from_date};
use crate::types::{DataType, Interval, TypeError};
use crate::vector::VectorBuffer;
use crate::vector::simd::Operand;

const DAY: i128 = NANOS_PER_DAY as i128;

/// Counts in a day, of the types that are counts since 1970.
pub(super) fn counts_per_day(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Date => Some(1),
        DataType::Timestamp(unit) => Some(86_400 * unit.per_second()),
        DataType::TimestampTz => Some(86_400_000_000),
        _ => None,
    }
}

/// What an interval does to counts.
#[derive(Debug, Clone, Copy)]
struct Shift {
    months: i64,
    /// Days and time together.
    step: i64,
    per_day: i64,
    /// The counts whose year the calendar has.
    least: i64,
    greatest: i64,
}

impl Shift {
    /// None where days and time do not fit into one count.
    fn new(data_type: &DataType, interval: &Interval, negative: bool) -> Option<Shift> {
        let per_day = counts_per_day(data_type)?;
        let interval = if negative { interval.checked_neg()? } else { *interval };
        let step = match data_type {
            // Only whole days of the time part move a DATE.
            DataType::Date => i128::from(interval.days) + interval.time_nanos() / DAY,
            _ => {
                let nanos = i128::from(interval.days) * DAY + interval.time_nanos();
                nanos.div_euclid(DAY / i128::from(per_day))
            }
        };
        let first = days_from_date(-YEAR_MAX, 1, 1)?;
        let last = days_from_date(YEAR_MAX, 12, 31)?;
        Some(Shift {
            months: interval.months,
            step: i64::try_from(step).ok()?,
            per_day,
            least: first.saturating_mul(per_day),
            greatest: last.saturating_mul(per_day).saturating_add(per_day - 1),
        })
    }

    /// Without months: the count, and whether there is none.
    #[inline]
    fn moved(&self, count: i64) -> (i64, bool) {
        let (moved, overflow) = count.overflowing_add(self.step);
        (moved, overflow | (count < self.least) | (count > self.greatest))
    }

    /// By how many counts the months move a day.
    fn of_months(&self, day: i64) -> Option<i64> {
        add_months(day, self.months)?.checked_sub(day)?.checked_mul(self.per_day)
    }
}

/// Moves the counts of argument `position` by the interval that is the other one. False where that is not one interval
/// for all rows; then nothing is written.
pub(super) fn shift_counts(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    position: usize,
    negative: bool,
) -> FunctionResult<bool> {
    let data_type = &call.function.arguments[position];
    let Ok(Operand::Constant(interval)) = operand::<Interval>(call, 1 - position) else { return Ok(false) };
    let Some(shift) = Shift::new(data_type, &interval, negative) else { return Ok(false) };
    let overflow =
        || FunctionError::Overflow { function: call.function.name, data_type: call.function.result.clone() };
    if shift.months != 0 {
        let moved = |count: i64, by| count.checked_add(shift.step)?.checked_add(by);
        by_unit(call, out, (position, shift.per_day), |day| shift.of_months(day), moved, &|_| overflow())?;
    } else if position == 0 {
        checked_binary(call, out, |count: i64, _: Interval| shift.moved(count), |_, _| overflow())?;
    } else {
        checked_binary(call, out, |_: Interval, count: i64| shift.moved(count), |_, _| overflow())?;
    }
    Ok(true)
}

/// Writes what `of` makes of each count and of what `known` says about its day, or other unit. Counts come mostly in
/// some order: the day of the row before is often that of this one.
fn by_unit(
    call: &Call<'_>,
    out: &mut VectorBuffer,
    (position, unit): (usize, i64),
    known: impl Fn(i64) -> Option<i64>,
    of: impl Fn(i64, i64) -> Option<i64>,
    fault: &dyn Fn(i64) -> FunctionError,
) -> FunctionResult<()> {
    let counts: Operand<'_, i64> = operand(call, position)?;
    let write = |to: &mut Vec<i64>| {
        let before = to.len();
        to.resize(before + call.length, 0);
        let mut last: Option<(i64, i64)> = None;
        each_active(call, |row| {
            let count = counts.get(row);
            let at = count.div_euclid(unit);
            let about = match last {
                Some((same, about)) if same == at => about,
                _ => known(at).ok_or_else(|| fault(count))?,
            };
            last = Some((at, about));
            to[before + row] = of(count, about).ok_or_else(|| fault(count))?;
            Ok(())
        })
    };
    out.fill(call.length, call.active, write).unwrap_or_else(|| Err(mistyped(call.function.name)))
}

/// Nanoseconds of the units that divide a day, and of the day.
fn floor_unit(part: &str) -> Option<i64> {
    Some(match part.strip_suffix('s').unwrap_or(part) {
        "day" => NANOS_PER_DAY,
        "hour" => 3_600_000_000_000,
        "minute" => 60_000_000_000,
        "second" => 1_000_000_000,
        "millisecond" => 1_000_000,
        "microsecond" => 1_000,
        _ => return None,
    })
}

/// Cuts counts to a unit that is the same for all rows. False where it is not, or where the type is no count; then
/// nothing is written.
pub(super) fn truncate_counts(call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<bool> {
    let Some(per_day) = counts_per_day(&call.function.arguments[1]) else { return Ok(false) };
    if !call.arguments[0].is_constant() || call.arguments[0].is_all_null() {
        return Ok(false);
    }
    let part = strings(call, 0)?.text(0).to_ascii_lowercase();
    // A DATE has no hours to be cut off.
    let unit = floor_unit(&part).map(|nanos| (nanos / (NANOS_PER_DAY / per_day)).max(1));
    let to = &call.function.result;
    match unit {
        Some(unit) => by_unit(
            call,
            out,
            (1, unit),
            |units| units.checked_mul(unit),
            |_, start| Some(start),
            &|count| TypeError::out_of_range(to, count).into(),
        )?,
        None => by_unit(
            call,
            out,
            (1, per_day),
            |day| truncated(&part, day, 0)?.0.checked_mul(per_day),
            |_, start| Some(start),
            &|_| FunctionError::invalid(call.function.name, format!("there is no unit '{part}'")),
        )?,
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::super::KernelContext;
    use super::super::temporal_arithmetic::TABLE;
    use super::super::temporal_part::date_trunc;
    use super::*;
    use crate::functions::{BoundScalar, Overload};
    use crate::types::{TimestampUnit, Value};
    use crate::vector::{Selection, ValueVector};

    const UNITS: [DataType; 6] = [
        DataType::Date,
        DataType::Timestamp(TimestampUnit::S),
        DataType::Timestamp(TimestampUnit::Ms),
        DataType::Timestamp(TimestampUnit::Us),
        DataType::Timestamp(TimestampUnit::Ns),
        DataType::TimestampTz,
    ];

    fn counts(data_type: &DataType) -> Vec<i64> {
        let per_day = counts_per_day(data_type).expect("all of them are counts");
        let days = [-719_528_i64, -400, -1, 0, 59, 60, 16_435, 16_466, 16_494];
        let parts = [0, 1, per_day / 3, per_day - 1];
        let all = days.iter().flat_map(|day| parts.map(|part| day.checked_mul(per_day)?.checked_add(part)));
        all.flatten().collect()
    }

    /// The result for all counts at once, and for each count beside a second argument that is no constant.
    fn check(overload: Overload, data_type: &DataType, other: &Value, position: usize) {
        let bound = BoundScalar::new("shift", overload);
        let counts = counts(data_type);
        let length = counts.len();
        let mut others = VectorBuffer::new(other.data_type());
        (0..length).for_each(|_| others.push_value(other).expect("it is of its own type"));
        let mut points = VectorBuffer::new(data_type.clone());
        points.append_range(&ValueVector::flat(crate::vector::Values::I64(&counts)), 0, length);
        let evaluate = |other: ValueVector<'_>| {
            let mut arguments = [points.vector(), other];
            arguments.swap(0, position);
            let mut out = VectorBuffer::new(bound.result.clone());
            let mut context = KernelContext::for_constants();
            let result = bound.evaluate(&mut context, &arguments, length, Selection::All, &mut out);
            result.map(|vector| (0..length).map(|row| vector.value(row, &bound.result)).collect::<Vec<_>>())
        };
        let (by_constant, by_row) = (evaluate(others.constant_vector()), evaluate(others.vector()));
        assert_eq!(by_constant.ok(), by_row.ok(), "{data_type} {other}");
    }

    #[test]
    fn counts_move_as_values_do() {
        let intervals = [(0, 0, 3_600, 0), (0, 1, 0, 0), (0, -3, 90_000, 5), (1, 0, 0, 0), (-13, 2, -7, 999)];
        let overload = |sign: &str, types: &[DataType]| {
            let entries = TABLE.iter().filter(|entry| entry.name == sign);
            entries.filter_map(|entry| (entry.resolve)(types)).next().expect("points and intervals have sums")
        };
        for (months, days, seconds, nanos) in intervals {
            let interval = Interval::new(months, days, seconds, nanos).expect("a small one");
            for point in &UNITS {
                let pair = [point.clone(), DataType::Interval];
                let swapped = [DataType::Interval, point.clone()];
                check(overload("+", &pair), point, &Value::Interval(interval), 0);
                check(overload("-", &pair), point, &Value::Interval(interval), 0);
                check(overload("+", &swapped), point, &Value::Interval(interval), 1);
            }
        }
    }

    #[test]
    fn counts_are_cut_as_values_are() {
        let parts =
            ["Century", "decade", "year", "quarter", "months", "week", "day", "hour", "minute", "second"];
        for part in parts.iter().chain(&["millisecond", "microseconds", "fortnight"]) {
            for point in &UNITS {
                let overload = date_trunc(&[DataType::String, point.clone()]).expect("points can be cut");
                check(overload, point, &Value::from(*part), 1);
            }
        }
    }

    #[test]
    fn what_leaves_the_calendar_is_an_error() {
        let day = Interval::new(0, 1, 0, 0).expect("a small one");
        let seconds = DataType::Timestamp(TimestampUnit::S);
        let shift = Shift::new(&seconds, &day, false).expect("a count");
        assert_eq!(shift.moved(5), (86_405, false));
        assert!(shift.moved(i64::MAX).1 && shift.moved(i64::MAX / 4).1 && shift.moved(i64::MIN).1);
        assert!(Shift::new(&seconds, &Interval { days: i64::MAX, ..day }, false).is_none());
    }
}
