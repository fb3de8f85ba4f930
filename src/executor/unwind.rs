//! UNWIND: one row per element of a list. NULL and the empty list give no row; anything else but a list is an
//! element by itself.

use super::context::Context;
use super::error::ExecutionResult;
use super::evaluate::Evaluator;
use super::operator::{Flow, Next, Operator};
use crate::types::DataType;
use crate::vector::{Batch, ListReader, Multiplicity, Selection, ValueVector};

/// Elements that are made at once, about.
const ELEMENTS_MAX: usize = 64 * 1024;
/// What is made at once, about.
const BYTES_MAX: u64 = 4 << 20;

/// Appends the element to the kept columns.
pub struct Unwind<'x> {
    list: Evaluator<'x>,
    keep: &'x [usize],
    /// Whether the expression is no list: then each value is the one element of its row.
    single: bool,
    rows: Elements,
    next: Next<'x>,
}

/// Elements on their way: the row and the place of each, and how many it stands for.
#[derive(Default)]
struct Elements {
    codes: Vec<u32>,
    places: Vec<u32>,
    counts: Vec<u64>,
}

/// The lists of some rows, as they lie.
enum Lists<'v> {
    Of(ListReader<'v>, ValueVector<'v>),
    Singles(ValueVector<'v>),
    None,
}

impl Lists<'_> {
    /// Where the elements of a row lie.
    fn range(&self, row: usize) -> (usize, usize) {
        match self {
            Lists::Of(_, vector) | Lists::Singles(vector) if vector.is_null(row) => (0, 0),
            Lists::Of(lists, _) => lists.range(row),
            Lists::Singles(_) => (row, row + 1),
            Lists::None => (0, 0),
        }
    }

    fn elements(&self) -> ValueVector<'_> {
        match self {
            Lists::Of(lists, _) => lists.child,
            Lists::Singles(vector) => *vector,
            Lists::None => ValueVector::null(),
        }
    }
}

impl<'x> Unwind<'x> {
    /// An unwind before `next`; `list_type` is the type of the list expression.
    pub fn new(list: Evaluator<'x>, list_type: &DataType, keep: &'x [usize], next: Next<'x>) -> Unwind<'x> {
        let single = !matches!(list_type, DataType::List(_) | DataType::Array(..));
        Unwind { list, keep, single, rows: Elements::default(), next }
    }
}

impl Operator for Unwind<'_> {
    fn push<'b>(&mut self, context: &mut Context<'_>, batch: Batch<'b>) -> ExecutionResult<Flow> {
        let Unwind { list, keep, single, rows: elements, next } = self;
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let (mut at, mut step) = (0, 1);
        while at < rows.len() {
            let part = &rows[at..(at + step).min(rows.len())];
            at += part.len();
            // A batch is never longer than 16 bits can count.
            let selected: Vec<u16> = part.iter().map(|row| *row as u16).collect();
            let batch = Batch { selection: Selection::Rows(&selected), ..batch };
            let vector = list.evaluate(context.query, &batch)?;
            let lists = match vector.list_reader() {
                _ if *single => Lists::Singles(vector),
                Some(reader) => Lists::Of(reader, vector),
                None => Lists::None,
            };
            if elements.push(part, &lists, (&batch, keep), context, &mut **next)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            let length = |row: &u32| lists.range(*row as usize).1 - lists.range(*row as usize).0;
            let made: usize = part.iter().map(length).sum();
            let bytes = list.made().unwrap_or(0);
            // Long lists are made for few rows at once, so that only so many elements are held.
            step =
                if made < ELEMENTS_MAX / 2 && bytes < BYTES_MAX / 2 { step * 2 } else { (step / 2).max(1) };
        }
        Ok(Flow::Continue)
    }

    fn next(&mut self) -> Option<&mut dyn Operator> {
        Some(&mut *self.next)
    }
}

impl Elements {
    /// Pushes the elements of some rows.
    fn push(
        &mut self,
        rows: &[u32],
        lists: &Lists<'_>,
        (batch, keep): (&Batch<'_>, &[usize]),
        context: &mut Context<'_>,
        next: &mut dyn Operator,
    ) -> ExecutionResult<Flow> {
        let Elements { codes, places, counts } = self;
        let size = context.query.vector_size;
        let child = lists.elements();
        let (mut at, mut element) = (0, 0);
        while at < rows.len() {
            codes.clear();
            places.clear();
            while at < rows.len() && codes.len() < size {
                let (start, end) = lists.range(rows[at] as usize);
                let take = (end - start - element).min(size - codes.len());
                codes.extend(std::iter::repeat_n(rows[at], take));
                places.extend((start + element..start + element + take).map(|position| position as u32));
                element += take;
                if start + element >= end {
                    at += 1;
                    element = 0;
                }
            }
            let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
            let in_order = (last.wrapping_sub(*first)) as usize == places.len() - 1
                && places.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            let mut columns: Vec<ValueVector<'_>> =
                keep.iter().map(|column| ValueVector::dictionary(codes, &batch.columns[*column])).collect();
            columns.push(match in_order {
                true => child.slice_from(*first as usize),
                false => ValueVector::dictionary(places, &child),
            });
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
