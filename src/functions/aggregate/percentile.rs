//! `percentileCont` and `percentileDisc`.

use std::any::Any;

use super::super::{FunctionError, FunctionResult};
use super::parts::{get, get_lists, put_lists};
use super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

pub fn resolve(types: &[DataType], continuous: bool) -> Option<BoundAggregate> {
    let [value, fraction] = types else { return None };
    let number =
        |data_type: &DataType| data_type.is_numeric() || matches!(data_type, DataType::Null | DataType::Any);
    if !number(value) || !number(fraction) {
        return None;
    }
    let result = if !continuous && value.is_integer() { DataType::Int64 } else { DataType::Double };
    let name = if continuous { "percentileCont" } else { "percentileDisc" };
    Some(BoundAggregate::new(name, [DataType::Double, DataType::Double], result, |aggregate| {
        Box::new(Percentile {
            continuous: aggregate.name == "percentileCont",
            values: Vec::new(),
            fractions: Vec::new(),
        })
    }))
}

struct Percentile {
    continuous: bool,
    values: Vec<(u32, f64)>,
    fractions: Vec<Option<f64>>,
}

impl Percentile {
    /// The result over sorted values.
    fn pick(&self, values: &[f64], fraction: f64) -> Option<f64> {
        let last = values.len().checked_sub(1)?;
        if !self.continuous {
            let position = (fraction * values.len() as f64).ceil() as usize;
            return values.get(position.saturating_sub(1).min(last)).copied();
        }
        let position = fraction * last as f64;
        let (low, high) = (values[position.floor() as usize], values[position.ceil() as usize]);
        Some(low + (high - low) * position.fract())
    }
}

impl AggregateState for Percentile {
    fn resize(&mut self, groups: usize) {
        self.fractions.resize(groups, None);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let (Some(values), Some(fractions)) =
            (arguments[0].native_reader::<f64>(), arguments[1].native_reader::<f64>())
        else {
            return Ok(());
        };
        rows.each(&arguments[0], |row, count| {
            let fraction = fractions.get(row);
            if arguments[1].is_null(row) || !(0.0..=1.0).contains(&fraction) {
                return Err(FunctionError::invalid("percentile", "the percentile must lie between 0 and 1"));
            }
            self.fractions[groups[row] as usize].get_or_insert(fraction);
            self.values.extend((0..count).map(|_| (groups[row], values.get(row))));
            Ok(())
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, "percentile")?;
        self.values.extend(other.values.iter().map(|(group, value)| (mapping[*group as usize], *value)));
        for (position, group) in mapping.iter().enumerate() {
            let own = &mut self.fractions[*group as usize];
            *own = own.or(other.fractions[position]);
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        let mut values = VectorBuffer::new(DataType::Double);
        self.values.iter().for_each(|(_, value)| values.push(*value));
        let group_of: Vec<u32> = self.values.iter().map(|(group, _)| *group).collect();
        put_lists(&values, &group_of, groups, &mut parts[0])?;
        for group in groups {
            match self.fractions[*group as usize] {
                Some(fraction) => parts[1].push(fraction),
                None => parts[1].push_null(),
            }
        }
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        let (mut values, mut group_of) = (VectorBuffer::new(DataType::Double), Vec::new());
        get_lists(&parts[0], rows, self.fractions.len() as u32, &mut values, &mut group_of)?;
        let mut floats: Vec<f64> = Vec::new();
        get(&values.vector(), values.len(), &mut floats)?;
        self.values.extend(group_of.into_iter().zip(floats));
        let fractions = parts[1].native_reader::<f64>();
        let fraction = |row: usize| {
            fractions.as_ref().filter(|_| !parts[1].is_null(row)).map(|fractions| fractions.get(row))
        };
        self.fractions.extend((0..rows).map(fraction));
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        let mut values = self.values.clone();
        values.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
        let floats: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        for group in start..start + count {
            let first = values.partition_point(|(other, _)| (*other as usize) < group);
            let end = values.partition_point(|(other, _)| (*other as usize) <= group);
            let picked = self.fractions[group].and_then(|fraction| self.pick(&floats[first..end], fraction));
            match (picked, out.data_type()) {
                (Some(value), DataType::Int64) => out.push(value as i64),
                (Some(value), _) => out.push(value),
                (None, _) => out.push_null(),
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.capacity() * 16 + self.fractions.capacity() * 16
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
