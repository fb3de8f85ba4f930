//! Scalars from text, without allocation: what bulk loading and casts run per value. Surrounding ASCII space is
//! ignored; none means that the text is no value of the type or that the type cannot hold it.

use super::TimestampUnit;
use super::calendar::{NANOS_PER_DAY, SECONDS_PER_DAY, days_from_date};
use super::decimal;
use super::text_reader::{TextReader, trim};

/// INT64.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let text = trim(text);
    let (negative, digits) = sign(text);
    // Eighteen digits cannot overflow.
    if digits.is_empty() || digits.len() > 18 {
        return parse_i128(text).and_then(|value| i64::try_from(value).ok());
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// UINT64.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    let text = trim(text);
    if text.len() <= 18 && text.first() != Some(&b'-') {
        return parse_i64(text).and_then(|value| u64::try_from(value).ok());
    }
    parse_i128(text).and_then(|value| u64::try_from(value).ok())
}

/// INT128.
pub fn parse_i128(text: &[u8]) -> Option<i128> {
    let (negative, digits) = sign(trim(text));
    if digits.is_empty() {
        return None;
    }
    // Negative numbers reach one further, so the sum runs below zero.
    let mut value = 0i128;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i128::from(digit - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    }
}

/// DOUBLE; `inf`, `infinity` and `nan` in any case are values too.
#[inline]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    fast_float2::parse(trim(text)).ok()
}

/// FLOAT.
#[inline]
pub fn parse_f32(text: &[u8]) -> Option<f32> {
    fast_float2::parse(trim(text)).ok()
}

/// BOOL: `true` or `false` in any case.
#[inline]
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    let text = trim(text);
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// DECIMAL with `scale` digits after the point; further digits round half away from zero.
pub fn parse_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = sign(trim(text));
    let mut reader = TextReader::new(digits);
    let mut value = 0i128;
    let (mut seen, mut fraction, mut rounds_up) = (0usize, None::<u8>, false);
    while let Some(letter) = reader.next() {
        match letter {
            b'.' if fraction.is_none() => fraction = Some(0),
            b'0'..=b'9' => {
                seen += 1;
                match &mut fraction {
                    Some(count) if *count == scale => {
                        rounds_up = letter >= b'5';
                        return finish_decimal(&mut reader, value, rounds_up, negative, precision);
                    }
                    Some(count) => *count += 1,
                    None => {}
                }
                value = value.checked_mul(10)?.checked_add(i128::from(letter - b'0'))?;
            }
            _ => return None,
        }
    }
    if seen == 0 {
        return None;
    }
    let value = value.checked_mul(decimal::power_of_ten(scale - fraction.unwrap_or(0))?)?;
    finish_decimal(&mut reader, value, rounds_up, negative, precision)
}

fn finish_decimal(
    reader: &mut TextReader<'_>,
    value: i128,
    rounds_up: bool,
    negative: bool,
    precision: u8,
) -> Option<i128> {
    while let Some(letter) = reader.next() {
        if !letter.is_ascii_digit() {
            return None;
        }
    }
    let value = value.checked_add(i128::from(rounds_up))?;
    decimal::fits(value, precision).then_some(if negative { -value } else { value })
}

/// UUID in its physical form: hyphens optional.
pub fn parse_uuid(text: &[u8]) -> Option<i128> {
    let parsed = uuid::Uuid::try_parse_ascii(trim(text)).ok()?;
    Some(uuid_from_bits(parsed.as_u128()))
}

/// The physical form of 128 bits: the highest one flipped, so that signed order is their order.
pub fn uuid_from_bits(bits: u128) -> i128 {
    (bits ^ (1 << 127)) as i128
}

/// The 128 bits of a physical UUID.
pub fn uuid_to_bits(value: i128) -> u128 {
    value as u128 ^ (1 << 127)
}

/// BLOB: `\xHH` stands for a byte, every other byte for itself.
pub fn parse_blob(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut reader = TextReader::new(text);
    while let Some(letter) = reader.next() {
        if letter != b'\\' {
            bytes.push(letter);
            continue;
        }
        match reader.next()? {
            b'x' | b'X' => bytes.push(hex(reader.next()?)? << 4 | hex(reader.next()?)?),
            _ => return None,
        }
    }
    Some(bytes)
}

fn hex(letter: u8) -> Option<u8> {
    char::from(letter).to_digit(16).map(|digit| digit as u8)
}

/// DATE as days since 1970-01-01: `2011-08-20`; one-digit months and days, slashes and signed years are accepted.
#[inline]
pub fn parse_date(text: &[u8]) -> Option<i64> {
    let text = trim(text);
    if let Some(days) = plain_date(text) {
        return Some(days);
    }
    let mut reader = TextReader::new(text);
    let days = reader.date()?;
    reader.at_end().then_some(days)
}

/// The form `YYYY-MM-DD` without a loop.
#[inline]
fn plain_date(text: &[u8]) -> Option<i64> {
    let text: &[u8; 10] = text.try_into().ok()?;
    let digit = |position: usize| Some(text[position].wrapping_sub(b'0')).filter(|digit| *digit <= 9);
    let pair = |position: usize| Some(digit(position)? * 10 + digit(position + 1)?);
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = i64::from(pair(0)?) * 100 + i64::from(pair(2)?);
    days_from_date(year, pair(5)?, pair(8)?)
}

/// Nanoseconds of the day: `13:02`, `13:02:00.5`.
pub fn parse_local_time(text: &[u8]) -> Option<i64> {
    let mut reader = TextReader::new(trim(text));
    let nanos = reader.time_of_day()?;
    reader.at_end().then_some(nanos)
}

/// Nanoseconds of the day and offset: `13:02:00+01:00`; no offset means UTC.
pub fn parse_time(text: &[u8]) -> Option<super::Time> {
    let mut reader = TextReader::new(trim(text));
    let nanos = reader.time_of_day()?;
    let offset_seconds = if reader.at_end() { 0 } else { reader.offset()? };
    reader.at_end().then_some(super::Time { nanos, offset_seconds })
}

/// A date with an optional time and offset, as days, nanoseconds of the day and seconds east of UTC.
#[inline]
pub(super) fn date_time_parts(text: &[u8]) -> Option<(i64, i64, Option<i32>)> {
    let text = trim(text);
    // The plain form of the date is by far the most frequent.
    let head = text.get(..10).and_then(plain_date);
    let mut reader = match head {
        Some(_) => TextReader::new(&text[10..]),
        None => TextReader::new(text),
    };
    let days = match head {
        Some(days) => days,
        None => reader.date()?,
    };
    if reader.at_end() {
        return Some((days, 0, None));
    }
    if !reader.accept(b'T') && !reader.accept(b't') && !reader.accept(b' ') {
        return None;
    }
    reader.skip_space();
    let nanos = reader.time_of_day()?;
    reader.skip_space();
    let offset = if reader.at_end() { None } else { Some(reader.offset()?) };
    reader.at_end().then_some((days, nanos, offset))
}

/// TIMESTAMP in microseconds; an offset is taken into account, `2011-08-20T11:25:30Z+02:00` too.
#[inline]
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    parse_timestamp_unit(text, TimestampUnit::Us)
}

/// TIMESTAMP in any unit; digits beyond the unit are cut off.
pub fn parse_timestamp_unit(text: &[u8], unit: TimestampUnit) -> Option<i64> {
    let (days, nanos, offset) = date_time_parts(text)?;
    // The first day of the range starts before it, so the sum is made in wide integers.
    let seconds = days * SECONDS_PER_DAY - i64::from(offset.unwrap_or(0));
    i64::try_from(i128::from(seconds) * i128::from(unit.per_second()) + i128::from(nanos / unit.nanos())).ok()
}

/// LOCALDATETIME; an offset is no part of it.
pub fn parse_local_date_time(text: &[u8]) -> Option<i128> {
    let (days, nanos, offset) = date_time_parts(text)?;
    offset.is_none().then(|| i128::from(days) * i128::from(NANOS_PER_DAY) + i128::from(nanos))
}

/// DATETIME: offset, zone in brackets, both or neither (UTC).
pub fn parse_date_time(text: &[u8]) -> Option<super::Zoned> {
    let text = trim(text);
    let (text, zone) = match text.strip_suffix(b"]").and_then(|body| {
        let open = body.iter().rposition(|letter| *letter == b'[')?;
        Some((&body[..open], &body[open + 1..]))
    }) {
        Some((body, name)) => (body, super::ZoneId::intern(std::str::from_utf8(name).ok()?).ok()?),
        None => (text, super::ZoneId::NONE),
    };
    let (days, nanos, offset) = date_time_parts(text)?;
    let local = i128::from(days) * i128::from(NANOS_PER_DAY) + i128::from(nanos);
    match offset {
        Some(offset_seconds) => {
            let nanos = local - i128::from(offset_seconds) * 1_000_000_000;
            Some(zone.at(nanos).unwrap_or(super::Zoned { nanos, offset_seconds, zone }))
        }
        None => Some(zone.at_local(local).unwrap_or(super::Zoned { nanos: local, offset_seconds: 0, zone })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stop_at_their_limits() {
        for value in [0, 1, -1, i64::MAX, i64::MIN, 999_999_999_999_999_999] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
        assert_eq!(parse_i64(b" +7 "), Some(7));
        for text in ["", "-", "9223372036854775808", "-9223372036854775809", "1x", "1.0", "--1"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_i128(i128::MIN.to_string().as_bytes()), Some(i128::MIN));
        assert_eq!(parse_i128(b"170141183460469231731687303715884105728"), None);
    }

    #[test]
    fn decimals_round_and_stop_at_their_precision() {
        assert_eq!(parse_decimal(b"12.345", 5, 2), Some(1235));
        assert_eq!(parse_decimal(b"-12.345", 5, 2), Some(-1235));
        assert_eq!(parse_decimal(b"7", 5, 2), Some(700));
        assert_eq!(parse_decimal(b".5", 5, 0), Some(1));
        assert_eq!(parse_decimal(b"999.999", 5, 2), None);
        assert_eq!(parse_decimal(b"1.2.3", 5, 2), None);
        assert_eq!(parse_decimal(b".", 5, 2), None);
    }

    #[test]
    fn points_in_time_take_their_usual_forms() {
        let day = 15_206;
        assert_eq!(parse_date(b"2011-08-20"), Some(day));
        assert_eq!(parse_date(b"2011-8-20"), Some(day));
        assert_eq!(parse_date(b"2011/08/20"), Some(day));
        assert_eq!(parse_date(b"2011-02-30"), None);
        assert_eq!(parse_date(b"2011-08-20x"), None);
        let micros = (day * 86_400 + 11 * 3600 + 25 * 60 + 30) * 1_000_000;
        assert_eq!(parse_timestamp(b"2011-08-20 11:25:30.123456"), Some(micros + 123_456));
        assert_eq!(parse_timestamp(b"2011-08-20T11:25:30Z+02:00"), Some(micros - 7_200_000_000));
        assert_eq!(parse_timestamp(b"2011-08-20T11:25:30Z"), Some(micros));
        assert_eq!(parse_timestamp(b"2011-08-20 11:25:30+00"), Some(micros));
        assert_eq!(parse_timestamp(b"2011-08-20"), Some(day * 86_400_000_000));
        assert_eq!(parse_timestamp(b"2011-08-20 25:00:00"), None);
        assert_eq!(parse_timestamp(b"+999999999-01-01"), None);
        let first = crate::types::Value::Timestamp(TimestampUnit::Us, i64::MIN);
        assert_eq!(parse_timestamp(first.to_string().as_bytes()), Some(i64::MIN));
        assert_eq!(parse_local_time(b"24:00"), None);
    }

    #[test]
    fn zones_decide_offsets() {
        let summer = parse_date_time(b"2015-07-21T21:40:32.142[Europe/London]").unwrap();
        assert_eq!(summer.offset_seconds, 3600);
        let winter = parse_date_time(b"2015-01-21T21:40:32.142[Europe/London]").unwrap();
        assert_eq!(winter.offset_seconds, 0);
        let far = parse_date_time(b"+30000-07-21T12:00[Europe/London]").unwrap();
        assert_eq!(far.offset_seconds, 3600);
        assert_eq!(parse_date_time(b"2015-07-21T21:40[Nowhere/Else]"), None);
    }

    #[test]
    fn blobs_and_uuids() {
        assert_eq!(parse_blob(br"a\x00\xfFz"), Some(vec![b'a', 0, 255, b'z']));
        assert_eq!(parse_blob(br"\x0"), None);
        let low = parse_uuid(b"00000000-0000-0000-0000-000000000001").unwrap();
        let high = parse_uuid(b"ffffffffffffffffffffffffffffffff").unwrap();
        assert!(low < high);
    }
}
