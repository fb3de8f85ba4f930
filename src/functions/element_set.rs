//! The elements of one list, prepared for many questions whether a value is among them.

use hashbrown::{HashSet, HashTable};
use rustc_hash::{FxBuildHasher, FxHashSet};

use super::watch::ELEMENTS_PER_LOOK;
use crate::types::{DataType, GroupKey, PhysicalType, StringView, Value, must_stop};
use crate::vector::{Native, ValueVector, VectorBuffer, hash_bytes};

/// So few elements are gone through one by one.
const FEW: usize = 8;

/// What is known about a value and a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    No,
    Yes,
    /// A null keeps it open.
    Unknown,
}

impl Membership {
    /// The answer where it is known whether an equal element was found, and whether a null may be one.
    pub fn of(found: bool, may_be: bool) -> Membership {
        match (found, may_be) {
            (true, _) => Membership::Yes,
            (false, true) => Membership::Unknown,
            (false, false) => Membership::No,
        }
    }
}

/// Elements of one list; equal is what `=` says.
#[derive(Debug)]
pub struct ElementSet {
    known: Known,
    has_null: bool,
    is_empty: bool,
}

#[derive(Debug)]
enum Known {
    /// Integers, ids and floats as words that are the same for equal values.
    FewWords(Vec<u64>),
    Words(FxHashSet<u64>),
    Texts {
        texts: VectorBuffer,
        table: HashTable<u32>,
    },
    /// Anything else. What has parts of its own may be equal in parts, so that it is compared.
    Values {
        plain: HashSet<GroupKey, FxBuildHasher>,
        nested: Vec<Value>,
    },
}

/// A type of values as words.
pub trait Word: Native {
    /// Equal values have equal words; none for NaN, which nothing equals.
    fn word(self) -> Option<u64>;
}

macro_rules! words {
    ($($rust:ty, $value:ident => $word:expr;)*) => {$(
        impl Word for $rust {
            #[inline(always)]
            fn word(self) -> Option<u64> {
                let $value = self;
                $word
            }
        }
    )*};
}

words! {
    i8, value => Some(value as u64); i16, value => Some(value as u64);
    i32, value => Some(value as u64); i64, value => Some(value as u64);
    u8, value => Some(u64::from(value)); u16, value => Some(u64::from(value));
    u32, value => Some(u64::from(value)); u64, value => Some(value);
    // Adding zero turns -0.0 into 0.0.
    f32, value => (!value.is_nan()).then_some(u64::from((value + 0.0).to_bits()));
    f64, value => (!value.is_nan()).then_some((value + 0.0).to_bits());
}

/// Calls `$body` with the Rust type of a physical type that has words.
macro_rules! with_word {
    ($physical:expr, $name:ident => $body:expr, $other:expr) => {
        match $physical {
            PhysicalType::I8 => {
                type $name = i8;
                $body
            }
            PhysicalType::I16 => {
                type $name = i16;
                $body
            }
            PhysicalType::I32 => {
                type $name = i32;
                $body
            }
            PhysicalType::I64 => {
                type $name = i64;
                $body
            }
            PhysicalType::U8 => {
                type $name = u8;
                $body
            }
            PhysicalType::U16 => {
                type $name = u16;
                $body
            }
            PhysicalType::U32 => {
                type $name = u32;
                $body
            }
            PhysicalType::U64 => {
                type $name = u64;
                $body
            }
            PhysicalType::F32 => {
                type $name = f32;
                $body
            }
            PhysicalType::F64 => {
                type $name = f64;
                $body
            }
            _ => $other,
        }
    };
}
pub(super) use with_word;

impl ElementSet {
    /// The rows `start..end` of `child`, whose type is `element`; `typed`: only values of this type will be asked for.
    pub fn new(
        child: &ValueVector<'_>,
        (start, end): (usize, usize),
        element: &DataType,
        typed: bool,
    ) -> ElementSet {
        // Of a set that has to be given up in between nothing is asked.
        let goes_on = |row: &usize| !row.is_multiple_of(ELEMENTS_PER_LOOK) || !must_stop();
        let rows = || (start..end).take_while(goes_on).filter(|row| !child.is_null(*row));
        let values = || Known::of_values(rows().map(|row| child.value(row, element)));
        let typed_values = || {
            with_word!(
                element.physical(),
                T => match child.native_reader::<T>() {
                    Some(reader) => Known::of_words(rows().filter_map(|row| reader.get(row).word()), end - start),
                    None => Known::of_words(std::iter::empty(), 0),
                },
                match element.physical() {
                    PhysicalType::Str => Known::of_texts(rows().filter_map(|row| child.bytes_at(row)), element),
                    _ => values(),
                }
            )
        };
        let known = if typed { typed_values() } else { values() };
        ElementSet { known, has_null: rows().count() < end - start, is_empty: start == end }
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        match &self.known {
            Known::FewWords(_) => 0,
            Known::Words(words) => words.capacity() * 9,
            Known::Texts { texts, table } => texts.bytes() + table.capacity() * 5,
            Known::Values { plain, nested } => (plain.capacity() + nested.len()) * size_of::<Value>(),
        }
    }

    /// About how many bytes a set of some rows will hold.
    pub fn bytes_of(child: &ValueVector<'_>, (start, end): (usize, usize), element: &DataType) -> usize {
        let each = match element.physical() {
            PhysicalType::Str => {
                let text = |row| child.bytes_at(row).map_or(0, <[u8]>::len);
                return (start..end).map(|row| text(row) + size_of::<StringView>() + 10).sum();
            }
            _ => with_word!(element.physical(), T => 2 * size_of::<T>().max(9), 2 * size_of::<Value>()),
        };
        (end - start) * each
    }

    /// Whether NULL is an element: nobody knows, unless there is none.
    pub fn of_null(&self) -> Membership {
        Membership::of(false, !self.is_empty)
    }

    /// Whether a word is that of an element; none is the word of NaN.
    #[inline]
    pub fn of_word(&self, word: Option<u64>) -> Membership {
        let found = match (&self.known, word) {
            (Known::FewWords(words), Some(word)) => words.contains(&word),
            (Known::Words(words), Some(word)) => words.contains(&word),
            _ => false,
        };
        Membership::of(found, self.has_null)
    }

    /// Whether bytes are those of a text.
    pub fn of_bytes(&self, bytes: &[u8]) -> Membership {
        let found = match &self.known {
            Known::Texts { texts, table } => {
                let texts = texts.vector();
                let same = |row: &u32| texts.bytes_at(*row as usize) == Some(bytes);
                table.find(hash_bytes(bytes), same).is_some()
            }
            _ => false,
        };
        Membership::of(found, self.has_null)
    }

    /// Whether a value equals an element.
    pub fn of_value(&self, value: Value) -> Membership {
        if value.is_null() {
            return self.of_null();
        }
        let Known::Values { plain, nested } = &self.known else {
            return Membership::of(false, self.has_null);
        };
        if is_nested(&value) {
            let mut open = self.has_null;
            let found = nested.iter().any(|other| {
                let equal = value.equals(other);
                open |= equal.is_none();
                equal == Some(true)
            });
            return Membership::of(found, open);
        }
        let found = value.equals(&value) == Some(true) && plain.contains(&GroupKey(value));
        Membership::of(found, self.has_null)
    }
}

/// Whether a value has parts, of which some may be NULL.
fn is_nested(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Struct(_) | Value::Map(_) => true,
        Value::Union(_, value) => is_nested(value),
        _ => false,
    }
}

impl Known {
    fn of_words(words: impl Iterator<Item = u64>, most: usize) -> Known {
        if most > FEW {
            return Known::Words(words.collect());
        }
        Known::FewWords(words.collect())
    }

    fn of_texts<'b>(all: impl Iterator<Item = &'b [u8]>, data_type: &DataType) -> Known {
        let (mut texts, mut table) = (VectorBuffer::new(data_type.clone()), HashTable::new());
        for text in all {
            let known = |row: &u32| texts.vector().bytes_at(*row as usize) == Some(text);
            if table.find(hash_bytes(text), known).is_none() {
                let row = texts.len() as u32;
                texts.push_bytes(text);
                let hash = |row: &u32| hash_bytes(texts.vector().bytes_at(*row as usize).unwrap_or_default());
                table.insert_unique(hash_bytes(text), row, hash);
            }
        }
        Known::Texts { texts, table }
    }

    fn of_values(values: impl Iterator<Item = Value>) -> Known {
        let (mut plain, mut nested) = (HashSet::with_hasher(FxBuildHasher), Vec::new());
        for value in values {
            match is_nested(&value) {
                true => nested.push(value),
                // NaN does not equal itself.
                false if value.equals(&value) == Some(true) => {
                    plain.insert(GroupKey(value));
                }
                false => {}
            }
        }
        Known::Values { plain, nested }
    }
}
