//! `min` and `max`, by the total order; nulls do not take part.

use std::any::Any;
use std::cmp::Ordering;

use super::super::FunctionResult;
use super::super::kernel::mistyped;
use super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::types::{DataType, Interval, PhysicalType, StringView, Time, Value, Zoned};
use crate::vector::{Native, StringBuffer, StringBuffers, ValueVector, VectorBuffer};

pub fn resolve(types: &[DataType], is_min: bool) -> Option<BoundAggregate> {
    let [only] = types else { return None };
    let name = if is_min { "min" } else { "max" };
    let aggregate = BoundAggregate::new(name, [only.clone()], only.clone(), make);
    Some(BoundAggregate { ignores_duplicates: true, ..aggregate })
}

fn make(aggregate: &BoundAggregate) -> Box<dyn AggregateState> {
    let data_type = &aggregate.arguments[0];
    let wanted = if aggregate.name == "min" { Ordering::Less } else { Ordering::Greater };
    match data_type.physical() {
        PhysicalType::I8 => Box::new(Natives::<i8>::new(wanted)),
        PhysicalType::I16 => Box::new(Natives::<i16>::new(wanted)),
        PhysicalType::I32 => Box::new(Natives::<i32>::new(wanted)),
        PhysicalType::I64 => Box::new(Natives::<i64>::new(wanted)),
        PhysicalType::I128 => Box::new(Natives::<i128>::new(wanted)),
        PhysicalType::U8 => Box::new(Natives::<u8>::new(wanted)),
        PhysicalType::U16 => Box::new(Natives::<u16>::new(wanted)),
        PhysicalType::U32 => Box::new(Natives::<u32>::new(wanted)),
        PhysicalType::U64 => Box::new(Natives::<u64>::new(wanted)),
        PhysicalType::F32 => Box::new(Natives::<f32>::new(wanted)),
        PhysicalType::F64 => Box::new(Natives::<f64>::new(wanted)),
        PhysicalType::Time => Box::new(Natives::<Time>::new(wanted)),
        PhysicalType::Interval => Box::new(Natives::<Interval>::new(wanted)),
        PhysicalType::Zoned => Box::new(Natives::<Zoned>::new(wanted)),
        PhysicalType::Str => Box::new(Strings::new(wanted)),
        _ => Box::new(Values { wanted, data_type: data_type.clone(), values: Vec::new() }),
    }
}

/// The total order of a fixed-size type: NaN is the greatest float.
#[inline]
fn order<T: Native>(left: T, right: T) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| {
        // Only NaN differs from itself.
        let nan = |value: T| value.partial_cmp(&value).is_none();
        nan(left).cmp(&nan(right))
    })
}

struct Natives<T> {
    wanted: Ordering,
    values: Vec<T>,
    seen: Vec<bool>,
}

impl<T: Native> Natives<T> {
    fn new(wanted: Ordering) -> Self {
        Natives { wanted, values: Vec::new(), seen: Vec::new() }
    }

    #[inline]
    fn offer(&mut self, group: usize, value: T) {
        if !self.seen[group] || order(value, self.values[group]) == self.wanted {
            self.values[group] = value;
            self.seen[group] = true;
        }
    }
}

impl<T: Native> AggregateState for Natives<T> {
    fn resize(&mut self, groups: usize) {
        self.values.resize(groups, T::default());
        self.seen.resize(groups, false);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        rows.each_value(&arguments[0], |row, value, _| {
            self.offer(groups[row] as usize, value);
            Ok(())
        })
    }

    fn update_all(&mut self, arguments: &[ValueVector<'_>], rows: &Rows<'_>) -> FunctionResult<bool> {
        let (mut best, wanted) = (None, self.wanted);
        rows.each_value(&arguments[0], |_, value: T, _| {
            best = match best {
                Some(best) if order(value, best) != wanted => Some(best),
                _ => Some(value),
            };
            Ok(())
        })?;
        if let Some(best) = best {
            self.offer(0, best);
        }
        Ok(true)
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, "min")?;
        for (position, group) in mapping.iter().enumerate() {
            if other.seen[position] {
                self.offer(*group as usize, other.values[position]);
            }
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        groups.iter().try_for_each(|group| self.finish(*group as usize, 1, &mut parts[0]))
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        let reader = parts[0].native_reader::<T>();
        for row in 0..rows {
            let value = reader.as_ref().filter(|_| !parts[0].is_null(row)).map(|reader| reader.get(row));
            self.values.push(value.unwrap_or_default());
            self.seen.push(value.is_some());
        }
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        for group in start..start + count {
            if self.seen[group] { out.push(self.values[group]) } else { out.push_null() }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.seen.capacity()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Beaten strings of fewer bytes are not worth a look.
const BEATEN_BYTES_MIN: usize = 1 << 20;

/// Strings in one arena; those that are beaten stay there until they take more than the others.
struct Strings {
    wanted: Ordering,
    views: Vec<StringView>,
    seen: Vec<bool>,
    text: StringBuffer,
    /// Bytes of strings that stand, and of those that were beaten.
    standing: usize,
    beaten: usize,
}

impl Strings {
    fn new(wanted: Ordering) -> Strings {
        let (views, seen, text) = (Vec::new(), Vec::new(), StringBuffer::default());
        Strings { wanted, views, seen, text, standing: 0, beaten: 0 }
    }

    fn bytes_of<'s>(view: &'s StringView, buffers: StringBuffers<'s>) -> &'s [u8] {
        buffers.bytes(view)
    }

    fn offer(&mut self, group: usize, bytes: &[u8]) {
        let current = Self::bytes_of(&self.views[group], self.text.buffers());
        if !self.seen[group] || bytes.cmp(current) == self.wanted {
            self.beaten += current.len();
            self.standing += bytes.len();
            self.standing -= current.len();
            self.views[group] = self.text.intern(bytes);
            self.seen[group] = true;
            if self.beaten > self.standing.max(BEATEN_BYTES_MIN) {
                self.sweep();
            }
        }
    }

    /// Keeps the strings that stand.
    fn sweep(&mut self) {
        let mut text = StringBuffer::default();
        for view in &mut self.views {
            *view = text.intern(Self::bytes_of(view, self.text.buffers()));
        }
        (self.text, self.beaten) = (text, 0);
    }
}

impl AggregateState for Strings {
    fn resize(&mut self, groups: usize) {
        self.views.resize(groups, StringView::EMPTY);
        self.seen.resize(groups, false);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        rows.each(&arguments[0], |row, _| {
            let bytes = arguments[0].bytes_at(row).ok_or_else(|| mistyped("min"))?;
            self.offer(groups[row] as usize, bytes);
            Ok(())
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, "min")?;
        for (position, group) in mapping.iter().enumerate() {
            if other.seen[position] {
                self.offer(*group as usize, Self::bytes_of(&other.views[position], other.text.buffers()));
            }
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        groups.iter().try_for_each(|group| self.finish(*group as usize, 1, &mut parts[0]))
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        for row in 0..rows {
            let bytes = parts[0].bytes_at(row).filter(|_| !parts[0].is_null(row));
            self.standing += bytes.map_or(0, <[u8]>::len);
            self.views.push(self.text.intern(bytes.unwrap_or_default()));
            self.seen.push(bytes.is_some());
        }
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        for group in start..start + count {
            if self.seen[group] {
                out.push_bytes(Self::bytes_of(&self.views[group], self.text.buffers()));
            } else {
                out.push_null();
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.views.capacity() * 16 + self.seen.capacity() + self.text.bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Values of nested types and ANY.
struct Values {
    wanted: Ordering,
    data_type: DataType,
    values: Vec<Value>,
}

impl Values {
    fn offer(&mut self, group: usize, value: &Value) {
        let current = &self.values[group];
        if !value.is_null() && (current.is_null() || value.order(current) == self.wanted) {
            self.values[group] = value.clone();
        }
    }
}

impl AggregateState for Values {
    fn resize(&mut self, groups: usize) {
        self.values.resize(groups, Value::Null);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let data_type = self.data_type.clone();
        rows.each(&arguments[0], |row, _| {
            self.offer(groups[row] as usize, &arguments[0].value(row, &data_type));
            Ok(())
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, "min")?;
        mapping.iter().zip(&other.values).for_each(|(group, value)| self.offer(*group as usize, value));
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        groups.iter().try_for_each(|group| self.finish(*group as usize, 1, &mut parts[0]))
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        self.values.extend((0..rows).map(|row| parts[0].value(row, &self.data_type)));
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        self.values[start..start + count].iter().try_for_each(|value| Ok(out.push_value(value)?))
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<Value>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
