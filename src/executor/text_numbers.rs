//! Columns of texts beside other key columns: each text of a column is known by a number, so that the keys of a row pack
//! into one integer, and a text that many rows have is looked at once per batch.

use super::text_keys::{TextKeys, TextScratch, add_texts};
use crate::types::{DataType, PhysicalType};
use crate::vector::{Selection, ValueVector};

/// Bits of a packed number. NULL is 0 and needs no bit beside it.
pub(super) const NUMBER_BITS: u32 = 32;
/// What no text of the table has.
const UNKNOWN: u32 = u32::MAX;

/// The texts of the columns that are texts.
pub(super) struct TextNumbers {
    by_column: Vec<Option<TextKeys>>,
}

/// Scratch of one worker.
#[derive(Default)]
pub(super) struct NumberScratch {
    texts: TextScratch,
    by_row: Vec<u32>,
    hashes: Vec<u64>,
    pub numbers: Vec<u32>,
}

impl TextNumbers {
    pub fn new(types: &[DataType]) -> TextNumbers {
        let is_text = |data_type: &&DataType| data_type.physical() == PhysicalType::Str;
        let table = |data_type| Some(data_type).filter(is_text).cloned().map(TextKeys::new);
        TextNumbers { by_column: types.iter().map(table).collect() }
    }

    /// Whether no column is one of texts.
    pub fn is_empty(&self) -> bool {
        self.by_column.iter().all(Option::is_none)
    }

    pub fn bytes(&self) -> u64 {
        self.by_column.iter().flatten().map(TextKeys::bytes).sum()
    }

    /// The number of each selected row's text, in order; new texts get one.
    pub fn add(
        &mut self,
        column: usize,
        key: &ValueVector<'_>,
        (length, selection): (usize, Selection<'_>),
        scratch: &mut NumberScratch,
    ) {
        let NumberScratch { texts, by_row, numbers, .. } = scratch;
        numbers.clear();
        let Some(known) = &mut self.by_column[column] else { return };
        by_row.clear();
        by_row.resize(length, 0);
        add_texts(known, key, (length, selection), 0, by_row, texts);
        if let Some(null) = known.null() {
            // A dictionary may have NULL among its entries, which has a number there.
            by_row.iter_mut().filter(|number| **number == null + 1).for_each(|number| *number = 0);
        }
        match selection {
            Selection::All => numbers.extend_from_slice(by_row),
            _ => selection.for_each(length, |row| numbers.push(by_row[row])),
        }
    }

    /// As `add`, but a text that is not known gets a number that no row has.
    pub fn find(&self, column: usize, key: &ValueVector<'_>, rows: &[u32], scratch: &mut NumberScratch) {
        let numbers = &mut scratch.numbers;
        numbers.clear();
        let Some(known) = &self.by_column[column] else { return };
        known.find(key, rows, numbers);
        for (number, row) in numbers.iter_mut().zip(rows) {
            *number = match *number {
                _ if key.is_null(*row as usize) => 0,
                UNKNOWN => UNKNOWN,
                known => known + 1,
            };
        }
    }

    /// As `add`, but part of a hash instead of a number, which does not depend on a table.
    pub fn hash(key: &ValueVector<'_>, rows: &[u32], scratch: &mut NumberScratch) {
        let NumberScratch { hashes, numbers, .. } = scratch;
        hashes.clear();
        TextKeys::hashes(key, rows, hashes);
        numbers.clear();
        numbers.extend(hashes.iter().map(|hash| (*hash >> 16) as u32));
    }
}
