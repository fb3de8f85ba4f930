//! The account of a load: what it holds counts against the database's memory limit.

use crate::storage::StorageResult;
use crate::storage::memory::{MemoryAccountant, MemoryClass, Reservation};

const OPERATOR: &str = "COPY";

/// Bytes held by one load.
pub(super) struct Memory {
    held: Reservation,
    peak: u64,
}

impl Memory {
    pub fn new(accountant: &MemoryAccountant) -> Memory {
        Memory { held: accountant.reservation(MemoryClass::Load), peak: 0 }
    }

    /// The load holds `bytes` now.
    pub fn hold(&mut self, bytes: u64) -> StorageResult<()> {
        self.peak = self.peak.max(bytes);
        self.held.hold(OPERATOR, bytes)
    }

    /// The most bytes held so far.
    pub fn peak(&self) -> u64 {
        self.peak
    }
}
