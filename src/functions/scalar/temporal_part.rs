//! Components of temporal values, and values cut to one.

use super::super::kernel::{map_rows, push_rows, strings};
use super::super::{Call, FunctionError, FunctionResult, Kernel, Overload, cast_value};
use super::fits;
use super::temporal_compose::in_zone;
use super::temporal_shift::truncate_counts;
use crate::types::calendar::{
    NANOS_PER_DAY, date_from_days, day_of_year, days_from_date, days_from_week, iso_week, weekday,
};
use crate::types::{DataType, Interval, Value};
use crate::vector::VectorBuffer;
use crate::vector::simd::Operand;

/// Days and nanoseconds of the day of a value, on its local clock, and its distance from 1970 in UTC.
pub(super) fn clock(value: &Value) -> Option<(i64, i64)> {
    let local = match value {
        Value::Date(days) => return Some((*days, 0)),
        Value::LocalTime(nanos) => return Some((0, *nanos)),
        Value::Time(time) => return Some((0, time.nanos)),
        Value::LocalDateTime(nanos) => *nanos,
        Value::Timestamp(unit, count) => i128::from(*count) * i128::from(unit.nanos()),
        Value::TimestampTz(micros) => i128::from(*micros) * 1_000,
        Value::DateTime(zoned) => zoned.local_nanos(),
        _ => return None,
    };
    Some(crate::types::format::split_nanos(local))
}

/// A component of a point in time; names of Kuzu and openCypher.
pub(super) fn clock_part(part: &str, days: i64, nanos: i64) -> Option<i64> {
    let (year, month, day) = date_from_days(days);
    let month = i64::from(month);
    Some(match part {
        "year" | "years" => year,
        "quarter" | "quarters" => (month - 1) / 3 + 1,
        "month" | "months" => month,
        "day" | "days" | "dayofmonth" => i64::from(day),
        "week" | "weeks" => iso_week(days).1,
        "weekyear" | "isoyear" => iso_week(days).0,
        "dayofweek" | "weekday" | "isodow" => i64::from(weekday(days)),
        "dow" => i64::from(weekday(days) % 7),
        "ordinalday" | "dayofyear" | "doy" => day_of_year(days),
        "dayofquarter" => {
            let start = days_from_date(year, ((month - 1) / 3 * 3 + 1) as u8, 1)?;
            days - start + 1
        }
        "decade" | "decades" => year.div_euclid(10),
        "century" | "centuries" => (year - 1).div_euclid(100) + 1,
        "millennium" | "millenniums" => (year - 1).div_euclid(1000) + 1,
        "hour" | "hours" => nanos / 3_600_000_000_000,
        "minute" | "minutes" => nanos / 60_000_000_000 % 60,
        "second" | "seconds" => nanos / 1_000_000_000 % 60,
        "millisecond" | "milliseconds" => nanos / 1_000_000 % 1_000,
        "microsecond" | "microseconds" => nanos / 1_000 % 1_000_000,
        "nanosecond" | "nanoseconds" => nanos % 1_000_000_000,
        "epoch" | "epochseconds" => days.checked_mul(86_400)?.checked_add(nanos / 1_000_000_000)?,
        "epochmillis" => days.checked_mul(86_400_000)?.checked_add(nanos / 1_000_000)?,
        _ => return None,
    })
}

/// Whether a component is the same for all instants of a day.
fn is_by_day(part: &str) -> bool {
    let by_clock = ["hour", "minute", "second", "millisecond", "microsecond", "nanosecond"];
    let part = part.strip_suffix('s').unwrap_or(part);
    !by_clock.contains(&part) && !part.starts_with("epoch")
}

/// A component of an interval: the whole amount (`days`, `hours` …) or what exceeds the next larger unit.
pub(super) fn interval_part(part: &str, interval: &Interval) -> Option<i64> {
    let nanos = interval.time_nanos();
    let whole = |unit: i128| i64::try_from(nanos.div_euclid(unit)).ok();
    Some(match part {
        "year" | "years" => interval.months / 12,
        "quarter" => interval.months % 12 / 3 + 1,
        "quarters" => interval.months / 3,
        "month" | "monthsofyear" => interval.months % 12,
        "months" => interval.months,
        "week" | "weeks" => interval.days / 7,
        "day" | "days" => interval.days,
        "daysofweek" => interval.days % 7,
        "hour" | "hours" => whole(3_600_000_000_000)?,
        "minute" | "minutesofhour" => whole(60_000_000_000)? % 60,
        "minutes" => whole(60_000_000_000)?,
        "second" | "secondsofminute" => whole(1_000_000_000)? % 60,
        "seconds" => whole(1_000_000_000)?,
        "millisecond" | "millisecondsofsecond" => whole(1_000_000)? % 1_000,
        "milliseconds" => whole(1_000_000)?,
        "microsecond" | "microsecondsofsecond" => whole(1_000)? % 1_000_000,
        "microseconds" => whole(1_000)?,
        "nanosecond" | "nanosecondsofsecond" => whole(1)? % 1_000_000_000,
        "nanoseconds" => whole(1)?,
        _ => return None,
    })
}

pub(super) fn part_overload(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [only] = types else { return None };
    has_parts(only).then(|| Overload::new([only.clone()], DataType::Int64, kernel))
}

pub(super) fn has_parts(data_type: &DataType) -> bool {
    data_type.is_temporal() || *data_type == DataType::Interval
}

/// `date_part(name, value)`.
pub(super) fn date_part(types: &[DataType]) -> Option<Overload> {
    let [part, value] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let parts = strings(call, 0)?;
        part_kernel(call, out, 1, |row| Ok(parts.text(row)))
    };
    let known = fits(part, &DataType::String) && has_parts(value);
    known.then(|| Overload::new([DataType::String, value.clone()], DataType::Int64, kernel))
}

pub(super) fn part_kernel<'c>(
    call: &Call<'c>,
    out: &mut VectorBuffer,
    position: usize,
    part: impl Fn(usize) -> FunctionResult<&'c str>,
) -> FunctionResult<()> {
    let data_type = call.function.arguments[position].clone();
    let unknown = |part: &str| {
        FunctionError::invalid(call.function.name, format!("a {data_type} has no component '{part}'"))
    };
    // Names are compared in lower case; a constant name is lowered once.
    let lowered = |row: usize| part(row).map(str::to_ascii_lowercase);
    let fixed = if call.arguments[0].is_constant() || position == 0 { Some(lowered(0)?) } else { None };
    let name = |row: usize| match &fixed {
        Some(name) => Ok(std::borrow::Cow::Borrowed(name.as_str())),
        None => lowered(row).map(std::borrow::Cow::Owned),
    };
    let per_day = match data_type {
        DataType::Date => Some((1, 0)),
        DataType::Timestamp(unit) => Some((86_400 * unit.per_second(), unit.nanos())),
        DataType::TimestampTz => Some((86_400_000_000, 1_000)),
        _ => None,
    };
    match per_day {
        Some((per_day, unit)) => {
            let counts: Operand<'_, i64> = super::super::kernel::operand(call, position)?;
            if let Some(name) = fixed.as_deref().filter(|name| is_by_day(name)) {
                // Instants come mostly in some order: the day of the row before is often that of this one.
                let mut known: Option<(i64, i64)> = None;
                return map_rows(call, out, |row| {
                    let count = counts.get(row);
                    if let Some((start, part)) = known
                        && (0..per_day).contains(&count.wrapping_sub(start))
                        && count >= start
                    {
                        return Ok(part);
                    }
                    let days = count.div_euclid(per_day);
                    let part = clock_part(name, days, 0).ok_or_else(|| unknown(name))?;
                    known = days.checked_mul(per_day).map(|start| (start, part));
                    Ok(part)
                });
            }
            map_rows(call, out, |row| {
                let (count, name) = (counts.get(row), name(row)?);
                let (days, nanos) = (count.div_euclid(per_day), count.rem_euclid(per_day) * unit);
                clock_part(&name, days, nanos).ok_or_else(|| unknown(&name))
            })
        }
        None => map_rows(call, out, |row| {
            let (value, name) = (call.arguments[position].value(row, &data_type), name(row)?);
            value_part(&name, &value).ok_or_else(|| unknown(&name))
        }),
    }
}

pub(super) fn value_part(part: &str, value: &Value) -> Option<i64> {
    if let Value::Interval(interval) = value {
        return interval_part(part, interval);
    }
    let offset = match value {
        Value::DateTime(zoned) => Some(zoned.offset_seconds),
        Value::Time(time) => Some(time.offset_seconds),
        _ => None,
    };
    match (part, value) {
        ("offsetseconds", _) => offset.map(i64::from),
        ("offsetminutes", _) => offset.map(|offset| i64::from(offset / 60)),
        ("epoch" | "epochseconds", Value::DateTime(zoned)) => {
            i64::try_from(zoned.nanos.div_euclid(1_000_000_000)).ok()
        }
        ("epochmillis", Value::DateTime(zoned)) => i64::try_from(zoned.nanos.div_euclid(1_000_000)).ok(),
        _ => {
            let (days, nanos) = clock(value)?;
            clock_part(part, days, nanos)
        }
    }
}

/// `date_trunc(name, value)`.
pub(super) fn date_trunc(types: &[DataType]) -> Option<Overload> {
    let [part, value] = types else { return None };
    if !fits(part, &DataType::String) || !value.is_temporal() {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
        if truncate_counts(call, out)? {
            return Ok(());
        }
        let parts = strings(call, 0)?;
        let data_type = call.function.arguments[1].clone();
        push_rows(call, out, |row, out| {
            let value = call.arguments[1].value(row, &data_type);
            let part = parts.text(row).to_ascii_lowercase();
            let unknown = || FunctionError::invalid(call.function.name, format!("there is no unit '{part}'"));
            let (days, nanos) =
                clock(&value).and_then(|(days, nanos)| truncated(&part, days, nanos)).ok_or_else(unknown)?;
            let local = i128::from(days) * i128::from(NANOS_PER_DAY) + i128::from(nanos);
            let truncated = match &value {
                Value::DateTime(zoned) => {
                    Value::DateTime(in_zone(None, Some((zoned.offset_seconds, zoned.zone)), local)?)
                }
                Value::Time(time) => Value::Time(crate::types::Time { nanos, ..*time }),
                Value::LocalTime(_) => Value::LocalTime(nanos),
                _ => cast_value(&Value::LocalDateTime(local), &data_type)?,
            };
            Ok(out.push_value(&truncated)?)
        })
    };
    Some(Overload::new([DataType::String, value.clone()], value.clone(), kernel))
}

pub(super) fn truncated(part: &str, days: i64, nanos: i64) -> Option<(i64, i64)> {
    let (year, month, _) = date_from_days(days);
    let date = |year: i64, month: u8| Some((days_from_date(year, month, 1)?, 0));
    let floor = |unit: i64| Some((days, nanos / unit * unit));
    match part.strip_suffix('s').unwrap_or(part) {
        "millennium" | "millennia" => date(year.div_euclid(1000) * 1000, 1),
        "century" | "centurie" => date(year.div_euclid(100) * 100, 1),
        "decade" => date(year.div_euclid(10) * 10, 1),
        "year" => date(year, 1),
        "weekyear" => Some((days_from_week(iso_week(days).0, 1, 1)?, 0)),
        "quarter" => date(year, (month - 1) / 3 * 3 + 1),
        "month" => date(year, month),
        "week" => Some((days - i64::from(weekday(days)) + 1, 0)),
        "day" => Some((days, 0)),
        "hour" => floor(3_600_000_000_000),
        "minute" => floor(60_000_000_000),
        "second" => floor(1_000_000_000),
        "millisecond" => floor(1_000_000),
        "microsecond" => floor(1_000),
        _ => None,
    }
}
