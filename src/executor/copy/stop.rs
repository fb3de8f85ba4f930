//! When a load has to end before it is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::storage::page::{ExtentRef, WriteBatch};
use crate::storage::table::group_page::ExtentSink;
use crate::storage::{StorageError, StorageResult};
use crate::types::ask_caller;

/// What all threads of a load look at.
#[derive(Clone, Copy)]
pub(super) struct StopSigns<'o> {
    pub flag: Option<&'o AtomicBool>,
    pub deadline: Option<Instant>,
}

impl StopSigns<'_> {
    pub fn are_due(&self) -> bool {
        ask_caller();
        self.flag.is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}

/// The pages of a load, which take nothing more once it has to end.
pub(super) struct LoadPages<'l> {
    pub batch: &'l WriteBatch,
    pub signs: StopSigns<'l>,
}

impl ExtentSink for LoadPages<'_> {
    fn write_extent(&self, bytes: &[u8]) -> StorageResult<ExtentRef> {
        match self.signs.are_due() {
            true => Err(StorageError::Interrupted),
            false => self.batch.write_extent(bytes),
        }
    }
}
