//! Numbers, strings, names and parameters.

use super::{Builder, Pair, Result, Rule};
use crate::parser::ast::{Literal, Parameter, Span};
use crate::parser::error::{ParseError, ParseErrorKind};

/// A name without its backticks; a doubled backtick inside stands for one.
pub(super) fn unquoted(text: &str) -> String {
    match text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => text.to_owned(),
    }
}

impl Builder<'_> {
    pub(super) fn literal(&self, pair: Pair<'_>) -> Result<Literal> {
        match pair.as_rule() {
            Rule::null => Ok(Literal::Null),
            Rule::boolean => Ok(Literal::Boolean(pair.as_str().eq_ignore_ascii_case("true"))),
            Rule::float => self.float(pair),
            Rule::string => Ok(Literal::String(self.string(pair)?)),
            _ => Ok(Literal::Integer(self.integer(pair)?)),
        }
    }

    /// A whole number in any of its three notations.
    pub(super) fn integer(&self, pair: Pair<'_>) -> Result<i128> {
        let digits = pair.as_str().replace('_', "");
        let parsed = match pair.as_rule() {
            Rule::hexadecimal => i128::from_str_radix(&digits[2..], 16),
            Rule::octal => i128::from_str_radix(&digits[2..], 8),
            _ => digits.parse(),
        };
        match parsed {
            Ok(number) => Ok(number),
            Err(_) => self.invalid(self.span(&pair), "this number is too large"),
        }
    }

    /// A whole number that counts something: a bound, a length.
    pub(super) fn unsigned(&self, pair: Pair<'_>) -> Result<u64> {
        let span = self.span(&pair);
        match u64::try_from(self.integer(pair)?) {
            Ok(number) => Ok(number),
            Err(_) => self.invalid(span, "this number is too large"),
        }
    }

    fn float(&self, pair: Pair<'_>) -> Result<Literal> {
        match pair.as_str().replace('_', "").parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Literal::Float(number)),
            _ => self.invalid(self.span(&pair), "this number is too large for 64 bits"),
        }
    }

    pub(super) fn parameter(&self, pair: Pair<'_>) -> Parameter {
        let name = unquoted(pair.as_str().trim_start_matches('$'));
        Parameter { name, span: self.span(&pair) }
    }

    /// A string with its escapes resolved.
    pub(super) fn string(&self, pair: Pair<'_>) -> Result<String> {
        let text = pair.as_str();
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
        if !inner.contains('\\') {
            return Ok(inner.to_owned());
        }
        let start = self.base + pair.start() + 1;
        self.unescape(inner, start)
    }

    fn unescape(&self, inner: &str, start: u32) -> Result<String> {
        let mut result = String::with_capacity(inner.len());
        let mut rest = inner;
        while let Some(position) = rest.find('\\') {
            result.push_str(&rest[..position]);
            let escape = &rest[position..];
            let at = start + (inner.len() - escape.len()) as u32;
            let length = self.escape(escape, at, &mut result)?;
            rest = &escape[length..];
        }
        result.push_str(rest);
        Ok(result)
    }

    /// Resolves the escape at the start of `text` and returns its length in bytes.
    fn escape(&self, text: &str, at: u32, result: &mut String) -> Result<usize> {
        let Some(sign) = text[1..].chars().next() else {
            return self.invalid(Span::new(at, at + 1), "a string cannot end in a backslash");
        };
        let character = match sign {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '0' => '\0',
            '\\' | '\'' | '"' | '`' | '/' | '%' => sign,
            'u' => return self.unicode(text, 4, at, result),
            'U' => return self.unicode(text, 8, at, result),
            // The text form of BLOB values: `\xAB` is left for the conversion.
            'x' => {
                result.push_str("\\x");
                return Ok(2);
            }
            _ => {
                let span = Span::new(at, at + 1 + sign.len_utf8() as u32);
                let message = format!("`\\{sign}` is not an escape");
                let mut error = ParseError::new(ParseErrorKind::InvalidLiteral, span, self.text, message);
                error.hint = Some("Write `\\\\` for a backslash".to_owned());
                return Err(Box::new(error));
            }
        };
        result.push(character);
        Ok(2)
    }

    /// `\uXXXX`, where two may form one character, or `\UXXXXXXXX`.
    fn unicode(&self, text: &str, digits: usize, at: u32, result: &mut String) -> Result<usize> {
        let length = 2 + digits;
        let Some(first) = hexadecimal(text, 2, digits) else {
            let span = Span::new(at, at + 2);
            return self.invalid(span, format!("{digits} hexadecimal digits are wanted behind this"));
        };
        if let Some(character) = char::from_u32(first) {
            result.push(character);
            return Ok(length);
        }
        let second = text.get(length..length + 2).filter(|sign| *sign == "\\u");
        let second = second.and_then(|_| hexadecimal(text, length + 2, 4));
        match second.and_then(|second| surrogates(first, second)) {
            Some(character) => {
                result.push(character);
                Ok(length + 6)
            }
            None => self.invalid(Span::new(at, at + length as u32), "this is not a character of Unicode"),
        }
    }

    fn invalid<T>(&self, span: Span, message: impl Into<String>) -> Result<T> {
        self.error(ParseErrorKind::InvalidLiteral, span, message)
    }
}

fn hexadecimal(text: &str, from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The character that two halves of UTF-16 form.
fn surrogates(high: u32, low: u32) -> Option<char> {
    let (high, low) = (u16::try_from(high).ok()?, u16::try_from(low).ok()?);
    char::decode_utf16([high, low]).next()?.ok()
}
