//! One column of a batch.

use super::{Validity, Values, VectorBuffer, VectorRef};

/// A borrowed column. Row `i` is null if `validity` says so, or if it is a code of a dictionary whose value is null.
#[derive(Debug, Clone, Copy)]
pub struct ValueVector<'b> {
    pub shape: Shape<'b>,
    pub validity: Validity<'b>,
}

/// How the values of a vector are spread over its rows.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'b> {
    /// Row `i` is value `i`.
    Flat(Values<'b>),
    /// Every row is value 0.
    Constant(Values<'b>),
    /// Row `i` is row `codes[i]` of `values`.
    Dictionary { codes: &'b [u32], values: VectorRef<'b> },
    /// U64: row `i` is `start + i`.
    Sequence { start: u64 },
    /// U64: row `i` is `base + offsets[i]`; neighbour lists as they lie.
    Offsets { base: u64, offsets: &'b [u32] },
}

impl<'b> ValueVector<'b> {
    /// A flat vector without nulls.
    pub fn flat(values: Values<'b>) -> Self {
        ValueVector { shape: Shape::Flat(values), validity: Validity::AllValid }
    }

    /// A vector that repeats value 0.
    pub fn constant(values: Values<'b>) -> Self {
        ValueVector { shape: Shape::Constant(values), validity: Validity::AllValid }
    }

    /// A vector of nulls only.
    pub fn null() -> Self {
        ValueVector { shape: Shape::Constant(Values::Null), validity: Validity::AllNull }
    }

    /// Rows of a shared dictionary; of a constant all rows are the same.
    pub fn dictionary(codes: &'b [u32], values: impl Into<VectorRef<'b>>) -> Self {
        let values = values.into();
        match values {
            // Other vectors without a value are as long as they are.
            VectorRef::Vector(constant)
                if matches!(constant.shape, Shape::Constant(_)) && constant.is_constant() =>
            {
                *constant
            }
            _ => ValueVector { shape: Shape::Dictionary { codes, values }, validity: Validity::AllValid },
        }
    }

    /// Ascending U64 values.
    pub fn sequence(start: u64) -> Self {
        ValueVector { shape: Shape::Sequence { start }, validity: Validity::AllValid }
    }

    /// U64 values as a base and 32-bit offsets.
    pub fn offsets(base: u64, offsets: &'b [u32]) -> Self {
        ValueVector { shape: Shape::Offsets { base, offsets }, validity: Validity::AllValid }
    }

    /// The same values with other nulls.
    pub fn with_validity(self, validity: Validity<'b>) -> Self {
        ValueVector { validity, ..self }
    }

    /// Whether all rows have the same value (or are all null).
    #[inline]
    pub fn is_constant(&self) -> bool {
        match self.validity {
            Validity::AllNull => true,
            Validity::AllValid => matches!(self.shape, Shape::Constant(_)),
            _ => false,
        }
    }

    /// Whether a row is null.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        if !self.validity.is_valid(row) {
            return true;
        }
        match &self.shape {
            Shape::Dictionary { codes, values } => values.get().is_null(codes[row] as usize),
            Shape::Flat(Values::Null) | Shape::Constant(Values::Null) => true,
            _ => false,
        }
    }

    /// Whether it is known without a look at the rows that all are null: such a vector has no values of any type.
    pub fn is_all_null(&self) -> bool {
        matches!(self.validity, Validity::AllNull)
            || match &self.shape {
                Shape::Dictionary { values, .. } => values.get().is_all_null(),
                Shape::Flat(Values::Null) | Shape::Constant(Values::Null) => true,
                _ => false,
            }
    }

    /// Whether it is known without a look at the rows that none is null.
    pub fn has_no_nulls(&self) -> bool {
        self.validity.is_all_valid()
            && match &self.shape {
                Shape::Dictionary { values, .. } => values.get().has_no_nulls(),
                Shape::Flat(Values::Null) | Shape::Constant(Values::Null) => false,
                _ => true,
            }
    }

    /// The codes of a dictionary, its entries and how many they are, where these lie in memory one by one.
    pub fn entries(&self) -> Option<(&'b [u32], ValueVector<'b>, usize)> {
        let Shape::Dictionary { codes, values } = self.shape else { return None };
        let values = values.get();
        match values.shape {
            Shape::Flat(flat) => Some((codes, values, flat.len_hint()?)),
            _ => None,
        }
    }

    /// The values of a flat or constant vector.
    pub fn values(&self) -> Option<Values<'b>> {
        match self.shape {
            Shape::Flat(values) | Shape::Constant(values) => Some(values),
            _ => None,
        }
    }

    /// The value of one row for all rows; none where values are not in memory as they are.
    pub fn repeated(&self, row: usize) -> Option<ValueVector<'b>> {
        if self.is_null(row) {
            return Some(ValueVector::null());
        }
        match self.shape {
            Shape::Flat(values) => Some(ValueVector::constant(values.slice_from(row))),
            Shape::Constant(values) => Some(ValueVector::constant(values)),
            Shape::Dictionary { codes, values } => values.get().repeated(codes[row] as usize),
            Shape::Sequence { .. } | Shape::Offsets { .. } => None,
        }
    }

    /// The rows from `start` on.
    pub fn slice_from(&self, start: usize) -> ValueVector<'b> {
        let shape = match self.shape {
            Shape::Flat(values) => Shape::Flat(values.slice_from(start)),
            Shape::Constant(values) => Shape::Constant(values),
            Shape::Dictionary { codes, values } => Shape::Dictionary { codes: &codes[start..], values },
            Shape::Sequence { start: first } => Shape::Sequence { start: first + start as u64 },
            Shape::Offsets { base, offsets } => Shape::Offsets { base, offsets: &offsets[start..] },
        };
        ValueVector { shape, validity: self.validity.slice(start) }
    }

    /// The rows of a range; the end is the caller's length from now on.
    pub fn slice(&self, range: std::ops::Range<usize>) -> ValueVector<'b> {
        self.slice_from(range.start)
    }

    /// Writes the first `length` rows into a buffer (of the same type), which is cleared first.
    pub fn flatten(&self, length: usize, out: &mut VectorBuffer) {
        out.clear();
        out.append_range(self, 0, length);
    }

    /// The vector itself where it is flat or constant, else a flat copy in `scratch` (of the same type).
    pub fn flat_in<'s>(&self, length: usize, scratch: &'s mut VectorBuffer) -> ValueVector<'s>
    where
        'b: 's,
    {
        if matches!(self.shape, Shape::Flat(_) | Shape::Constant(_)) {
            return *self;
        }
        self.flatten(length, scratch);
        scratch.vector()
    }
}
