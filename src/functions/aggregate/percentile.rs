//! `percentileCont` and `percentileDisc`: all values lie beside the group of each; at the end those of a group are looked
//! through for the one that would stand at its place if they were in order.

use std::any::Any;

use super::super::watch::go_on;
use super::super::{ELEMENTS_PER_LOOK, FunctionError, FunctionResult};
use super::parts::{get, get_lists, put_lists};
use super::{AggregateState, BoundAggregate, Rows, same_kind};
use crate::types::{DataType, leave_vector_if_stopped};
use crate::vector::{ValueVector, VectorBuffer, select_in_pieces};

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
            group_of: Vec::new(),
            fractions: Vec::new(),
        })
    }))
}

struct Percentile {
    continuous: bool,
    values: Vec<f64>,
    group_of: Vec<u32>,
    fractions: Vec<Option<f64>>,
}

const NAME: &str = "percentile";

impl Percentile {
    /// The result over a group's values, which change their places.
    fn pick(&self, values: &mut [f64], fraction: f64) -> FunctionResult<Option<f64>> {
        let Some(last) = values.len().checked_sub(1) else { return Ok(None) };
        let place = match self.continuous {
            true => fraction * last as f64,
            false => ((fraction * values.len() as f64).ceil() - 1.0).clamp(0.0, last as f64),
        };
        let at = place.floor() as usize;
        select_in_pieces(values, at, f64::total_cmp, || go_on(NAME))?;
        let (low, mut high) = (values[at], None);
        if place.fract() == 0.0 {
            return Ok(Some(low));
        }
        for part in values[at + 1..].chunks(ELEMENTS_PER_LOOK) {
            go_on(NAME)?;
            high = part.iter().copied().chain(high).min_by(f64::total_cmp);
        }
        Ok(Some(high.map_or(low, |high| low + (high - low) * place.fract())))
    }

    /// The values of `count` groups from `start` on, group by group, and where those of each end.
    fn by_group(&self, start: usize, count: usize) -> FunctionResult<(Vec<f64>, Vec<usize>)> {
        let place = |group: &u32| (*group as usize).checked_sub(start).filter(|place| *place < count);
        let mut ends = vec![0; count + 1];
        for part in self.group_of.chunks(ELEMENTS_PER_LOOK) {
            go_on(NAME)?;
            part.iter().filter_map(place).for_each(|place| ends[place + 1] += 1);
        }
        (0..count).for_each(|place| ends[place + 1] += ends[place]);
        let mut next = ends.clone();
        let mut values = vec![0.0; ends[count]];
        let parts = self.values.chunks(ELEMENTS_PER_LOOK).zip(self.group_of.chunks(ELEMENTS_PER_LOOK));
        for (part, groups) in parts {
            go_on(NAME)?;
            for (value, group) in part.iter().zip(groups) {
                if let Some(place) = place(group) {
                    values[next[place]] = *value;
                    next[place] += 1;
                }
            }
        }
        Ok((values, ends))
    }
}

impl Drop for Percentile {
    fn drop(&mut self) {
        leave_vector_if_stopped(&mut self.values);
        leave_vector_if_stopped(&mut self.group_of);
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
            self.values.extend(std::iter::repeat_n(values.get(row), count as usize));
            self.group_of.extend(std::iter::repeat_n(groups[row], count as usize));
            Ok(())
        })
    }

    fn merge(&mut self, other: &dyn AggregateState, mapping: &[u32]) -> FunctionResult<()> {
        let other: &Self = same_kind(other, NAME)?;
        for (values, groups) in
            other.values.chunks(ELEMENTS_PER_LOOK).zip(other.group_of.chunks(ELEMENTS_PER_LOOK))
        {
            go_on(NAME)?;
            self.values.extend_from_slice(values);
            self.group_of.extend(groups.iter().map(|group| mapping[*group as usize]));
        }
        for (position, group) in mapping.iter().enumerate() {
            let own = &mut self.fractions[*group as usize];
            *own = own.or(other.fractions[position]);
        }
        Ok(())
    }

    fn export(&self, groups: &[u32], parts: &mut [VectorBuffer]) -> FunctionResult<()> {
        let mut values = VectorBuffer::new(DataType::Double);
        for part in self.values.chunks(ELEMENTS_PER_LOOK) {
            go_on(NAME)?;
            values.extend(part);
        }
        put_lists(&values, &self.group_of, groups, &mut parts[0])?;
        for group in groups {
            match self.fractions[*group as usize] {
                Some(fraction) => parts[1].push(fraction),
                None => parts[1].push_null(),
            }
        }
        Ok(())
    }

    fn append(&mut self, parts: &[ValueVector<'_>], rows: usize) -> FunctionResult<()> {
        let mut values = VectorBuffer::new(DataType::Double);
        get_lists(&parts[0], rows, self.fractions.len() as u32, &mut values, &mut self.group_of)?;
        get(&values.vector(), values.len(), &mut self.values)?;
        let fractions = parts[1].native_reader::<f64>();
        let fraction = |row: usize| {
            fractions.as_ref().filter(|_| !parts[1].is_null(row)).map(|fractions| fractions.get(row))
        };
        self.fractions.extend((0..rows).map(fraction));
        Ok(())
    }

    fn finish(&self, start: usize, count: usize, out: &mut VectorBuffer) -> FunctionResult<()> {
        let (mut values, ends) = self.by_group(start, count)?;
        for (place, range) in ends.windows(2).enumerate() {
            let own = &mut values[range[0]..range[1]];
            let picked = match self.fractions[start + place] {
                Some(fraction) => self.pick(own, fraction)?,
                None => None,
            };
            match (picked, out.data_type()) {
                (Some(value), DataType::Int64) => out.push(value as i64),
                (Some(value), _) => out.push(value),
                (None, _) => out.push_null(),
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        // At the end the values lie there a second time.
        self.values.capacity() * 2 * size_of::<f64>()
            + self.group_of.capacity() * 4
            + self.fractions.capacity() * 16
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
