//! Amounts of memory as people read them.

use std::fmt;

/// Bytes, shown with the largest unit that leaves a number of at least one: `256.0 MiB`, `17 bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

impl fmt::Display for ByteCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(unit, _)| self.0 >= *unit) {
            Some((unit, name)) => write!(formatter, "{:.1} {name}", self.0 as f64 / unit as f64),
            None if self.0 == 1 => formatter.write_str("1 byte"),
            None => write!(formatter, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_number() {
        let check = |bytes: u64, expected: &str| assert_eq!(ByteCount(bytes).to_string(), expected);
        check(0, "0 bytes");
        check(1, "1 byte");
        check(1023, "1023 bytes");
        check(1024, "1.0 KiB");
        check(268_435_456, "256.0 MiB");
        check(3 << 29, "1.5 GiB");
        check(u64::MAX, "16777216.0 TiB");
    }
}
