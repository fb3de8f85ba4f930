//! UNWIND: one row per element of a list. NULL and the empty list give no row; anything else but a list is an
//! element by itself.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, Selection, Shape, ValueVector, Values, VectorBuffer};

/// Elements that are made at once, about.
const ELEMENTS_MAX: usize = 64 * 1024;

/// Appends the element to the kept columns.
pub struct Unwind<'x> {
    list: Evaluator<'x>,
    keep: &'x [usize],
    codes: Vec<u32>,
    elements: Vec<u32>,
    flat: VectorBuffer,
    /// Whether the expression is no list: then each value is the one element of its row.
    single: bool,
    counts: Vec<u64>,
    next: Next<'x>,
}

impl<'x> Unwind<'x> {
    /// An unwind before `next`; `list_type` is the type of the list expression.
    pub fn new(list: Evaluator<'x>, list_type: &DataType, keep: &'x [usize], next: Next<'x>) -> Unwind<'x> {
        let flat = VectorBuffer::new(list_type.clone());
        let single = !matches!(list_type, DataType::List(_) | DataType::Array(..));
        Unwind { list, keep, codes: Vec::new(), elements: Vec::new(), flat, single, counts: Vec::new(), next }
    }
}

impl Operator for Unwind<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let (mut at, mut step) = (0, 1);
        while at < rows.len() {
            let part = &rows[at..(at + step).min(rows.len())];
            at += part.len();
            let elements = self.evaluate(part, context, &batch)?;
            if self.push_part(part, context, &batch)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            // Long lists are made for few rows at once, so that only so many elements are held.
            step = if elements < ELEMENTS_MAX / 2 { step * 2 } else { (step / 2).max(1) };
        }
        Ok(Flow::Continue)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

impl Unwind<'_> {
    /// Leaves the lists of some rows in `flat`, one after the other; returns the number of their elements.
    fn evaluate(
        &mut self,
        rows: &[u32],
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<usize> {
        // A batch is never longer than 16 bits can count.
        let selected: Vec<u16> = rows.iter().map(|row| *row as u16).collect();
        let part = Batch { selection: Selection::Rows(&selected), ..*batch };
        let vector = self.list.evaluate(context.query, &part)?;
        self.flat.clear();
        self.flat.append_rows(&vector, rows);
        Ok(match self.flat.vector().shape {
            Shape::Flat(Values::List(lists)) => {
                (0..rows.len()).map(|row| lists.range(row).1 - lists.range(row).0).sum()
            }
            _ => 0,
        })
    }

    fn push_part(
        &mut self,
        rows: &[u32],
        context: &mut Context<'_>,
        batch: &Batch<'_>,
    ) -> ExecutionResult<Flow> {
        let Unwind { keep, codes, elements, flat, counts, next, single, .. } = self;
        let flat = flat.vector();
        let (child, lists) = match flat.shape {
            Shape::Flat(Values::List(lists)) => (lists.child.get(), Some(lists)),
            _ if *single => (flat, None),
            _ => return Ok(Flow::Continue),
        };
        let range = |at: usize| match &lists {
            _ if flat.is_null(at) => (0, 0),
            Some(lists) => lists.range(at),
            None => (at, at + 1),
        };
        let size = context.query.vector_size;
        let mut at = 0;
        let mut element = 0;
        while at < rows.len() {
            codes.clear();
            elements.clear();
            while at < rows.len() && codes.len() < size {
                let (start, end) = range(at);
                let take = (end - start - element).min(size - codes.len());
                codes.extend(std::iter::repeat_n(rows[at], take));
                elements.extend((start + element..start + element + take).map(|position| position as u32));
                element += take;
                if start + element >= end {
                    at += 1;
                    element = 0;
                }
            }
            if codes.is_empty() {
                continue;
            }
            let mut columns: Vec<ValueVector<'_>> =
                keep.iter().map(|column| ValueVector::dictionary(codes, &batch.columns[*column])).collect();
            columns.push(ValueVector::dictionary(elements, &child));
            let mut out = Batch::new(&columns, codes.len());
            if let Multiplicity::PerRow(all) = batch.multiplicity {
                counts.clear();
                counts.extend(codes.iter().map(|row| all[*row as usize]));
                out.multiplicity = Multiplicity::PerRow(counts);
            }
            context.query.check()?;
            if next.push(context, out)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }
}
