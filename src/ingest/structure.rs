//! Where the bytes that give a CSV its structure stand, 64 bytes at a time.
//!
//! The comparison is written so that the compiler vectorizes it; a multiplication then gathers eight flags
//! into eight bits. That keeps the walk over delimiters free of a search call per field, which is what costs
//! most when fields are short.

/// A cursor over the positions of the structural bytes of a block, in order.
#[derive(Clone)]
pub(super) struct StructuralCursor<'a> {
    bytes: &'a [u8],
    specials: [u8; 5],
    base: usize,
    mask: u64,
}

impl<'a> StructuralCursor<'a> {
    /// Starts at `position`, which need not be a multiple of anything.
    pub(super) fn new(bytes: &'a [u8], position: usize, specials: [u8; 5]) -> Self {
        let mut cursor = StructuralCursor { bytes, specials, base: position, mask: 0 };
        cursor.mask = cursor.mask_here();
        cursor
    }

    fn mask_here(&self) -> u64 {
        structural_mask(&window(self.bytes, self.base), &self.specials)
            & valid_bits(self.bytes.len().saturating_sub(self.base))
    }

    /// The next structural position, or `None` at the end of the block.
    #[inline]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            self.base += 64;
            if self.base >= self.bytes.len() {
                self.base = self.bytes.len();
                return None;
            }
            self.mask = self.mask_here();
        }
        let position = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(position)
    }
}

/// The 64 bytes from `position` on, filled up with zeros behind the end. Zero is never a structural byte.
#[inline]
pub(super) fn window(bytes: &[u8], position: usize) -> [u8; 64] {
    if let Some(Ok(whole)) = bytes.get(position..position + 64).map(<[u8; 64]>::try_from) {
        return whole;
    }
    let mut padded = [0; 64];
    let tail = bytes.get(position..).unwrap_or_default();
    let length = tail.len().min(64);
    padded[..length].copy_from_slice(&tail[..length]);
    padded
}

/// Bit i is set when byte i is one of `specials`.
#[inline]
pub(super) fn structural_mask<const N: usize>(bytes: &[u8; 64], specials: &[u8; N]) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, &byte) in flags.iter_mut().zip(bytes) {
        let mut hit = 0;
        for &special in specials {
            hit |= u8::from(byte == special);
        }
        *flag = hit;
    }
    let mut mask = 0u64;
    for (index, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        // The constant moves bit 0 of byte i to bit 56 + i; no two summands meet.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= gathered << (index * 8);
    }
    mask
}

fn valid_bits(remaining: usize) -> u64 {
    if remaining >= 64 { u64::MAX } else { (1 << remaining) - 1 }
}

/// How many physical lines end inside `bytes`: a line feed, a carriage return, or both together end one line.
pub(super) fn count_line_ends(bytes: &[u8]) -> u64 {
    let feeds = count_byte(bytes, b'\n');
    if memchr::memchr(b'\r', bytes).is_none() {
        return feeds;
    }
    let pairs = memchr::memmem::find_iter(bytes, b"\r\n").count() as u64;
    feeds + count_byte(bytes, b'\r') - pairs
}

/// Counts in short runs whose sum fits a byte, which vectorizes.
fn count_byte(bytes: &[u8], wanted: u8) -> u64 {
    let mut total = 0u64;
    for run in bytes.chunks(192) {
        let mut count = 0u8;
        for &byte in run {
            count += u8::from(byte == wanted);
        }
        total += u64::from(count);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[usize]) {
        let mut cursor = StructuralCursor::new(text.as_bytes(), 0, *b",\n\r\"\"");
        let found: Vec<usize> = std::iter::from_fn(|| cursor.next()).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn positions_of_structural_bytes() {
        check("", &[]);
        check("abc", &[]);
        check("a,b\n", &[1, 3]);
        check("\"\r\n", &[0, 1, 2]);
        let long = format!("{},{}\n,", "x".repeat(63), "y".repeat(100));
        check(&long, &[63, 164, 165]);
    }

    #[test]
    fn a_cursor_can_start_anywhere() {
        let text = "a,b,c,d".repeat(40);
        for start in 0..text.len() {
            let mut cursor = StructuralCursor::new(text.as_bytes(), start, *b",\n\r\"\"");
            let found: Vec<usize> = std::iter::from_fn(|| cursor.next()).collect();
            let expected: Vec<usize> =
                memchr::memchr_iter(b',', text.as_bytes()).filter(|&p| p >= start).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn line_ends_of_all_three_kinds() {
        for (text, expected) in
            [("", 0), ("a", 0), ("a\n", 1), ("a\r\nb\r\n", 2), ("a\rb\rc", 2), ("\n\r", 2), ("\r\r\n\n", 3)]
        {
            assert_eq!(count_line_ends(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(count_line_ends("\n".repeat(1000).as_bytes()), 1000);
    }
}
