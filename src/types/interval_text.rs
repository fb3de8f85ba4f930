//! INTERVAL from and to text: `3 years 2 days 13:02:00` and ISO 8601's `P3Y2DT13H2M`.

use std::fmt::Write;

use super::Interval;
use super::text_reader::{TextReader, trim};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// What one unit of a duration counts.
#[derive(Clone, Copy)]
enum Unit {
    Months(i64),
    Days(i64),
    Nanos(i64),
}

/// INTERVAL in either form.
pub fn parse_interval(text: &[u8]) -> Option<Interval> {
    let text = trim(text);
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if matches!(unsigned.first(), Some(b'P' | b'p')) {
        let interval = parse_iso(&unsigned[1..])?;
        return if text[0] == b'-' { interval.checked_neg() } else { Some(interval) };
    }
    parse_words(text)
}

/// Sums of parts, exact in wide integers until they are put together.
#[derive(Default)]
struct Parts {
    months: i128,
    days: i128,
    nanos: i128,
}

impl Parts {
    fn add(&mut self, unit: Unit, count: i128, fraction_nanos: i128) -> Option<()> {
        // A fraction of a unit that is no time goes to the next smaller part by mean lengths, as openCypher has it.
        match unit {
            Unit::Months(months) => {
                self.months += count * i128::from(months);
                let nanos = fraction_nanos * i128::from(months) * 2_629_746;
                self.days += nanos / (86_400 * NANOS_PER_SECOND);
                self.nanos += nanos % (86_400 * NANOS_PER_SECOND);
            }
            Unit::Days(days) => {
                self.days += count * i128::from(days);
                let nanos = fraction_nanos * i128::from(days) * 86_400;
                self.days += nanos / (86_400 * NANOS_PER_SECOND);
                self.nanos += nanos % (86_400 * NANOS_PER_SECOND);
            }
            Unit::Nanos(nanos) => {
                self.nanos += count.checked_mul(i128::from(nanos))?;
                self.nanos += fraction_nanos * i128::from(nanos) / NANOS_PER_SECOND;
            }
        }
        Some(())
    }

    fn finish(&self) -> Option<Interval> {
        Interval::new(i64::try_from(self.months).ok()?, i64::try_from(self.days).ok()?, 0, self.nanos)
    }
}

/// A signed number with an optional fraction, the fraction in billionths with the number's sign.
fn signed_number(reader: &mut TextReader<'_>) -> Option<(i128, i128)> {
    let negative = reader.accept(b'-');
    if !negative {
        reader.accept(b'+');
    }
    let count = i128::from(reader.number()?);
    let fraction = i128::from(reader.fraction()?);
    Some(if negative { (-count, -fraction) } else { (count, fraction) })
}

fn parse_iso(text: &[u8]) -> Option<Interval> {
    let mut reader = TextReader::new(text);
    let mut parts = Parts::default();
    let (mut in_time, mut any) = (false, false);
    while !reader.at_end() {
        if !in_time && (reader.accept(b'T') || reader.accept(b't')) {
            in_time = true;
            any = false;
            continue;
        }
        let (count, fraction) = signed_number(&mut reader)?;
        let unit = match (in_time, reader.next()?.to_ascii_uppercase()) {
            (false, b'Y') => Unit::Months(12),
            (false, b'M') => Unit::Months(1),
            (false, b'W') => Unit::Days(7),
            (false, b'D') => Unit::Days(1),
            (true, b'H') => Unit::Nanos(3_600_000_000_000),
            (true, b'M') => Unit::Nanos(60_000_000_000),
            (true, b'S') => Unit::Nanos(1_000_000_000),
            _ => return None,
        };
        parts.add(unit, count, fraction)?;
        any = true;
    }
    if any { parts.finish() } else { None }
}

fn parse_words(text: &[u8]) -> Option<Interval> {
    let mut reader = TextReader::new(text);
    let mut parts = Parts::default();
    let mut any = false;
    loop {
        reader.skip_space();
        if reader.at_end() {
            break;
        }
        any = true;
        let mut clock = reader.clone();
        if let Some(nanos) = clock_time(&mut clock) {
            parts.nanos += nanos;
            reader = clock;
            continue;
        }
        let (count, fraction) = signed_number(&mut reader)?;
        reader.skip_space();
        parts.add(unit_named(reader.word())?, count, fraction)?;
        reader.accept(b',');
    }
    if any { parts.finish() } else { None }
}

/// `[-]H…:MM[:SS[.fraction]]`; hours may exceed a day.
fn clock_time(reader: &mut TextReader<'_>) -> Option<i128> {
    let negative = reader.accept(b'-');
    let hours = i128::from(reader.number()?);
    let mut nanos = hours * 3_600 * NANOS_PER_SECOND;
    let mut unit = 60 * NANOS_PER_SECOND;
    if reader.peek() != Some(b':') {
        return None;
    }
    while unit > 0 && reader.accept(b':') {
        let count = i128::from(reader.number()?);
        if count >= 60 {
            return None;
        }
        nanos += count * unit;
        unit = if unit == NANOS_PER_SECOND { 0 } else { NANOS_PER_SECOND };
    }
    nanos += i128::from(reader.fraction()?);
    Some(if negative { -nanos } else { nanos })
}

fn unit_named(name: &[u8]) -> Option<Unit> {
    let name = name.to_ascii_lowercase();
    Some(match name.strip_suffix(b"s").filter(|stem| stem.len() > 1).unwrap_or(&name) {
        b"millennium" | b"millennia" => Unit::Months(12_000),
        b"century" | b"centurie" => Unit::Months(1_200),
        b"decade" => Unit::Months(120),
        b"year" | b"yr" | b"y" => Unit::Months(12),
        b"quarter" => Unit::Months(3),
        b"month" | b"mon" => Unit::Months(1),
        b"week" | b"w" => Unit::Days(7),
        b"day" | b"d" => Unit::Days(1),
        b"hour" | b"hr" | b"h" => Unit::Nanos(3_600_000_000_000),
        b"minute" | b"min" | b"m" => Unit::Nanos(60_000_000_000),
        b"second" | b"sec" | b"s" => Unit::Nanos(1_000_000_000),
        b"millisecond" | b"msec" | b"ms" => Unit::Nanos(1_000_000),
        b"microsecond" | b"usec" | b"us" => Unit::Nanos(1_000),
        b"nanosecond" | b"nsec" | b"ns" => Unit::Nanos(1),
        _ => return None,
    })
}

/// The form of Kuzu: `3 years 2 days 13:02:00`.
pub fn interval_text(interval: &Interval) -> String {
    let mut text = String::new();
    let mut part = |count: i64, name: &str| {
        if count != 0 {
            let plural = if count.unsigned_abs() == 1 { "" } else { "s" };
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{space}{count} {name}{plural}");
        }
    };
    part(interval.months / 12, "year");
    part(interval.months % 12, "month");
    part(interval.days, "day");
    let nanos = interval.time_nanos();
    if nanos != 0 || text.is_empty() {
        let space = if text.is_empty() { "" } else { " " };
        let sign = if nanos < 0 { "-" } else { "" };
        let seconds = nanos.unsigned_abs() / NANOS_PER_SECOND as u128;
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let _ = write!(text, "{space}{sign}{hours:02}:{minutes:02}:{rest:02}");
        push_fraction(&mut text, (nanos.unsigned_abs() % NANOS_PER_SECOND as u128) as u32);
    }
    text
}

/// The form of ISO 8601 and openCypher: `P3Y2DT13H2M`.
pub fn interval_iso(interval: &Interval) -> String {
    let mut text = String::from("P");
    let part = |text: &mut String, count: i128, unit: char| {
        if count != 0 {
            let _ = write!(text, "{count}{unit}");
        }
    };
    part(&mut text, i128::from(interval.months / 12), 'Y');
    part(&mut text, i128::from(interval.months % 12), 'M');
    part(&mut text, i128::from(interval.days), 'D');
    let nanos = interval.time_nanos();
    if nanos != 0 {
        text.push('T');
        let seconds = nanos / NANOS_PER_SECOND;
        part(&mut text, seconds / 3600, 'H');
        part(&mut text, seconds / 60 % 60, 'M');
        let fraction = (nanos.unsigned_abs() % NANOS_PER_SECOND as u128) as u32;
        if seconds % 60 != 0 || fraction != 0 {
            let sign = if nanos < 0 { "-" } else { "" };
            let _ = write!(text, "{sign}{}", (seconds % 60).unsigned_abs());
            push_fraction(&mut text, fraction);
            text.push('S');
        }
    }
    if text.len() == 1 { "PT0S".to_owned() } else { text }
}

/// `.5` for half a second, nothing for zero.
pub(super) fn push_fraction(text: &mut String, nanos: u32) {
    if nanos != 0 {
        let digits = format!("{nanos:09}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, plain: &str, iso: &str) {
        let interval = parse_interval(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(interval_text(&interval), plain);
        assert_eq!(interval_iso(&interval), iso);
        assert_eq!(parse_interval(plain.as_bytes()), Some(interval));
        assert_eq!(parse_interval(iso.as_bytes()), Some(interval));
    }

    #[test]
    fn both_forms_are_read_and_written() {
        check("3 years 2 days 13:02:00", "3 years 2 days 13:02:00", "P3Y2DT13H2M");
        check("P12Y5M14DT16H12M70S", "12 years 5 months 14 days 16:13:10", "P12Y5M14DT16H13M10S");
        check("PT0.75S", "00:00:00.75", "PT0.75S");
        check("-1 day -0:00:00.5", "-1 day -00:00:00.5", "P-1DT-0.5S");
        check("2us", "00:00:00.000002", "PT0.000002S");
        check("1 week", "7 days", "P7D");
        check("0 days", "00:00:00", "PT0S");
        check("P0.5D", "12:00:00", "PT12H");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "P", "PT", "P1", "3", "3 parsecs", "P1S", "1:99:00", "99999999999999999 years x"] {
            assert_eq!(parse_interval(text.as_bytes()), None, "{text}");
        }
    }
}
