//! What operators push: columns of equal length with a selection and a multiplicity.

use super::{Multiplicity, Selection, ValueVector};

/// Rows on their way through a pipeline, borrowed for the call.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'b> {
    /// The columns; each has a value for every row below `length`, selected or not.
    pub columns: &'b [ValueVector<'b>],
    /// Rows, selected or not.
    pub length: usize,
    /// The rows that are meant.
    pub selection: Selection<'b>,
    /// How many rows each of them stands for.
    pub multiplicity: Multiplicity<'b>,
}

impl<'b> Batch<'b> {
    /// A batch of all rows, each standing for itself.
    pub fn new(columns: &'b [ValueVector<'b>], length: usize) -> Self {
        Batch { columns, length, selection: Selection::All, multiplicity: Multiplicity::One }
    }

    /// Number of selected rows.
    pub fn selected(&self) -> usize {
        self.selection.count(self.length)
    }

    /// Number of rows that the selected ones stand for, none on overflow.
    pub fn row_count(&self) -> Option<u64> {
        match self.multiplicity {
            Multiplicity::One => Some(self.selected() as u64),
            Multiplicity::PerRow(counts) => {
                let mut total = Some(0u64);
                self.selection.for_each(self.length, |row| {
                    total = total.and_then(|sum| sum.checked_add(counts[row]));
                });
                total
            }
        }
    }
}

/// Scratch memory of an operator must be able to stand in for longer-lived memory, so the borrowed types have to
/// shrink their lifetimes; this does not compile once one of them holds a `Cell` or a `&mut`.
#[expect(dead_code, reason = "it is a proof, not a routine")]
fn shortens<'short, 'long: 'short>(
    batch: Batch<'long>,
    vector: ValueVector<'long>,
) -> (Batch<'short>, ValueVector<'short>) {
    (batch, vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplicities_count_and_their_overflow_is_seen() {
        let batch = Batch { selection: Selection::Rows(&[0, 2]), ..Batch::new(&[], 3) };
        assert_eq!(batch.row_count(), Some(2));
        let counted = Batch { multiplicity: Multiplicity::PerRow(&[5, 100, 6]), ..batch };
        assert_eq!(counted.row_count(), Some(11));
        let huge = Batch { multiplicity: Multiplicity::PerRow(&[u64::MAX, 0, 1]), ..batch };
        assert_eq!(huge.row_count(), None);
    }
}
