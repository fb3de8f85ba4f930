//! Read transactions that follow each other at one version share its opened tables.

use std::sync::Arc;

use parking_lot::Mutex;

use super::ReadTransaction;
use crate::storage::engine::Engine;

/// Hands out transactions over the newest version.
pub struct Reader {
    engine: Arc<Engine>,
    /// The last one, kept for its opened tables.
    last: Mutex<Option<ReadTransaction>>,
}

impl Reader {
    /// A reader of an engine.
    pub fn new(engine: Arc<Engine>) -> Reader {
        Reader { engine, last: Mutex::new(None) }
    }

    /// The newest version.
    pub fn begin(&self) -> ReadTransaction {
        let snapshot = self.engine.snapshot();
        let mut last = self.last.lock();
        match &*last {
            Some(known) if known.snapshot().is_same(&snapshot) => known.clone(),
            _ => {
                let fresh = ReadTransaction::over(snapshot);
                *last = Some(fresh.clone());
                fresh
            }
        }
    }

    /// Lets the kept version go, so that a commit can give its pages back.
    pub fn forget(&self) {
        *self.last.lock() = None;
    }
}
