//! Values of any type from text, nested ones as CSV cells hold them: `[1,2]`, `{a: 1}`, `{k=v, …}`.

use super::parse::{
    parse_blob, parse_bool, parse_date, parse_date_time, parse_decimal, parse_f32, parse_f64, parse_i128,
    parse_local_date_time, parse_local_time, parse_time, parse_timestamp_unit, parse_uuid,
};
use super::{DataType, Field, TimestampUnit, TypeError, TypeResult, Value, interval_text::parse_interval};

/// Deeper cells are refused; the types of columns are no deeper.
const DEPTH_MAX: usize = 64;

/// A value of a type from its text. Empty text is a value for STRING, BLOB and JSON only; the caller decides what is
/// null.
pub fn parse_text(text: &str, data_type: &DataType) -> TypeResult<Value> {
    match data_type {
        DataType::List(_) | DataType::Array(..) | DataType::Struct(_) | DataType::Map(..) => {
            let mut reader = NestedReader { whole: text, text, data_type };
            let value = reader.value(data_type, 0)?;
            if !reader.text.trim().is_empty() {
                return Err(reader.error("text follows the value"));
            }
            Ok(value)
        }
        DataType::Union(fields) => parse_union(text, data_type, fields),
        _ => parse_scalar(text, data_type),
    }
}

/// The first member whose type can read the text.
fn parse_union(text: &str, data_type: &DataType, fields: &[Field]) -> TypeResult<Value> {
    let member = |field: &Field| Some((field.name.clone(), parse_text(text, &field.data_type).ok()?));
    match fields.iter().find_map(member) {
        Some((name, value)) => Ok(Value::Union(name, Box::new(value))),
        None => Err(TypeError::parse(data_type, text.as_bytes(), "it fits no member")),
    }
}

fn parse_scalar(text: &str, data_type: &DataType) -> TypeResult<Value> {
    let bytes = text.as_bytes();
    let parsed = match data_type {
        DataType::Bool => parse_bool(bytes).map(Value::Bool),
        DataType::Float => parse_f32(bytes).map(Value::Float),
        DataType::Double => parse_f64(bytes).map(Value::Double),
        DataType::Decimal { precision, scale } => {
            parse_decimal(bytes, *precision, *scale).map(|value| Value::Decimal(value, *precision, *scale))
        }
        DataType::String | DataType::Any => Some(Value::String(text.to_owned())),
        DataType::Json => Some(Value::Json(text.to_owned())),
        DataType::Blob => parse_blob(bytes).map(Value::Blob),
        DataType::Uuid => parse_uuid(bytes).map(Value::Uuid),
        DataType::Date => parse_date(bytes).map(Value::Date),
        DataType::Time => parse_time(bytes).map(Value::Time),
        DataType::LocalTime => parse_local_time(bytes).map(Value::LocalTime),
        DataType::LocalDateTime => parse_local_date_time(bytes).map(Value::LocalDateTime),
        DataType::DateTime => parse_date_time(bytes).map(Value::DateTime),
        DataType::Timestamp(unit) => {
            parse_timestamp_unit(bytes, *unit).map(|value| Value::Timestamp(*unit, value))
        }
        DataType::TimestampTz => parse_timestamp_unit(bytes, TimestampUnit::Us).map(Value::TimestampTz),
        DataType::Interval => parse_interval(bytes).map(Value::Interval),
        _ if data_type.is_integer() => return parse_integer(text, data_type),
        _ => return Err(TypeError::parse(data_type, bytes, "the type has no text form")),
    };
    parsed.ok_or_else(|| TypeError::parse(data_type, bytes, ""))
}

fn parse_integer(text: &str, data_type: &DataType) -> TypeResult<Value> {
    let wide = parse_i128(text.as_bytes()).ok_or_else(|| TypeError::parse(data_type, text.as_bytes(), ""))?;
    integer_value(wide, data_type).ok_or_else(|| TypeError::out_of_range(data_type, text.trim()))
}

/// An integer as a value of an integer type; none if it does not fit.
pub fn integer_value(number: i128, data_type: &DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Int8 => Value::Int8(number.try_into().ok()?),
        DataType::Int16 => Value::Int16(number.try_into().ok()?),
        DataType::Int32 => Value::Int32(number.try_into().ok()?),
        DataType::Int64 | DataType::Serial => Value::Int64(number.try_into().ok()?),
        DataType::Int128 => Value::Int128(number),
        DataType::UInt8 => Value::UInt8(number.try_into().ok()?),
        DataType::UInt16 => Value::UInt16(number.try_into().ok()?),
        DataType::UInt32 => Value::UInt32(number.try_into().ok()?),
        DataType::UInt64 => Value::UInt64(number.try_into().ok()?),
        _ => return None,
    })
}

struct NestedReader<'t> {
    whole: &'t str,
    text: &'t str,
    data_type: &'t DataType,
}

impl<'t> NestedReader<'t> {
    fn error(&self, detail: &'static str) -> TypeError {
        TypeError::parse(self.data_type, self.whole.as_bytes(), detail)
    }

    fn accept(&mut self, letter: char) -> bool {
        self.text = self.text.trim_start();
        match self.text.strip_prefix(letter) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, data_type: &DataType, depth: usize) -> TypeResult<Value> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.text = self.text.trim_start();
        let opens = self.text.starts_with(['[', '{']);
        match data_type {
            DataType::List(element) if opens => self.list(element, None, depth),
            DataType::Array(element, length) if opens => self.list(element, Some(*length), depth),
            DataType::Struct(fields) if opens => self.structure(fields, depth),
            DataType::Map(key, value) if opens => self.map(key, value, depth),
            _ => self.leaf(data_type, &[',', ']', '}']),
        }
    }

    fn list(&mut self, element: &DataType, length: Option<u32>, depth: usize) -> TypeResult<Value> {
        let mut elements = Vec::new();
        if !self.accept('[') {
            return Err(self.error("'[' is missing"));
        }
        if !self.accept(']') {
            loop {
                elements.push(self.value(element, depth + 1)?);
                if self.accept(']') {
                    break;
                }
                if !self.accept(',') {
                    return Err(self.error("']' is missing"));
                }
            }
        }
        if length.is_some_and(|length| length as usize != elements.len()) {
            return Err(self.error("the number of elements is not that of the type"));
        }
        Ok(Value::List(elements))
    }

    fn structure(&mut self, fields: &[Field], depth: usize) -> TypeResult<Value> {
        let mut values: Vec<(String, Value)> =
            fields.iter().map(|field| (field.name.clone(), Value::Null)).collect();
        if !self.accept('{') {
            return Err(self.error("'{' is missing"));
        }
        if self.accept('}') {
            return Ok(Value::Struct(values));
        }
        loop {
            let name = self.token(&[':', '='])?.0;
            if !self.accept(':') && !self.accept('=') {
                return Err(self.error("':' is missing after a field's name"));
            }
            let known = fields.iter().position(|field| field.name.eq_ignore_ascii_case(name.trim()));
            let position = known.ok_or_else(|| self.error("a field is not in the type"))?;
            values[position].1 = self.value(&fields[position].data_type, depth + 1)?;
            if self.accept('}') {
                return Ok(Value::Struct(values));
            }
            if !self.accept(',') {
                return Err(self.error("'}' is missing"));
            }
        }
    }

    fn map(&mut self, key_type: &DataType, value_type: &DataType, depth: usize) -> TypeResult<Value> {
        let mut entries = Vec::new();
        if !self.accept('{') {
            return Err(self.error("'{' is missing"));
        }
        if self.accept('}') {
            return Ok(Value::Map(entries));
        }
        loop {
            self.text = self.text.trim_start();
            let opens = self.text.starts_with(['[', '{']);
            let key = if opens { self.value(key_type, depth + 1)? } else { self.leaf(key_type, &['='])? };
            if !self.accept('=') {
                return Err(self.error("'=' is missing after a key"));
            }
            entries.push((key, self.value(value_type, depth + 1)?));
            if self.accept('}') {
                return Ok(Value::Map(entries));
            }
            if !self.accept(',') {
                return Err(self.error("'}' is missing"));
            }
        }
    }

    fn leaf(&mut self, data_type: &DataType, ends: &[char]) -> TypeResult<Value> {
        let (token, is_quoted) = self.token(ends)?;
        if !is_quoted && (token.is_empty() || token.eq_ignore_ascii_case("null")) {
            return Ok(Value::Null);
        }
        parse_text(&token, data_type)
    }

    /// The text up to one of the ends outside brackets, or a quoted text. A quote counts only where it opens the text
    /// and where an end follows the one that closes it; any other quote is a letter.
    fn token(&mut self, ends: &[char]) -> TypeResult<(String, bool)> {
        self.text = self.text.trim_start();
        if let Some((token, rest)) = quoted(self.text, ends) {
            self.text = rest;
            return Ok((token, true));
        }
        let mut depth = 0usize;
        for (position, letter) in self.text.char_indices() {
            if depth == 0 && ends.contains(&letter) {
                let (token, rest) = self.text.split_at(position);
                self.text = rest;
                return Ok((token.trim_end().to_owned(), false));
            }
            match letter {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Err(self.error("a bracket is not closed"))
    }
}

/// A quoted text at the start and what follows it.
fn quoted<'t>(text: &'t str, ends: &[char]) -> Option<(String, &'t str)> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '\'' | '"'))?;
    let mut token = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((position, letter)) = letters.next() {
        if letter == '\\' {
            token.push(letters.next()?.1);
        } else if letter == quote {
            let rest = text[position + 1..].trim_start();
            return rest.starts_with(ends).then_some((token, rest));
        } else {
            token.push(letter);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, data_type: &str, shown: &str) {
        let data_type = DataType::parse(data_type).unwrap();
        let value = parse_text(text, &data_type).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(value.to_string(), shown);
        assert_eq!(parse_text(&value.csv_text(), &data_type).unwrap(), value);
    }

    fn refuse(text: &str, data_type: &str) {
        let data_type = DataType::parse(data_type).unwrap();
        assert!(parse_text(text, &data_type).is_err(), "{text}");
    }

    #[test]
    fn nested_cells_are_read() {
        check("[1, 2,3]", "INT64[]", "[1,2,3]");
        check("[]", "INT64[]", "[]");
        check("[[1],[],[2,3]]", "INT64[][]", "[[1],[],[2,3]]");
        check("[1,NULL,]", "INT64[]", "[1,,]");
        check("{a: 1, b: [x, 'y, z']}", "STRUCT(a INT64, b STRING[])", "{a: 1, b: [x,y, z]}");
        check("{b: 2}", "STRUCT(a INT64, b INT64)", "{a: , b: 2}");
        check("{k=1, 'a=b'=2}", "MAP(STRING, INT64)", "{k=1, a=b=2}");
        check(
            "{1={m: x, x: [1.5,2]}}",
            "MAP(INT64, STRUCT(m STRING, x DOUBLE[2]))",
            "{1={m: x, x: [1.5,2.0]}}",
        );
        check("['', 'null', null]", "STRING[]", "[,null,]");
        check("[2011-08-20 11:25:30]", "TIMESTAMP[]", "[2011-08-20 11:25:30]");
    }

    #[test]
    fn a_quote_inside_a_word_is_a_letter() {
        check("[ZCRB1:m7G(5')pppAm-capped]", "STRING[]", "[ZCRB1:m7G(5')pppAm-capped]");
        check("['tis, it's]", "STRING[]", "['tis,it's]");
    }

    #[test]
    fn unions_take_the_first_member_that_fits() {
        let data_type = DataType::parse("UNION(n INT64, s STRING)").unwrap();
        let number = Value::Union("n".into(), Box::new(Value::Int64(5)));
        assert_eq!(parse_text("5", &data_type).unwrap(), number);
        let text = Value::Union("s".into(), Box::new(Value::String("x".into())));
        assert_eq!(parse_text("x", &data_type).unwrap(), text);
    }

    #[test]
    fn broken_cells_are_refused() {
        refuse("[1,2", "INT64[]");
        refuse("[1]x", "INT64[]");
        refuse("[a]", "INT64[]");
        refuse("[1]", "INT64[2]");
        refuse("{c: 1}", "STRUCT(a INT64)");
        refuse("300", "UINT8");
        refuse(&"[".repeat(100_000), "INT64[]");
    }
}
