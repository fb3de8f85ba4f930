//! Temporal values from texts, from maps of components, and from each other.

use super::super::kernel::{push_rows, strings};
use super::super::{Call, FunctionError, FunctionResult, KernelContext, cast_value};
use crate::types::calendar::{
    NANOS_PER_DAY, date_from_days, days_from_date, days_from_ordinal, days_from_week, iso_week, weekday,
};
use crate::types::{DataType, Interval, Value, ZoneId, Zoned};
use crate::vector::VectorBuffer;

pub(super) fn from_text(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
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
pub(super) fn other_form(text: &str, to: &DataType) -> Option<Value> {
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
pub(super) fn plain_time(text: &str) -> Option<String> {
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

pub(super) fn iso_date(text: &str) -> Option<i64> {
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

pub(super) fn from_temporal(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
    let from = call.function.arguments[0].clone();
    let to = call.function.result.clone();
    push_rows(call, out, |row, out| {
        let value = call.arguments[0].value(row, &from);
        let value = if to == DataType::Interval { value } else { cast_value(&value, &to)? };
        Ok(out.push_value(&value)?)
    })
}

pub(super) fn from_components(
    _: &mut KernelContext,
    call: &Call<'_>,
    out: &mut VectorBuffer,
) -> FunctionResult<()> {
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
pub(super) struct Components<'c>(pub(super) &'c [(String, Value)]);

impl Components<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1).filter(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }
}

pub(super) fn composed(components: &[(String, Value)], to: &DataType) -> FunctionResult<Option<Value>> {
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
pub(super) fn in_zone(name: Option<&str>, base: Option<(i32, ZoneId)>, local: i128) -> FunctionResult<Zoned> {
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

pub(super) fn composed_days(components: &Components<'_>, base: Option<i64>) -> Option<i64> {
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

pub(super) fn composed_time(components: &Components<'_>, base: Option<i64>) -> Option<i64> {
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
pub(super) fn composed_interval(components: &Components<'_>) -> Option<Interval> {
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
