//! How the values of one segment lie in bytes. `Encoding` is what the segment's descriptor says; the modules turn
//! values into bytes and any range of rows, or one row, back. `fixed` and `strings` choose an encoding and read it;
//! the other modules are the layouts themselves.

pub mod bit_packing;
pub mod choose;
pub mod fixed;
pub mod rle;
pub mod strings;

use super::bytes::{ByteReader, ByteWriter, Damage, Damaged};

/// The name of an encoding, as written and as a test can force it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EncodingKind {
    /// All rows carry the same value; no bytes.
    Constant = 0,
    /// One value after the other; STRING: end offsets, then bytes.
    Plain = 1,
    /// Distances from a base, see `bit_packing`.
    BitPacked = 2,
    /// Bit-packed codes, then the sorted values they mean.
    Dictionary = 3,
    /// End rows of runs, then one value per run.
    RunLength = 4,
}

/// An encoding with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// The value's bytes.
    Constant {
        value: Box<[u8]>,
    },
    Plain,
    /// value = base + distance, distances of `width` bits.
    BitPacked {
        base: i128,
        width: u8,
    },
    /// Codes of `code_width` bits below `entries`.
    Dictionary {
        entries: u32,
        code_width: u8,
    },
    RunLength {
        runs: u32,
    },
}

impl Encoding {
    /// The name.
    pub fn kind(&self) -> EncodingKind {
        match self {
            Encoding::Constant { .. } => EncodingKind::Constant,
            Encoding::Plain => EncodingKind::Plain,
            Encoding::BitPacked { .. } => EncodingKind::BitPacked,
            Encoding::Dictionary { .. } => EncodingKind::Dictionary,
            Encoding::RunLength { .. } => EncodingKind::RunLength,
        }
    }

    /// Writes kind and parameters.
    pub fn encode(&self, out: &mut ByteWriter) {
        out.u8(self.kind() as u8);
        match self {
            Encoding::Constant { value } => out.short_bytes(value),
            Encoding::Plain => {}
            Encoding::BitPacked { base, width } => {
                out.u8(*width);
                out.i128(*base);
            }
            Encoding::Dictionary { entries, code_width } => {
                out.u8(*code_width);
                out.u32(*entries);
            }
            Encoding::RunLength { runs } => out.u32(*runs),
        }
    }

    /// The inverse of `encode`.
    pub fn decode(input: &mut ByteReader<'_>) -> Damaged<Encoding> {
        let encoding = match input.u8()? {
            0 => Encoding::Constant { value: input.short_bytes()?.into() },
            1 => Encoding::Plain,
            2 => Encoding::BitPacked { width: input.u8()?, base: input.i128()? },
            3 => Encoding::Dictionary { code_width: input.u8()?, entries: input.u32()? },
            4 => Encoding::RunLength { runs: input.u32()? },
            _ => return Err(Damage("unknown encoding")),
        };
        match encoding {
            Encoding::BitPacked { width, .. } if width > 64 => {
                Err(Damage("bit-packed values wider than 64 bits"))
            }
            Encoding::Dictionary { code_width, .. } if code_width > 32 => {
                Err(Damage("dictionary codes wider than 32 bits"))
            }
            Encoding::Dictionary { entries: 0, .. } => Err(Damage("dictionary without entries")),
            other => Ok(other),
        }
    }

    /// Whether the rows of a segment can be lent as they lie when the values have a fixed width.
    pub fn is_plain(&self) -> bool {
        matches!(self, Encoding::Plain)
    }
}

/// `length` rounded up to the next multiple of 16, where arrays of values inside a segment begin.
pub const fn aligned_16(length: usize) -> usize {
    length.next_multiple_of(16)
}

/// The longest constant that a descriptor carries; longer values are written as a dictionary of one.
pub const CONSTANT_BYTES_MAX: usize = 256;
