//! Estimates of rows and costs stay finite numbers: past a bound they are all alike. A long pattern over long lists is
//! expected to have more rows than any number of the machine, and comparisons with infinity choose nothing.

/// More rows, or a higher cost, than any plan is told apart by. Two of them, and all that a step multiplies them with,
/// still have a finite product.
pub const ESTIMATE_MAX: f64 = 1e120;

/// An estimate that later ones can be made from.
pub fn saturated(estimate: f64) -> f64 {
    // The smaller one of a number and of what is none is the number.
    estimate.min(ESTIMATE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_numbers() {
        for (estimate, expected) in [
            (0.0, 0.0),
            (7.5, 7.5),
            (1e300, ESTIMATE_MAX),
            (f64::INFINITY, ESTIMATE_MAX),
            (f64::NAN, ESTIMATE_MAX),
            (f64::INFINITY * 0.0, ESTIMATE_MAX),
        ] {
            assert_eq!(saturated(estimate), expected, "{estimate}");
        }
        assert!((ESTIMATE_MAX * ESTIMATE_MAX).is_finite());
    }
}
