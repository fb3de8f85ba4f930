//! Points in time and intervals: constructors, components and truncation.

use super::super::kernel::{map_rows, push_rows, strings};
use super::super::{
    Call, FunctionError, FunctionResult, Kernel, KernelContext, Overload, ScalarFunction, cast_value,
};
use super::{aliased, entry, fits, is_integer};
use crate::types::calendar::{
    NANOS_PER_DAY, add_months, date_from_days, day_of_year, days_from_date, days_from_ordinal,
    days_from_week, days_in_month, iso_week, weekday,
};
use crate::types::{DataType, Interval, TimestampUnit, Value, ZoneId, Zoned};
use crate::vector::VectorBuffer;
use crate::vector::simd::Operand;

const TIMESTAMP: DataType = DataType::Timestamp(TimestampUnit::Us);

/// The function of one argument that gives a component under its own name.
macro_rules! component {
    ($name:literal, $($alias:literal),*) => {
        aliased($name, &[$($alias),*], |types| {
            let kernel: Kernel = |_, call, out| part_kernel(call, out, 0, |_| Ok($name));
            part_overload(types, kernel)
        })
    };
}

/// An interval of so many units.
macro_rules! interval_of {
    ($name:literal, $unit:literal) => {
        entry($name, |types| {
            let kernel: Kernel = |_, call, out| interval_kernel(call, out, $unit);
            let [only] = types else { return None };
            is_integer(only).then(|| Overload::new([DataType::Int64], DataType::Interval, kernel))
        })
    };
}

pub const TABLE: &[ScalarFunction] = &[
    entry("date", |types| construct(types, DataType::Date)),
    entry("localtime", |types| construct(types, DataType::LocalTime)),
    entry("time", |types| construct(types, DataType::Time)),
    entry("localdatetime", |types| construct(types, DataType::LocalDateTime)),
    entry("datetime", |types| construct(types, DataType::DateTime)),
    entry("timestamp", |types| construct(types, TIMESTAMP)),
    aliased("duration", &["interval"], |types| construct(types, DataType::Interval)),
    entry("current_date", |types| types.is_empty().then(|| now_overload(DataType::Date))),
    aliased("current_timestamp", &["now"], |types| {
        types.is_empty().then(|| now_overload(DataType::TimestampTz))
    }),
    aliased("date_part", &["datepart"], date_part),
    aliased("date_trunc", &["datetrunc"], date_trunc),
    entry("make_date", make_date),
    entry("last_day", last_day),
    entry("dayname", |types| name_of(types, |_, call, out| name_kernel(call, out, true))),
    entry("monthname", |types| name_of(types, |_, call, out| name_kernel(call, out, false))),
    aliased("epoch_ms", &[], |types| from_epoch(types, 1_000)),
    aliased("to_timestamp", &[], |types| from_epoch(types, 1_000_000)),
    component!("year", "years"),
    component!("quarter", "quarters"),
    component!("month",),
    component!("week",),
    component!("day", "dayOfMonth"),
    component!("hour",),
    component!("minute",),
    component!("second",),
    component!("millisecond",),
    component!("microsecond",),
    component!("weekYear", "isoyear"),
    component!("dayOfWeek", "weekDay"),
    component!("ordinalDay", "dayOfYear"),
    component!("epochSeconds", "epoch"),
    component!("epochMillis", "to_epoch_ms"),
    interval_of!("to_years", "years"),
    interval_of!("to_months", "months"),
    interval_of!("to_days", "days"),
    interval_of!("to_hours", "hours"),
    interval_of!("to_minutes", "minutes"),
    interval_of!("to_seconds", "seconds"),
    interval_of!("to_milliseconds", "milliseconds"),
    interval_of!("to_microseconds", "microseconds"),
];

fn out_of_range(call: &Call<'_>) -> FunctionError {
    FunctionError::Overflow { function: call.function.name, data_type: call.function.result.clone() }
}

/// From text, from a map of components, from another temporal value, or the statement's instant.
fn construct(types: &[DataType], to: DataType) -> Option<Overload> {
    match types {
        [] if to != DataType::Interval => Some(now_overload(to)),
        [from] if fits(from, &DataType::String) => Some(Overload::new([DataType::String], to, from_text)),
        [from @ (DataType::Struct(_) | DataType::Map(..))] => {
            Some(Overload::new([from.clone()], to, from_components))
        }
        [from] if from.is_temporal() && to != DataType::Interval => {
            Some(Overload::new([from.clone()], to, from_temporal))
        }
        [DataType::Interval] if to == DataType::Interval => {
            Some(Overload::new([DataType::Interval], to, from_temporal))
        }
        _ => None,
    }
}

fn now_overload(to: DataType) -> Overload {
    let kernel: Kernel = |context, call, out| {
        let now = Value::DateTime(Zoned { nanos: context.now_nanos(), ..Zoned::default() });
        let value = cast_value(&now, &call.function.result)?;
        (0..call.length).try_for_each(|_| Ok(out.push_value(&value)?))
    };
    // The instant is the statement's, so the call is the same for every row, but never for every statement.
    Overload::new([], to, kernel).volatile()
}

fn from_text(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let texts = strings(call, 0)?;
    let to = call.function.result.clone();
    push_rows(call, out, |row, out| {
        let text = texts.text(row);
        let value = match crate::types::parse_text(text, &to) {
            Ok(value) => value,
            Err(error) => other_form(text, &to).ok_or(error)?,
        };
        Ok(out.push_value(&value)?)
    })
}

/// ISO 8601's rarer forms: basic dates, weeks, ordinal days, years and months alone, with or without a time.
fn other_form(text: &str, to: &DataType) -> Option<Value> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    if matches!(to, DataType::LocalTime | DataType::Time) {
        return crate::types::parse_text(&plain_time(text.strip_prefix('T').unwrap_or(text))?, to).ok();
    }
    let date = crate::types::format::date_text(iso_date(date)?);
    let whole = match (time, to) {
        (_, DataType::Date) | (None, _) => date,
        (Some(time), _) => format!("{date}T{}", plain_time(time)?),
    };
    crate::types::parse_text(&whole, to).ok()
}

/// A time with colons: `214032.142+0100` becomes `21:40:32.142+0100`.
fn plain_time(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some(match digits.len() {
        2 if rest.starts_with(':') => text.to_owned(),
        2 => format!("{digits}:00{rest}"),
        4 => format!("{}:{}{rest}", &digits[..2], &digits[2..]),
        6 => format!("{}:{}:{}{rest}", &digits[..2], &digits[2..4], &digits[4..]),
        _ => return None,
    })
}

fn iso_date(text: &str) -> Option<i64> {
    let number =
        |text: &str| text.parse::<i64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some((year, week)) = text.split_once('W') {
        let (week, day) = match week.replace('-', "").as_str() {
            digits if digits.len() == 2 => (number(digits)?, 1),
            digits if digits.len() == 3 => (number(&digits[..2])?, number(&digits[2..])?),
            _ => return None,
        };
        return days_from_week(number(year.trim_end_matches('-'))?, week, day);
    }
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year, part] if year.len() == 4 && part.len() == 2 => {
            days_from_date(number(year)?, number(part)? as u8, 1)
        }
        [year, part] if year.len() == 4 && part.len() == 3 => days_from_ordinal(number(year)?, number(part)?),
        [digits] if number(digits).is_some() => match digits.len() {
            4 => days_from_date(number(digits)?, 1, 1),
            6 => days_from_date(number(&digits[..4])?, number(&digits[4..])? as u8, 1),
            7 => days_from_ordinal(number(&digits[..4])?, number(&digits[4..])?),
            8 => days_from_date(
                number(&digits[..4])?,
                number(&digits[4..6])? as u8,
                number(&digits[6..])? as u8,
            ),
            _ => None,
        },
        _ => None,
    }
}

fn from_temporal(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let from = call.function.arguments[0].clone();
    let to = call.function.result.clone();
    push_rows(call, out, |row, out| {
        let value = call.arguments[0].value(row, &from);
        let value = if to == DataType::Interval { value } else { cast_value(&value, &to)? };
        Ok(out.push_value(&value)?)
    })
}

fn from_components(_: &mut KernelContext, call: &Call<'_>, out: &mut VectorBuffer) -> FunctionResult<()> {
    let from = call.function.arguments[0].clone();
    let to = call.function.result.clone();
    push_rows(call, out, |row, out| {
        let components = match call.arguments[0].value(row, &from) {
            Value::Struct(fields) => fields,
            Value::Map(entries) => entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
            _ => Vec::new(),
        };
        let invalid = || FunctionError::invalid(call.function.name, "the components make no such value");
        let value = composed(&components, &to)?.ok_or_else(invalid)?;
        Ok(out.push_value(&value)?)
    })
}

/// Components by name.
struct Components<'c>(&'c [(String, Value)]);

impl Components<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1).filter(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }
}

fn composed(components: &[(String, Value)], to: &DataType) -> FunctionResult<Option<Value>> {
    let components = Components(components);
    if *to == DataType::Interval {
        return Ok(composed_interval(&components).map(Value::Interval));
    }
    let base = ["datetime", "date", "time"].iter().find_map(|name| components.get(name));
    let has_date = !matches!(to, DataType::LocalTime | DataType::Time);
    let base_days = match components.get("date").or_else(|| components.get("datetime")) {
        Some(value) if has_date => match cast_value(value, &DataType::Date)? {
            Value::Date(days) => Some(days),
            _ => None,
        },
        _ => None,
    };
    let base_time = match components.get("time").or_else(|| components.get("datetime")) {
        Some(value) => match cast_value(value, &DataType::LocalTime)? {
            Value::LocalTime(nanos) => Some(nanos),
            _ => None,
        },
        None => None,
    };
    let days = if has_date { composed_days(&components, base_days) } else { Some(0) };
    let (Some(days), Some(nanos)) = (days, composed_time(&components, base_time)) else { return Ok(None) };
    let local = i128::from(days) * i128::from(NANOS_PER_DAY) + i128::from(nanos);
    if matches!(to, DataType::DateTime | DataType::Time) {
        let base_zone = match base {
            Some(Value::DateTime(zoned)) => Some((zoned.offset_seconds, zoned.zone)),
            Some(Value::Time(time)) => Some((time.offset_seconds, ZoneId::NONE)),
            _ => None,
        };
        let zoned = in_zone(components.get("timezone").and_then(Value::as_str), base_zone, local)?;
        return cast_value(&Value::DateTime(zoned), to).map(Some);
    }
    cast_value(&Value::LocalDateTime(local), to).map(Some)
}

/// A local time in a named zone, at an offset, in the base's zone, or in UTC.
fn in_zone(name: Option<&str>, base: Option<(i32, ZoneId)>, local: i128) -> FunctionResult<Zoned> {
    let at_offset = |offset_seconds: i32| Zoned {
        nanos: local - i128::from(offset_seconds) * 1_000_000_000,
        offset_seconds,
        zone: ZoneId::NONE,
    };
    match (name, base) {
        (Some(name), _) => match crate::types::parse::parse_time(format!("00:00{name}").as_bytes()) {
            Some(time) => Ok(at_offset(time.offset_seconds)),
            None => Ok(ZoneId::intern(name)?.at_local(local).unwrap_or_else(|| at_offset(0))),
        },
        (None, Some((offset, zone))) => Ok(zone.at_local(local).unwrap_or_else(|| at_offset(offset))),
        (None, None) => Ok(at_offset(0)),
    }
}

fn composed_days(components: &Components<'_>, base: Option<i64>) -> Option<i64> {
    let (base_year, base_month, base_day) = base.map_or((0, 1, 1), date_from_days);
    let year = components.number("year").or(base.map(|_| base_year))?;
    if let Some(week) = components.number("week") {
        let day = components.number("dayOfWeek").or(base.map(|days| i64::from(weekday(days)))).unwrap_or(1);
        let week_year = components.number("year").or(base.map(|days| iso_week(days).0))?;
        return days_from_week(week_year, week, day);
    }
    if let Some(ordinal) = components.number("ordinalDay") {
        return days_from_ordinal(year, ordinal);
    }
    if let Some(quarter) = components.number("quarter").filter(|quarter| (1..=4).contains(quarter)) {
        let start = days_from_date(year, (quarter * 3 - 2) as u8, 1)?;
        if let Some(day) = components.number("dayOfQuarter") {
            return start.checked_add(day - 1);
        }
        let month = (i64::from(base_month) - 1) % 3 + quarter * 3 - 2;
        return days_from_date(year, month as u8, if base.is_some() { base_day } else { 1 });
    }
    let part =
        |name: &str, base: u8| components.number(name).map_or(Some(base), |number| u8::try_from(number).ok());
    days_from_date(year, part("month", base_month)?, part("day", base_day)?)
}

fn composed_time(components: &Components<'_>, base: Option<i64>) -> Option<i64> {
    let base = base.unwrap_or(0);
    let part = |name: &str, limit: i64, base: i64| {
        let number = components.number(name).unwrap_or(base);
        (0..limit).contains(&number).then_some(number)
    };
    let fraction_given =
        ["millisecond", "microsecond", "nanosecond"].iter().any(|name| components.get(name).is_some());
    let nanos = if fraction_given {
        part("millisecond", 1_000, 0)? * 1_000_000
            + part("microsecond", 1_000_000, 0)? * 1_000
            + part("nanosecond", 1_000_000_000, 0)?
    } else {
        base % 1_000_000_000
    };
    let seconds = part("hour", 24, base / 3_600_000_000_000)? * 3_600
        + part("minute", 60, base / 60_000_000_000 % 60)? * 60
        + part("second", 60, base / 1_000_000_000 % 60)?;
    Some(seconds * 1_000_000_000 + nanos)
}

/// Units of a duration with their share of months, days or nanoseconds; fractions go down to the smaller parts.
fn composed_interval(components: &Components<'_>) -> Option<Interval> {
    let mut total = Interval::ZERO;
    for (name, value) in components.0.iter().filter(|(_, value)| !value.is_null()) {
        let text = match value {
            Value::Float(_) | Value::Double(_) | Value::Decimal(..) => format!("{}", value.as_f64()?),
            other => other.as_i64()?.to_string(),
        };
        let unit = name.to_ascii_lowercase();
        let unit = if unit.ends_with('s') { unit } else { unit + "s" };
        total = total.checked_add(&crate::types::parse_interval(format!("{text} {unit}").as_bytes())?)?;
    }
    Some(total)
}

/// Days and nanoseconds of the day of a value, on its local clock, and its distance from 1970 in UTC.
fn clock(value: &Value) -> Option<(i64, i64)> {
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
fn clock_part(part: &str, days: i64, nanos: i64) -> Option<i64> {
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

/// A component of an interval: the whole amount (`days`, `hours` …) or what exceeds the next larger unit.
fn interval_part(part: &str, interval: &Interval) -> Option<i64> {
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

fn part_overload(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [only] = types else { return None };
    has_parts(only).then(|| Overload::new([only.clone()], DataType::Int64, kernel))
}

fn has_parts(data_type: &DataType) -> bool {
    data_type.is_temporal() || *data_type == DataType::Interval
}

/// `date_part(name, value)`.
fn date_part(types: &[DataType]) -> Option<Overload> {
    let [part, value] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let parts = strings(call, 0)?;
        part_kernel(call, out, 1, |row| Ok(parts.text(row)))
    };
    let known = fits(part, &DataType::String) && has_parts(value);
    known.then(|| Overload::new([DataType::String, value.clone()], DataType::Int64, kernel))
}

fn part_kernel<'c>(
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

fn value_part(part: &str, value: &Value) -> Option<i64> {
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
fn date_trunc(types: &[DataType]) -> Option<Overload> {
    let [part, value] = types else { return None };
    if !fits(part, &DataType::String) || !value.is_temporal() {
        return None;
    }
    let kernel: Kernel = |_, call, out| {
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

fn truncated(part: &str, days: i64, nanos: i64) -> Option<(i64, i64)> {
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

fn make_date(types: &[DataType]) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        let operand = |position: usize| super::super::kernel::operand::<i64>(call, position);
        let (years, months, days) = (operand(0)?, operand(1)?, operand(2)?);
        map_rows(call, out, |row| {
            let part = |number: i64| u8::try_from(number).unwrap_or(0);
            let date = days_from_date(years.get(row), part(months.get(row)), part(days.get(row)));
            date.ok_or_else(|| FunctionError::invalid(call.function.name, "there is no such day"))
        })
    };
    let known = types.len() == 3 && types.iter().all(is_integer);
    known.then(|| Overload::new(vec![DataType::Int64; 3], DataType::Date, kernel))
}

fn last_day(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let dates = super::super::kernel::operand::<i64>(call, 0)?;
        map_rows(call, out, |row| {
            let (year, month, _) = date_from_days(dates.get(row));
            days_from_date(year, month, days_in_month(year, month)).ok_or_else(|| out_of_range(call))
        })
    };
    let known = matches!(only, DataType::Date | DataType::Timestamp(_));
    known.then(|| Overload::new([DataType::Date], DataType::Date, kernel))
}

fn name_of(types: &[DataType], kernel: Kernel) -> Option<Overload> {
    let [only] = types else { return None };
    let known = only.is_temporal() && !matches!(only, DataType::Time | DataType::LocalTime);
    known.then(|| Overload::new([only.clone()], DataType::String, kernel))
}

fn name_kernel(call: &Call<'_>, out: &mut VectorBuffer, is_day: bool) -> FunctionResult<()> {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let data_type = call.function.arguments[0].clone();
    push_rows(call, out, |row, out| {
        let (days, _) = clock(&call.arguments[0].value(row, &data_type)).unwrap_or_default();
        out.push_str(if is_day {
            DAYS[usize::from(weekday(days)) - 1]
        } else {
            MONTHS[usize::from(date_from_days(days).1) - 1]
        });
        Ok(())
    })
}

/// Counts since 1970 as a TIMESTAMP.
fn from_epoch(types: &[DataType], micros: i64) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = match micros {
        1_000 => |_, call, out| epoch_kernel(call, out, 1_000),
        _ => |_, call, out| epoch_kernel(call, out, 1_000_000),
    };
    is_integer(only).then(|| Overload::new([DataType::Int64], TIMESTAMP, kernel))
}

fn epoch_kernel(call: &Call<'_>, out: &mut VectorBuffer, micros: i64) -> FunctionResult<()> {
    let counts = super::super::kernel::operand::<i64>(call, 0)?;
    map_rows(call, out, |row| counts.get(row).checked_mul(micros).ok_or_else(|| out_of_range(call)))
}

fn interval_kernel(call: &Call<'_>, out: &mut VectorBuffer, unit: &str) -> FunctionResult<()> {
    let counts = super::super::kernel::operand::<i64>(call, 0)?;
    map_rows(call, out, |row| {
        let components = [(unit.to_owned(), Value::Int64(counts.get(row)))];
        composed_interval(&Components(&components)).ok_or_else(|| out_of_range(call))
    })
}

/// Adds months, days and time to days and nanoseconds of the day; none beyond the calendar.
pub fn shifted(days: i64, nanos: i64, interval: &Interval) -> Option<(i64, i64)> {
    let days = add_months(days, interval.months)?.checked_add(interval.days)?;
    let total = i128::from(nanos) + interval.time_nanos();
    let carry = i64::try_from(total.div_euclid(i128::from(NANOS_PER_DAY))).ok()?;
    Some((days.checked_add(carry)?, total.rem_euclid(i128::from(NANOS_PER_DAY)) as i64))
}
