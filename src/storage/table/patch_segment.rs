//! New values of a chunk that stand beside its segments, so that a checkpoint after a few changes need not write the
//! chunk again. Readers take them for one more level, the lowest. `specs/format/columns.md` draws the bytes.

use crate::storage::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::storage::delta::PatchPart;
use crate::storage::wal::{decode_vector, encode_vector};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

/// A patch has fewer than one in so many of its group's rows.
const ROWS_PER_PATCH: usize = 16;

/// Whether so many new values of a chunk are written as a patch.
pub(super) fn is_worth_a_patch(new_values: usize, group_rows: usize) -> bool {
    new_values.saturating_mul(ROWS_PER_PATCH) < group_rows
}

/// The bytes of a segment with these values for these rows, which rise.
pub fn encode_patch(rows: &[u16], values: &ValueVector<'_>, data_type: &DataType) -> Vec<u8> {
    let mut out = ByteWriter::default();
    out.u32(rows.len() as u32);
    rows.iter().for_each(|row| out.u16(*row));
    encode_vector(values, data_type, rows.len(), &mut out);
    out.bytes
}

/// The inverse of `encode_patch`, for a chunk of `group_rows` rows.
pub fn decode_patch(bytes: &[u8], data_type: &DataType, group_rows: u32) -> Damaged<PatchPart> {
    let mut reader = ByteReader::new(bytes);
    let count = reader.u32()?;
    if count > group_rows {
        return Err(Damage("a patch has more rows than its chunk"));
    }
    let rows = reader.take(count as usize * 2)?.as_chunks::<2>().0;
    let rows: Vec<u16> = rows.iter().map(|row| u16::from_le_bytes(*row)).collect();
    let is_within = rows.last().is_none_or(|last| u32::from(*last) < group_rows);
    if !is_within || !rows.is_sorted_by(|a, b| a < b) {
        return Err(Damage("the rows of a patch do not rise, or are not those of its chunk"));
    }
    let mut values = VectorBuffer::new(data_type.clone());
    decode_vector(&mut reader, &mut values, rows.len())?;
    match reader.remaining() {
        0 => Ok(PatchPart::new(rows, values)),
        _ => Err(Damage("a patch has bytes behind its end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(rows: usize) -> VectorBuffer {
        let mut values = VectorBuffer::new(DataType::String);
        (0..rows).for_each(|row| match row % 3 {
            0 => values.push_null(),
            _ => values.push_str(&"text ".repeat(row % 7)),
        });
        values
    }

    #[test]
    fn patches_come_back_and_cuts_are_damage() {
        let rows = [0u16, 1, 64, 999];
        let bytes = encode_patch(&rows, &values(rows.len()).vector(), &DataType::String);
        let part = decode_patch(&bytes, &DataType::String, 1000).unwrap();
        assert_eq!(part.rows(), rows);
        let text = |row| part.values().value(row, &DataType::String);
        let expected = values(rows.len());
        assert!((0..rows.len()).all(|row| text(row) == expected.vector().value(row, &DataType::String)));
        for cut in 0..bytes.len() {
            assert!(decode_patch(&bytes[..cut], &DataType::String, 1000).is_err());
        }
        assert!(decode_patch(&bytes, &DataType::String, 999).is_err(), "a row that the chunk does not have");
    }

    #[test]
    fn flipped_bytes_are_no_panics() {
        let rows: Vec<u16> = (0..20).map(|row| row * 3).collect();
        let bytes = encode_patch(&rows, &values(rows.len()).vector(), &DataType::String);
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Ok(part) = decode_patch(&damaged, &DataType::String, 60) {
                assert!(part.rows().is_sorted());
            }
        }
    }

    #[test]
    fn only_a_small_part_of_a_group_is_a_patch() {
        let check =
            |new: usize, rows: usize, expected: bool| assert_eq!(is_worth_a_patch(new, rows), expected);
        check(1, 16, false);
        check(1, 17, true);
        check(4095, 65_536, true);
        check(4096, 65_536, false);
    }
}
