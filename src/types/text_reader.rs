//! A cursor over the bytes of a text, with the pieces that temporal forms share.

use super::calendar::days_from_date;

/// The bytes without surrounding ASCII space.
#[inline]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    match text {
        [first, .., last] if !first.is_ascii_whitespace() && !last.is_ascii_whitespace() => text,
        _ => text.trim_ascii(),
    }
}

/// Reads a text from its start.
#[derive(Debug, Clone)]
pub(crate) struct TextReader<'t> {
    text: &'t [u8],
}

impl<'t> TextReader<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        TextReader { text }
    }

    pub fn at_end(&self) -> bool {
        self.text.is_empty()
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.first().copied()
    }

    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        self.text = rest;
        Some(*first)
    }

    pub fn accept(&mut self, letter: u8) -> bool {
        let found = self.peek() == Some(letter);
        if found {
            self.text = &self.text[1..];
        }
        found
    }

    pub fn skip_space(&mut self) {
        self.text = self.text.trim_ascii_start();
    }

    /// The letters up to the next other byte.
    pub fn word(&mut self) -> &'t [u8] {
        let end =
            self.text.iter().position(|letter| !letter.is_ascii_alphabetic()).unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        word
    }

    /// The digits up to the next other byte.
    pub fn digits(&mut self) -> &'t [u8] {
        let end = self.text.iter().position(|letter| !letter.is_ascii_digit()).unwrap_or(self.text.len());
        let (digits, rest) = self.text.split_at(end);
        self.text = rest;
        digits
    }

    /// Exactly one or two digits.
    fn pair(&mut self) -> Option<u8> {
        let digits = self.digits();
        if digits.is_empty() || digits.len() > 2 {
            return None;
        }
        Some(digits.iter().fold(0, |value, digit| value * 10 + (digit - b'0')))
    }

    /// A number of at most 18 digits.
    pub fn number(&mut self) -> Option<i64> {
        let digits = self.digits();
        if digits.is_empty() || digits.len() > 18 {
            return None;
        }
        Some(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    /// A year with an optional sign; a year without a sign has at least one digit.
    pub fn year(&mut self) -> Option<i64> {
        let negative = self.accept(b'-');
        if !negative {
            self.accept(b'+');
        }
        let year = self.number()?;
        Some(if negative { -year } else { year })
    }

    /// `YYYY-MM-DD` or with slashes.
    pub fn date(&mut self) -> Option<i64> {
        let year = self.year()?;
        let separator = self.next().filter(|letter| matches!(letter, b'-' | b'/'))?;
        let month = self.pair()?;
        if !self.accept(separator) {
            return None;
        }
        days_from_date(year, month, self.pair()?)
    }

    /// `HH:MM[:SS[.fraction]]` as nanoseconds; hours from 0 to 23.
    pub fn time_of_day(&mut self) -> Option<i64> {
        let hours = self.pair().filter(|hours| *hours < 24)?;
        if !self.accept(b':') {
            return None;
        }
        let minutes = self.pair().filter(|minutes| *minutes < 60)?;
        let mut nanos = (i64::from(hours) * 60 + i64::from(minutes)) * 60_000_000_000;
        if self.accept(b':') {
            let seconds = self.pair().filter(|seconds| *seconds < 60)?;
            nanos += i64::from(seconds) * 1_000_000_000 + self.fraction()?;
        }
        Some(nanos)
    }

    /// An optional fraction of a second as nanoseconds; digits beyond the ninth are cut off.
    pub fn fraction(&mut self) -> Option<i64> {
        if !self.accept(b'.') && !self.accept(b',') {
            return Some(0);
        }
        let digits = self.digits();
        if digits.is_empty() {
            return None;
        }
        let nanos = (0..9).map(|position| digits.get(position).map_or(0, |digit| i64::from(digit - b'0')));
        Some(nanos.fold(0, |value, digit| value * 10 + digit))
    }

    /// `Z`, `UTC`, `+HH`, `+HHMM`, `+HH:MM[:SS]`, or a letter followed by one of the latter, as seconds.
    pub fn offset(&mut self) -> Option<i32> {
        let zulu = self.accept(b'Z') || self.accept(b'z') || self.accept_word(b"UTC");
        if zulu && self.at_end() {
            return Some(0);
        }
        let sign = match self.next()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let digits = self.digits();
        let number =
            digits.iter().fold(0i32, |value, digit| value.saturating_mul(10) + i32::from(digit - b'0'));
        let (hours, mut minutes) = match digits.len() {
            1 | 2 => (number, 0),
            4 => (number / 100, number % 100),
            _ => return None,
        };
        let mut seconds = 0;
        if digits.len() <= 2 && self.accept(b':') {
            minutes = i32::from(self.pair()?);
            if self.accept(b':') {
                seconds = i32::from(self.pair()?);
            }
        }
        let valid = hours <= 18 && minutes < 60 && seconds < 60;
        valid.then_some(sign * (hours * 3600 + minutes * 60 + seconds))
    }

    fn accept_word(&mut self, word: &[u8]) -> bool {
        match self.text.split_at_checked(word.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(word) => {
                self.text = rest;
                true
            }
            _ => false,
        }
    }
}
