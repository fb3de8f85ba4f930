//! Points in time and single scalars as text.

use std::fmt::Write;

use super::calendar::{NANOS_PER_DAY, date_from_days};
use super::interval_text::push_fraction;
use super::{TimestampUnit, Zoned};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// `2011-08-20`; years beyond four digits carry a sign, as ISO 8601 asks.
pub fn date_text(days: i64) -> String {
    let (year, month, day) = date_from_days(days);
    let mut text = String::with_capacity(10);
    // Writing to a string cannot fail.
    let _ = match year {
        0..=9999 => write!(text, "{year:04}"),
        10_000.. => write!(text, "+{year}"),
        _ => write!(text, "-{:04}", year.unsigned_abs()),
    };
    let _ = write!(text, "-{month:02}-{day:02}");
    text
}

/// `11:25:30.5`, seconds always there.
pub fn time_text(nanos: i64) -> String {
    let seconds = nanos.div_euclid(NANOS_PER_SECOND);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_fraction(&mut text, nanos.rem_euclid(NANOS_PER_SECOND) as u32);
    text
}

/// openCypher's time: seconds are left out where they and the fraction are zero.
pub fn time_iso(nanos: i64) -> String {
    let text = time_text(nanos);
    match text.strip_suffix(":00") {
        Some(short) if short.len() == 5 => short.to_owned(),
        _ => text,
    }
}

/// `Z`, `+02:00` or `-00:30:15`.
pub fn offset_text(seconds: i32) -> String {
    if seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let mut text = format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if !seconds.is_multiple_of(60) {
        let _ = write!(text, ":{:02}", seconds % 60);
    }
    text
}

/// Days and nanoseconds of the day of a count of nanoseconds.
pub fn split_nanos(nanos: i128) -> (i64, i64) {
    let day = i128::from(NANOS_PER_DAY);
    let days = nanos.div_euclid(day).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    (days as i64, nanos.rem_euclid(day) as i64)
}

/// Date and time with the given separator, seconds always there.
pub fn date_time_text(nanos: i128, separator: char) -> String {
    let (days, time) = split_nanos(nanos);
    format!("{}{separator}{}", date_text(days), time_text(time))
}

/// openCypher's local date and time.
pub fn date_time_iso(nanos: i128) -> String {
    let (days, time) = split_nanos(nanos);
    format!("{}T{}", date_text(days), time_iso(time))
}

/// openCypher's date and time with offset and zone.
pub fn zoned_iso(value: &Zoned) -> String {
    let mut text = date_time_iso(value.local_nanos());
    text.push_str(&offset_text(value.offset_seconds));
    if let Some(name) = value.zone.name() {
        let _ = write!(text, "[{name}]");
    }
    text
}

/// A TIMESTAMP's count as nanoseconds.
pub fn timestamp_nanos(value: i64, unit: TimestampUnit) -> i128 {
    i128::from(value) * i128::from(unit.nanos())
}

/// A float that shows a point or an exponent, so that it reads back as a float.
pub fn f64_text(value: f64) -> String {
    if value.is_finite() { ryu::Buffer::new().format_finite(value).to_owned() } else { special_text(value) }
}

/// The same for FLOAT, with the digits that a FLOAT needs.
pub fn f32_text(value: f32) -> String {
    if value.is_finite() {
        ryu::Buffer::new().format_finite(value).to_owned()
    } else {
        special_text(value.into())
    }
}

fn special_text(value: f64) -> String {
    let text = match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    text.to_owned()
}

/// `\xHH` for every byte that is not plain ASCII text.
pub fn blob_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' | b'\'' | b'"' => {
                let _ = write!(text, "\\x{byte:02X}");
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02X}");
            }
        }
    }
    text
}

/// The usual form with hyphens.
pub fn uuid_text(value: i128) -> String {
    uuid::Uuid::from_u128(super::parse::uuid_to_bits(value)).hyphenated().to_string()
}
