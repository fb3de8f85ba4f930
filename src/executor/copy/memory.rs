//! The account of a load: what it holds counts against the pool's limit, and against its own if it has one.

use crate::storage::buffer_pool::{Accounted, BufferPool};
use crate::storage::{StorageError, StorageResult};

/// Bytes are taken in steps, so that small rows do not ask one by one.
const STEP: u64 = 4 << 20;
const OPERATOR: &str = "COPY";

/// Bytes held by one load.
pub(super) struct Memory {
    pool: BufferPool,
    limit: Option<u64>,
    account: Option<Accounted>,
    peak: u64,
}

impl Memory {
    pub fn new(pool: &BufferPool, limit: Option<u64>) -> Memory {
        Memory { pool: pool.clone(), limit, account: None, peak: 0 }
    }

    /// The load holds `bytes` now.
    pub fn hold(&mut self, bytes: u64) -> StorageResult<()> {
        self.peak = self.peak.max(bytes);
        if let Some(limit) = self.limit.filter(|limit| bytes > *limit) {
            return Err(StorageError::OutOfMemory {
                operator: OPERATOR.to_owned(),
                needed: bytes - limit,
                limit,
            });
        }
        let counted = self.account.as_ref().map_or(0, Accounted::bytes);
        if bytes > counted {
            let more = self.pool.account(OPERATOR, (bytes - counted).next_multiple_of(STEP))?;
            match &mut self.account {
                Some(account) => account.merge(more),
                None => self.account = Some(more),
            }
        } else if let Some(account) = &mut self.account {
            account.shrink_to(bytes.next_multiple_of(STEP));
        }
        Ok(())
    }

    /// The most bytes held so far.
    pub fn peak(&self) -> u64 {
        self.peak
    }
}
