//! What can go wrong with one value, as data.

use super::DataType;

/// A result about one value or type.
pub type TypeResult<T> = Result<T, TypeError>;

/// Faults of a value or of the text that should become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypeError {
    /// The text is no value of the type.
    #[error("'{text}' is not {}{}", .data_type.with_article(), detail_suffix(.detail))]
    Parse { data_type: DataType, text: String, detail: &'static str },
    /// The value exists, but the type cannot hold it.
    #[error("{value} is out of the range of {data_type}")]
    OutOfRange { data_type: DataType, value: String },
    /// The number has a fraction, and the type has whole numbers only.
    #[error("{value} has a fraction, which {} cannot hold", .data_type.with_article())]
    Fraction { data_type: DataType, value: String },
    /// The text names no type.
    #[error("unknown data type '{text}'{}", detail_suffix(.detail))]
    UnknownType { text: String, detail: &'static str },
    /// The time zone database does not know the zone.
    #[error("unknown time zone '{name}'")]
    UnknownZone { name: String },
    /// A value of one type stands where another is needed.
    #[error("a value of type {found} stands where {expected} is needed")]
    Mismatch { expected: DataType, found: DataType },
}

impl DataType {
    /// The type's name as the end of "this is not …".
    pub fn with_article(&self) -> String {
        let name = self.to_string();
        let article = if name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
        format!("{article} {name}")
    }
}

fn detail_suffix(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

impl TypeError {
    /// A parse error that quotes at most 80 characters of the text.
    pub fn parse(data_type: &DataType, text: &[u8], detail: &'static str) -> Self {
        let text = String::from_utf8_lossy(text);
        let text = match text.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.into_owned(),
        };
        TypeError::Parse { data_type: data_type.clone(), text, detail }
    }

    /// An out-of-range error for any printable value.
    pub fn out_of_range(data_type: &DataType, value: impl std::fmt::Display) -> Self {
        TypeError::OutOfRange { data_type: data_type.clone(), value: value.to_string() }
    }
}
