//! UNWIND: one row per element of a list. NULL and the empty list give no row; anything else but a list is an
//! element by itself.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::types::DataType;
use crate::vector::{Batch, Multiplicity, Shape, ValueVector, Values, VectorBuffer};

/// Appends the element to the kept columns.
pub struct Unwind<'x> {
    list: Evaluator<'x>,
    keep: &'x [usize],
    codes: Vec<u32>,
    elements: Vec<u32>,
    flat: VectorBuffer,
    counts: Vec<u64>,
    next: Next<'x>,
}

impl<'x> Unwind<'x> {
    /// An unwind before `next`; `list_type` is the type of the list expression.
    pub fn new(list: Evaluator<'x>, list_type: &DataType, keep: &'x [usize], next: Next<'x>) -> Unwind<'x> {
        let flat = VectorBuffer::new(list_type.clone());
        Unwind { list, keep, codes: Vec::new(), elements: Vec::new(), flat, counts: Vec::new(), next }
    }
}

impl Operator for Unwind<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Unwind { list, keep, codes, elements, flat, counts, next } = self;
        let vector = list.evaluate(context.query, &batch)?;
        flat.clear();
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        flat.append_rows(&vector, &rows);
        let flat = flat.vector();
        let Shape::Flat(Values::List(lists)) = flat.shape else {
            return Ok(Flow::Continue);
        };
        let child = lists.child.get();
        let size = context.query.vector_size;
        let mut at = 0;
        let mut element = 0;
        while at < rows.len() {
            codes.clear();
            elements.clear();
            while at < rows.len() && codes.len() < size {
                let (start, end) = if flat.is_null(at) { (0, 0) } else { lists.range(at) };
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

    fn finish(&mut self, context: &mut Context<'_>) -> ExecutionResult<()> {
        self.next.finish(context)
    }
}
