//! Private buffers for writing pages, used again so that their memory is faulted in once.

use parking_lot::Mutex;

use super::PAGE_SIZE;

/// Pages that are gathered for one write: as many as one reference page names.
pub(super) const WRITE_PAGES: usize = 128;
/// Bytes of these.
pub(super) const WRITE_BYTES: usize = WRITE_PAGES * PAGE_SIZE;
/// Larger buffers are given back to the system.
const KEPT_BYTES_MAX: usize = 2 * WRITE_BYTES;
/// More buffers than this are given back to the system.
const KEPT_BUFFERS_MAX: usize = 16;

/// Buffers that nobody uses at the moment.
#[derive(Default)]
pub(super) struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty buffer.
    pub fn take(&self) -> Vec<u8> {
        self.spare.lock().pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.spare.lock();
        if buffer.capacity() > 0 && buffer.capacity() <= KEPT_BYTES_MAX && spare.len() < KEPT_BUFFERS_MAX {
            spare.push(buffer);
        }
    }
}
