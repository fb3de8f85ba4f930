//! Texts and lists that expressions make: they count what they take, and end with the query.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::context::QueryContext;
use super::error::ExecutionError;
use crate::functions::{FunctionError, Watch};
use crate::storage::StorageError;
use crate::storage::memory::Reservation;
use crate::types::Stop;

/// Less is not worth a question.
const COUNTED_FROM: u64 = 1 << 20;

/// Watches over one evaluator.
pub(super) struct ListWatch {
    stop: Stop,
    /// The most that arguments took which were laid out anew for one kernel.
    noted: AtomicU64,
    state: Mutex<(Reservation, Option<StorageError>)>,
    /// What lists were prepared as.
    sets: Mutex<Reservation>,
}

impl ListWatch {
    pub fn new(query: &QueryContext) -> ListWatch {
        ListWatch {
            stop: query.stop(),
            noted: AtomicU64::new(0),
            state: Mutex::new((query.account(), None)),
            sets: Mutex::new(query.account()),
        }
    }

    /// What was noted since the last question.
    pub fn take_noted(&self) -> u64 {
        self.noted.swap(0, Ordering::Relaxed)
    }

    /// The error behind one of a kernel that was ended.
    #[cold]
    pub fn told(&self, error: ExecutionError, query: &QueryContext) -> ExecutionError {
        match error {
            ExecutionError::Function(FunctionError::Stopped { .. }) => match self.state.lock().1.take() {
                Some(error) => error.into(),
                None => query.stopped(),
            },
            error => error,
        }
    }
}

impl Watch for ListWatch {
    fn note(&self, bytes: u64) {
        self.noted.fetch_max(bytes, Ordering::Relaxed);
    }

    fn has_room(&self, bytes: u64) -> bool {
        bytes < COUNTED_FROM || self.sets.lock().try_hold_share(bytes)
    }

    fn may_go_on(&self, bytes: u64) -> bool {
        if self.stop.is_due() {
            return false;
        }
        if bytes < COUNTED_FROM {
            return true;
        }
        let (held, error) = &mut *self.state.lock();
        match held.hold("making texts or lists", bytes) {
            Ok(()) => true,
            Err(refused) => {
                *error = Some(refused);
                false
            }
        }
    }
}

impl fmt::Debug for ListWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ListWatch").field("stop", &self.stop).finish_non_exhaustive()
    }
}
