//! The three relations of openCypher: equality, which may be unknown; orderability, a total order over all values; and
//! equivalence, by which rows are grouped.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::format::{f64_text, timestamp_nanos};
use super::{NodeValue, PathValue, RelValue, Value, decimal};

impl Value {
    /// `self = other` in three-valued logic; none is unknown. Values of different kinds are not equal.
    pub fn equals(&self, other: &Value) -> Option<bool> {
        match (self, other) {
            (Value::Null, _) | (_, Value::Null) => None,
            (Value::List(left), Value::List(right)) => {
                if left.len() != right.len() {
                    return Some(false);
                }
                all_equal(left.iter().zip(right).map(|(left, right)| left.equals(right)))
            }
            (Value::Struct(left), Value::Struct(right)) => {
                if left.len() != right.len() {
                    return Some(false);
                }
                all_equal(left.iter().map(
                    |(name, value)| match right.iter().find(|(other, _)| other == name) {
                        Some((_, other)) => value.equals(other),
                        None => Some(false),
                    },
                ))
            }
            (Value::Map(left), Value::Map(right)) => {
                if left.len() != right.len() {
                    return Some(false);
                }
                all_equal(left.iter().map(|(key, value)| {
                    match right.iter().find(|(other, _)| other.equivalent(key)) {
                        Some((_, other)) => value.equals(other),
                        None => Some(false),
                    }
                }))
            }
            (Value::Union(_, left), right) => left.equals(right),
            (left, Value::Union(_, right)) => left.equals(right),
            _ if self.is_nan() || other.is_nan() => Some(false),
            _ => Some(self.order(other) == Ordering::Equal),
        }
    }

    /// `self < other` and its like: none where a null, NaN or values of different kinds make it unknown.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        let comparable = self.rank() == other.rank()
            && !self.is_null()
            && !self.is_nan()
            && !other.is_nan()
            && !matches!(
                self,
                Value::Node(_) | Value::Rel(_) | Value::Path(_) | Value::Struct(_) | Value::Map(_)
            );
        match (self, other) {
            (Value::List(left), Value::List(right)) => compare_lists(left, right),
            _ => comparable.then(|| self.order(other)),
        }
    }

    /// Whether grouping puts both into one group: null is null, NaN is NaN, 1 is 1.0.
    pub fn equivalent(&self, other: &Value) -> bool {
        self.order(other) == Ordering::Equal
    }

    /// The total order of ORDER BY: maps, nodes, relationships, lists, paths, temporal values, strings, truth values,
    /// numbers, null.
    pub fn order(&self, other: &Value) -> Ordering {
        self.rank().cmp(&other.rank()).then_with(|| self.order_within(other))
    }

    fn is_nan(&self) -> bool {
        match self {
            Value::Float(value) => value.is_nan(),
            Value::Double(value) => value.is_nan(),
            _ => false,
        }
    }

    /// The place of the value's kind in the total order.
    fn rank(&self) -> u8 {
        match self {
            Value::Struct(_) | Value::Map(_) => 0,
            Value::Node(_) => 1,
            Value::Rel(_) => 2,
            Value::List(_) => 3,
            Value::Path(_) => 4,
            Value::Id(_) => 5,
            Value::DateTime(_) => 6,
            Value::LocalDateTime(_) => 7,
            Value::Timestamp(..) | Value::TimestampTz(_) => 8,
            Value::Date(_) => 9,
            Value::Time(_) => 10,
            Value::LocalTime(_) => 11,
            Value::Interval(_) => 12,
            Value::String(_) => 13,
            Value::Json(_) => 14,
            Value::Blob(_) => 15,
            Value::Uuid(_) => 16,
            Value::Bool(_) => 17,
            Value::Union(_, value) => value.rank(),
            Value::Null => 19,
            _ => 18,
        }
    }

    /// The order of two values of one rank.
    fn order_within(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Union(_, left), right) => left.order_within(right),
            (left, Value::Union(_, right)) => left.order_within(right),
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::String(left), Value::String(right)) | (Value::Json(left), Value::Json(right)) => {
                left.cmp(right)
            }
            (Value::Blob(left), Value::Blob(right)) => left.cmp(right),
            (Value::Uuid(left), Value::Uuid(right)) => left.cmp(right),
            (Value::Date(left), Value::Date(right)) => left.cmp(right),
            (Value::Time(left), Value::Time(right)) => left.cmp(right),
            (Value::LocalTime(left), Value::LocalTime(right)) => left.cmp(right),
            (Value::LocalDateTime(left), Value::LocalDateTime(right)) => left.cmp(right),
            (Value::DateTime(left), Value::DateTime(right)) => left.cmp(right),
            (Value::Interval(left), Value::Interval(right)) => left.cmp(right),
            (Value::Id(left), Value::Id(right)) => left.cmp(right),
            (Value::List(left), Value::List(right)) => order_lists(left, right),
            (Value::Node(left), Value::Node(right)) => left.id.cmp(&right.id),
            (Value::Rel(left), Value::Rel(right)) => left.id.cmp(&right.id),
            (Value::Path(left), Value::Path(right)) => order_paths(left, right),
            (Value::Struct(_) | Value::Map(_), Value::Struct(_) | Value::Map(_)) => order_maps(self, other),
            _ => match (self.instant(), other.instant()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => order_numbers(self, other),
            },
        }
    }

    /// Nanoseconds of a TIMESTAMP of any unit.
    fn instant(&self) -> Option<i128> {
        match self {
            Value::Timestamp(unit, value) => Some(timestamp_nanos(*value, *unit)),
            Value::TimestampTz(value) => Some(i128::from(*value) * 1_000),
            _ => None,
        }
    }
}

fn all_equal(outcomes: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut unknown = false;
    for outcome in outcomes {
        match outcome {
            Some(false) => return Some(false),
            Some(true) => {}
            None => unknown = true,
        }
    }
    if unknown { None } else { Some(true) }
}

fn compare_lists(left: &[Value], right: &[Value]) -> Option<Ordering> {
    for (left, right) in left.iter().zip(right) {
        match left.compare(right)? {
            Ordering::Equal => {}
            order => return Some(order),
        }
    }
    Some(left.len().cmp(&right.len()))
}

fn order_lists(left: &[Value], right: &[Value]) -> Ordering {
    let differing = left.iter().zip(right).map(|(left, right)| left.order(right)).find(|order| order.is_ne());
    differing.unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// By the ids of nodes and relationships in turn.
fn order_paths(left: &PathValue, right: &PathValue) -> Ordering {
    let ids = |path: &PathValue| -> Vec<_> {
        let nodes = path.nodes.iter().map(|node: &NodeValue| node.id);
        let rels = path.rels.iter().map(|rel: &RelValue| rel.id);
        nodes.chain(rels).collect()
    };
    left.nodes.len().cmp(&right.nodes.len()).then_with(|| ids(left).cmp(&ids(right)))
}

/// Maps are equal whatever the order of their keys: sorted keys decide, then values.
fn order_maps(left: &Value, right: &Value) -> Ordering {
    let entries = |value: &Value| -> Vec<(Value, Value)> {
        let mut entries: Vec<(Value, Value)> = match value {
            Value::Struct(fields) => {
                fields.iter().map(|(name, value)| (Value::String(name.clone()), value.clone())).collect()
            }
            Value::Map(entries) => entries.clone(),
            _ => Vec::new(),
        };
        entries.sort_by(|(left, _), (right, _)| left.order(right));
        entries
    };
    let (left, right) = (entries(left), entries(right));
    let keys =
        left.iter().zip(&right).map(|((left, _), (right, _))| left.order(right)).find(|order| order.is_ne());
    let values = || {
        left.iter().zip(&right).map(|((_, left), (_, right))| left.order(right)).find(|order| order.is_ne())
    };
    left.len()
        .cmp(&right.len())
        .then(keys.unwrap_or(Ordering::Equal))
        .then_with(|| values().unwrap_or(Ordering::Equal))
}

/// A number by what can be compared without loss.
enum Number {
    Integer(i128),
    Decimal(i128, u8),
    Float(f64),
}

fn number(value: &Value) -> Number {
    match value {
        Value::Float(value) => Number::Float(f64::from(*value)),
        Value::Double(value) => Number::Float(*value),
        Value::Decimal(value, _, 0) => Number::Integer(*value),
        Value::Decimal(value, _, scale) => {
            // A decimal without a fraction is an integer; the scale of a decimal is at most 38.
            let unit = decimal::power_of_ten(*scale).unwrap_or(1);
            if value % unit == 0 { Number::Integer(value / unit) } else { Number::Decimal(*value, *scale) }
        }
        other => Number::Integer(other.as_i128().unwrap_or(0)),
    }
}

fn order_numbers(left: &Value, right: &Value) -> Ordering {
    match (number(left), number(right)) {
        (Number::Integer(left), Number::Integer(right)) => left.cmp(&right),
        (Number::Float(left), Number::Float(right)) => order_floats(left, right),
        (Number::Integer(left), Number::Float(right)) => order_integer_float(left, right),
        (Number::Float(left), Number::Integer(right)) => order_integer_float(right, left).reverse(),
        (Number::Float(left), right) => order_texts(&text_of(Number::Float(left)), &text_of(right)),
        (left, right) => order_texts(&text_of(left), &text_of(right)),
    }
}

/// NaN is the greatest number and equal to itself; zeros are equal.
pub fn order_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// Exact, also where the integer has more bits than the float.
pub fn order_integer_float(left: i128, right: f64) -> Ordering {
    if right.is_nan() || right >= 1.8e38 {
        return Ordering::Less;
    }
    if right <= -1.8e38 {
        return Ordering::Greater;
    }
    // Within the bounds above the floor is an integer; the conversion saturates only beyond i128, where it orders right.
    let floor = right.floor();
    left.cmp(&(floor as i128)).then(if right > floor { Ordering::Less } else { Ordering::Equal })
}

/// Digits with a point. A float that is no integer stands for its shortest text, which orders floats as their values
/// do and never meets an integer.
fn text_of(number: Number) -> String {
    match number {
        Number::Integer(value) => value.to_string(),
        Number::Decimal(value, scale) => decimal::to_text(value, scale),
        Number::Float(value) if value.is_finite() => format!("{value}"),
        Number::Float(value) => f64_text(value),
    }
}

fn order_texts(left: &str, right: &str) -> Ordering {
    let special = |text: &str| match text {
        "-Infinity" => -1,
        "Infinity" => 1,
        "NaN" => 2,
        _ => 0,
    };
    let order = special(left).cmp(&special(right));
    if order.is_ne() || special(left) != 0 {
        return order;
    }
    let negative =
        |text: &str| text.starts_with('-') && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    match (negative(left), negative(right)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => order_digits(left, right),
        (true, true) => order_digits(right, left),
    }
}

fn order_digits(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| -> (String, String) {
        let (whole, fraction) =
            text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
        (whole.trim_start_matches('0').to_owned(), fraction.trim_end_matches('0').to_owned())
    };
    let ((left, left_fraction), (right, right_fraction)) = (parts(left), parts(right));
    left.len()
        .cmp(&right.len())
        .then_with(|| left.cmp(&right))
        .then_with(|| left_fraction.cmp(&right_fraction))
}

/// Hashes an integer of any width: equal integers hash equally.
pub fn hash_integer<H: Hasher>(value: i128, state: &mut H) {
    match i64::try_from(value) {
        Ok(value) => value.hash(state),
        Err(_) => value.hash(state),
    }
}

/// Hashes a float so that it meets the integer that it equals; all NaN are one.
pub fn hash_float<H: Hasher>(value: f64, state: &mut H) {
    if value.fract() == 0.0 && value.abs() < 1.7e38 {
        hash_integer(value as i128, state);
    } else if value.is_nan() {
        f64::NAN.to_bits().hash(state);
    } else {
        value.to_bits().hash(state);
    }
}

/// A value as a key of a hash map, by equivalence.
#[derive(Debug, Clone)]
pub struct GroupKey(pub Value);

impl PartialEq for GroupKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.equivalent(&other.0)
    }
}

impl Eq for GroupKey {}

impl Hash for GroupKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_equivalence(state);
    }
}

impl Value {
    /// Feeds a hasher so that equivalent values hash equally.
    pub fn hash_equivalence<H: Hasher>(&self, state: &mut H) {
        if let Value::Union(_, value) = self {
            return value.hash_equivalence(state);
        }
        self.rank().hash(state);
        match self {
            Value::Null | Value::Union(..) => {}
            Value::Bool(value) => value.hash(state),
            Value::String(text) | Value::Json(text) => text.hash(state),
            Value::Blob(bytes) => bytes.hash(state),
            Value::Uuid(value) | Value::LocalDateTime(value) => value.hash(state),
            Value::Date(value) | Value::LocalTime(value) => value.hash(state),
            Value::Time(time) => time.hash(state),
            Value::DateTime(value) => (value.nanos, value.offset_seconds).hash(state),
            Value::Interval(interval) => interval.hash(state),
            Value::Id(id) => id.hash(state),
            Value::Timestamp(..) | Value::TimestampTz(_) => self.instant().hash(state),
            Value::List(elements) => {
                elements.len().hash(state);
                elements.iter().for_each(|element| element.hash_equivalence(state));
            }
            // The order of keys does not matter; the number of entries is enough for the rare key that is a map.
            Value::Struct(fields) => fields.len().hash(state),
            Value::Map(entries) => entries.len().hash(state),
            Value::Node(node) => node.id.hash(state),
            Value::Rel(rel) => rel.id.hash(state),
            Value::Path(path) => path.nodes.iter().for_each(|node| node.id.hash(state)),
            number_value => match number(number_value) {
                Number::Integer(value) => hash_integer(value, state),
                Number::Float(value) => hash_float(value, state),
                Number::Decimal(value, scale) => hash_float(decimal::to_f64(value, scale), state),
            },
        }
    }
}
