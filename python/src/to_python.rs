//! Results: the engine's values as Python's.

use engine::types::TimestampUnit;
use engine::{GlobalId, Interval, NodeValue, PathValue, RelValue, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

/// `date.toordinal` of 1970-01-01.
pub const EPOCH_ORDINAL: i64 = 719_163;
/// `date.max.toordinal()`.
const LAST_ORDINAL: i64 = 3_652_059;

/// Classes of Python's library that values become.
pub struct Classes {
    pub date: Py<PyAny>,
    pub datetime: Py<PyAny>,
    pub time: Py<PyAny>,
    pub timedelta: Py<PyAny>,
    pub decimal: Py<PyAny>,
    pub uuid: Py<PyAny>,
    timezone: Py<PyAny>,
    /// The start of 1970, without and with a time zone.
    epoch: Py<PyAny>,
    utc_epoch: Py<PyAny>,
}

/// The classes, imported once.
pub fn classes(py: Python<'_>) -> PyResult<&Classes> {
    static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let datetime = module.getattr("datetime")?;
        let timezone = module.getattr("timezone")?;
        let utc = timezone.getattr("utc")?;
        Ok(Classes {
            date: module.getattr("date")?.unbind(),
            time: module.getattr("time")?.unbind(),
            timedelta: module.getattr("timedelta")?.unbind(),
            decimal: py.import("decimal")?.getattr("Decimal")?.unbind(),
            uuid: py.import("uuid")?.getattr("UUID")?.unbind(),
            epoch: datetime.call1((1970, 1, 1))?.unbind(),
            utc_epoch: datetime.call1((1970, 1, 1, 0, 0, 0, 0, utc))?.unbind(),
            datetime: datetime.unbind(),
            timezone: timezone.unbind(),
        })
    })
}

/// A value.
pub fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    if let Some(number) = value.as_i128() {
        return match i64::try_from(number) {
            Ok(number) => number.into_bound_py_any(py),
            Err(_) => py.import("builtins")?.getattr("int")?.call1((number.to_string(),)),
        };
    }
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(truth) => truth.into_bound_py_any(py),
        Value::Float(number) => f64::from(*number).into_bound_py_any(py),
        Value::Double(number) => number.into_bound_py_any(py),
        Value::String(text) | Value::Json(text) => Ok(PyString::new(py, text).into_any()),
        Value::Blob(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Value::List(values) => list(py, values),
        Value::Struct(fields) => {
            let map = PyDict::new(py);
            fields.iter().try_for_each(|(name, value)| map.set_item(name, object(py, value)?))?;
            Ok(map.into_any())
        }
        Value::Map(entries) => {
            let map = PyDict::new(py);
            entries.iter().try_for_each(|(key, value)| map.set_item(object(py, key)?, object(py, value)?))?;
            Ok(map.into_any())
        }
        Value::Union(_, value) => object(py, value),
        Value::Node(value) => node(py, value),
        Value::Rel(value) => rel(py, value),
        Value::Path(value) => path(py, value),
        Value::Id(id) => id_text(*id).into_bound_py_any(py),
        Value::Uuid(_) => classes(py)?.uuid.bind(py).call1((value.to_string(),)),
        Value::Decimal(..) => classes(py)?.decimal.bind(py).call1((value.to_string(),)),
        // What Python's classes cannot hold is told as text.
        temporal => match time_object(py, temporal) {
            Ok(Some(object)) => Ok(object),
            _ => temporal.to_string().into_bound_py_any(py),
        },
    }
}

fn list<'py>(py: Python<'py>, values: &[Value]) -> PyResult<Bound<'py, PyAny>> {
    let objects = values.iter().map(|value| object(py, value)).collect::<PyResult<Vec<_>>>()?;
    Ok(PyList::new(py, objects)?.into_any())
}

/// Points in time and the like, as far as Python has a class for them.
fn time_object<'py>(py: Python<'py>, value: &Value) -> PyResult<Option<Bound<'py, PyAny>>> {
    let classes = classes(py)?;
    let after = |epoch: &Py<PyAny>, micros: i128| {
        let Ok(micros) = i64::try_from(micros) else { return Ok(None) };
        let delta = classes.timedelta.bind(py).call1((0, 0, micros))?;
        epoch.bind(py).call_method1("__add__", (delta,)).map(Some)
    };
    let zone = |seconds: i32| {
        let delta = classes.timedelta.bind(py).call1((0, seconds))?;
        classes.timezone.bind(py).call1((delta,))
    };
    let clock = |nanos: i64, zone: Option<Bound<'py, PyAny>>| {
        let (seconds, micros) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 1000);
        let parts = (seconds / 3600, seconds / 60 % 60, seconds % 60, micros, zone);
        classes.time.bind(py).call1(parts).map(Some)
    };
    match value {
        Value::Date(days) => {
            let Some(ordinal) =
                days.checked_add(EPOCH_ORDINAL).filter(|day| (1..=LAST_ORDINAL).contains(day))
            else {
                return Ok(None);
            };
            classes.date.bind(py).call_method1("fromordinal", (ordinal,)).map(Some)
        }
        Value::Timestamp(unit, count) => {
            let count = i128::from(*count);
            let micros = match unit {
                TimestampUnit::S => count * 1_000_000,
                TimestampUnit::Ms => count * 1000,
                TimestampUnit::Us => count,
                TimestampUnit::Ns => count.div_euclid(1000),
            };
            after(&classes.epoch, micros)
        }
        Value::TimestampTz(micros) => after(&classes.utc_epoch, i128::from(*micros)),
        Value::LocalDateTime(nanos) => after(&classes.epoch, nanos.div_euclid(1000)),
        Value::DateTime(zoned) => {
            let Some(point) = after(&classes.utc_epoch, zoned.nanos.div_euclid(1000))? else {
                return Ok(None);
            };
            point.call_method1("astimezone", (zone(zoned.offset_seconds)?,)).map(Some)
        }
        Value::LocalTime(nanos) => clock(*nanos, None),
        Value::Time(time) => clock(time.nanos, Some(zone(time.offset_seconds)?)),
        Value::Interval(Interval { months: 0, days, seconds, nanos }) => {
            classes.timedelta.bind(py).call1((*days, *seconds, nanos / 1000)).map(Some)
        }
        _ => Ok(None),
    }
}

fn id_text(id: GlobalId) -> String {
    Value::Id(id).to_string()
}

fn properties(map: &Bound<'_, PyDict>, properties: &[(String, Value)]) -> PyResult<()> {
    properties.iter().try_for_each(|(name, value)| map.set_item(name, object(map.py(), value)?))
}

fn node<'py>(py: Python<'py>, node: &NodeValue) -> PyResult<Bound<'py, PyAny>> {
    let map = PyDict::new(py);
    map.set_item("_id", id_text(node.id))?;
    map.set_item("_label", node.labels.first())?;
    map.set_item("_labels", &node.labels)?;
    properties(&map, &node.properties)?;
    Ok(map.into_any())
}

fn rel<'py>(py: Python<'py>, rel: &RelValue) -> PyResult<Bound<'py, PyAny>> {
    let map = PyDict::new(py);
    map.set_item("_id", id_text(rel.id))?;
    map.set_item("_src", id_text(rel.src))?;
    map.set_item("_dst", id_text(rel.dst))?;
    map.set_item("_label", &rel.label)?;
    properties(&map, &rel.properties)?;
    Ok(map.into_any())
}

fn path<'py>(py: Python<'py>, path: &PathValue) -> PyResult<Bound<'py, PyAny>> {
    let map = PyDict::new(py);
    let nodes = path.nodes.iter().map(|one| node(py, one)).collect::<PyResult<Vec<_>>>()?;
    let rels = path.rels.iter().map(|one| rel(py, one)).collect::<PyResult<Vec<_>>>()?;
    map.set_item("_nodes", nodes)?;
    map.set_item("_rels", rels)?;
    Ok(map.into_any())
}
