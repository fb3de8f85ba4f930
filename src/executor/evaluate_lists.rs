//! List comprehensions and quantifiers: the inner expressions run over the elements of all rows, so many of them at a
//! time that a long list neither needs much memory beside itself nor keeps the query from being stopped.

use super::context::QueryContext;
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::{Node, fill_truths};
use crate::functions::{ELEMENTS_PER_LOOK, FunctionError, KernelContext};
use crate::planner::physical_plan::{Expression, ExpressionKind, QuantifierKind};
use crate::types::DataType;
use crate::vector::{Batch, Selection, SelectionBuffer, Shape, Validity, ValueVector, Values, VectorBuffer};

const COMPREHENSION: &str = "list comprehension";
const QUANTIFIER: &str = "quantifier";

/// The lists of a batch and their elements as batches.
struct Elements {
    list: Node,
    /// The column of the element.
    element: usize,
    flat: VectorBuffer,
    parents: Vec<u32>,
}

/// Consecutive elements of one list: the list's row, and where they lie in the elements of all lists.
#[derive(Clone, Copy)]
struct Run<'v> {
    row: u32,
    child: ValueVector<'v>,
    from: usize,
    to: usize,
}

/// The elements' type; a list that is always NULL has none.
fn element_type(list: &DataType) -> DataType {
    list.element().cloned().unwrap_or(DataType::Null)
}

/// The elements of a row's list; none for NULL.
fn elements_of<'v>(lists: &ValueVector<'v>, row: usize) -> ExecutionResult<Option<Run<'v>>> {
    if lists.is_null(row) {
        return Ok(None);
    }
    let (values, at) = match lists.shape {
        Shape::Dictionary { codes, values } => {
            let found = elements_of(&values.get(), codes[row] as usize)?;
            return Ok(found.map(|run| Run { row: row as u32, ..run }));
        }
        Shape::Flat(values) => (values, row),
        Shape::Constant(values) => (values, 0),
        _ => (Values::Null, 0),
    };
    let values = match values {
        Values::List(values) => values,
        Values::Null => return Ok(None),
        _ => return Err(ExecutionError::Internal { operator: COMPREHENSION, detail: "not a list".into() }),
    };
    let (from, to) = values.range(at);
    Ok(Some(Run { row: row as u32, child: values.child.get(), from, to }))
}

impl Elements {
    /// Calls `visit` with the elements of the selected rows, many at a time: with the rows that they belong to, and with
    /// a batch of them, which has the outer columns too. Gives the rows whose lists are not NULL.
    fn visit(
        &mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'_>,
        selection: Selection<'_>,
        mut visit: impl FnMut(&mut KernelContext, &[u32], &Batch<'_>) -> ExecutionResult<()>,
    ) -> ExecutionResult<Vec<u64>> {
        let Elements { list, element, flat, parents } = self;
        let lists = list.evaluate(kernels, batch, selection)?;
        let outer = &batch.columns[..*element];
        let mut valid = vec![0u64; batch.length.div_ceil(64)];
        let mut piece: Vec<Run<'_>> = Vec::new();
        let mut held = 0;
        selection.try_for_each(batch.length, |row| {
            let Some(mut run) = elements_of(&lists, row)? else { return Ok(()) };
            valid[row / 64] |= 1 << (row % 64);
            while run.from < run.to {
                let to = run.to.min(run.from + ELEMENTS_PER_LOOK - held);
                piece.push(Run { to, ..run });
                held += to - run.from;
                run.from = to;
                if held == ELEMENTS_PER_LOOK {
                    let memory = (&mut *flat, &mut *parents);
                    visit_piece(&piece, outer, memory, |rows, inner| visit(kernels, rows, inner))?;
                    piece.clear();
                    held = 0;
                }
            }
            Ok::<(), ExecutionError>(())
        })?;
        if held > 0 {
            visit_piece(&piece, outer, (flat, parents), |rows, inner| visit(kernels, rows, inner))?;
        }
        Ok(valid)
    }
}

/// Puts runs of elements next to each other; those of one list lie so already.
fn visit_piece(
    piece: &[Run<'_>],
    outer: &[ValueVector<'_>],
    (flat, parents): (&mut VectorBuffer, &mut Vec<u32>),
    visit: impl FnOnce(&[u32], &Batch<'_>) -> ExecutionResult<()>,
) -> ExecutionResult<()> {
    parents.clear();
    for run in piece {
        parents.extend(std::iter::repeat_n(run.row, run.to - run.from));
    }
    let parents = &*parents;
    let mut columns: Vec<ValueVector<'_>> =
        outer.iter().map(|column| ValueVector::dictionary(parents, column)).collect();
    columns.push(match piece {
        [run] => run.child.slice_from(run.from),
        runs => {
            flat.clear();
            runs.iter().for_each(|run| flat.append_range(&run.child, run.from, run.to - run.from));
            flat.vector()
        }
    });
    visit(parents, &Batch::new(&columns, parents.len()))
}

/// `[x IN list WHERE filter | map]`.
pub(super) struct Comprehension {
    elements: Elements,
    filter: Option<Node>,
    map: Option<Node>,
    out: VectorBuffer,
}

impl Comprehension {
    pub(super) fn new(expression: &Expression, query: &QueryContext) -> ExecutionResult<Comprehension> {
        let ExpressionKind::ListComprehension { list, element, filter, map } = &expression.kind else {
            return Err(ExecutionError::Internal {
                operator: "comprehension",
                detail: "another kind".into(),
            });
        };
        let inner = |e: &Option<Box<Expression>>| e.as_ref().map(|e| Node::new(e, query)).transpose();
        Ok(Comprehension {
            elements: Elements::new(list, *element, query)?,
            filter: inner(filter)?,
            map: inner(map)?,
            out: VectorBuffer::new(expression.data_type.clone()),
        })
    }

    pub(super) fn evaluate<'s>(
        &'s mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'s>,
        selection: Selection<'_>,
    ) -> ExecutionResult<ValueVector<'s>> {
        let Comprehension { elements, filter, map, out } = self;
        out.clear();
        let mut lengths = vec![0u32; batch.length];
        let mut rows = Vec::new();
        let mut seen = 0;
        let valid = elements.visit(kernels, batch, selection, |kernels, parents, inner| {
            let mut kept = SelectionBuffer::default();
            kept.reset(Selection::All, inner.length);
            if let Some(filter) = filter {
                filter.narrow(kernels, inner, &mut kept)?;
            }
            let values = match map {
                Some(map) => map.evaluate(kernels, inner, kept.view())?,
                None => inner.columns[inner.columns.len() - 1],
            };
            rows.clear();
            kept.view().indices(inner.length, &mut rows);
            if let Some((_, child)) = out.list_mut() {
                child.append_rows(&values, &rows);
                if u32::try_from(child.len()).is_err() {
                    return Err(FunctionError::invalid(COMPREHENSION, "the lists would be too long").into());
                }
            }
            rows.iter().for_each(|row| lengths[parents[*row as usize] as usize] += 1);
            if inner.length == ELEMENTS_PER_LOOK {
                // The list that is read stands in memory beside the one that is made.
                seen += inner.length * size_of::<u64>();
                kernels.go_on(COMPREHENSION, (seen + out.bytes()) as u64)?;
            }
            Ok(())
        })?;
        if let Some((offsets, _)) = out.list_mut() {
            let mut end = 0;
            offsets.extend(lengths.iter().map(|length| {
                end += length;
                end
            }));
            out.finish_rows(batch.length, Validity::Mask(&valid));
        }
        Ok(out.vector())
    }
}

/// `all|any|none|single(x IN list WHERE predicate)`.
pub(super) struct Quantified {
    kind: QuantifierKind,
    elements: Elements,
    predicate: Node,
    out: VectorBuffer,
}

/// Of how many elements the predicate is true, false and neither.
#[derive(Clone, Copy, Default)]
struct Tally {
    holds: usize,
    fails: usize,
    unknown: usize,
}

impl Quantified {
    pub(super) fn new(expression: &Expression, query: &QueryContext) -> ExecutionResult<Quantified> {
        let ExpressionKind::Quantifier { kind, list, element, predicate } = &expression.kind else {
            return Err(ExecutionError::Internal { operator: QUANTIFIER, detail: "another kind".into() });
        };
        Ok(Quantified {
            kind: *kind,
            elements: Elements::new(list, *element, query)?,
            predicate: Node::new(predicate, query)?,
            out: VectorBuffer::new(expression.data_type.clone()),
        })
    }

    pub(super) fn evaluate<'s>(
        &'s mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'s>,
        selection: Selection<'_>,
    ) -> ExecutionResult<ValueVector<'s>> {
        let Quantified { kind, elements, predicate, out } = self;
        let mut tallies = vec![Tally::default(); batch.length];
        let valid = elements.visit(kernels, batch, selection, |kernels, parents, inner| {
            let truths = predicate.evaluate(kernels, inner, Selection::All)?;
            for (element, row) in parents.iter().enumerate() {
                let tally = &mut tallies[*row as usize];
                match truths.bool_at(element) {
                    Some(true) => tally.holds += 1,
                    Some(false) => tally.fails += 1,
                    None => tally.unknown += 1,
                }
            }
            if inner.length == ELEMENTS_PER_LOOK {
                kernels.go_on(QUANTIFIER, 0)?;
            }
            Ok(())
        })?;
        fill_truths(out, batch.length, |row| {
            let Tally { holds, fails, unknown } = tallies[row];
            let is_list = valid[row / 64] >> (row % 64) & 1 == 1;
            if is_list { quantify(*kind, holds, fails, unknown) } else { None }
        });
        Ok(out.vector())
    }
}

/// Three-valued: an unknown element leaves the answer open unless the others settle it.
fn quantify(kind: QuantifierKind, holds: usize, fails: usize, unknown: usize) -> Option<bool> {
    match kind {
        QuantifierKind::All if fails > 0 => Some(false),
        QuantifierKind::Any if holds > 0 => Some(true),
        QuantifierKind::None if holds > 0 => Some(false),
        QuantifierKind::Single if holds > 1 => Some(false),
        _ if unknown > 0 => None,
        QuantifierKind::All | QuantifierKind::None => Some(true),
        QuantifierKind::Any => Some(false),
        QuantifierKind::Single => Some(holds == 1),
    }
}

impl Comprehension {
    /// Calls `visit` with every buffer of a result.
    pub(super) fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        let Comprehension { elements, filter, map, out } = self;
        elements.each_buffer(visit);
        filter.iter_mut().chain(map).for_each(|node| node.each_buffer(visit));
        visit(out);
    }
}

impl Quantified {
    /// Calls `visit` with every buffer of a result.
    pub(super) fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        self.elements.each_buffer(visit);
        self.predicate.each_buffer(visit);
    }
}

impl Elements {
    fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        self.list.each_buffer(visit);
        visit(&mut self.flat);
    }

    fn new(list: &Expression, element: usize, query: &QueryContext) -> ExecutionResult<Elements> {
        let flat = VectorBuffer::new(element_type(&list.data_type));
        Ok(Elements { list: Node::new(list, query)?, element, flat, parents: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_elements_leave_the_answer_open() {
        use QuantifierKind as Q;
        let check = |kind, counts: (usize, usize, usize), expected| {
            assert_eq!(quantify(kind, counts.0, counts.1, counts.2), expected, "{kind:?} {counts:?}");
        };
        check(Q::All, (0, 0, 0), Some(true));
        check(Q::All, (2, 0, 1), None);
        check(Q::All, (2, 1, 1), Some(false));
        check(Q::Any, (0, 3, 1), None);
        check(Q::Any, (1, 3, 1), Some(true));
        check(Q::None, (0, 1, 0), Some(true));
        check(Q::Single, (1, 5, 0), Some(true));
        check(Q::Single, (1, 5, 1), None);
        check(Q::Single, (2, 0, 1), Some(false));
    }
}
