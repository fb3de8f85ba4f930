//! Where the engine's locks come from: `tests/commit_model.rs` puts those of a model checker in their place.

pub use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::storage::patience::patiently;
pub use crate::storage::stripes::{Apart, STRIPES, own_stripe};
pub use parking_lot::{Condvar, Mutex, MutexGuard};
