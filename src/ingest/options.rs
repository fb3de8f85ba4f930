//! How a CSV is written, and what a load tolerates: the options of COPY.

use crate::types::Value;

use super::row_error::{CsvError, CsvResult};

/// The characters that give a CSV its structure. The default is RFC 4180; nothing is guessed from the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Between two fields.
    pub delimiter: u8,
    /// Around a field that may hold delimiters, line ends and quotes; `None`: no field is quoted.
    pub quote: Option<u8>,
    /// Before a quote or another escape inside a quoted field; `None`: the quote itself.
    pub escape: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None }
    }
}

/// What happens to bad rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorPolicy {
    /// The first bad row in file order ends the load.
    #[default]
    Stop,
    /// Bad rows are counted, kept as rejects and passed over, at most so many of them.
    Ignore { limit: u64 },
}

/// The options of one load.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvOptions {
    /// The structure of the text.
    pub dialect: Dialect,
    /// Whether the first record of each file names the columns and is no data.
    pub header: bool,
    /// How many physical lines at the start of each file are passed over, before any header.
    pub skip: u64,
    /// Unquoted texts that mean NULL.
    pub null_strings: Vec<String>,
    /// Whether several threads may parse.
    pub parallel: bool,
    /// Whether a list may stand without its brackets.
    pub list_unbraced: bool,
    /// What happens to bad rows.
    pub errors: ErrorPolicy,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            dialect: Dialect::default(),
            header: false,
            skip: 0,
            null_strings: vec![String::new()],
            parallel: true,
            list_unbraced: false,
            errors: ErrorPolicy::Stop,
        }
    }
}

impl CsvOptions {
    /// Reads the options of a statement. Names are compared without regard to case; a name that is given twice
    /// or unknown, a value of the wrong type and characters that contradict each other are errors.
    pub fn from_pairs<'v>(pairs: impl IntoIterator<Item = (&'v str, &'v Value)>) -> CsvResult<Self> {
        let mut options = CsvOptions::default();
        let mut seen: Vec<&'static str> = Vec::new();
        for (name, value) in pairs {
            let canonical = options.set(name, value)?;
            if seen.contains(&canonical) {
                return Err(CsvError::option(name, "it is given more than once"));
            }
            seen.push(canonical);
        }
        options.check()?;
        Ok(options)
    }

    /// Sets one option; its name without synonyms.
    fn set(&mut self, name: &str, value: &Value) -> CsvResult<&'static str> {
        let upper = name.to_ascii_uppercase();
        let canonical = match upper.as_str() {
            "HEADER" => {
                self.header = boolean(name, value)?;
                "HEADER"
            }
            "DELIM" | "DELIMITER" | "SEP" | "SEPARATOR" => {
                self.dialect.delimiter = character(name, value)?
                    .ok_or_else(|| CsvError::option(name, "it needs one character"))?;
                "DELIM"
            }
            "QUOTE" => {
                self.dialect.quote = character(name, value)?;
                "QUOTE"
            }
            "ESCAPE" => {
                self.dialect.escape = character(name, value)?;
                "ESCAPE"
            }
            "SKIP" => {
                self.skip = count(name, value)?;
                "SKIP"
            }
            "NULL_STRINGS" | "NULL" | "NULLSTR" => {
                self.null_strings = texts(name, value)?;
                "NULL_STRINGS"
            }
            "PARALLEL" => {
                self.parallel = boolean(name, value)?;
                "PARALLEL"
            }
            "LIST_UNBRACED" => {
                self.list_unbraced = boolean(name, value)?;
                "LIST_UNBRACED"
            }
            "IGNORE_ERRORS" => {
                self.errors = error_policy(name, value)?;
                "IGNORE_ERRORS"
            }
            "AUTO_DETECT" | "AUTODETECT" => {
                boolean(name, value)?;
                "AUTO_DETECT"
            }
            "SAMPLE_SIZE" => {
                count(name, value)?;
                "SAMPLE_SIZE"
            }
            "ENCODING" => {
                encoding(name, value)?;
                "ENCODING"
            }
            _ => {
                return Err(CsvError::option(
                    name,
                    "it is unknown; known are HEADER, DELIM, QUOTE, ESCAPE, SKIP, NULL_STRINGS, PARALLEL, \
                     LIST_UNBRACED, IGNORE_ERRORS, AUTO_DETECT, SAMPLE_SIZE and ENCODING",
                ));
            }
        };
        Ok(canonical)
    }

    pub(super) fn check(&self) -> CsvResult<()> {
        let Dialect { delimiter, quote, escape } = self.dialect;
        for (name, byte) in [("DELIM", Some(delimiter)), ("QUOTE", quote), ("ESCAPE", escape)] {
            if byte.is_some_and(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
                return Err(CsvError::option(name, "a line end or a zero byte has another meaning"));
            }
        }
        if quote == Some(delimiter) {
            return Err(CsvError::option("QUOTE", "it is the same character as DELIM"));
        }
        if escape == Some(delimiter) {
            return Err(CsvError::option("ESCAPE", "it is the same character as DELIM"));
        }
        Ok(())
    }
}

fn boolean(name: &str, value: &Value) -> CsvResult<bool> {
    let text = value.as_str().map(str::to_ascii_lowercase);
    match (value, text.as_deref()) {
        (Value::Bool(value), _) => Ok(*value),
        (_, Some("true")) => Ok(true),
        (_, Some("false")) => Ok(false),
        _ => Err(CsvError::option(name, "it needs true or false")),
    }
}

fn count(name: &str, value: &Value) -> CsvResult<u64> {
    value
        .as_i64()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| CsvError::option(name, "it needs an integer that is not negative"))
}

/// One character of ASCII; the empty text is none. The two characters `\t` are a tab, as in a shell.
fn character(name: &str, value: &Value) -> CsvResult<Option<u8>> {
    let text = value.as_str().ok_or_else(|| CsvError::option(name, "it needs a text of one character"))?;
    match text.as_bytes() {
        [] => Ok(None),
        b"\\t" => Ok(Some(b'\t')),
        [byte] if byte.is_ascii() => Ok(Some(*byte)),
        _ => Err(CsvError::option(name, format!("it needs one ASCII character and got '{text}'"))),
    }
}

fn texts(name: &str, value: &Value) -> CsvResult<Vec<String>> {
    let wrong = || CsvError::option(name, "it needs a list of texts");
    match value {
        Value::List(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        other => other.as_str().map(|text| vec![text.to_owned()]).ok_or_else(wrong),
    }
}

fn error_policy(name: &str, value: &Value) -> CsvResult<ErrorPolicy> {
    if value.as_i64().is_some() {
        return Ok(ErrorPolicy::Ignore { limit: count(name, value)? });
    }
    let ignore = boolean(name, value)
        .map_err(|_| CsvError::option(name, "it needs true, false, or how many rows may be rejected"))?;
    Ok(if ignore { ErrorPolicy::Ignore { limit: u64::MAX } } else { ErrorPolicy::Stop })
}

fn encoding(name: &str, value: &Value) -> CsvResult<()> {
    let text = value.as_str().unwrap_or_default();
    if text.eq_ignore_ascii_case("utf-8") || text.eq_ignore_ascii_case("utf8") {
        return Ok(());
    }
    Err(CsvError::option(name, "only 'UTF-8' is read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, Value)], expected: Result<CsvOptions, &str>) {
        let found = CsvOptions::from_pairs(pairs.iter().map(|(name, value)| (*name, value)));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error} lacks {part}"),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn defaults_are_rfc_4180_without_a_header() {
        check(&[], Ok(CsvOptions::default()));
        check(&[("auto_detect", true.into()), ("Encoding", "utf-8".into())], Ok(CsvOptions::default()));
    }

    #[test]
    fn names_and_synonyms() {
        let tab = Dialect { delimiter: b'\t', quote: Some(b'\''), escape: Some(b'\\') };
        let expected = CsvOptions { dialect: tab, header: true, skip: 2, ..CsvOptions::default() };
        let pairs = |delim: &'static str, text: &'static str| {
            [
                (delim, Value::from(text)),
                ("quote", "'".into()),
                ("Escape", "\\".into()),
                ("HEADER", true.into()),
                ("skip", 2i64.into()),
            ]
        };
        check(&pairs("sep", "\t"), Ok(expected.clone()));
        check(&pairs("DELIMITER", "\\t"), Ok(expected));
        let nulls = vec!["".to_string(), "NA".to_string()];
        let list = Value::List(vec!["".into(), "NA".into()]);
        check(&[("NULL_STRINGS", list)], Ok(CsvOptions { null_strings: nulls, ..CsvOptions::default() }));
        let limit = ErrorPolicy::Ignore { limit: 10 };
        check(&[("IGNORE_ERRORS", 10i64.into())], Ok(CsvOptions { errors: limit, ..CsvOptions::default() }));
    }

    #[test]
    fn faults_name_the_option() {
        check(&[("HEDER", true.into())], Err("HEDER"));
        check(&[("header", 1i64.into())], Err("option header: it needs true or false"));
        check(&[("DELIM", "||".into())], Err("option DELIM"));
        check(&[("DELIM", "".into())], Err("option DELIM"));
        check(&[("DELIM", "é".into())], Err("one ASCII character"));
        check(&[("QUOTE", ",".into())], Err("same character"));
        check(&[("DELIM", "\n".into())], Err("line end"));
        check(&[("sep", ";".into()), ("DELIM", ",".into())], Err("more than once"));
        check(&[("SKIP", (-1i64).into())], Err("option SKIP"));
        check(&[("NULL_STRINGS", 1i64.into())], Err("list of texts"));
        check(&[("ENCODING", "latin1".into())], Err("UTF-8"));
    }
}
