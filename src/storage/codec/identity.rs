//! The codec that stores bytes as they are.

use super::{CodecError, StorageCodec};
use crate::storage::page::{PageId, PageRef};

/// Bytes as they are; tags are zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl Identity {
    /// The id in the header.
    pub const ID: u32 = 0;
}

impl StorageCodec for Identity {
    fn id(&self) -> u32 {
        Self::ID
    }

    fn encode(&self, _nonce: u128, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(plain);
        Ok(())
    }

    fn decode(&self, _nonce: u128, stored: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(stored);
        Ok(())
    }

    fn seal_page(&self, _page: PageId, _counter: u64, _bytes: &mut [u8]) -> Result<[u8; 16], CodecError> {
        Ok([0; 16])
    }

    fn open_page(&self, reference: &PageRef, _bytes: &mut [u8]) -> Result<(), CodecError> {
        match reference.tag {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Ok(()),
            _ => Err(CodecError { detail: "the reference carries a tag, but the codec has none".to_owned() }),
        }
    }

    fn keeps_pages(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_as_they_are() {
        let mut page = *b"page";
        assert_eq!(Identity.seal_page(PageId(1), 2, &mut page), Ok([0; 16]));
        let mut reference = PageRef { page: PageId(1), counter: 2, ..PageRef::default() };
        assert_eq!(Identity.open_page(&reference, &mut page), Ok(()));
        assert_eq!(&page, b"page");
        reference.tag[15] = 1;
        assert!(Identity.open_page(&reference, &mut page).is_err());
        let (mut stored, mut plain) = (Vec::new(), Vec::new());
        Identity.encode(1, b"log", &mut stored).unwrap();
        Identity.decode(1, &stored, &mut plain).unwrap();
        assert_eq!(plain, b"log");
    }
}
