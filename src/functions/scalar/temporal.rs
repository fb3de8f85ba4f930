//! Points in time and intervals: the functions, and those that do little.

use super::super::kernel::{map_rows, push_rows};
use super::super::{Call, FunctionError, FunctionResult, Kernel, Overload, ScalarFunction, cast_value};
use super::temporal_compose::{Components, composed_interval, from_components, from_temporal, from_text};
use super::temporal_part::{clock, date_part, date_trunc, part_kernel, part_overload};
use super::{aliased, entry, fits, is_integer};
use crate::types::calendar::{
    NANOS_PER_DAY, add_months, date_from_days, days_from_date, days_in_month, weekday,
};
use crate::types::{DataType, Interval, TimestampUnit, Value, Zoned};
use crate::vector::VectorBuffer;

pub(super) const TIMESTAMP: DataType = DataType::Timestamp(TimestampUnit::Us);

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

pub(super) fn out_of_range(call: &Call<'_>) -> FunctionError {
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
