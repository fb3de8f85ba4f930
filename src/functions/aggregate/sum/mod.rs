//! `sum` and `avg`. Integers and decimals are summed exactly in 128 bits and checked where the result is made, so that
//! no order of rows and no number of threads decides about an overflow.

mod dynamic;
mod interval;

use std::any::Any;

use self::dynamic::AnySum;
use self::interval::IntervalSum;
use super::super::kernel::mistyped;
use super::super::{FunctionError, FunctionResult};
use super::parts::{get, put};
use super::{AggregateState, BoundAggregate, Rows, come_in_runs, each_run, same_kind};
use crate::types::{DataType, Value, decimal};
use crate::vector::{Native, Selection, ValueVector, VectorBuffer, simd};

/// INT64 for integers up to 64 bits, INT128 for UINT64 and INT128, DOUBLE for floats, DECIMAL with 38 digits.
pub fn resolve_sum(types: &[DataType]) -> Option<BoundAggregate> {
    let [only] = types else { return None };
    Some(match only {
        DataType::Int128 | DataType::UInt64 => bound("sum", DataType::Int128, DataType::Int128),
        DataType::Null | DataType::Any => bound("sum", only.clone(), DataType::Int64),
        _ if only.is_integer() => bound("sum", DataType::Int64, DataType::Int64),
        _ if only.is_floating() => bound("sum", DataType::Double, DataType::Double),
        DataType::Decimal { scale, .. } => {
            bound("sum", only.clone(), DataType::Decimal { precision: 38, scale: *scale })
        }
        DataType::Interval => bound("sum", DataType::Interval, DataType::Interval),
        _ => return None,
    })
    .map(|aggregate| match aggregate.arguments[0] {
        DataType::Any => BoundAggregate { result: DataType::Any, ..aggregate },
        _ => aggregate,
    })
}

/// DOUBLE for numbers, INTERVAL for intervals.
pub fn resolve_avg(types: &[DataType]) -> Option<BoundAggregate> {
    let [only] = types else { return None };
    Some(match only {
        DataType::Int128 | DataType::UInt64 => bound("avg", DataType::Int128, DataType::Double),
        DataType::Null | DataType::Any => bound("avg", only.clone(), DataType::Double),
        _ if only.is_integer() => bound("avg", DataType::Int64, DataType::Double),
        _ if only.is_floating() => bound("avg", DataType::Double, DataType::Double),
        DataType::Decimal { .. } => bound("avg", only.clone(), DataType::Double),
        DataType::Interval => bound("avg", DataType::Interval, DataType::Interval),
        _ => return None,
    })
}

fn bound(name: &'static str, argument: DataType, result: DataType) -> BoundAggregate {
    BoundAggregate::new(name, [argument], result, |aggregate| match &aggregate.arguments[0] {
        DataType::Double => Box::new(Sum::<f64, f64>::new(aggregate)),
        DataType::Interval => Box::new(IntervalSum::new(aggregate)),
        DataType::Int128 | DataType::Decimal { .. } => Box::new(Sum::<i128, i128>::new(aggregate)),
        DataType::Null | DataType::Any => Box::new(AnySum::new(aggregate)),
        _ => Box::new(Sum::<i64, i128>::new(aggregate)),
    })
}

/// What sums of values of a type are kept in.
trait Accumulator: Native {
    fn add(self, other: Self) -> Option<Self>;
    fn double(self) -> f64;
}

impl Accumulator for i128 {
    #[inline]
    fn add(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }
    fn double(self) -> f64 {
        self as f64
    }
}

impl Accumulator for f64 {
    #[inline]
    fn add(self, other: Self) -> Option<Self> {
        Some(self + other)
    }
    fn double(self) -> f64 {
        self
    }
}

/// A value that is summed.
trait Summand<A: Accumulator>: Native {
    /// The value, as often as it counts.
    fn times(self, count: u64) -> Option<A>;
    /// The sum of a slice, where a fast exact way exists.
    fn sum(_values: &[Self]) -> Option<A> {
        None
    }
    /// The sum and number of the values whose bits are set, where a fast exact way exists.
    fn sum_selected(_values: &[Self], _words: &[u64]) -> Option<(A, u64)> {
        None
    }
}

impl Summand<i128> for i64 {
    #[inline]
    fn times(self, count: u64) -> Option<i128> {
        // 63 bits by 64 bits fit.
        Some(i128::from(self) * i128::from(count))
    }
    fn sum(values: &[i64]) -> Option<i128> {
        Some(simd::sum_integers(values))
    }
    fn sum_selected(values: &[i64], words: &[u64]) -> Option<(i128, u64)> {
        Some(simd::sum_selected(values, words))
    }
}

impl Summand<i128> for i128 {
    #[inline]
    fn times(self, count: u64) -> Option<i128> {
        self.checked_mul(i128::from(count))
    }
}

impl Summand<f64> for f64 {
    #[inline]
    fn times(self, count: u64) -> Option<f64> {
        Some(if count == 1 { self } else { self * count as f64 })
    }
    fn sum(values: &[f64]) -> Option<f64> {
        Some(simd::sum_floats(values))
    }
}

/// Runs that are shorter are summed up before the lanes of a vector instruction are.
const LEAST_FOR_LANES: usize = 16;

struct Sum<T, A> {
    aggregate: BoundAggregate,
    sums: Vec<A>,
    counts: Vec<u64>,
    /// Selected and valid rows of a batch.
    words: Vec<u64>,
    value: std::marker::PhantomData<T>,
}

impl<T: Summand<A>, A: Accumulator> Sum<T, A> {
    fn new(aggregate: &BoundAggregate) -> Self {
        Sum {
            aggregate: aggregate.clone(),
            sums: Vec::new(),
            counts: Vec::new(),
            words: Vec::new(),
            value: std::marker::PhantomData,
        }
    }

    fn overflow(&self) -> FunctionError {
        FunctionError::Overflow { function: self.aggregate.name, data_type: self.aggregate.result.clone() }
    }

    #[inline]
    fn add(&mut self, group: usize, sum: Option<A>, count: u64) -> FunctionResult<()> {
        let total = sum.and_then(|sum| self.sums[group].add(sum)).ok_or_else(|| self.overflow())?;
        self.sums[group] = total;
        self.counts[group] = self.counts[group].saturating_add(count);
        Ok(())
    }

    /// Feeds the selected values that are not null to the only group, word by word of their mask.
    fn update_masked(&mut self, argument: &ValueVector<'_>, rows: &Rows<'_>) -> FunctionResult<bool> {
        let Some(values) = argument.slice_of::<T>() else { return Ok(false) };
        let words = match rows.selection {
            Selection::Rows(_) => return Ok(false),
            Selection::Mask(words) if argument.has_no_nulls() => words,
            selection => {
                self.words.clear();
                let selected = |index: usize| match selection {
                    Selection::Mask(words) => words.get(index).copied().unwrap_or(0),
                    _ => u64::MAX,
                };
                let words = (0..rows.length.div_ceil(64))
                    .map(|index| selected(index) & argument.validity.word(index));
                self.words.extend(words);
                &self.words
            }
        };
        match T::sum_selected(&values[..rows.length], words) {
            Some((sum, count)) => self.add(0, Some(sum), count).map(|()| true),
            None => Ok(false),
        }
    }

    fn result(&self, group: usize) -> FunctionResult<Value>
    where
        A: Into<Total>,
    {
        let (sum, count) = (self.sums[group], self.counts[group]);
        if self.aggregate.name == "avg" {
            let scale = match &self.aggregate.arguments[0] {
                DataType::Decimal { scale, .. } => 10f64.powi(i32::from(*scale)),
                _ => 1.0,
            };
            return Ok(if count == 0 {
                Value::Null
            } else {
                Value::Double(sum.double() / scale / count as f64)
            });
        }
        if count == 0 && self.aggregate.null_when_empty {
            return Ok(Value::Null);
        }
        match (sum.into(), &self.aggregate.result) {
            (Total::Float(sum), _) => Ok(Value::Double(sum)),
            (Total::Integer(sum), DataType::Int64) => {
                i64::try_from(sum).map(Value::Int64).map_err(|_| self.overflow())
            }
            (Total::Integer(sum), DataType::Decimal { precision, scale }) => {
                if !decimal::fits(sum, *precision) {
                    return Err(self.overflow());
                }
                Ok(Value::Decimal(sum, *precision, *scale))
            }
            (Total::Integer(sum), _) => Ok(Value::Int128(sum)),
        }
    }
}

/// A finished accumulator.
enum Total {
    Integer(i128),
    Float(f64),
}

impl From<i128> for Total {
    fn from(sum: i128) -> Self {
        Total::Integer(sum)
    }
}

impl From<f64> for Total {
    fn from(sum: f64) -> Self {
        Total::Float(sum)
    }
}

impl<T: Summand<A>, A: Accumulator + Into<Total>> AggregateState for Sum<T, A> {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, A::default());
        self.counts.resize(groups, 0);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let argument = &arguments[0];
        if argument.is_all_null() {
            return Ok(());
        }
        argument.native_reader::<T>().ok_or_else(|| mistyped(self.aggregate.name))?;
        let groups = &groups[..rows.length];
        let is_plain = rows.is_plain() && argument.has_no_nulls();
        if let Some(values) = argument.slice_of::<T>().filter(|_| is_plain && come_in_runs(groups)) {
            return each_run(groups, |group, run| {
                let count = run.len() as u64;
                let values = &values[run];
                let one_by_one = || {
                    let mut values = values.iter().map(|value| value.times(1));
                    values.try_fold(A::default(), |sum, value| sum.add(value?))
                };
                let at_once = if values.len() < LEAST_FOR_LANES { None } else { T::sum(values) };
                let sum = at_once.or_else(one_by_one);
                self.add(group, sum, count)
            });
        }
        rows.each_value(argument, |row, value: T, count| {
            self.add(groups[row] as usize, value.times(count), count)
        })
    }

    fn update_all(&mut self, arguments: &[ValueVector<'_>], rows: &Rows<'_>) -> FunctionResult<bool> {
        let argument = &arguments[0];
        if !rows.is_plain() || !argument.has_no_nulls() {
            if rows.multiplicity.is_one() && self.update_masked(argument, rows)? {
                return Ok(true);
            }
            let (mut sum, mut total) = (Some(A::default()), 0u64);
            rows.each_value(argument, |_, value: T, count| {
                sum = sum.zip(value.times(count)).and_then(|(sum, value)| sum.add(value));
                total = total.saturating_add(count);
                Ok(())
            })?;
            return self.add(0, sum, total).map(|()| true);
        }
        let sum = match (argument.slice_of::<T>(), argument.constant_of::<T>()) {
            (Some(slice), _) => T::sum(&slice[..rows.length]),
            (None, Some(value)) => value.times(rows.length as u64),
            _ => None,
        };
        match sum {
            Some(sum) => self.add(0, Some(sum), rows.length as u64).map(|()| true),
            None => Ok(false),
        }
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, self.aggregate.name)?;
        for (position, group) in mapping.iter().enumerate() {
            self.add(*group as usize, Some(other.sums[position]), other.counts[position])?;
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        put(&self.sums, groups, &mut parts[0]);
        put(&self.counts, groups, &mut parts[1]);
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        get(&parts[0], rows, &mut self.sums)?;
        get(&parts[1], rows, &mut self.counts)
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        (start..start + count).try_for_each(|group| Ok(out.push_value(&self.result(group)?)?))
    }

    fn bytes(&self) -> usize {
        self.sums.capacity() * size_of::<A>() + self.counts.capacity() * 8
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
