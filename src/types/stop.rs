//! When a statement has to end before it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A flag that somebody sets, and an instant; whoever works long asks now and then whether one of them has come.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    /// Due when the flag is set or the deadline is over.
    pub fn new(flag: Arc<AtomicBool>, deadline: Option<Instant>) -> Stop {
        Stop { flag, deadline }
    }

    /// Whether to end now.
    pub fn is_due(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}
