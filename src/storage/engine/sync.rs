//! Where the engine's locks come from: `tests/commit_model.rs` puts those of a model checker in their place.

pub use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::storage::patience::patiently;
pub use crate::storage::stripes::{Apart, STRIPES, own_stripe};
use std::time::Instant;

use crate::types::{ASKED_EVERY, ask_caller, has_statement, was_interrupted};
pub use parking_lot::{Condvar, Mutex, MutexGuard};

/// Waits until something has moved or the deadline has come, or for a while; true where the statement that this thread
/// works for was interrupted.
pub fn wait_a_while<T>(moved: &Condvar, state: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> bool {
    if !has_statement() {
        match deadline {
            None => moved.wait(state),
            Some(deadline) => {
                moved.wait_until(state, deadline);
            }
        }
        return false;
    }
    let soon = Instant::now() + ASKED_EVERY;
    moved.wait_until(state, deadline.map_or(soon, |deadline| deadline.min(soon)));
    MutexGuard::unlocked(state, ask_caller);
    was_interrupted()
}
