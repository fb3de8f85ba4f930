//! The checksum of a page: CRC32 over the database's uuid, the page's number and its bytes as stored. A page of
//! another database, a page in the wrong place and a flipped bit all give another value.

use crc32fast::Hasher;
use uuid::Uuid;

use super::PageId;

/// Computes checksums for one database.
#[derive(Clone)]
pub struct PageChecksum {
    /// Has already taken in the uuid.
    start: Hasher,
}

impl PageChecksum {
    /// The checksums of the database with this uuid.
    pub fn new(uuid: &Uuid) -> PageChecksum {
        let mut start = Hasher::new();
        start.update(uuid.as_bytes());
        PageChecksum { start }
    }

    /// The checksum of a page's bytes as stored.
    pub fn of(&self, page: PageId, stored: &[u8]) -> u32 {
        let mut hasher = self.start.clone();
        hasher.update(&page.0.to_le_bytes());
        hasher.update(stored);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_database_place_and_bytes() {
        let of = |uuid: u128, page: u64, byte: u8| {
            PageChecksum::new(&Uuid::from_u128(uuid)).of(PageId(page), &[byte; 4096])
        };
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
        assert_ne!(of(1, 2, 3), of(9, 2, 3));
        assert_ne!(of(1, 2, 3), of(1, 9, 3));
        assert_ne!(of(1, 2, 3), of(1, 2, 9));
    }

    #[test]
    fn is_the_plain_crc_of_the_three_parts() {
        let uuid = Uuid::from_u128(0x0102_0304);
        let whole = [uuid.as_bytes().as_slice(), &7_u64.to_le_bytes(), b"abc"].concat();
        assert_eq!(PageChecksum::new(&uuid).of(PageId(7), b"abc"), crc32fast::hash(&whole));
    }
}
