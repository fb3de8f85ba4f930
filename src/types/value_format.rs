//! Values as text: `Display` is the form of Kuzu's shell, `iso_text` that of openCypher, `csv_text` reads back.

use std::fmt;

use super::format::{
    blob_text, date_text, date_time_iso, date_time_text, f32_text, f64_text, offset_text, time_iso,
    time_text, timestamp_nanos, uuid_text, zoned_iso,
};
use super::interval_text::{interval_iso, interval_text};
use super::{NodeValue, RelValue, Value, decimal};

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => formatter.write_str("NULL"),
            Value::Bool(value) => write!(formatter, "{value}"),
            Value::Int8(value) => write!(formatter, "{value}"),
            Value::Int16(value) => write!(formatter, "{value}"),
            Value::Int32(value) => write!(formatter, "{value}"),
            Value::Int64(value) => write!(formatter, "{value}"),
            Value::Int128(value) => write!(formatter, "{value}"),
            Value::UInt8(value) => write!(formatter, "{value}"),
            Value::UInt16(value) => write!(formatter, "{value}"),
            Value::UInt32(value) => write!(formatter, "{value}"),
            Value::UInt64(value) => write!(formatter, "{value}"),
            Value::Float(value) => formatter.write_str(&f32_text(*value)),
            Value::Double(value) => formatter.write_str(&f64_text(*value)),
            Value::Decimal(value, _, scale) => formatter.write_str(&decimal::to_text(*value, *scale)),
            Value::String(text) | Value::Json(text) => formatter.write_str(text),
            Value::Blob(bytes) => formatter.write_str(&blob_text(bytes)),
            Value::Uuid(value) => formatter.write_str(&uuid_text(*value)),
            Value::Date(days) => formatter.write_str(&date_text(*days)),
            Value::Time(time) => {
                write!(formatter, "{}{}", time_text(time.nanos), offset_text(time.offset_seconds))
            }
            Value::LocalTime(nanos) => formatter.write_str(&time_text(*nanos)),
            Value::LocalDateTime(nanos) => formatter.write_str(&date_time_text(*nanos, ' ')),
            Value::DateTime(value) => formatter.write_str(&zoned_iso(value)),
            Value::Timestamp(unit, value) => {
                formatter.write_str(&date_time_text(timestamp_nanos(*value, *unit), ' '))
            }
            Value::TimestampTz(value) => {
                write!(formatter, "{}+00", date_time_text(i128::from(*value) * 1_000, ' '))
            }
            Value::Interval(interval) => formatter.write_str(&interval_text(interval)),
            Value::List(elements) => write_list(formatter, elements),
            Value::Struct(fields) => write_fields(formatter, fields),
            Value::Map(entries) => write_map(formatter, entries),
            Value::Union(_, value) => write!(formatter, "{value}"),
            Value::Node(node) => write_node(formatter, node),
            Value::Rel(rel) => write_rel(formatter, rel),
            Value::Path(path) => {
                formatter.write_str("{_NODES: ")?;
                write_all(formatter, &path.nodes, write_node)?;
                formatter.write_str(", _RELS: ")?;
                write_all(formatter, &path.rels, write_rel)?;
                formatter.write_str("}")
            }
            Value::Id(id) => write!(formatter, "{id}"),
        }
    }
}

fn write_list(formatter: &mut fmt::Formatter<'_>, elements: &[Value]) -> fmt::Result {
    formatter.write_str("[")?;
    for (position, element) in elements.iter().enumerate() {
        formatter.write_str(if position == 0 { "" } else { "," })?;
        // A null inside a list is shown as nothing, as Kuzu does.
        if !element.is_null() {
            write!(formatter, "{element}")?;
        }
    }
    formatter.write_str("]")
}

fn write_map(formatter: &mut fmt::Formatter<'_>, entries: &[(Value, Value)]) -> fmt::Result {
    formatter.write_str("{")?;
    for (position, (key, value)) in entries.iter().enumerate() {
        formatter.write_str(if position == 0 { "" } else { ", " })?;
        write!(formatter, "{key}=")?;
        if !value.is_null() {
            write!(formatter, "{value}")?;
        }
    }
    formatter.write_str("}")
}

fn write_fields(formatter: &mut fmt::Formatter<'_>, fields: &[(String, Value)]) -> fmt::Result {
    formatter.write_str("{")?;
    for (position, (name, value)) in fields.iter().enumerate() {
        formatter.write_str(if position == 0 { "" } else { ", " })?;
        write!(formatter, "{name}: ")?;
        if !value.is_null() {
            write!(formatter, "{value}")?;
        }
    }
    formatter.write_str("}")
}

fn write_all<T>(
    formatter: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    formatter.write_str("[")?;
    for (position, item) in items.iter().enumerate() {
        formatter.write_str(if position == 0 { "" } else { "," })?;
        write(formatter, item)?;
    }
    formatter.write_str("]")
}

fn write_node(formatter: &mut fmt::Formatter<'_>, node: &NodeValue) -> fmt::Result {
    write!(formatter, "{{_ID: {}, _LABEL: {}", node.id, node.labels.join(":"))?;
    write_properties(formatter, &node.properties)?;
    formatter.write_str("}")
}

fn write_rel(formatter: &mut fmt::Formatter<'_>, rel: &RelValue) -> fmt::Result {
    write!(formatter, "({})-{{_LABEL: {}, _ID: {}", rel.src, rel.label, rel.id)?;
    write_properties(formatter, &rel.properties)?;
    write!(formatter, "}}->({})", rel.dst)
}

fn write_properties(formatter: &mut fmt::Formatter<'_>, properties: &[(String, Value)]) -> fmt::Result {
    properties
        .iter()
        .filter(|(_, value)| !value.is_null())
        .try_for_each(|(name, value)| write!(formatter, ", {name}: {value}"))
}

impl Value {
    /// The text of openCypher's `toString` and of JSON results: temporal values in ISO 8601, the rest as shown.
    pub fn iso_text(&self) -> String {
        match self {
            Value::Time(time) => format!("{}{}", time_iso(time.nanos), offset_text(time.offset_seconds)),
            Value::LocalTime(nanos) => time_iso(*nanos),
            Value::LocalDateTime(nanos) => date_time_iso(*nanos),
            Value::Timestamp(unit, value) => date_time_text(timestamp_nanos(*value, *unit), 'T'),
            Value::TimestampTz(value) => format!("{}Z", date_time_text(i128::from(*value) * 1_000, 'T')),
            Value::Interval(interval) => interval_iso(interval),
            other => other.to_string(),
        }
    }

    /// A text that `parse_text` reads back as the same value of the same type, also inside nested values.
    pub fn csv_text(&self) -> String {
        match self {
            Value::List(elements) => {
                let parts: Vec<_> = elements.iter().map(Value::nested_text).collect();
                format!("[{}]", parts.join(","))
            }
            Value::Struct(fields) => {
                let part =
                    |(name, value): &(String, Value)| format!("{}: {}", quoted(name), value.nested_text());
                format!("{{{}}}", fields.iter().map(part).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let part =
                    |(key, value): &(Value, Value)| format!("{}={}", key.nested_text(), value.nested_text());
                format!("{{{}}}", entries.iter().map(part).collect::<Vec<_>>().join(", "))
            }
            Value::Union(_, value) => value.csv_text(),
            other => other.to_string(),
        }
    }

    fn nested_text(&self) -> String {
        match self {
            Value::List(_) | Value::Struct(_) | Value::Map(_) => self.csv_text(),
            Value::Union(_, value) => value.nested_text(),
            Value::String(text) => quoted(text),
            Value::Json(_) | Value::Blob(_) => quoted(&self.to_string()),
            other => other.to_string(),
        }
    }
}

/// The text itself where it is a plain word, else in single quotes with backslashes before quotes and backslashes.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")) }
}
