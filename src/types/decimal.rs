//! DECIMAL arithmetic on unscaled 128-bit numbers.

/// 10 to a power, none beyond 38.
pub fn power_of_ten(exponent: u8) -> Option<i128> {
    10i128.checked_pow(u32::from(exponent))
}

/// Whether a number has at most `precision` digits.
pub fn fits(number: i128, precision: u8) -> bool {
    match power_of_ten(precision) {
        Some(bound) => number.unsigned_abs() < bound.unsigned_abs(),
        None => true,
    }
}

/// An integer as a decimal of the given form.
pub fn from_integer(number: i128, precision: u8, scale: u8) -> Option<i128> {
    let scaled = number.checked_mul(power_of_ten(scale)?)?;
    fits(scaled, precision).then_some(scaled)
}

/// The number with another scale, rounded half away from zero; none if it does not fit.
pub fn rescale(number: i128, from: u8, precision: u8, to: u8) -> Option<i128> {
    let scaled = if to >= from {
        number.checked_mul(power_of_ten(to - from)?)?
    } else {
        let divisor = power_of_ten(from - to)?;
        let half = divisor / 2 * number.signum();
        number.checked_add(half)? / divisor
    };
    fits(scaled, precision).then_some(scaled)
}

/// As `rescale`, but none if digits would be lost.
pub fn rescale_exact(number: i128, from: u8, precision: u8, to: u8) -> Option<i128> {
    if to < from && number % power_of_ten(from - to)? != 0 {
        return None;
    }
    rescale(number, from, precision, to)
}

/// Product of two decimals, whose scale is the sum of the scales.
pub fn multiply(left: i128, right: i128, precision: u8) -> Option<i128> {
    left.checked_mul(right).filter(|product| fits(*product, precision))
}

/// Quotient with `scale` digits after the point, rounded half away from zero; none on overflow or division by zero.
pub fn divide(left: (i128, u8), right: (i128, u8), precision: u8, scale: u8) -> Option<i128> {
    // left / 10^l / (right / 10^r) * 10^scale = left * 10^(scale + r - l) / right
    let exponent = i32::from(scale) + i32::from(right.1) - i32::from(left.1);
    let factor = power_of_ten(u8::try_from(exponent.unsigned_abs()).ok()?)?;
    let (numerator, denominator) = if exponent >= 0 {
        (left.0.checked_mul(factor)?, right.0)
    } else {
        (left.0, right.0.checked_mul(factor)?)
    };
    let quotient = numerator.checked_div(denominator)?;
    let remainder = numerator % denominator;
    let away = remainder.unsigned_abs() >= denominator.unsigned_abs() - remainder.unsigned_abs();
    let sign = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
    let rounded = if remainder != 0 && away { quotient.checked_add(sign)? } else { quotient };
    fits(rounded, precision).then_some(rounded)
}

/// The digits with their point: `-12.340`.
pub fn to_text(number: i128, scale: u8) -> String {
    let digits = number.unsigned_abs().to_string();
    let sign = if number < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// The nearest float.
pub fn to_f64(number: i128, scale: u8) -> f64 {
    // Going through the text rounds once; a division would round twice for wide numbers.
    if number.unsigned_abs() < 1 << 53 && scale <= 22 {
        return number as f64 / 10f64.powi(i32::from(scale));
    }
    fast_float2::parse(to_text(number, scale)).unwrap_or(f64::NAN)
}

/// A float rounded half away from zero to the given form; none if it is not finite or does not fit.
pub fn from_f64(value: f64, precision: u8, scale: u8) -> Option<i128> {
    let scaled = (value * 10f64.powi(i32::from(scale))).round();
    // Beyond this bound the conversion would saturate.
    if !scaled.is_finite() || scaled.abs() >= 1.7e38 {
        return None;
    }
    Some(scaled as i128).filter(|number| fits(*number, precision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_change_with_rounding() {
        assert_eq!(rescale(12345, 3, 10, 2), Some(1235));
        assert_eq!(rescale(-12345, 3, 10, 2), Some(-1235));
        assert_eq!(rescale(12344, 3, 10, 2), Some(1234));
        assert_eq!(rescale(99, 0, 3, 2), None);
        assert_eq!(rescale_exact(12345, 3, 10, 2), None);
        assert_eq!(from_integer(1 << 100, 38, 20), None);
    }

    #[test]
    fn quotients_round_and_faults_are_seen() {
        assert_eq!(divide((100, 2), (300, 2), 10, 4), Some(3333));
        assert_eq!(divide((200, 2), (300, 2), 10, 4), Some(6667));
        assert_eq!(divide((-200, 2), (300, 2), 10, 4), Some(-6667));
        assert_eq!(divide((1, 0), (0, 0), 10, 4), None);
        assert_eq!(multiply(i128::MAX, 2, 38), None);
    }

    #[test]
    fn texts_have_their_zeros() {
        assert_eq!(to_text(-5, 3), "-0.005");
        assert_eq!(to_text(12340, 3), "12.340");
        assert_eq!(to_text(7, 0), "7");
        assert_eq!(to_f64(12340, 3), 12.34);
        assert_eq!(from_f64(-0.0055, 5, 3), Some(-6));
    }
}
