//! List comprehensions and quantifiers: the inner expressions run once over the elements of all rows.

use super::context::QueryContext;
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::{Node, fill_truths};
use crate::functions::KernelContext;
use crate::planner::physical_plan::{Expression, ExpressionKind, QuantifierKind};
use crate::types::DataType;
use crate::vector::{Batch, Selection, SelectionBuffer, Shape, Validity, ValueVector, Values, VectorBuffer};

/// The lists of a batch and its elements as one batch.
struct Elements {
    list: Node,
    /// The column of the element.
    element: usize,
    flat: VectorBuffer,
    parents: Vec<u32>,
}

/// The type of the lists; a list that is always NULL has no type of its own.
fn list_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::List(Box::new(DataType::Null)),
        list => list.clone(),
    }
}

impl Elements {
    /// Lays out the lists of the selected rows and calls `visit` with their ends and with the batch of elements,
    /// which has the outer columns too.
    fn visit<R>(
        &mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'_>,
        selection: Selection<'_>,
        visit: impl FnOnce(&mut KernelContext, &ValueVector<'_>, &[u32], &Batch<'_>) -> ExecutionResult<R>,
    ) -> ExecutionResult<R> {
        let Elements { list, element, flat, parents } = self;
        let lists = list.evaluate(kernels, batch, selection)?;
        flat.clear();
        let mut start = 0;
        // Rows that are not selected may hold anything: they become empty lists.
        selection.for_each(batch.length, |row| {
            flat.push_nulls(row - start);
            flat.append_row(&lists, row);
            start = row + 1;
        });
        flat.push_nulls(batch.length - start);
        let flat = flat.vector();
        let Shape::Flat(Values::List(values)) = flat.shape else {
            return Err(ExecutionError::Internal { operator: "comprehension", detail: "not a list".into() });
        };
        parents.clear();
        for row in 0..batch.length {
            let (from, to) = values.range(row);
            parents.extend(std::iter::repeat_n(row as u32, to - from));
        }
        let first = values.offsets.first().copied().unwrap_or(0) as usize;
        let mut columns: Vec<ValueVector<'_>> = batch
            .columns
            .iter()
            .take(*element)
            .map(|column| ValueVector::dictionary(parents, column))
            .collect();
        columns.push(values.child.get().slice_from(first));
        visit(kernels, &flat, &values.offsets[..batch.length + 1], &Batch::new(&columns, parents.len()))
    }
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
        elements.visit(kernels, batch, selection, |kernels, lists, ends, inner| {
            let mut kept = SelectionBuffer::default();
            kept.reset(Selection::All, inner.length);
            if let Some(filter) = filter {
                filter.narrow(kernels, inner, &mut kept)?;
            }
            let values = match map {
                Some(map) => map.evaluate(kernels, inner, kept.view())?,
                None => inner.columns[inner.columns.len() - 1],
            };
            let mut rows = Vec::new();
            kept.view().indices(inner.length, &mut rows);
            let Some((offsets, child)) = out.list_mut() else { return Ok(()) };
            let mut validity = vec![0u64; batch.length.div_ceil(64)];
            let first = ends[0];
            let mut taken = 0;
            for row in 0..batch.length {
                let end = ends[row + 1] - first;
                let from = taken;
                while taken < rows.len() && rows[taken] < end {
                    taken += 1;
                }
                child.append_rows(&values, &rows[from..taken]);
                offsets.push(child.len() as u32);
                if !lists.is_null(row) {
                    validity[row / 64] |= 1 << (row % 64);
                }
            }
            out.finish_rows(batch.length, Validity::Mask(&validity));
            Ok(())
        })?;
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

impl Quantified {
    pub(super) fn new(expression: &Expression, query: &QueryContext) -> ExecutionResult<Quantified> {
        let ExpressionKind::Quantifier { kind, list, element, predicate } = &expression.kind else {
            return Err(ExecutionError::Internal { operator: "quantifier", detail: "another kind".into() });
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
        elements.visit(kernels, batch, selection, |kernels, lists, ends, inner| {
            let truths = predicate.evaluate(kernels, inner, Selection::All)?;
            let first = ends[0];
            fill_truths(out, batch.length, |row| {
                if lists.is_null(row) {
                    return None;
                }
                let (mut holds, mut unknown, mut fails) = (0, 0, 0);
                for element in ends[row] - first..ends[row + 1] - first {
                    match truths.bool_at(element as usize) {
                        Some(true) => holds += 1,
                        Some(false) => fails += 1,
                        None => unknown += 1,
                    }
                }
                quantify(*kind, holds, fails, unknown)
            });
            Ok(())
        })?;
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

impl Elements {
    fn new(list: &Expression, element: usize, query: &QueryContext) -> ExecutionResult<Elements> {
        let flat = VectorBuffer::new(list_type(&list.data_type));
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
