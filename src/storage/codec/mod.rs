//! What happens to bytes between memory and disk: compression and encryption join behind this seam. A codec has
//! two faces. `encode`/`decode` may change the length and serve the log and packed segments; `seal_page`/
//! `open_page` keep a page's 4096 bytes and give a tag that the page's reference keeps. The header names the
//! codec by its id, so a database is always opened with the one that wrote it.

mod identity;

pub use identity::Identity;

use std::sync::Arc;

use super::page::{PageId, PageRef};

/// Bytes that a codec cannot turn back: damaged, or written under another key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CodecError {
    /// What did not fit.
    pub detail: String,
}

/// How bytes are stored.
pub trait StorageCodec: Send + Sync {
    /// The number that stands for this codec in the header.
    fn id(&self) -> u32;

    /// Appends the stored form of `plain`. `nonce` is never used twice for different bytes under one uuid.
    fn encode(&self, nonce: u128, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Appends what `encode` was given with the same nonce.
    fn decode(&self, nonce: u128, stored: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Turns a page's bytes into those stored, in place, and gives the tag for its reference. A counter is
    /// never used twice in the life of a database.
    fn seal_page(&self, page: PageId, counter: u64, bytes: &mut [u8]) -> Result<[u8; 16], CodecError>;

    /// Turns a page's stored bytes, whose checksum was found right, back in place.
    fn open_page(&self, reference: &PageRef, bytes: &mut [u8]) -> Result<(), CodecError>;

    /// Whether pages are stored as they are and tags are zero, so that callers need not copy before writing.
    fn keeps_pages(&self) -> bool {
        false
    }
}

/// The codec of an id, where it needs no key.
pub fn keyless(id: u32) -> Option<Arc<dyn StorageCodec>> {
    match id {
        Identity::ID => Some(Arc::new(Identity)),
        _ => None,
    }
}
