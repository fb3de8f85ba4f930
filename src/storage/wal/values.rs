//! Vectors of every type as bytes of the log: plain values behind each other, nulls as a bitmap. Nothing is compressed:
//! a commit waits for this, and a checkpoint soon writes the values as columns. See `specs/format/writeset.md`.

use crate::storage::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use crate::types::{DataType, Interval, Time, ZoneId, Zoned};
use crate::vector::{
    ANY_CHILD, ListVector, Native, Shape, StringVector, Validity, ValueVector, Values, VectorBuffer, any_tag,
    any_type,
};

/// More rows than this are never taken on the word of a few bytes.
const NULL_ROWS_MAX: usize = 1 << 16;

const ALL_VALID: u8 = 0;
const SOME_NULL: u8 = 1;
const ALL_NULL: u8 = 2;

/// Writes a type: one byte where it has a tag, else its text.
pub(super) fn encode_type(data_type: &DataType, out: &mut ByteWriter) {
    match any_tag(data_type) {
        // SERIAL has the tag of INT64, but is another type.
        Some(tag) if *data_type != DataType::Serial => out.u8(tag),
        _ => {
            let text = data_type.to_string();
            out.u8(ANY_CHILD);
            out.u32(text.len() as u32);
            out.bytes.extend_from_slice(text.as_bytes());
        }
    }
}

/// Reads a type.
pub(super) fn decode_type(reader: &mut ByteReader<'_>) -> Damaged<DataType> {
    match reader.u8()? {
        ANY_CHILD => {
            let length = reader.u32()? as usize;
            let text = std::str::from_utf8(reader.take(length)?).map_err(|_| Damage("a type is no text"))?;
            DataType::parse(text).map_err(|_| Damage("a type is unknown"))
        }
        tag => any_type(tag).ok_or(Damage("the tag of a type is unknown")),
    }
}

/// Writes the first `rows` rows of a vector of the type.
pub(in crate::storage) fn encode_vector(
    vector: &ValueVector<'_>,
    data_type: &DataType,
    rows: usize,
    out: &mut ByteWriter,
) {
    if let Shape::Flat(values) = vector.shape {
        return encode_flat(&values, vector.validity, rows, out);
    }
    let mut flat = VectorBuffer::new(data_type.clone());
    flat.append_range(vector, 0, rows);
    encode_flat(&flat.values(), flat.vector().validity, rows, out);
}

fn encode_flat(values: &Values<'_>, validity: Validity<'_>, rows: usize, out: &mut ByteWriter) {
    match validity {
        Validity::AllNull if rows <= NULL_ROWS_MAX => return out.u8(ALL_NULL),
        _ if matches!(values, Values::Null) && rows <= NULL_ROWS_MAX => return out.u8(ALL_NULL),
        Validity::AllValid => out.u8(ALL_VALID),
        _ => {
            out.u8(SOME_NULL);
            (0..rows.div_ceil(64)).for_each(|index| out.u64(validity.word(index)));
        }
    }
    encode_values(values, validity, rows, out);
}

macro_rules! plain {
    ($values:expr, $out:expr) => {
        $values.iter().for_each(|value| $out.bytes.extend_from_slice(&value.to_le_bytes()))
    };
}

fn encode_values(values: &Values<'_>, validity: Validity<'_>, rows: usize, out: &mut ByteWriter) {
    match values {
        Values::Null => {}
        Values::Bool(values) | Values::U8(values) => out.bytes.extend_from_slice(&values[..rows]),
        Values::I8(values) => plain!(values[..rows], out),
        Values::I16(values) => plain!(values[..rows], out),
        Values::I32(values) => plain!(values[..rows], out),
        Values::I64(values) => plain!(values[..rows], out),
        Values::I128(values) => plain!(values[..rows], out),
        Values::U16(values) => plain!(values[..rows], out),
        Values::U32(values) => plain!(values[..rows], out),
        Values::U64(values) => plain!(values[..rows], out),
        Values::F32(values) => plain!(values[..rows], out),
        Values::F64(values) => plain!(values[..rows], out),
        Values::Str(strings) => encode_strings(strings, validity, rows, out),
        Values::Time(values) => values[..rows].iter().for_each(|time| encode_time(time, out)),
        Values::Interval(values) => values[..rows].iter().for_each(|interval| encode_interval(interval, out)),
        Values::Zoned(values) => values[..rows].iter().for_each(|zoned| encode_zoned(zoned, out)),
        Values::List(lists) => {
            if let Some((offsets, child)) = lists.consecutive(validity, rows) {
                let lists = Values::List(ListVector::new(&offsets, &child));
                return encode_values(&lists, validity, rows, out);
            }
            for row in 0..rows {
                let (start, end) = lists.range(row);
                out.u32((end - start) as u32);
            }
            let (start, end) = (lists.offsets[0] as usize, lists.offsets[rows] as usize);
            encode_child(&lists.child.get().slice_from(start), end - start, out);
        }
        Values::Struct(children) => {
            (0..children.len()).for_each(|at| encode_child(&children.get(at), rows, out));
        }
        Values::Union { tags, children } => {
            out.bytes.extend_from_slice(&tags[..rows]);
            (0..children.len()).for_each(|at| encode_child(&children.get(at), rows, out));
        }
        Values::Any(any) => {
            let vector = ValueVector { shape: Shape::Flat(Values::Any(*any)), validity };
            (0..rows).for_each(|row| encode_any(&vector, row, out));
        }
    }
}

/// Children of flat vectors are flat in all that buffers hold.
fn encode_child(child: &ValueVector<'_>, rows: usize, out: &mut ByteWriter) {
    match child.shape {
        Shape::Flat(values) => encode_flat(&values, child.validity, rows, out),
        _ => encode_flat(&Values::Null, Validity::AllNull, rows, out),
    }
}

fn encode_strings(strings: &StringVector<'_>, validity: Validity<'_>, rows: usize, out: &mut ByteWriter) {
    let text = |row: usize| if validity.is_valid(row) { strings.bytes(row) } else { &[] };
    (0..rows).for_each(|row| out.u32(text(row).len() as u32));
    (0..rows).for_each(|row| out.bytes.extend_from_slice(text(row)));
}

fn encode_time(time: &Time, out: &mut ByteWriter) {
    out.u64(time.nanos as u64);
    out.u32(time.offset_seconds as u32);
}

fn encode_interval(interval: &Interval, out: &mut ByteWriter) {
    out.u64(interval.months as u64);
    out.u64(interval.days as u64);
    out.u64(interval.seconds as u64);
    out.u32(interval.nanos as u32);
}

fn encode_zoned(zoned: &Zoned, out: &mut ByteWriter) {
    out.i128(zoned.nanos);
    out.u32(zoned.offset_seconds as u32);
    out.short_bytes(zoned.zone.name().unwrap_or_default().as_bytes());
}

fn encode_any(vector: &ValueVector<'_>, row: usize, out: &mut ByteWriter) {
    let value = vector.value(row, &DataType::Any);
    let data_type = value.data_type();
    let mut single = VectorBuffer::new(data_type.clone());
    if single.push_value(&value).is_err() {
        // A value goes into a buffer of its own type; what no type describes has no place in a column either.
        return encode_type(&DataType::Null, out);
    }
    encode_type(&data_type, out);
    if data_type != DataType::Null {
        encode_flat(&single.values(), single.vector().validity, 1, out);
    }
}

/// Reads `rows` rows of the buffer's type and appends them.
pub(in crate::storage) fn decode_vector(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
) -> Damaged<()> {
    let words: Vec<u64>;
    let validity = match reader.u8()? {
        ALL_NULL if rows <= NULL_ROWS_MAX => {
            buffer.push_nulls(rows);
            return Ok(());
        }
        ALL_VALID => Validity::AllValid,
        SOME_NULL => {
            let bytes = reader.take(rows.div_ceil(64) * 8)?;
            words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            Validity::Mask(&words)
        }
        _ => return Err(Damage("the kind of a null bitmap is unknown")),
    };
    decode_values(reader, buffer, rows, validity)
}

macro_rules! decode_plain {
    ($reader:expr, $buffer:expr, $rows:expr, $validity:expr, $type:ty) => {
        decode_fixed::<$type, { size_of::<$type>() }>($reader, $buffer, $rows, $validity, |bytes| {
            Ok(<$type>::from_le_bytes(*bytes))
        })
    };
}

fn decode_values(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
) -> Damaged<()> {
    use crate::types::PhysicalType::*;
    match buffer.data_type().physical() {
        Null => {
            buffer.push_nulls(rows);
            Ok(())
        }
        Bool => decode_bools(reader, buffer, rows, validity),
        I8 => decode_plain!(reader, buffer, rows, validity, i8),
        I16 => decode_plain!(reader, buffer, rows, validity, i16),
        I32 => decode_plain!(reader, buffer, rows, validity, i32),
        I64 => decode_plain!(reader, buffer, rows, validity, i64),
        I128 => decode_plain!(reader, buffer, rows, validity, i128),
        U8 => decode_plain!(reader, buffer, rows, validity, u8),
        U16 => decode_plain!(reader, buffer, rows, validity, u16),
        U32 => decode_plain!(reader, buffer, rows, validity, u32),
        U64 => decode_plain!(reader, buffer, rows, validity, u64),
        F32 => decode_plain!(reader, buffer, rows, validity, f32),
        F64 => decode_plain!(reader, buffer, rows, validity, f64),
        Time => decode_fixed::<crate::types::Time, 12>(reader, buffer, rows, validity, decode_time),
        Interval => {
            decode_fixed::<crate::types::Interval, 28>(reader, buffer, rows, validity, decode_interval)
        }
        Zoned => decode_zoned(reader, buffer, rows, validity),
        Str => decode_strings(reader, buffer, rows, validity),
        List => decode_lists(reader, buffer, rows, validity),
        Struct => {
            let members = buffer.members_mut().ok_or(WRONG_BUFFER)?;
            members.iter_mut().try_for_each(|member| decode_vector(reader, member, rows))?;
            buffer.finish_rows(rows, validity);
            Ok(())
        }
        Union => decode_unions(reader, buffer, rows, validity),
        Any => decode_any(reader, buffer, rows),
    }
}

/// Cannot be: the buffer was made for the type that is read.
const WRONG_BUFFER: Damage = Damage("a buffer is of another type");

fn decode_fixed<T: Native, const WIDTH: usize>(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
    decode: impl Fn(&[u8; WIDTH]) -> Damaged<T>,
) -> Damaged<()> {
    let length = rows.checked_mul(WIDTH).ok_or(Damage("a vector is too long"))?;
    let bytes = reader.take(length)?;
    let fill = |out: &mut Vec<T>| -> Damaged<()> {
        out.reserve(rows);
        bytes.as_chunks::<WIDTH>().0.iter().try_for_each(|value| {
            out.push(decode(value)?);
            Ok(())
        })
    };
    buffer.fill(rows, validity, fill).ok_or(WRONG_BUFFER)?
}

fn decode_bools(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
) -> Damaged<()> {
    let bytes = reader.take(rows)?;
    if bytes.iter().any(|byte| *byte > 1) {
        return Err(Damage("a truth value is neither 0 nor 1"));
    }
    let fill = |out: &mut Vec<u8>| -> Damaged<()> {
        out.extend_from_slice(bytes);
        Ok(())
    };
    buffer.fill_bools(rows, validity, fill).ok_or(WRONG_BUFFER)?
}

fn decode_time(bytes: &[u8; 12]) -> Damaged<Time> {
    let mut reader = ByteReader::new(bytes);
    Ok(Time { nanos: reader.u64()? as i64, offset_seconds: reader.u32()? as i32 })
}

fn decode_interval(bytes: &[u8; 28]) -> Damaged<Interval> {
    let mut reader = ByteReader::new(bytes);
    Ok(Interval {
        months: reader.u64()? as i64,
        days: reader.u64()? as i64,
        seconds: reader.u64()? as i64,
        nanos: reader.u32()? as i32,
    })
}

fn decode_zoned(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
) -> Damaged<()> {
    let fill = |out: &mut Vec<Zoned>| -> Damaged<()> {
        for _ in 0..rows {
            let (nanos, offset_seconds) = (reader.i128()?, reader.u32()? as i32);
            let name = std::str::from_utf8(reader.short_bytes()?).map_err(|_| Damage("a zone is no text"))?;
            let zone = match name {
                "" => ZoneId::NONE,
                name => ZoneId::intern(name).map_err(|_| Damage("a time zone is unknown"))?,
            };
            out.push(Zoned { nanos, offset_seconds, zone });
        }
        Ok(())
    };
    buffer.fill(rows, validity, fill).ok_or(WRONG_BUFFER)?
}

/// Lengths of 32 bits, and the sum of them.
fn decode_lengths(reader: &mut ByteReader<'_>, rows: usize) -> Damaged<(Vec<u32>, usize)> {
    let bytes = reader.take(rows.checked_mul(4).ok_or(Damage("a vector is too long"))?)?;
    let lengths: Vec<u32> =
        bytes.as_chunks::<4>().0.iter().map(|length| u32::from_le_bytes(*length)).collect();
    let sum = lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
    match u32::try_from(sum) {
        Ok(sum) => Ok((lengths, sum as usize)),
        Err(_) => Err(Damage("lengths add up to more than a vector holds")),
    }
}

fn decode_strings(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
) -> Damaged<()> {
    let is_text = *buffer.data_type() != DataType::Blob;
    let (lengths, sum) = decode_lengths(reader, rows)?;
    let mut bytes = reader.take(sum)?;
    let strings = buffer.strings_mut().ok_or(WRONG_BUFFER)?;
    for length in &lengths {
        // The sum of all lengths was taken.
        let (text, rest) = bytes.split_at(*length as usize);
        if is_text && std::str::from_utf8(text).is_err() {
            return Err(Damage("a string is no text"));
        }
        strings.push(text);
        bytes = rest;
    }
    buffer.finish_rows(rows, validity);
    Ok(())
}

fn decode_lists(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
) -> Damaged<()> {
    let fixed = match buffer.data_type() {
        DataType::Array(_, length) => Some(*length),
        _ => None,
    };
    let (lengths, sum) = decode_lengths(reader, rows)?;
    if fixed.is_some_and(|fixed| (0..rows).any(|row| validity.is_valid(row) && lengths[row] != fixed)) {
        return Err(Damage("an array has another length than its type"));
    }
    let (offsets, child) = buffer.list_mut().ok_or(WRONG_BUFFER)?;
    let mut end = child.len() as u32;
    for length in lengths {
        end = end.checked_add(length).ok_or(Damage("lists have more elements than a vector holds"))?;
        offsets.push(end);
    }
    decode_vector(reader, child, sum)?;
    buffer.finish_rows(rows, validity);
    Ok(())
}

fn decode_unions(
    reader: &mut ByteReader<'_>,
    buffer: &mut VectorBuffer,
    rows: usize,
    validity: Validity<'_>,
) -> Damaged<()> {
    let new_tags = reader.take(rows)?;
    let (tags, children) = buffer.union_mut().ok_or(WRONG_BUFFER)?;
    if new_tags.iter().any(|tag| usize::from(*tag) >= children.len()) {
        return Err(Damage("a union has a member that its type has not"));
    }
    tags.extend_from_slice(new_tags);
    children.iter_mut().try_for_each(|child| decode_vector(reader, child, rows))?;
    buffer.finish_rows(rows, validity);
    Ok(())
}

fn decode_any(reader: &mut ByteReader<'_>, buffer: &mut VectorBuffer, rows: usize) -> Damaged<()> {
    for _ in 0..rows {
        let data_type = decode_type(reader)?;
        if data_type == DataType::Null {
            buffer.push_null();
            continue;
        }
        if data_type == DataType::Any {
            return Err(Damage("a value is of no definite type"));
        }
        let mut single = VectorBuffer::new(data_type.clone());
        decode_vector(reader, &mut single, 1)?;
        let value = single.vector().value(0, &data_type);
        buffer.push_value(&value).map_err(|_| Damage("a value does not fit its type"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
