//! Writing and bounds-checked reading of little-endian structures.

use crate::storage::StorageError;
use crate::storage::page::PageId;

/// What is wrong with bytes whose checksum was right. The caller knows the place and makes an error of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage(pub &'static str);

/// A result of decoding.
pub type Damaged<T> = Result<T, Damage>;

impl Damage {
    /// The error that names where the bytes came from.
    pub fn at(self, what: &str, page: PageId) -> StorageError {
        StorageError::Corrupt {
            file: DATA_FILE.to_string(),
            page,
            what: what.to_string(),
            detail: self.0.to_string(),
        }
    }
}

/// The file that holds all pages.
pub const DATA_FILE: &str = "data.quire";

/// Appends fields to a buffer.
#[derive(Default)]
pub struct ByteWriter {
    /// What was written.
    pub bytes: Vec<u8>,
}

impl ByteWriter {
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    pub fn i128(&mut self, value: i128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }
    /// A length of 16 bits and as many bytes.
    pub fn short_bytes(&mut self, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(length);
        self.bytes.extend_from_slice(&bytes[..usize::from(length)]);
    }
}

/// Takes fields from the front of a buffer.
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        ByteReader { rest: bytes }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Damaged<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Damage("structure is cut short"))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Damaged<&'a [u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Damage("structure is cut short"))?;
        self.rest = rest;
        Ok(head)
    }

    pub fn u8(&mut self) -> Damaged<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub fn u16(&mut self) -> Damaged<u16> {
        Ok(u16::from_le_bytes(*self.array()?))
    }
    pub fn u32(&mut self) -> Damaged<u32> {
        Ok(u32::from_le_bytes(*self.array()?))
    }
    pub fn u64(&mut self) -> Damaged<u64> {
        Ok(u64::from_le_bytes(*self.array()?))
    }
    pub fn i128(&mut self) -> Damaged<i128> {
        Ok(i128::from_le_bytes(*self.array()?))
    }
    /// The inverse of `ByteWriter::short_bytes`.
    pub fn short_bytes(&mut self) -> Damaged<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
    /// What has not been read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
}

/// The `u32` number `index` of a packed array at the start of `bytes`.
pub fn u32_at(bytes: &[u8], index: usize) -> Damaged<u32> {
    let at = index.checked_mul(4).ok_or(Damage("array index overflows"))?;
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map(|four| u32::from_le_bytes(*four)).ok_or(Damage("array is cut short"))
}
