//! Vectors of every type through the log's bytes, whole and damaged.

use proptest::prelude::*;

use super::*;
use crate::storage::column::tests::case;
use crate::types::Value;

fn encoded(data_type: &DataType, values: &[Value]) -> (VectorBuffer, Vec<u8>) {
    let mut buffer = VectorBuffer::new(data_type.clone());
    values.iter().for_each(|value| buffer.push_value(value).unwrap());
    let mut out = ByteWriter::default();
    encode_type(data_type, &mut out);
    encode_vector(&buffer.vector(), data_type, values.len(), &mut out);
    (buffer, out.bytes)
}

fn decoded(bytes: &[u8], rows: usize) -> Damaged<(VectorBuffer, usize)> {
    let mut reader = ByteReader::new(bytes);
    let mut buffer = VectorBuffer::new(decode_type(&mut reader)?);
    decode_vector(&mut reader, &mut buffer, rows)?;
    Ok((buffer, reader.remaining()))
}

fn texts(buffer: &VectorBuffer) -> Vec<String> {
    let value = |row| buffer.vector().value(row, buffer.data_type());
    (0..buffer.len()).map(|row| format!("{:?}", value(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_type_comes_back((data_type, values) in case()) {
        let (buffer, bytes) = encoded(&data_type, &values);
        let (read, rest) = decoded(&bytes, values.len()).unwrap();
        assert_eq!((read.data_type(), rest), (&data_type, 0));
        assert_eq!(texts(&read), texts(&buffer));
    }

    #[test]
    fn damaged_bytes_are_no_panics((data_type, values) in case(), at: u64, flip: u8, cut: bool) {
        let mut bytes = encoded(&data_type, &values).1;
        let place = at as usize % bytes.len();
        match cut {
            true => bytes.truncate(place),
            false => bytes[place] ^= flip.max(1),
        }
        if let Ok((read, _)) = decoded(&bytes, values.len()) {
            assert_eq!(texts(&read).len(), values.len());
            assert!(!cut, "nothing may be missing");
        }
    }
}

#[test]
fn vectors_of_other_shapes_are_flattened() {
    let mut out = ByteWriter::default();
    encode_vector(&ValueVector::sequence(7), &DataType::UInt64, 3, &mut out);
    encode_vector(&ValueVector::null(), &DataType::String, 3, &mut out);
    let mut reader = ByteReader::new(&out.bytes);
    let mut ids = VectorBuffer::new(DataType::UInt64);
    decode_vector(&mut reader, &mut ids, 3).unwrap();
    assert!(matches!(ids.values(), Values::U64([7, 8, 9])));
    let mut names = VectorBuffer::new(DataType::String);
    decode_vector(&mut reader, &mut names, 3).unwrap();
    assert_eq!(names.null_count(), 3);
}

#[test]
fn long_vectors_of_nulls_are_not_taken_on_one_byte() {
    let mut buffer = VectorBuffer::new(DataType::Int8);
    assert!(decode_vector(&mut ByteReader::new(&[ALL_NULL]), &mut buffer, NULL_ROWS_MAX + 1).is_err());
    decode_vector(&mut ByteReader::new(&[ALL_NULL]), &mut buffer, NULL_ROWS_MAX).unwrap();
}
