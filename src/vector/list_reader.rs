//! Lists of a vector of any shape, read where they lie.

use std::ops::Range;

use super::{ListVector, Shape, ValueVector, Values};

/// Reads the lists of single rows.
#[derive(Debug, Clone)]
pub struct ListReader<'b> {
    lists: ListVector<'b>,
    /// The elements of all lists.
    pub child: ValueVector<'b>,
    constant: bool,
    /// The codes of dictionaries, the outermost first.
    codes: Vec<&'b [u32]>,
}

impl<'b> ListReader<'b> {
    /// Start and end of a row's elements in the child. Rows that are null may not be asked for.
    #[inline]
    pub fn range(&self, row: usize) -> (usize, usize) {
        let row = match self.codes.as_slice() {
            [] => row,
            [codes] => codes[row] as usize,
            all => all.iter().fold(row, |row, codes| codes[row] as usize),
        };
        self.lists.range(if self.constant { 0 } else { row })
    }

    /// Names the lists: readers with the same number other than 0 have the same elements in the same ranges.
    pub fn identity(&self) -> u64 {
        self.lists.identity
    }
}

impl<'b> ValueVector<'b> {
    /// A reader of lists, if the vector has some.
    pub fn list_reader(&self) -> Option<ListReader<'b>> {
        let (mut vector, mut codes) = (*self, Vec::new());
        loop {
            let (lists, constant) = match vector.shape {
                Shape::Dictionary { codes: outer, values } => {
                    codes.push(outer);
                    vector = values.get();
                    continue;
                }
                Shape::Flat(Values::List(lists)) => (lists, false),
                Shape::Constant(Values::List(lists)) => (lists, true),
                _ => return None,
            };
            return Some(ListReader { lists, child: lists.child.get(), constant, codes });
        }
    }

    /// One row's list: its elements and where they lie. None for NULL and for what is no list.
    pub fn list_at(&self, row: usize) -> Option<(ValueVector<'b>, Range<usize>)> {
        let (lists, row) = match self.shape {
            _ if self.is_null(row) => return None,
            Shape::Dictionary { codes, values } => return values.get().list_at(codes[row] as usize),
            Shape::Flat(Values::List(lists)) => (lists, row),
            Shape::Constant(Values::List(lists)) => (lists, 0),
            _ => return None,
        };
        let (start, end) = lists.range(row);
        Some((lists.child.get(), start..end))
    }
}
