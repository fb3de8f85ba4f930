//! The levels of the last small commits of each thread, kept until it has made some more. By then all others have let
//! go of them, so that what a level consists of is freed by the thread that made it. Memory that one thread takes and
//! another gives back goes through the allocator's locks, where two writers would wait for each other.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::storage::delta::Delta;
use crate::storage::stripes::{Apart, STRIPES, own_stripe};

/// How many levels a stripe keeps.
const KEPT: usize = 32;
/// Larger ones are not kept: they are few, and their memory is counted.
const KEPT_BYTES: u64 = 4096;

/// See the module.
#[derive(Default)]
pub(super) struct KeptLevels {
    stripes: [Apart<Mutex<Ring>>; STRIPES],
}

#[derive(Default)]
struct Ring {
    levels: Vec<Arc<Delta>>,
    next: usize,
}

impl KeptLevels {
    /// Keeps a level of this thread, and lets go of an older one.
    pub fn keep(&self, level: Arc<Delta>) {
        if level.bytes() > KEPT_BYTES {
            return;
        }
        let mut ring = self.stripes[own_stripe()].lock();
        if ring.levels.len() < KEPT {
            ring.levels.push(level);
            return;
        }
        let at = ring.next;
        ring.next = (at + 1) % KEPT;
        let oldest = std::mem::replace(&mut ring.levels[at], level);
        drop(ring);
        drop(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::index::KeyRef;
    use crate::types::TableId;

    #[test]
    fn so_many_small_levels_are_kept_and_then_let_go() {
        let kept = KeptLevels::default();
        let level = |keys: u64| {
            let mut level = Delta::default();
            (0..keys).for_each(|key| level.table_mut(TableId(1)).add_key(KeyRef::Integer(key), key));
            Arc::new(level)
        };
        let (first, large) = (level(1), level(1000));
        kept.keep(Arc::clone(&large));
        kept.keep(Arc::clone(&first));
        (1..KEPT).for_each(|_| kept.keep(level(1)));
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&large)), (2, 1));
        kept.keep(level(1));
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
