//! Sums and differences of points in time and intervals.

use super::super::kernel::push_rows;
use super::super::{
    Availability, Call, FunctionError, FunctionResult, Kernel, Overload, ScalarFunction, cast_value,
    common_type,
};
use super::temporal::shifted;
use super::temporal_shift::shift_counts;
use super::{entry, is_integer, only};
use crate::types::calendar::{NANOS_PER_DAY, add_months, date_from_days};
use crate::types::format::split_nanos;
use crate::types::{DataType, Interval, Time, Value, Zoned};
use crate::vector::VectorBuffer;

pub const TABLE: &[ScalarFunction] = &[
    entry("+", plus),
    entry("-", minus),
    entry("*", times),
    entry("/", divided),
    entry("-", negated),
    only(Availability::Both, "duration.between", |types| {
        between(types, |_, call, out| between_kernel(call, out, 0))
    }),
    only(Availability::Both, "duration.inMonths", |types| {
        between(types, |_, call, out| between_kernel(call, out, 1))
    }),
    only(Availability::Both, "duration.inDays", |types| {
        between(types, |_, call, out| between_kernel(call, out, 2))
    }),
    only(Availability::Both, "duration.inSeconds", |types| {
        between(types, |_, call, out| between_kernel(call, out, 3))
    }),
];

fn overflow(call: &Call<'_>) -> FunctionError {
    FunctionError::Overflow { function: call.function.name, data_type: call.function.result.clone() }
}

/// A kernel over the values of two arguments.
macro_rules! by_value {
    ($combine:expr) => {{
        let kernel: Kernel = |_, call, out| {
            let types = call.function.arguments.clone();
            push_rows(call, out, |row, out| {
                let left = call.arguments[0].value(row, &types[0]);
                let right = call.arguments[1].value(row, &types[1]);
                let combine: fn(&Value, &Value) -> Option<Value> = $combine;
                let value = combine(&left, &right).ok_or_else(|| overflow(call))?;
                Ok(out.push_value(&value)?)
            })
        };
        kernel
    }};
}

fn plus(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    let pair = [left.clone(), right.clone()];
    match (left, right) {
        (DataType::Interval, DataType::Interval) => Some(Overload::new(
            pair,
            DataType::Interval,
            by_value!(|left, right| add_intervals(left, right, false)),
        )),
        (point, DataType::Interval) if point.is_temporal() => {
            let kernel: Kernel = |context, call, out| {
                let by_value = by_value!(|left, right| shift(left, right, false));
                if shift_counts(call, out, 0, false)? { Ok(()) } else { by_value(context, call, out) }
            };
            Some(Overload::new(pair, left.clone(), kernel))
        }
        (DataType::Interval, point) if point.is_temporal() => {
            let kernel: Kernel = |context, call, out| {
                let by_value = by_value!(|left, right| shift(right, left, false));
                if shift_counts(call, out, 1, false)? { Ok(()) } else { by_value(context, call, out) }
            };
            Some(Overload::new(pair, right.clone(), kernel))
        }
        (DataType::Date, count) if is_integer(count) && *count != DataType::Null => {
            let arguments = [DataType::Date, DataType::Int64];
            Some(Overload::new(
                arguments,
                DataType::Date,
                by_value!(|left, right| add_days(left, right, false)),
            ))
        }
        _ => None,
    }
}

fn minus(types: &[DataType]) -> Option<Overload> {
    let [left, right] = types else { return None };
    let pair = [left.clone(), right.clone()];
    match (left, right) {
        (DataType::Interval, DataType::Interval) => Some(Overload::new(
            pair,
            DataType::Interval,
            by_value!(|left, right| add_intervals(left, right, true)),
        )),
        (point, DataType::Interval) if point.is_temporal() => {
            let kernel: Kernel = |context, call, out| {
                let by_value = by_value!(|left, right| shift(left, right, true));
                if shift_counts(call, out, 0, true)? { Ok(()) } else { by_value(context, call, out) }
            };
            Some(Overload::new(pair, left.clone(), kernel))
        }
        (DataType::Date, DataType::Date) => Some(Overload::new(
            pair,
            DataType::Int64,
            by_value!(|left, right| match (left, right) {
                (Value::Date(left), Value::Date(right)) => left.checked_sub(*right).map(Value::Int64),
                _ => None,
            }),
        )),
        (DataType::Date, count) if is_integer(count) && *count != DataType::Null => {
            let arguments = [DataType::Date, DataType::Int64];
            Some(Overload::new(
                arguments,
                DataType::Date,
                by_value!(|left, right| add_days(left, right, true)),
            ))
        }
        (left, right) if left.is_temporal() && right.is_temporal() => {
            let common = common_type(left, right);
            let has_instant = matches!(
                common,
                DataType::Timestamp(_) | DataType::TimestampTz | DataType::LocalDateTime | DataType::DateTime
            );
            let kernel = by_value!(|left, right| {
                let (left, right) = (local_nanos(left)?, local_nanos(right)?);
                let (days, nanos) = (left.checked_sub(right)? / DAY, left.checked_sub(right)? % DAY);
                Interval::new(0, i64::try_from(days).ok()?, 0, nanos).map(Value::Interval)
            });
            has_instant.then(|| Overload::new([common.clone(), common], DataType::Interval, kernel))
        }
        _ => None,
    }
}

const DAY: i128 = NANOS_PER_DAY as i128;

fn times(types: &[DataType]) -> Option<Overload> {
    match types {
        [DataType::Interval, number] if number.is_numeric() => {
            let arguments = [DataType::Interval, DataType::Double];
            Some(Overload::new(
                arguments,
                DataType::Interval,
                by_value!(|left, right| scaled(left, right.as_f64()?)),
            ))
        }
        [number, DataType::Interval] if number.is_numeric() => {
            let arguments = [DataType::Double, DataType::Interval];
            Some(Overload::new(
                arguments,
                DataType::Interval,
                by_value!(|left, right| scaled(right, left.as_f64()?)),
            ))
        }
        _ => None,
    }
}

fn divided(types: &[DataType]) -> Option<Overload> {
    match types {
        [DataType::Interval, number] if number.is_numeric() => {
            let arguments = [DataType::Interval, DataType::Double];
            let kernel = by_value!(|left, right| scaled(left, 1.0 / right.as_f64()?));
            Some(Overload::new(arguments, DataType::Interval, kernel))
        }
        _ => None,
    }
}

fn negated(types: &[DataType]) -> Option<Overload> {
    let [DataType::Interval] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        push_rows(call, out, |row, out| match call.arguments[0].value(row, &DataType::Interval) {
            Value::Interval(interval) => {
                out.push(interval.checked_neg().ok_or_else(|| overflow(call))?);
                Ok(())
            }
            _ => Err(overflow(call)),
        })
    };
    Some(Overload::new([DataType::Interval], DataType::Interval, kernel))
}

fn signed(interval: &Value, negative: bool) -> Option<Interval> {
    match interval {
        Value::Interval(interval) if negative => interval.checked_neg(),
        Value::Interval(interval) => Some(*interval),
        _ => None,
    }
}

fn add_intervals(left: &Value, right: &Value, negative: bool) -> Option<Value> {
    signed(left, false)?.checked_add(&signed(right, negative)?).map(Value::Interval)
}

fn add_days(date: &Value, count: &Value, negative: bool) -> Option<Value> {
    let (Value::Date(days), Some(count)) = (date, count.as_i64()) else { return None };
    if negative { days.checked_sub(count) } else { days.checked_add(count) }.map(Value::Date)
}

/// A point in time, moved by an interval on its local clock. Whole days in the time part move a DATE too.
fn shift(point: &Value, interval: &Value, negative: bool) -> Option<Value> {
    let interval = signed(interval, negative)?;
    let time_of_day = |nanos: i64| (i128::from(nanos) + interval.time_nanos()).rem_euclid(DAY) as i64;
    let moved = |nanos: i128| {
        let (days, nanos) = split_nanos(nanos);
        let (days, nanos) = shifted(days, nanos, &interval)?;
        Some(i128::from(days) * DAY + i128::from(nanos))
    };
    Some(match point {
        Value::Date(days) => {
            let whole = i64::try_from(interval.time_nanos() / DAY).ok()?;
            Value::Date(add_months(*days, interval.months)?.checked_add(interval.days)?.checked_add(whole)?)
        }
        Value::LocalTime(nanos) => Value::LocalTime(time_of_day(*nanos)),
        Value::Time(time) => Value::Time(Time { nanos: time_of_day(time.nanos), ..*time }),
        Value::LocalDateTime(nanos) => Value::LocalDateTime(moved(*nanos)?),
        Value::Timestamp(unit, count) => {
            let nanos = moved(i128::from(*count) * i128::from(unit.nanos()))?;
            Value::Timestamp(*unit, i64::try_from(nanos.div_euclid(i128::from(unit.nanos()))).ok()?)
        }
        Value::TimestampTz(micros) => {
            Value::TimestampTz(i64::try_from(moved(i128::from(*micros) * 1_000)?.div_euclid(1_000)).ok()?)
        }
        Value::DateTime(zoned) => Value::DateTime(shift_zoned(zoned, &interval)?),
        _ => return None,
    })
}

/// Months and days on the zone's clock, then the time as it passes.
fn shift_zoned(zoned: &Zoned, interval: &Interval) -> Option<Zoned> {
    let (days, nanos) = split_nanos(zoned.local_nanos());
    let date_part = Interval { seconds: 0, nanos: 0, ..*interval };
    let (days, nanos) = shifted(days, nanos, &date_part)?;
    let local = i128::from(days) * DAY + i128::from(nanos);
    let fixed = Zoned { nanos: local - i128::from(zoned.offset_seconds) * 1_000_000_000, ..*zoned };
    let start = zoned.zone.at_local(local).unwrap_or(fixed);
    let instant = start.nanos.checked_add(interval.time_nanos())?;
    Some(zoned.zone.at(instant).unwrap_or(Zoned { nanos: instant, ..start }))
}

/// An interval times a number; fractions of months and days go to the smaller parts by mean lengths.
fn scaled(interval: &Value, factor: f64) -> Option<Value> {
    let interval = signed(interval, false)?;
    // Whole factors stay exact.
    if factor.fract() == 0.0 && factor.abs() < 9.0e15 {
        let factor = factor as i64;
        let time = interval.time_nanos().checked_mul(i128::from(factor))?;
        let (months, days) = (interval.months.checked_mul(factor)?, interval.days.checked_mul(factor)?);
        return Interval::new(months, days, 0, time).map(Value::Interval);
    }
    let months = interval.months as f64 * factor;
    let days = interval.days as f64 * factor + months.fract() * 30.436_875;
    let nanos = interval.time_nanos() as f64 * factor + days.fract() * NANOS_PER_DAY as f64;
    let bounded = [months, days, nanos / 1e9].iter().all(|part| part.is_finite() && part.abs() < 9.0e18);
    if !bounded {
        return None;
    }
    Interval::new(months.trunc() as i64, days.trunc() as i64, 0, nanos.round() as i128).map(Value::Interval)
}

/// Nanoseconds on the local clock since 1970.
fn local_nanos(value: &Value) -> Option<i128> {
    match value {
        Value::LocalTime(nanos) => Some(i128::from(*nanos)),
        Value::Time(time) => Some(i128::from(time.nanos)),
        Value::DateTime(zoned) => Some(zoned.nanos),
        _ => match cast_value(value, &DataType::LocalDateTime) {
            Ok(Value::LocalDateTime(nanos)) => Some(nanos),
            _ => None,
        },
    }
}

fn between(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [left, right] = types else { return None };
    let known = left.is_temporal() && right.is_temporal();
    known.then(|| Overload::new([left.clone(), right.clone()], DataType::Interval, kernel))
}

/// The parts that `measure` keeps: 0 all, 1 months, 2 days, 3 seconds.
fn between_kernel(call: &Call<'_>, out: &mut VectorBuffer, measure: u8) -> FunctionResult<()> {
    let types = call.function.arguments.clone();
    push_rows(call, out, |row, out| {
        let values = [0, 1].map(|position: usize| call.arguments[position].value(row, &types[position]));
        let has_date = |value: &Value| !matches!(value, Value::LocalTime(_) | Value::Time(_));
        let nanos = [&values[0], &values[1]].map(|value| local_nanos(value).ok_or_else(|| overflow(call)));
        let [Ok(mut start), Ok(mut end)] = nanos else { return Err(overflow(call)) };
        let dated = has_date(&values[0]) && has_date(&values[1]);
        if !dated {
            // Without two dates only the times of day can be compared.
            (start, end) = (start.rem_euclid(DAY), end.rem_euclid(DAY));
        }
        let interval = match measure {
            0 | 1 if dated => months_between(start, end, measure == 1),
            2 if dated => Interval::new(0, ((end - start) / DAY) as i64, 0, 0),
            0 | 3 => Interval::new(0, 0, 0, end - start),
            _ => Some(Interval::ZERO),
        };
        out.push(interval.ok_or_else(|| overflow(call))?);
        Ok(())
    })
}

/// Months first, then days, then time, none of them beyond the end.
fn months_between(start: i128, end: i128, months_only: bool) -> Option<Interval> {
    let at = |months: i64| {
        let (days, nanos) = split_nanos(start);
        Some(i128::from(add_months(days, months)?) * DAY + i128::from(nanos))
    };
    let (start_year, start_month, _) = date_from_days(split_nanos(start).0);
    let (end_year, end_month, _) = date_from_days(split_nanos(end).0);
    let mut months = (end_year - start_year) * 12 + i64::from(end_month) - i64::from(start_month);
    if end >= start && at(months)? > end {
        months -= 1;
    } else if end < start && at(months)? < end {
        months += 1;
    }
    let rest = end - at(months)?;
    if months_only {
        return Interval::new(months, 0, 0, 0);
    }
    Interval::new(months, i64::try_from(rest / DAY).ok()?, 0, rest % DAY)
}
