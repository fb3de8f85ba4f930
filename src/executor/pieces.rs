//! Batches cut into pieces, so that wide values which are made of their rows, or copied from them, never stand in memory
//! for all rows at once.

use super::context::{Context, QueryContext};
use super::counters::count;
use super::error::ExecutionResult;
use super::operator::Flow;
use crate::types::{PhysicalType, StringView};
use crate::vector::{ANY_CHILD, Batch, Multiplicity, Shape, ValueVector, Values};

/// What expressions make of a piece at most, about.
const MADE_MAX: u64 = 1 << 20;
/// What is copied of a batch at once at most, but for single rows that take more.
const COPIED_MAX: usize = 4 << 20;

/// How many rows are taken at once.
pub struct Pieces {
    rows: usize,
    codes: Vec<u32>,
    counts: Vec<u64>,
    /// The selected rows of a batch.
    rows_of: Vec<u32>,
}

impl Default for Pieces {
    fn default() -> Pieces {
        // How wide the values are shows after the first row.
        Pieces { rows: 1, codes: Vec::new(), counts: Vec::new(), rows_of: Vec::new() }
    }
}

impl Pieces {
    /// Begins with so many rows.
    pub fn of(rows: usize) -> Pieces {
        Pieces { rows, ..Pieces::default() }
    }

    /// Calls `take` with piece after piece; it tells what it has made of each.
    pub fn each(
        &mut self,
        batch: &Batch<'_>,
        query: &QueryContext,
        mut take: impl FnMut(&Batch<'_>) -> ExecutionResult<(Flow, u64)>,
    ) -> ExecutionResult<Flow> {
        if batch.length <= self.rows {
            let (flow, made) = take(batch)?;
            self.learn(batch.length, made);
            return Ok(flow);
        }
        let mut rows = Vec::new();
        batch.selection.indices(batch.length, &mut rows);
        let (mut at, mut flow) = (0, Flow::Continue);
        while at < rows.len() && flow == Flow::Continue {
            query.check()?;
            let part = &rows[at..(at + self.rows).min(rows.len())];
            at += part.len();
            let mut made = 0;
            flow = self.push(batch, part, |piece| {
                let (flow, bytes) = take(piece)?;
                made = bytes;
                Ok(flow)
            })?;
            self.learn(part.len(), made);
            if part.len() < rows.len() {
                count(&query.counters.pieces_cut, 1);
            }
        }
        Ok(flow)
    }

    fn learn(&mut self, rows: usize, made: u64) {
        self.rows = match made {
            0..MADE_MAX => self.rows.saturating_mul(2),
            _ => (MADE_MAX / (made / rows.max(1) as u64).max(1)).max(1) as usize,
        };
    }

    /// The same where rows are copied as they are: pieces are cut by what they take.
    pub fn each_copied(
        &mut self,
        batch: &Batch<'_>,
        query: &QueryContext,
        mut take: impl FnMut(&Batch<'_>) -> ExecutionResult<Flow>,
    ) -> ExecutionResult<Flow> {
        let wide: Vec<&ValueVector<'_>> = batch.columns.iter().filter(|column| may_be_wide(column)).collect();
        if wide.is_empty() {
            return take(batch);
        }
        let mut rows = std::mem::take(&mut self.rows_of);
        rows.clear();
        batch.selection.indices(batch.length, &mut rows);
        let all = wide.iter().fold(0, |sum: usize, column| sum.saturating_add(bytes_of(column, &rows)));
        let flow = match all <= COPIED_MAX {
            true => take(batch),
            false => self.each_fitting(batch, (&rows, &wide), query, take),
        };
        self.rows_of = rows;
        flow
    }

    /// Cuts a batch by the bytes of its wide columns.
    fn each_fitting(
        &mut self,
        batch: &Batch<'_>,
        (rows, wide): (&[u32], &[&ValueVector<'_>]),
        query: &QueryContext,
        mut take: impl FnMut(&Batch<'_>) -> ExecutionResult<Flow>,
    ) -> ExecutionResult<Flow> {
        // A list that the row before has, too, is not copied again.
        let bytes_at = |row: u32, before: Option<u32>| {
            let fresh = wide.iter().filter(|column| before.is_none_or(|at| !is_same_list(column, at, row)));
            fresh.fold(0, |sum: usize, column| sum.saturating_add(bytes_of(column, &[row])))
        };
        let (mut at, mut flow) = (0, Flow::Continue);
        while at < rows.len() && flow == Flow::Continue {
            query.check()?;
            let (mut end, mut bytes) = (at + 1, bytes_at(rows[at], None));
            while let Some(row) = rows.get(end) {
                bytes = bytes.saturating_add(bytes_at(*row, Some(rows[end - 1])));
                if bytes > COPIED_MAX {
                    break;
                }
                end += 1;
            }
            flow = self.push(batch, &rows[at..end], &mut take)?;
            count(&query.counters.pieces_cut, 1);
            at = end;
        }
        Ok(flow)
    }

    /// Hands on some rows of a batch alone: what is laid out anew of them is so for no others.
    fn push(
        &mut self,
        batch: &Batch<'_>,
        rows: &[u32],
        take: impl FnOnce(&Batch<'_>) -> ExecutionResult<Flow>,
    ) -> ExecutionResult<Flow> {
        let Pieces { codes, counts, .. } = self;
        codes.clear();
        codes.extend_from_slice(rows);
        let columns: Vec<ValueVector<'_>> =
            batch.columns.iter().map(|column| ValueVector::dictionary(codes, column)).collect();
        let mut piece = Batch::new(&columns, rows.len());
        if let Multiplicity::PerRow(all) = batch.multiplicity {
            counts.clear();
            counts.extend(rows.iter().map(|row| all[*row as usize]));
            piece.multiplicity = Multiplicity::PerRow(counts);
        }
        take(&piece)
    }
}

/// An operator that takes batches piece by piece.
pub trait TakesPieces {
    fn pieces(&mut self) -> &mut Pieces;

    /// What the expressions have made of the last piece, if they make wide values.
    fn made(&mut self) -> Option<u64>;

    fn take(&mut self, context: &mut Context<'_>, piece: &Batch<'_>) -> ExecutionResult<Flow>;

    /// Takes a batch of which nothing is copied.
    fn push_computed(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        if self.made().is_none() {
            return self.take(context, batch);
        }
        let mut pieces = std::mem::take(self.pieces());
        let flow = pieces.each(batch, context.query, |piece| {
            let flow = self.take(context, piece)?;
            Ok((flow, self.made().unwrap_or(0)))
        });
        *self.pieces() = pieces;
        flow
    }

    /// Takes a batch whose rows are copied.
    fn push_copied(&mut self, context: &mut Context<'_>, batch: &Batch<'_>) -> ExecutionResult<Flow> {
        if self.made().is_some() {
            return self.push_computed(context, batch);
        }
        let mut pieces = std::mem::take(self.pieces());
        let flow = pieces.each_copied(batch, context.query, |piece| self.take(context, piece));
        *self.pieces() = pieces;
        flow
    }
}

/// Whether the values of a column may be of any length.
fn may_be_wide(vector: &ValueVector<'_>) -> bool {
    match vector.shape {
        Shape::Dictionary { values, .. } => may_be_wide(&values.get()),
        Shape::Flat(values) | Shape::Constant(values) => match values {
            Values::Str(_) | Values::List(_) | Values::Any(_) | Values::Union { .. } => true,
            Values::Struct(members) => (0..members.len()).any(|member| may_be_wide(&members.get(member))),
            _ => false,
        },
        _ => false,
    }
}

fn is_list(vector: &ValueVector<'_>) -> bool {
    match vector.shape {
        Shape::Dictionary { values, .. } => is_list(&values.get()),
        Shape::Flat(values) | Shape::Constant(values) => matches!(values, Values::List(_)),
        _ => false,
    }
}

/// Whether two rows have one list, which lies at one place.
fn is_same_list(vector: &ValueVector<'_>, a: u32, b: u32) -> bool {
    match vector.shape {
        Shape::Dictionary { codes, values } => {
            let (a, b) = (codes[a as usize], codes[b as usize]);
            let values = values.get();
            if a == b { is_list(&values) } else { is_same_list(&values, a, b) }
        }
        Shape::Constant(_) => is_list(vector),
        Shape::Flat(Values::List(lists)) => lists.range(a as usize) == lists.range(b as usize),
        _ => false,
    }
}

/// What copies of some rows take beside their places, about; NULLs take nothing. Much is not counted to its end.
fn bytes_of(vector: &ValueVector<'_>, rows: &[u32]) -> usize {
    let values = match vector.shape {
        Shape::Dictionary { codes, values } => {
            if let Shape::Flat(Values::Str(texts)) = values.get().shape {
                return bytes_of_texts(texts.views, codes, rows);
            }
            let mut entries: Vec<u32> = rows.iter().map(|row| codes[*row as usize]).collect();
            if is_list(&values.get()) {
                // A list is copied once for all rows that have it.
                entries.dedup();
            }
            return bytes_of(&values.get(), &entries);
        }
        Shape::Constant(values) => {
            let times = if is_list(vector) { 1 } else { rows.len() };
            return values_of(&values, &[0]).saturating_mul(times);
        }
        Shape::Flat(values) => values,
        _ => return 0,
    };
    values_of(&values, rows)
}

/// What copies of the texts of some rows take. Where many rows have few texts, the longest of them may say already that
/// it is little.
fn bytes_of_texts(views: &[StringView], codes: &[u32], rows: &[u32]) -> usize {
    if views.len() <= rows.len() / 4 {
        let longest = views.iter().map(StringView::len).max().unwrap_or(0);
        let most = longest.saturating_mul(rows.len());
        if most <= COPIED_MAX {
            return most;
        }
    }
    rows.iter().map(|row| views[codes[*row as usize] as usize].len()).sum()
}

fn values_of(values: &Values<'_>, rows: &[u32]) -> usize {
    match values {
        Values::Str(strings) => rows.iter().map(|row| strings.views[*row as usize].len()).sum(),
        Values::List(lists) => {
            let ranges = rows.iter().map(|row| lists.range(*row as usize));
            let elements: usize = ranges.clone().map(|(from, to)| to - from).sum();
            let mut bytes = elements.saturating_mul(size_of::<u64>());
            let child = lists.child.get();
            if may_be_wide(&child) {
                for (from, to) in ranges {
                    if bytes > COPIED_MAX {
                        break;
                    }
                    let elements: Vec<u32> = (from as u32..to as u32).collect();
                    bytes = bytes.saturating_add(bytes_of(&child, &elements));
                }
            }
            bytes
        }
        Values::Struct(members) | Values::Union { children: members, .. } => {
            let members = (0..members.len()).map(|member| bytes_of(&members.get(member), rows));
            members.fold(0, usize::saturating_add)
        }
        Values::Any(values) => {
            let of_row = |row: &u32| match values.tags[*row as usize] {
                ANY_CHILD => {
                    let (child, at) = values.child(*row as usize);
                    bytes_of(&values.children.get(child).1, &[at as u32])
                }
                _ if values.type_of(*row as usize).physical() == PhysicalType::Str => {
                    values.bytes(*row as usize).len()
                }
                _ => 0,
            };
            rows.iter().map(of_row).fold(0, usize::saturating_add)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DataType, Value};
    use crate::vector::VectorBuffer;

    #[test]
    fn a_row_takes_what_its_texts_and_lists_take() {
        let check = |data_type: DataType, value: Value, least: usize, most: usize| {
            let mut buffer = VectorBuffer::new(data_type);
            buffer.push_value(&Value::Null).unwrap();
            buffer.push_value(&value).unwrap();
            let (flat, codes) = (buffer.vector(), [1, 1]);
            let bytes = bytes_of(&ValueVector::dictionary(&codes, &flat), &[0]);
            assert!((least..=most).contains(&bytes), "{bytes}");
            assert_eq!(bytes_of(&flat, &[0]), 0);
        };
        let text = |length: usize| Value::String("x".repeat(length));
        check(DataType::String, text(1000), 1000, 1000);
        check(DataType::list(DataType::Int64), Value::List(vec![Value::Int64(1); 100]), 800, 900);
        check(DataType::list(DataType::String), Value::List(vec![text(500); 4]), 2000, 2100);
        check(DataType::Any, text(700), 700, 800);
    }

    #[test]
    fn pieces_shrink_where_much_is_made_and_grow_again() {
        let mut pieces = Pieces::default();
        let mut check = |rows: usize, made: u64, expected: usize| {
            pieces.learn(rows, made);
            assert_eq!(pieces.rows, expected);
        };
        check(1, 10, 2);
        check(2, 20, 4);
        check(4, 4 << 20, 1);
        check(1, 100, 2);
        check(2, 2 << 19, 2);
    }
}
