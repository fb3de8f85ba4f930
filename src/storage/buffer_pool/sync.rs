//! The atomics that the state words and the epochs are made of. The model test includes those two files beside a
//! module of this name that hands out the model checker's atomics instead.

pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Whether a locked exchange orders the loads behind it, too, and is cheaper than a fence.
pub(super) const EXCHANGE_IS_FENCE: bool = cfg!(all(target_arch = "x86_64", not(miri)));
