//! Variances and standard deviations by Welford's recurrence, whose merges are exact in the same sense.

use std::any::Any;

use super::super::FunctionResult;
use super::parts::{get, put};
use super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

/// Which measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    Deviation,
    PopulationDeviation,
    Variance,
    PopulationVariance,
}

pub fn resolve(types: &[DataType], spread: Spread) -> Option<BoundAggregate> {
    let [only] = types else { return None };
    if !only.is_numeric() && !matches!(only, DataType::Null | DataType::Any) {
        return None;
    }
    let bound = |name, make| BoundAggregate::new(name, [DataType::Double], DataType::Double, make);
    Some(match spread {
        Spread::Deviation => bound("stdev", |_| Box::new(Moments::new(Spread::Deviation))),
        Spread::PopulationDeviation => {
            bound("stdevp", |_| Box::new(Moments::new(Spread::PopulationDeviation)))
        }
        Spread::Variance => bound("variance", |_| Box::new(Moments::new(Spread::Variance))),
        Spread::PopulationVariance => {
            bound("var_pop", |_| Box::new(Moments::new(Spread::PopulationVariance)))
        }
    })
}

struct Moments {
    spread: Spread,
    counts: Vec<f64>,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn new(spread: Spread) -> Self {
        Moments { spread, counts: Vec::new(), means: Vec::new(), squares: Vec::new() }
    }

    fn add(&mut self, group: usize, count: f64, mean: f64, squares: f64) {
        if count == 0.0 {
            return;
        }
        let total = self.counts[group] + count;
        let delta = mean - self.means[group];
        self.squares[group] += squares + delta * delta * self.counts[group] * count / total;
        self.means[group] += delta * count / total;
        self.counts[group] = total;
    }

    /// openCypher: 0 where there are too few values.
    fn result(&self, group: usize) -> f64 {
        let (count, squares) = (self.counts[group], self.squares[group]);
        let divisor = match self.spread {
            Spread::Deviation | Spread::Variance => count - 1.0,
            Spread::PopulationDeviation | Spread::PopulationVariance => count,
        };
        let variance = if divisor > 0.0 { squares / divisor } else { 0.0 };
        match self.spread {
            Spread::Deviation | Spread::PopulationDeviation => variance.sqrt(),
            Spread::Variance | Spread::PopulationVariance => variance,
        }
    }
}

impl AggregateState for Moments {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0.0);
        self.means.resize(groups, 0.0);
        self.squares.resize(groups, 0.0);
    }

    fn update(
        &mut self,
        groups: &[u32],
        arguments: &[ValueVector<'_>],
        rows: &Rows<'_>,
    ) -> FunctionResult<()> {
        let Some(reader) = arguments[0].native_reader::<f64>() else { return Ok(()) };
        rows.each(&arguments[0], |row, count| {
            self.add(groups[row] as usize, count as f64, reader.get(row), 0.0);
            Ok(())
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, "stdev")?;
        for (position, group) in mapping.iter().enumerate() {
            self.add(*group as usize, other.counts[position], other.means[position], other.squares[position]);
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        put(&self.counts, groups, &mut parts[0]);
        put(&self.means, groups, &mut parts[1]);
        put(&self.squares, groups, &mut parts[2]);
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        get(&parts[0], rows, &mut self.counts)?;
        get(&parts[1], rows, &mut self.means)?;
        get(&parts[2], rows, &mut self.squares)
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        (start..start + count).for_each(|group| out.push(self.result(group)));
        Ok(())
    }

    fn bytes(&self) -> usize {
        (self.counts.capacity() + self.means.capacity() + self.squares.capacity()) * 8
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
