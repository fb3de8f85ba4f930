//! The one sequential pass over a file: it finds where records end, so that blocks of whole records can be
//! parsed by any thread without a guess about quotes.
//!
//! A quote opens a quoted field only where a field starts; anywhere else it is an ordinary character. The
//! tokenizer follows the same rules, so both see the same records even in a faulty file.

use super::options::Dialect;

/// How far the scan of a growing buffer has come. The buffer starts at a record's start.
#[derive(Debug, Default, Clone)]
pub(super) struct ScanState {
    /// Everything before this position has been looked at.
    position: usize,
    /// Whether `position` stands inside a quoted field.
    in_quotes: bool,
    /// Behind the end of the last complete record seen; 0 when there is none.
    pub(super) records_end: usize,
    /// Stretches outside quotes found by one scan, kept for its allocation.
    stretches: Vec<(usize, usize)>,
}

impl ScanState {
    pub(super) fn reset(&mut self) {
        self.position = 0;
        self.in_quotes = false;
        self.records_end = 0;
    }
}

/// Continues the scan to the end of `bytes`; more bytes may follow unless `at_end`.
pub(super) fn scan(dialect: &Dialect, bytes: &[u8], at_end: bool, state: &mut ScanState) {
    state.stretches.clear();
    let quote = dialect.quote.filter(|&quote| {
        state.in_quotes || memchr::memchr(quote, bytes.get(state.position..).unwrap_or_default()).is_some()
    });
    match quote {
        Some(quote) => walk_quotes(dialect, quote, bytes, at_end, state),
        None => pass_outside(bytes, at_end, state),
    }
    let last_end = state.stretches.iter().rev().find_map(|&(from, to)| last_record_end(bytes, from, to));
    if let Some(end) = last_end {
        state.records_end = end;
    }
}

fn walk_quotes(dialect: &Dialect, quote: u8, bytes: &[u8], at_end: bool, state: &mut ScanState) {
    while state.position < bytes.len() {
        if state.in_quotes {
            match find_closing(dialect, quote, bytes, state.position, at_end) {
                Closing::At(position) => {
                    state.position = position + 1;
                    state.in_quotes = false;
                }
                Closing::Unknown(position) => {
                    state.position = position;
                    return;
                }
            }
        } else {
            let from = state.position;
            let opening = memchr::memchr_iter(quote, &bytes[from..])
                .map(|relative| from + relative)
                .find(|&position| starts_field(dialect, bytes, position));
            let Some(opening) = opening else {
                pass_outside(bytes, at_end, state);
                return;
            };
            state.stretches.push((from, opening));
            state.in_quotes = true;
            state.position = opening + 1;
        }
    }
}

/// No quote opens in the rest. A carriage return at its very end is looked at again when it is known whether a
/// line feed follows.
fn pass_outside(bytes: &[u8], at_end: bool, state: &mut ScanState) {
    let undecided = !at_end && bytes.last() == Some(&b'\r') && state.position < bytes.len();
    let end = bytes.len() - usize::from(undecided);
    state.stretches.push((state.position, end));
    state.position = end;
}

/// Where a quoted field closes.
pub(super) enum Closing {
    /// The closing quote.
    At(usize),
    /// Not decided by the bytes at hand; the search goes on from this position.
    Unknown(usize),
}

/// Finds the closing quote of a field whose content is looked at from `position` on.
pub(super) fn find_closing(
    dialect: &Dialect,
    quote: u8,
    bytes: &[u8],
    mut position: usize,
    at_end: bool,
) -> Closing {
    let escape = dialect.escape.unwrap_or(quote);
    loop {
        let rest = bytes.get(position..).unwrap_or_default();
        let Some(relative) = memchr::memchr2(quote, escape, rest) else {
            return Closing::Unknown(bytes.len());
        };
        let found = position + relative;
        let next = bytes.get(found + 1).copied();
        if bytes[found] == escape {
            match next {
                None if !at_end => return Closing::Unknown(found),
                Some(byte) if byte == quote || byte == escape => position = found + 2,
                _ if escape == quote => return Closing::At(found),
                _ => position = found + 1,
            }
        } else {
            return Closing::At(found);
        }
    }
}

fn starts_field(dialect: &Dialect, bytes: &[u8], position: usize) -> bool {
    match position.checked_sub(1).and_then(|before| bytes.get(before)) {
        None => true,
        Some(&byte) => byte == dialect.delimiter || byte == b'\n' || byte == b'\r',
    }
}

/// The end of the last record that ends in a stretch without quoted text.
fn last_record_end(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let last = memchr::memrchr2(b'\n', b'\r', bytes.get(from..to)?)?;
    Some(from + last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans `text` at once and byte by byte; both must find the same last record end.
    fn check(dialect: &Dialect, text: &str, expected: usize) {
        let bytes = text.as_bytes();
        let mut whole = ScanState::default();
        scan(dialect, bytes, false, &mut whole);
        assert_eq!(whole.records_end, expected, "{text:?}");
        let mut stepwise = ScanState::default();
        for length in 1..=bytes.len() {
            scan(dialect, &bytes[..length], false, &mut stepwise);
        }
        assert_eq!(stepwise.records_end, expected, "{text:?} byte by byte");
    }

    #[test]
    fn record_ends() {
        let dialect = Dialect::default();
        check(&dialect, "", 0);
        check(&dialect, "a,b", 0);
        check(&dialect, "a,b\nc", 4);
        check(&dialect, "a\r\nb\r\nc", 6);
        check(&dialect, "a\rb\rc", 4);
        check(&dialect, "a,\"x\ny\"\nz", 8);
        check(&dialect, "a,\"x\ny", 0);
        check(&dialect, "a,\"x\"\"\n\"\"y\"\nb,\"", 12);
        check(&dialect, "a,x\"y\nb,\"\n", 6);
        check(&dialect, "5\" disk\n6\" disk\n", 16);
        check(&dialect, "\"a\"\n\"b\n", 4);
        check(&dialect, "a, \"b\nc\n", 8);
    }

    #[test]
    fn a_carriage_return_at_the_end_waits_for_its_line_feed() {
        let dialect = Dialect::default();
        check(&dialect, "a\nb\r", 2);
        let mut state = ScanState::default();
        scan(&dialect, b"a\nb\r", true, &mut state);
        assert_eq!(state.records_end, 4);
    }

    #[test]
    fn an_escape_that_is_not_the_quote() {
        let dialect = Dialect { escape: Some(b'\\'), ..Dialect::default() };
        check(&dialect, "\"a\\\"\n\"\nb", 7);
        check(&dialect, "\"a\\\\\"\nb", 6);
        check(&dialect, "a\\\"\nb", 4);
        check(&dialect, "\"a\\n\"\nb", 6);
    }

    #[test]
    fn without_a_quote_character_every_line_end_counts() {
        let dialect = Dialect { quote: None, ..Dialect::default() };
        check(&dialect, "\"a\n\"b\nc", 6);
    }
}
