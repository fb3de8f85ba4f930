//! How a database is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Dialect, SchemaMode};
use crate::storage::wal::WalConfig;

/// What the pool gets of the memory that the machine or container allows: a quarter.
const DEFAULT_SHARE: u64 = 4;
/// What operators, loads and changes get of it: half.
const DEFAULT_MEMORY_SHARE: u64 = 2;
/// The least and the most that the default takes.
const DEFAULT_MIN: u64 = 64 << 20;
const DEFAULT_MAX: u64 = 64 << 30;

/// When a commit counts as durable.
///
/// Bulk loads, definitions and checkpoints are durable in every mode: they end with a synced switch of the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DurabilityMode {
    /// A commit returns when the log has it on the disk. Commits at the same time share one sync.
    #[default]
    Strict,
    /// A commit returns when the operating system has it: it outlives the process at once, and a loss of power after
    /// the next sync, which comes after so many bytes or milliseconds (see [`WalConfig`]). What is lost is the end.
    Buffered,
    /// No log: what follows the last checkpoint is lost with the process.
    InMemory,
}

/// Hears how far recovery has come: bytes of log that were read, and all of them.
#[derive(Clone, Default)]
pub struct RecoveryProgress(pub Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl fmt::Debug for RecoveryProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RecoveryProgress").field(&self.0.is_some()).finish()
    }
}

/// What `Engine::open` goes by. Dialect and schema mode count at creation only.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Bytes of frames and accounted buffers, never exceeded.
    pub buffer_pool_bytes: u64,
    /// Bytes that operators, bulk loads, levels of changes and the log's queue may hold together, beside the pool.
    pub memory_limit: u64,
    /// Threads that will read at once; a pool too small for them is refused.
    pub threads: usize,
    /// Nothing is written, not even to mend a header.
    pub read_only: bool,
    /// Whether a database is made where there is none.
    pub create: bool,
    pub dialect: Dialect,
    pub schema_mode: SchemaMode,
    /// When a commit counts as durable.
    pub durability: DurabilityMode,
    /// How the log is kept.
    pub wal: WalConfig,
    /// Bytes of log, or of changes in memory, after which a checkpoint starts by itself; 0 means never.
    pub checkpoint_threshold: u64,
    /// How long somebody waits for a transaction, a bulk load or a definition that is in the way, unless the statement
    /// has a limit of its own.
    pub lock_wait: Duration,
    /// How many things a transaction announces one by one; beyond that it wants whole tables for itself.
    pub intent_share: usize,
    pub recovery_progress: RecoveryProgress,
    /// Where operators put rows aside instead of in `tmp/` of the database.
    pub temp_directory: Option<PathBuf>,
}

/// See `EngineOptions::checkpoint_threshold`.
pub const DEFAULT_CHECKPOINT_THRESHOLD: u64 = 64 << 20;
/// See `EngineOptions::lock_wait`.
pub const DEFAULT_LOCK_WAIT: Duration = Duration::from_secs(30);
/// See `EngineOptions::intent_share`.
pub const DEFAULT_INTENT_SHARE: usize = 1 << 20;

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            buffer_pool_bytes: default_buffer_pool_bytes(),
            memory_limit: default_memory_limit(),
            threads: 1,
            read_only: false,
            create: true,
            dialect: Dialect::default(),
            schema_mode: SchemaMode::default(),
            durability: DurabilityMode::default(),
            wal: WalConfig::default(),
            checkpoint_threshold: DEFAULT_CHECKPOINT_THRESHOLD,
            lock_wait: DEFAULT_LOCK_WAIT,
            intent_share: DEFAULT_INTENT_SHARE,
            recovery_progress: RecoveryProgress::default(),
            temp_directory: None,
        }
    }
}

/// A quarter of the memory that the machine has or the container allows.
pub fn default_buffer_pool_bytes() -> u64 {
    share_of_machine(DEFAULT_SHARE)
}

/// Half of it.
pub fn default_memory_limit() -> u64 {
    share_of_machine(DEFAULT_MEMORY_SHARE)
}

fn share_of_machine(share: u64) -> u64 {
    let machine = read_text("/proc/meminfo").and_then(|text| total_of_meminfo(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(read_text)
        .filter_map(|text| text.trim().parse::<u64>().ok())
        .min();
    let allowed = machine.into_iter().chain(group).min();
    allowed.map_or(4 * DEFAULT_MIN, |bytes| (bytes / share).clamp(DEFAULT_MIN, DEFAULT_MAX))
}

fn read_text(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn total_of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_the_machine_is_read() {
        let text = "MemTotal:       16384 kB\nMemFree:  1 kB\n";
        assert_eq!(total_of_meminfo(text), Some(16 << 20));
        assert_eq!(total_of_meminfo("nothing"), None);
        assert!((DEFAULT_MIN..=DEFAULT_MAX).contains(&default_buffer_pool_bytes()));
        assert!(default_memory_limit() >= default_buffer_pool_bytes());
    }
}
