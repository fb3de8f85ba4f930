//! Sums and means of ANY: integers exactly, floats beside them.

use std::any::Any;

use super::super::parts::{get, put};
use super::super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::functions::{FunctionError, FunctionResult};
use crate::types::{DataType, Value};
use crate::vector::{ValueVector, VectorBuffer};

pub(super) struct AnySum {
    aggregate: BoundAggregate,
    integers: Vec<i128>,
    floats: Vec<f64>,
    has_float: Vec<bool>,
    counts: Vec<u64>,
}

impl AnySum {
    pub fn new(aggregate: &BoundAggregate) -> Self {
        AnySum {
            aggregate: aggregate.clone(),
            integers: Vec::new(),
            floats: Vec::new(),
            has_float: Vec::new(),
            counts: Vec::new(),
        }
    }

    fn overflow(&self) -> FunctionError {
        FunctionError::Overflow { function: self.aggregate.name, data_type: DataType::Int64 }
    }

    fn total(&self, group: usize) -> f64 {
        self.integers[group] as f64 + self.floats[group]
    }
}

impl AggregateState for AnySum {
    fn resize(&mut self, groups: usize) {
        self.integers.resize(groups, 0);
        self.floats.resize(groups, 0.0);
        self.has_float.resize(groups, false);
        self.counts.resize(groups, 0);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let data_type = self.aggregate.arguments[0].clone();
        rows.each(&arguments[0], |row, count| {
            let value = arguments[0].value(row, &data_type);
            let group = groups[row] as usize;
            if let Some(number) = value.as_i128() {
                let sum = number
                    .checked_mul(i128::from(count))
                    .and_then(|sum| sum.checked_add(self.integers[group]));
                self.integers[group] = sum.ok_or_else(|| self.overflow())?;
            } else if let Some(number) = value.as_f64() {
                self.floats[group] += number * count as f64;
                self.has_float[group] = true;
            } else if !value.is_null() {
                let detail = format!("{} is no number", value.data_type());
                return Err(FunctionError::invalid(self.aggregate.name, detail));
            }
            self.counts[group] = self.counts[group].saturating_add(count);
            Ok(())
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, self.aggregate.name)?;
        for (position, group) in mapping.iter().enumerate() {
            let group = *group as usize;
            let sum = self.integers[group].checked_add(other.integers[position]);
            self.integers[group] = sum.ok_or_else(|| self.overflow())?;
            self.floats[group] += other.floats[position];
            self.has_float[group] |= other.has_float[position];
            self.counts[group] = self.counts[group].saturating_add(other.counts[position]);
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        put(&self.integers, groups, &mut parts[0]);
        put(&self.floats, groups, &mut parts[1]);
        groups.iter().for_each(|group| parts[2].push(u8::from(self.has_float[*group as usize])));
        put(&self.counts, groups, &mut parts[3]);
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        get(&parts[0], rows, &mut self.integers)?;
        get(&parts[1], rows, &mut self.floats)?;
        let mut flags: Vec<u8> = Vec::new();
        get(&parts[2], rows, &mut flags)?;
        self.has_float.extend(flags.iter().map(|flag| *flag != 0));
        get(&parts[3], rows, &mut self.counts)
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        for group in start..start + count {
            let rows = self.counts[group];
            let value = if self.aggregate.name == "avg" {
                if rows == 0 { Value::Null } else { Value::Double(self.total(group) / rows as f64) }
            } else if rows == 0 && self.aggregate.null_when_empty {
                Value::Null
            } else if self.has_float[group] {
                Value::Double(self.total(group))
            } else {
                Value::Int64(i64::try_from(self.integers[group]).map_err(|_| self.overflow())?)
            };
            out.push_value(&value)?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.integers.capacity() * 16
            + self.floats.capacity() * 8
            + self.has_float.capacity()
            + self.counts.capacity() * 8
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
