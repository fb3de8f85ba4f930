//! The proleptic Gregorian calendar over years far beyond any library's range.

/// Years that text forms accept, both ways from zero.
pub const YEAR_MAX: i64 = 999_999_999;
/// Nanoseconds in a day.
pub const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;
/// Seconds in a day.
pub const SECONDS_PER_DAY: i64 = 86_400;

/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT: i64 = 719_468;
/// Beyond this many days values are cut off; no text form reaches it.
const DAYS_MAX: i64 = 1 << 60;

/// Whether a year has a 29th of February.
pub fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month (1 to 12).
pub fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01; none if there is no such day or the year is out of range.
pub fn days_from_date(year: i64, month: u8, day: u8) -> Option<i64> {
    let valid = (-YEAR_MAX..=YEAR_MAX).contains(&year)
        && (1..=12).contains(&month)
        && day >= 1
        && day <= days_in_month(year, month);
    valid.then(|| days_of(year, month, day))
}

/// The arithmetic of `days_from_date`: years start in March, so that the leap day is the last of its year.
fn days_of(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_SHIFT
}

/// Year, month and day of a number of days since 1970-01-01.
#[inline]
pub fn date_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days.clamp(-DAYS_MAX, DAYS_MAX) + EPOCH_SHIFT;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u8;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Adds months; a day that the month does not have becomes its last.
pub fn add_months(days: i64, months: i64) -> Option<i64> {
    let (year, month, day) = date_from_days(days);
    let total = year.checked_mul(12)?.checked_add(i64::from(month) - 1)?.checked_add(months)?;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u8 + 1);
    days_from_date(year, month, day.min(days_in_month(year, month)))
}

/// ISO day of the week: Monday is 1.
pub fn weekday(days: i64) -> u8 {
    ((days % 7 + 10) % 7 + 1) as u8
}

/// Day of the year from 1.
pub fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = date_from_days(days);
    days - days_of(year, 1, 1) + 1
}

/// ISO week-based year and week.
pub fn iso_week(days: i64) -> (i64, i64) {
    // The Thursday of a week decides the year that the week belongs to.
    let thursday = days - i64::from(weekday(days)) + 4;
    let (year, _, _) = date_from_days(thursday);
    (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
}

/// Days of an ISO week date; none if the week does not exist.
pub fn days_from_week(year: i64, week: i64, weekday_number: i64) -> Option<i64> {
    if !(-YEAR_MAX..=YEAR_MAX).contains(&year)
        || !(1..=53).contains(&week)
        || !(1..=7).contains(&weekday_number)
    {
        return None;
    }
    let january_fourth = days_of(year, 1, 4);
    let first_monday = january_fourth - i64::from(weekday(january_fourth)) + 1;
    let days = first_monday + (week - 1) * 7 + weekday_number - 1;
    (iso_week(days).0 == year).then_some(days)
}

/// Days of the n-th day of a year; none if the year is shorter.
pub fn days_from_ordinal(year: i64, ordinal: i64) -> Option<i64> {
    let length = if is_leap_year(year) { 366 } else { 365 };
    let valid = (-YEAR_MAX..=YEAR_MAX).contains(&year) && (1..=length).contains(&ordinal);
    valid.then(|| days_of(year, 1, 1) + ordinal - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(days: i64, date: (i64, u8, u8)) {
        assert_eq!(date_from_days(days), date);
        assert_eq!(days_from_date(date.0, date.1, date.2), Some(days));
    }

    #[test]
    fn days_and_dates_agree() {
        check(0, (1970, 1, 1));
        check(-1, (1969, 12, 31));
        check(11_016, (2000, 2, 29));
        check(-719_528, (0, 1, 1));
        check(365_241_780_471, (999_999_999, 12, 31));
        for days in (-1_000_000..1_000_000).step_by(97) {
            let (year, month, day) = date_from_days(days);
            assert_eq!(days_from_date(year, month, day), Some(days));
        }
        assert_eq!(days_from_date(2023, 2, 29), None);
        date_from_days(i64::MAX);
        date_from_days(i64::MIN);
    }

    #[test]
    fn weeks_follow_iso() {
        assert_eq!(weekday(0), 4);
        assert_eq!(weekday(-4), 7);
        let day = days_from_date(2008, 12, 29).unwrap();
        assert_eq!(iso_week(day), (2009, 1));
        assert_eq!(days_from_week(2009, 1, 1), Some(day));
        assert_eq!(days_from_week(2009, 54, 1), None);
        assert_eq!(days_from_week(2010, 53, 1), None);
        assert_eq!(day_of_year(day), 364);
        assert_eq!(add_months(days_from_date(2024, 1, 31).unwrap(), 1), days_from_date(2024, 2, 29));
    }
}
