//! How a log is kept.

use std::time::Duration;

use super::segment::GROWTH_STEP;
use crate::storage::{StorageError, StorageResult};

/// A record's place has 32 bits, and a record may stand alone in a segment that it makes larger.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Sizes and times of a log; see `builder`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalConfig {
    segment_bytes: u64,
    buffered_sync_bytes: u64,
    buffered_sync_interval: Duration,
}

impl Default for WalConfig {
    fn default() -> WalConfig {
        WalConfig {
            segment_bytes: 64 << 20,
            buffered_sync_bytes: 4 << 20,
            buffered_sync_interval: Duration::from_millis(100),
        }
    }
}

impl WalConfig {
    /// Starts from the defaults: segments of 64 MiB; buffered commits are synced every 4 MiB or 100 ms.
    pub fn builder() -> WalConfigBuilder {
        WalConfigBuilder { config: WalConfig::default() }
    }

    /// The size at which a new segment is begun.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Unsynced bytes after which `WalWriter::sync_if_due` syncs.
    pub fn buffered_sync_bytes(&self) -> u64 {
        self.buffered_sync_bytes
    }

    /// The age of the oldest unsynced record after which `WalWriter::sync_if_due` syncs.
    pub fn buffered_sync_interval(&self) -> Duration {
        self.buffered_sync_interval
    }
}

/// Builds a `WalConfig`.
#[derive(Debug, Clone)]
pub struct WalConfigBuilder {
    config: WalConfig,
}

impl WalConfigBuilder {
    /// See `WalConfig::segment_bytes`: a multiple of 32 KiB, at most 1 GiB.
    pub fn segment_bytes(mut self, bytes: u64) -> WalConfigBuilder {
        self.config.segment_bytes = bytes;
        self
    }

    /// See `WalConfig::buffered_sync_bytes`: at least 1.
    pub fn buffered_sync_bytes(mut self, bytes: u64) -> WalConfigBuilder {
        self.config.buffered_sync_bytes = bytes;
        self
    }

    /// See `WalConfig::buffered_sync_interval`: more than zero.
    pub fn buffered_sync_interval(mut self, interval: Duration) -> WalConfigBuilder {
        self.config.buffered_sync_interval = interval;
        self
    }

    /// Checks the values; an error names the one that cannot be used.
    pub fn build(self) -> StorageResult<WalConfig> {
        let config = self.config;
        let limit = |what: &str, limit: u64| Err(StorageError::Limit { what: what.to_owned(), limit });
        if config.segment_bytes > SEGMENT_BYTES_MAX {
            return limit("the size of a log segment", SEGMENT_BYTES_MAX);
        }
        if config.segment_bytes == 0 || !config.segment_bytes.is_multiple_of(GROWTH_STEP) {
            return limit("the step of a log segment's size, which is a multiple of it,", GROWTH_STEP);
        }
        if config.buffered_sync_bytes == 0 {
            return limit("the least number of bytes between two syncs of the log", 1);
        }
        if config.buffered_sync_interval.is_zero() {
            return limit("the least time between two syncs of the log, in nanoseconds,", 1);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        let check = |builder: WalConfigBuilder, valid: bool| {
            assert_eq!(builder.clone().build().is_ok(), valid, "{builder:?}");
        };
        check(WalConfig::builder(), true);
        check(WalConfig::builder().segment_bytes(GROWTH_STEP), true);
        check(WalConfig::builder().segment_bytes(1 << 30), true);
        check(WalConfig::builder().segment_bytes((1 << 30) + GROWTH_STEP), false);
        check(WalConfig::builder().segment_bytes(0), false);
        check(WalConfig::builder().segment_bytes(GROWTH_STEP + 1), false);
        check(WalConfig::builder().buffered_sync_bytes(0), false);
        check(WalConfig::builder().buffered_sync_interval(Duration::ZERO), false);
    }
}
