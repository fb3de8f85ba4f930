//! `:param NAME JSON`: JSON as a value of the database. Integers stay exact at any size that INT128 holds.

use std::fmt;

use quiredb::Value;
use serde_json::value::RawValue;

/// Lists and objects may stand so deep in each other.
const DEPTH_MAX: usize = 100;

/// Reads one JSON value. `NaN`, `Infinity` and `-Infinity`, which some programs write, are understood on their own.
pub fn parse_value(text: &str) -> Result<Value, String> {
    match text.trim() {
        "NaN" => Ok(Value::Double(f64::NAN)),
        "Infinity" => Ok(Value::Double(f64::INFINITY)),
        "-Infinity" => Ok(Value::Double(f64::NEG_INFINITY)),
        text => {
            let raw: &RawValue =
                serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
            convert(raw, 0)
        }
    }
}

fn convert(raw: &RawValue, depth: usize) -> Result<Value, String> {
    let text = raw.get();
    if depth > DEPTH_MAX {
        return Err(format!("the value is nested deeper than {DEPTH_MAX} levels"));
    }
    let broken = |error: serde_json::Error| format!("this is no JSON: {error}");
    match text.as_bytes().first() {
        Some(b'n') => Ok(Value::Null),
        Some(b't') => Ok(Value::Bool(true)),
        Some(b'f') => Ok(Value::Bool(false)),
        Some(b'"') => serde_json::from_str(text).map(Value::String).map_err(broken),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(broken)?;
            elements
                .into_iter()
                .map(|element| convert(element, depth + 1))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Some(b'{') => {
            let Fields(fields) = serde_json::from_str(text).map_err(broken)?;
            let fields = fields.into_iter().map(|(name, value)| Ok((name, convert(value, depth + 1)?)));
            fields.collect::<Result<_, String>>().map(Value::Struct)
        }
        _ => number(text),
    }
}

fn number(text: &str) -> Result<Value, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Value::Int64(number));
        }
        if let Ok(number) = text.parse::<i128>() {
            return Ok(Value::Int128(number));
        }
    }
    text.parse::<f64>().map(Value::Double).map_err(|_| format!("{text} is no number"))
}

/// The fields of an object in their order.
struct Fields<'t>(Vec<(String, &'t RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fields<'de>, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match fields.iter_mut().find(|(known, _)| *known == name) {
                        Some(field) => field.1 = value,
                        None => fields.push((name, value)),
                    }
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_values() {
        let check = |text: &str, expected: Value| assert_eq!(parse_value(text), Ok(expected), "{text}");
        check("null", Value::Null);
        check(" true ", Value::Bool(true));
        check("7", Value::Int64(7));
        check("-9223372036854775809", Value::Int128(-9_223_372_036_854_775_809));
        check("7.0", Value::Double(7.0));
        check("1e2", Value::Double(100.0));
        check("\"a\\n\\ud83d\\ude00;\"", Value::String("a\n😀;".to_owned()));
        check("Infinity", Value::Double(f64::INFINITY));
        check(
            "{\"b\": [1, \"x\"], \"a\": {}, \"b\": 2}",
            Value::Struct(vec![
                ("b".to_owned(), Value::Int64(2)),
                ("a".to_owned(), Value::Struct(Vec::new())),
            ]),
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "x", "[1", "'a'", "1 2", "01", "{\"a\" 1}", "[NaN]"] {
            assert!(parse_value(text).is_err(), "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
        assert!(parse_value(&deep).is_err());
        assert!(parse_value(&deep[1..deep.len() - 1]).is_ok());
        assert!(parse_value(&"[".repeat(100_000)).is_err());
    }
}
