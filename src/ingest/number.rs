//! Short texts of digits to numbers, eight at a time. What these functions do not take (signs in odd places,
//! spaces, wide numbers, rare spellings) goes through the parsers of `types`, which also say what is wrong.

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The value of 1 to 18 digits with an optional minus sign; `None` for any other text.
///
/// `bytes` is the whole block: looking at the eight bytes that end with the number, whatever stands before it,
/// spares a loop whose length the processor cannot foresee.
#[inline(always)]
pub(super) fn integer(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let length = end.wrapping_sub(start);
    if (1..=8).contains(&length) && end >= 8 {
        let eight = bytes.get(end - 8..end)?.first_chunk()?;
        if let Some(value) = digits(u64::from_le_bytes(*eight), length) {
            return Some(i64::from(value));
        }
    }
    any_integer(bytes, start, end)
}

/// As `integer`, for what is long, signed, at the very start of the block, or no number at all.
fn any_integer(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let negative = *bytes.get(start)? == b'-';
    let start = start + usize::from(negative);
    let magnitude = match end.checked_sub(start)? {
        length @ 1..=8 => u64::from(digits(eight_before(bytes, end), length)?),
        length @ 9..=16 => {
            let low = digits(eight_before(bytes, end), 8)?;
            let high = digits(eight_before(bytes, end - 8), length - 8)?;
            u64::from(high) * 100_000_000 + u64::from(low)
        }
        17..=18 => long(bytes.get(start..end)?)?,
        _ => return None,
    };
    // At most 18 digits, so the value is far below 2^63.
    let magnitude = magnitude as i64;
    Some(if negative { -magnitude } else { magnitude })
}

/// The eight bytes that end before `end`, the first one lowest; bytes before the block are zero.
fn eight_before(bytes: &[u8], end: usize) -> u64 {
    if let Some(eight) = end.checked_sub(8).and_then(|start| bytes.get(start..end)?.first_chunk()) {
        return u64::from_le_bytes(*eight);
    }
    let mut word = 0;
    for &byte in bytes.get(..end).unwrap_or_default() {
        word = (word >> 8) | (u64::from(byte) << 56);
    }
    word
}

/// The value of the last `length` (1 to 8) bytes of a word, which must be digits.
#[inline(always)]
fn digits(word: u64, length: usize) -> Option<u32> {
    // The bytes in front of the number become leading zeros.
    let foreign = (64 - 8 * length as u32) & 63;
    digit_values(((word ^ ZEROS) >> foreign) << foreign)
}

/// The number whose eight digits are the bytes of a word, the first one lowest.
#[inline(always)]
fn digit_values(word: u64) -> Option<u32> {
    // A byte above 9 has its highest bit set, or gets it set by the addition.
    if (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    // Neighbouring digits become two-digit, then four-digit, then eight-digit numbers.
    let word = (word.wrapping_mul(10) + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let word = (word.wrapping_mul(100) + (word >> 16)) & 0x0000_ffff_0000_ffff;
    let word = word.wrapping_mul(10_000) + (word >> 32);
    Some(word as u32)
}

#[inline]
fn eight_digits(word: u64) -> Option<u32> {
    digit_values(word ^ ZEROS)
}

fn long(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Days since 1970-01-01 of a text `YYYY-MM-DD`; `None` for any other text.
#[inline]
pub(super) fn date(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_first_chunk::<8>()?;
    let head = u64::from_le_bytes(*head);
    let tail = u64::from(u16::from_le_bytes(tail.try_into().ok()?));
    if (head >> 32) & 0xff != u64::from(b'-') || head >> 56 != u64::from(b'-') {
        return None;
    }
    let word = (head & 0xffff_ffff) | ((head >> 40) & 0xffff) << 32 | tail << 48;
    let number = i64::from(eight_digits(word)?);
    days(number / 10_000, number / 100 % 100, number % 100)
}

/// Microseconds since 1970-01-01T00:00:00 of a text `YYYY-MM-DD HH:MM:SS` with an optional fraction of up to six
/// digits; a `T` may stand for the space. `None` for any other text.
#[inline]
pub(super) fn timestamp_micros(text: &[u8]) -> Option<i64> {
    let day = date(text.get(..10)?)?;
    if !matches!(text.get(10)?, b' ' | b'T') {
        return None;
    }
    let clock = u64::from_le_bytes(*text.get(11..19)?.first_chunk()?);
    if (clock >> 16) & 0xff != u64::from(b':') || (clock >> 40) & 0xff != u64::from(b':') {
        return None;
    }
    let hour_and_minute = (clock & 0xffff) << 16 | ((clock >> 24) & 0xffff) << 32;
    let word = (ZEROS & 0xffff) | hour_and_minute | (clock >> 48) << 48;
    let number = i64::from(eight_digits(word)?);
    let (hour, minute, second) = (number / 10_000, number / 100 % 100, number % 100);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match text.get(19..)? {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            let value = long(digits)? as i64;
            value * 10i64.pow(6 - digits.len() as u32)
        }
        _ => return None,
    };
    Some((day * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000 + fraction)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, for years 0 to 9999.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = *BEFORE_MONTH.get(usize::try_from(month - 1).ok()?)?;
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day < 1 || day > length {
        return None;
    }
    // Leap days before this year, counted from year 0, which is one.
    let leap_days = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let this_year = before + day - 1 + i64::from(leap && month > 2);
    Some(year * 365 + leap_days + this_year - 719_528)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(integer(text.as_bytes(), 0, text.len()), expected, "{text:?} alone");
        let inside = format!("9876543219,{text},1");
        assert_eq!(integer(inside.as_bytes(), 11, 11 + text.len()), expected, "{text:?} inside");
    }

    #[test]
    fn integers() {
        check("0", Some(0));
        check("-0", Some(0));
        check("007", Some(7));
        check("12345678", Some(12_345_678));
        check("-123456789", Some(-123_456_789));
        check("1234567890123456", Some(1_234_567_890_123_456));
        check("999999999999999999", Some(999_999_999_999_999_999));
        check("9223372036854775807", None);
        for text in [
            "",
            "-",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "--1",
            "12345678x",
            "1:",
            "/1",
            "1234567890123456x",
            "٣",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn dates_and_timestamps() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2000-02-29"), Some(11_016));
        assert_eq!(date(b"1900-02-29"), None);
        assert_eq!(date(b"0000-01-01"), Some(-719_528));
        assert_eq!(date(b"9999-12-31"), Some(2_932_896));
        assert_eq!(date(b"2001-13-01"), None);
        assert_eq!(date(b"2001-00-01"), None);
        assert_eq!(date(b"2001/01/01"), None);
        assert_eq!(timestamp_micros(b"1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(timestamp_micros(b"1970-01-01T00:00:00.25"), Some(250_000));
        assert_eq!(timestamp_micros(b"1969-12-31 23:59:59.000001"), Some(-999_999));
        assert_eq!(timestamp_micros(b"1970-01-01 24:00:00"), None);
        assert_eq!(timestamp_micros(b"1970-01-01 00:00:00Z"), None);
        assert_eq!(timestamp_micros(b"1970-01-01"), None);
    }

    #[test]
    fn every_day_of_a_long_time_follows_the_one_before() {
        let mut expected = date(b"1895-12-31").unwrap();
        for year in 1896..2105 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    let valid = jiff::civil::Date::new(year, month, day).is_ok();
                    if valid {
                        expected += 1;
                    }
                    assert_eq!(date(text.as_bytes()), valid.then_some(expected), "{text}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn integers_are_as_the_standard_library_reads_them(value in any::<i64>(), shift in 0u32..63) {
            let text = (value >> shift).to_string();
            let expected = (text.trim_start_matches('-').len() <= 18).then_some(value >> shift);
            prop_assert_eq!(integer(text.as_bytes(), 0, text.len()), expected);
        }

        #[test]
        fn texts_that_are_no_integers_are_left_alone(text in "[-+0-9 :/a]{0,20}") {
            if let Some(value) = integer(text.as_bytes(), 0, text.len()) {
                prop_assert_eq!(Some(value), text.parse().ok());
            }
        }
    }
}
