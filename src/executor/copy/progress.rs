//! Progress, told often enough to be seen and rarely enough to cost nothing.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::options::{CopyOptions, CopyProgress};
use crate::ingest::CsvProgress;

const INTERVAL: Duration = Duration::from_millis(100);

/// Passes a reader's progress on.
pub(super) struct Ticker<'o> {
    show: Option<&'o dyn Fn(CopyProgress)>,
    last: Cell<Option<Instant>>,
}

impl<'o> Ticker<'o> {
    pub fn new(options: &CopyOptions<'o>) -> Ticker<'o> {
        Ticker { show: options.progress, last: Cell::new(None) }
    }

    /// Tells the state if the last time is long enough ago, or at the end.
    pub fn tick(&self, state: CsvProgress) {
        let Some(show) = self.show else { return };
        let now = Instant::now();
        let due = self.last.get().is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if due || state.bytes_read == state.bytes_total {
            self.last.set(Some(now));
            let CsvProgress { bytes_read, bytes_total, rows } = state;
            show(CopyProgress { bytes_read, bytes_total, rows });
        }
    }
}
