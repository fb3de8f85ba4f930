//! Where the engine's locks come from: `tests/commit_model.rs` puts those of a model checker in their place.

pub use parking_lot::{Condvar, Mutex, MutexGuard};
