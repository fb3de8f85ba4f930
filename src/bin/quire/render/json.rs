//! Results as JSON, written straight from the columns.
//!
//! A DOUBLE always shows a point or an exponent; what JSON's numbers cannot carry exactly (DECIMAL, INT128, UUID, NaN,
//! infinities, points in time) is a string.

use std::io;

use quiredb::vector::{ValueVector, Values};
use quiredb::{
    DataType, Error, GlobalId, NodeValue, Phase, QueryResult, QueryStream, RelValue, ResultColumn, Value,
};

use super::text::{Fault, for_each_row, stream_rows};
use crate::output::Output;

/// One statement's answer in one line.
pub fn write_result(result: &QueryResult, output: &mut Output) -> io::Result<()> {
    let out = &mut output.buffer;
    out.extend_from_slice(b"{\"columns\":");
    write_list(out, result.columns(), |out, name| write_string(out, name));
    out.extend_from_slice(b",\"types\":");
    write_list(out, result.types(), |out, data_type| write_string(out, &data_type.to_string()));
    out.extend_from_slice(b",\"rows\":[");
    let mut first = true;
    for_each_row(result, |columns, row| {
        let out = &mut output.buffer;
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.push(b'[');
        for (position, (column, data_type)) in columns.iter().zip(result.types()).enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_cell(out, column, data_type, row);
        }
        out.push(b']');
        output.drain()
    })?;
    let summary = result.summary();
    let elapsed = summary.compile_time + summary.execution_time;
    let out = &mut output.buffer;
    out.extend_from_slice(b"],\"elapsed_ms\":");
    // Microseconds are exact enough, and short.
    write_double(out, (elapsed.as_secs_f64() * 1e6).round() / 1e3);
    if summary.wrote {
        write_changes(out, result);
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn write_changes(out: &mut Vec<u8>, result: &QueryResult) {
    let changes = &result.summary().changes;
    let counts = [
        ("nodes_created", changes.nodes_created),
        ("nodes_deleted", changes.nodes_deleted),
        ("rels_created", changes.rels_created),
        ("rels_deleted", changes.rels_deleted),
        ("properties_set", changes.properties_set),
        ("labels_added", changes.labels_added),
    ];
    out.extend_from_slice(b",\"stats\":{");
    for (position, (name, count)) in counts.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }
    out.push(b'}');
}

/// One object per row.
pub fn write_rows(stream: &mut QueryStream, output: &mut Output) -> Result<(), Fault> {
    let (names, types) = (stream.columns().to_vec(), stream.types().to_vec());
    let row = |output: &mut Output, columns: &[ResultColumn], row: usize| {
        let out = &mut output.buffer;
        out.push(b'{');
        let cells = names.iter().zip(columns).zip(&types);
        for (position, ((name, column), data_type)) in cells.enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_string(out, name);
            out.push(b':');
            write_cell(out, column, data_type, row);
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    };
    stream_rows(stream, output, |_| Ok(()), row)
}

/// What went wrong, in one line; line and column stand there when the error has a place.
pub fn write_error(error: &Error, out: &mut Vec<u8>) {
    let phase = match error.phase() {
        Phase::Compile => "compile",
        Phase::Runtime => "runtime",
    };
    let place = error.span().map(|span| (span.line, span.column));
    write_fault(out, error.kind().code(), phase, error.message(), place, error.hint());
}

/// The parts of an error in one line.
pub fn write_fault(
    out: &mut Vec<u8>,
    code: &str,
    phase: &str,
    message: &str,
    place: Option<(u32, u32)>,
    hint: Option<&str>,
) {
    out.extend_from_slice(b"{\"error\":{\"code\":");
    write_string(out, code);
    out.extend_from_slice(b",\"phase\":");
    write_string(out, phase);
    out.extend_from_slice(b",\"message\":");
    write_string(out, message);
    if let Some((line, column)) = place {
        out.extend_from_slice(b",\"line\":");
        out.extend_from_slice(itoa::Buffer::new().format(line).as_bytes());
        out.extend_from_slice(b",\"column\":");
        out.extend_from_slice(itoa::Buffer::new().format(column).as_bytes());
    }
    if let Some(hint) = hint {
        out.extend_from_slice(b",\"hint\":");
        write_string(out, hint);
    }
    out.extend_from_slice(b"}}\n");
}

/// The common types go straight from the column to the text.
fn write_cell(out: &mut Vec<u8>, column: &ResultColumn, data_type: &DataType, row: usize) {
    match column.vector() {
        Some(vector) if vector.is_null(row) => out.extend_from_slice(b"null"),
        Some(vector) if write_plain(out, &vector, data_type, row) => {}
        _ => write_value(out, &column.value(row)),
    }
}

/// Writes numbers, booleans and strings; false for everything else.
fn write_plain(out: &mut Vec<u8>, vector: &ValueVector<'_>, data_type: &DataType, row: usize) -> bool {
    match (vector.values(), data_type) {
        (Some(Values::I64(numbers)), DataType::Int64 | DataType::Serial) => {
            let Some(number) = numbers.get(row) else { return false };
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        (Some(Values::I32(numbers)), DataType::Int32) => {
            let Some(number) = numbers.get(row) else { return false };
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        (Some(Values::F64(numbers)), DataType::Double) => {
            let Some(number) = numbers.get(row) else { return false };
            write_double(out, *number);
        }
        (Some(Values::Str(_)), DataType::String) => {
            let Some(text) = vector.text_at(row) else { return false };
            write_string(out, text);
        }
        (Some(Values::Bool(_)), DataType::Bool) => {
            let Some(value) = vector.bool_at(row) else { return false };
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
        _ => return false,
    }
    true
}

/// Any value.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int8(number) => push_integer(out, *number),
        Value::Int16(number) => push_integer(out, *number),
        Value::Int32(number) => push_integer(out, *number),
        Value::Int64(number) => push_integer(out, *number),
        Value::UInt8(number) => push_integer(out, *number),
        Value::UInt16(number) => push_integer(out, *number),
        Value::UInt32(number) => push_integer(out, *number),
        Value::UInt64(number) => push_integer(out, *number),
        Value::Float(number) => write_float(out, *number),
        Value::Double(number) => write_double(out, *number),
        Value::String(text) => write_string(out, text),
        Value::Json(text) => write_json(out, text),
        Value::List(elements) => write_list(out, elements, write_value),
        Value::Struct(fields) => write_fields(out, fields.iter().map(|(name, value)| (name.as_str(), value))),
        Value::Map(entries) => write_map(out, entries),
        Value::Union(_, value) => write_value(out, value),
        Value::Node(node) => write_node(out, node),
        Value::Rel(rel) => write_rel(out, rel),
        Value::Path(path) => {
            out.extend_from_slice(b"{\"_nodes\":");
            write_list(out, &path.nodes, write_node);
            out.extend_from_slice(b",\"_rels\":");
            write_list(out, &path.rels, write_rel);
            out.push(b'}');
        }
        Value::Timestamp(..)
        | Value::TimestampTz(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::LocalTime(_)
        | Value::LocalDateTime(_)
        | Value::DateTime(_)
        | Value::Interval(_) => write_string(out, &value.iso_text()),
        Value::Int128(_) | Value::Decimal(..) | Value::Blob(_) | Value::Uuid(_) | Value::Id(_) => {
            write_string(out, &value.to_string());
        }
    }
}

fn push_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        write_string(out, special_number(number));
    }
}

fn write_float(out: &mut Vec<u8>, number: f32) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else {
        write_string(out, special_number(f64::from(number)));
    }
}

fn special_number(number: f64) -> &'static str {
    match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// A JSON value stands as it is, in one line; what turns out to be none is a string.
fn write_json(out: &mut Vec<u8>, text: &str) {
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        // Line ends can only stand between its parts.
        Ok(raw) => {
            out.extend(raw.get().bytes().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }))
        }
        Err(_) => write_string(out, text),
    }
}

/// An object where all keys are strings, else pairs.
fn write_map(out: &mut Vec<u8>, entries: &[(Value, Value)]) {
    if entries.iter().all(|(key, _)| matches!(key, Value::String(_))) {
        write_fields(out, entries.iter().map(|(key, value)| (key.as_str().unwrap_or(""), value)));
        return;
    }
    write_list(out, entries, |out, (key, value)| {
        out.push(b'[');
        write_value(out, key);
        out.push(b',');
        write_value(out, value);
        out.push(b']');
    });
}

fn write_fields<'v>(out: &mut Vec<u8>, fields: impl Iterator<Item = (&'v str, &'v Value)>) {
    out.push(b'{');
    for (position, (name, value)) in fields.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_value(out, value);
    }
    out.push(b'}');
}

fn write_node(out: &mut Vec<u8>, node: &NodeValue) {
    out.extend_from_slice(b"{\"_id\":");
    write_id(out, node.id);
    out.extend_from_slice(b",\"_labels\":");
    write_list(out, &node.labels, |out, label| write_string(out, label));
    out.extend_from_slice(b",\"_label\":");
    match node.labels.first() {
        Some(label) => write_string(out, label),
        None => out.extend_from_slice(b"null"),
    }
    write_properties(out, &node.properties);
}

fn write_rel(out: &mut Vec<u8>, rel: &RelValue) {
    out.extend_from_slice(b"{\"_id\":");
    write_id(out, rel.id);
    out.extend_from_slice(b",\"_src\":");
    write_id(out, rel.src);
    out.extend_from_slice(b",\"_dst\":");
    write_id(out, rel.dst);
    out.extend_from_slice(b",\"_label\":");
    write_string(out, &rel.label);
    write_properties(out, &rel.properties);
}

/// Properties after the fields that every entity has, and the end of the object. A property that is NULL is none.
fn write_properties(out: &mut Vec<u8>, properties: &[(String, Value)]) {
    for (name, value) in properties.iter().filter(|(_, value)| !value.is_null()) {
        out.push(b',');
        write_string(out, name);
        out.push(b':');
        write_value(out, value);
    }
    out.push(b'}');
}

fn write_id(out: &mut Vec<u8>, id: GlobalId) {
    out.push(b'"');
    push_integer(out, id.table().0);
    out.push(b':');
    push_integer(out, id.offset());
    out.push(b'"');
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A string with JSON's escapes; whole stretches without any are copied at once.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (position, byte) in bytes.iter().enumerate() {
        if *byte >= b' ' && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[start..position]);
        start = position + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(control >> 4)]);
                out.push(DIGITS[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use quiredb::types::{PathValue, TableId, TimestampUnit};

    use super::*;

    fn check(value: Value, expected: &str) {
        let mut out = Vec::new();
        write_value(&mut out, &value);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, expected);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn scalars() {
        check(Value::Null, "null");
        check(Value::Int64(i64::MIN), "-9223372036854775808");
        check(Value::UInt64(u64::MAX), "18446744073709551615");
        check(Value::Int128(i128::MAX), "\"170141183460469231731687303715884105727\"");
        check(Value::Double(1.0), "1.0");
        check(Value::Double(1e300), "1e300");
        check(Value::Double(-0.0), "-0.0");
        check(Value::Float(0.1), "0.1");
        check(Value::Double(f64::NAN), "\"NaN\"");
        check(Value::Double(f64::NEG_INFINITY), "\"-Infinity\"");
        check(Value::Decimal(-1_250, 18, 3), "\"-1.250\"");
        check(Value::Blob(vec![0, b'a', 255]), "\"\\\\x00a\\\\xFF\"");
    }

    #[test]
    fn strings() {
        check(Value::from("a\"b\\c\nd\u{1}é😀"), "\"a\\\"b\\\\c\\nd\\u0001é😀\"");
        check(Value::Json("{\"a\":\n [1, 2]}".to_owned()), "{\"a\":  [1, 2]}");
        check(Value::Json("no json".to_owned()), "\"no json\"");
    }

    #[test]
    fn points_in_time() {
        check(Value::Date(0), "\"1970-01-01\"");
        check(Value::Timestamp(TimestampUnit::Us, 1_500_000), "\"1970-01-01T00:00:01.5\"");
        check(Value::TimestampTz(0), "\"1970-01-01T00:00:00Z\"");
        check(Value::LocalTime(0), "\"00:00\"");
    }

    #[test]
    fn nested_values() {
        check(Value::List(vec![Value::Int64(1), Value::Null]), "[1,null]");
        check(Value::Struct(vec![("a".to_owned(), Value::Bool(true))]), "{\"a\":true}");
        check(Value::Map(vec![(Value::from("k"), Value::Int64(1))]), "{\"k\":1}");
        check(Value::Map(vec![(Value::Int64(1), Value::from("v"))]), "[[1,\"v\"]]");
        check(Value::Union("a".to_owned(), Box::new(Value::Int64(1))), "1");
    }

    #[test]
    fn entities() {
        let node = NodeValue {
            id: GlobalId::new(TableId(0), 5),
            labels: vec!["P".to_owned()],
            properties: vec![("id".to_owned(), Value::Int64(5)), ("gone".to_owned(), Value::Null)],
        };
        let rel = RelValue {
            id: GlobalId::new(TableId(1), 9),
            src: node.id,
            dst: GlobalId::new(TableId(0), 6),
            label: "E".to_owned(),
            properties: Vec::new(),
        };
        let shown_node = "{\"_id\":\"0:5\",\"_labels\":[\"P\"],\"_label\":\"P\",\"id\":5}";
        let shown_rel = "{\"_id\":\"1:9\",\"_src\":\"0:5\",\"_dst\":\"0:6\",\"_label\":\"E\"}";
        check(Value::Node(Box::new(node.clone())), shown_node);
        check(Value::Rel(Box::new(rel.clone())), shown_rel);
        let path = PathValue { nodes: vec![node], rels: vec![rel] };
        let shown = format!("{{\"_nodes\":[{shown_node}],\"_rels\":[{shown_rel}]}}");
        check(Value::Path(Box::new(path)), &shown);
    }
}
