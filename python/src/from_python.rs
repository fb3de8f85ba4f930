//! Parameters: Python's values as the engine's.

use engine::types::TimestampUnit;
use engine::{Interval, Params, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::error::misused;
use super::to_python::{EPOCH_ORDINAL, classes};

const DAY_MICROS: i64 = 86_400_000_000;

/// All parameters of a call.
pub fn params(given: Option<&Bound<'_, PyDict>>) -> PyResult<Params> {
    let Some(given) = given else { return Ok(Params::new()) };
    let mut params = Params::with_capacity(given.len());
    for (name, value) in given.iter() {
        params.set(name.extract::<String>()?, value_of(&value, 0)?);
    }
    Ok(params)
}

/// Lists in lists in … of one parameter: a list may hold itself, and an object's `tolist` may give that object.
const DEPTH_MAX: usize = 200;

/// A value that stands inside `depth` others.
fn value_of(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > DEPTH_MAX {
        return Err(misused(&format!("a parameter nests deeper than {DEPTH_MAX} levels")));
    }
    let below = |one: &Bound<'_, PyAny>| value_of(one, depth + 1);
    if value.is_none() {
        return Ok(Value::Null);
    }
    // A truth is a number too, for Python.
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Value::Bool(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        return match value.extract::<i64>() {
            Ok(number) => Ok(Value::Int64(number)),
            Err(_) => big(value),
        };
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::String(text.extract::<String>()?));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Value::Double(value.extract::<f64>()?));
    }
    if let Ok(list) = value.cast::<PyList>() {
        return Ok(Value::List(list.iter().map(|one| below(&one)).collect::<PyResult<_>>()?));
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return Ok(Value::List(tuple.iter().map(|one| below(&one)).collect::<PyResult<_>>()?));
    }
    if let Ok(map) = value.cast::<PyDict>() {
        return map_of(map, &below);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Value::Blob(bytes.as_bytes().to_vec()));
    }
    other(value, &below)
}

/// Numbers beyond 64 bits; the interpreter's own text of them is exact.
fn big(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let text = value.str()?.extract::<String>()?;
    match text.parse::<i128>() {
        Ok(number) => Ok(Value::Int128(number)),
        Err(_) => Err(misused(&format!("{text} does not fit into 128 bits"))),
    }
}

/// Reads what stands one level below.
type Below<'r> = &'r dyn Fn(&Bound<'_, PyAny>) -> PyResult<Value>;

/// With texts as keys a struct, otherwise a map.
fn map_of(map: &Bound<'_, PyDict>, below: Below<'_>) -> PyResult<Value> {
    if map.iter().all(|(key, _)| key.is_instance_of::<PyString>()) {
        let field = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            Ok((key.extract::<String>()?, below(&value)?))
        };
        return Ok(Value::Struct(map.iter().map(field).collect::<PyResult<_>>()?));
    }
    let entry = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| Ok((below(&key)?, below(&value)?));
    Ok(Value::Map(map.iter().map(entry).collect::<PyResult<_>>()?))
}

fn other(value: &Bound<'_, PyAny>, below: Below<'_>) -> PyResult<Value> {
    let py = value.py();
    let classes = classes(py)?;
    let number = |name: &str| value.getattr(name)?.extract::<i64>();
    let is = |class: &Py<PyAny>| value.is_instance(class.bind(py));
    if is(&classes.datetime)? {
        let days = value.call_method0("toordinal")?.extract::<i64>()? - EPOCH_ORDINAL;
        let seconds = number("hour")? * 3600 + number("minute")? * 60 + number("second")?;
        let micros = days * DAY_MICROS + seconds * 1_000_000 + number("microsecond")?;
        let offset = value.call_method0("utcoffset")?;
        if offset.is_none() {
            return Ok(Value::Timestamp(TimestampUnit::Us, micros));
        }
        let of = |name: &str| offset.getattr(name)?.extract::<i64>();
        let offset = of("days")? * DAY_MICROS + of("seconds")? * 1_000_000 + of("microseconds")?;
        return Ok(Value::TimestampTz(micros - offset));
    }
    if is(&classes.date)? {
        return Ok(Value::Date(value.call_method0("toordinal")?.extract::<i64>()? - EPOCH_ORDINAL));
    }
    if is(&classes.time)? {
        if !value.call_method0("utcoffset")?.is_none() {
            return Err(misused("a time with a zone cannot be a parameter: give it as a text to time()"));
        }
        let seconds = number("hour")? * 3600 + number("minute")? * 60 + number("second")?;
        return Ok(Value::LocalTime((seconds * 1_000_000 + number("microsecond")?) * 1000));
    }
    if is(&classes.timedelta)? {
        let nanos = number("microseconds")? as i32 * 1000;
        return Ok(Value::Interval(Interval {
            months: 0,
            days: number("days")?,
            seconds: number("seconds")?,
            nanos,
        }));
    }
    if is(&classes.decimal)? {
        return decimal(value);
    }
    if is(&classes.uuid)? {
        return Ok(Value::String(value.str()?.extract::<String>()?));
    }
    // Numbers of other libraries know how to become one of Python's.
    if let Ok(number) = value.call_method0("__index__") {
        return below(&number);
    }
    if let Ok(number) = value.call_method0("__float__") {
        return below(&number);
    }
    if let Ok(list) = value.call_method0("tolist") {
        return below(&list);
    }
    Err(misused(&format!("a value of {} cannot be a parameter", value.get_type())))
}

fn decimal(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let text = value.call_method1("__format__", ("f",))?.extract::<String>()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let precision = digits.trim_start_matches('-').trim_start_matches('0').len().max(fraction.len()).max(1);
    match (digits.parse::<i128>(), precision) {
        (Ok(unscaled), ..=38) => Ok(Value::Decimal(unscaled, precision as u8, fraction.len() as u8)),
        _ => Err(misused(&format!("{text} is no DECIMAL of at most 38 digits"))),
    }
}
