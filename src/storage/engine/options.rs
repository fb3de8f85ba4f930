//! How a database is opened.

use crate::catalog::{Dialect, SchemaMode};

/// What the pool gets of the memory that the machine or container allows: a quarter.
const DEFAULT_SHARE: u64 = 4;
/// The least and the most that the default takes.
const DEFAULT_MIN: u64 = 64 << 20;
const DEFAULT_MAX: u64 = 64 << 30;

/// What `Engine::open` goes by. Dialect and schema mode count at creation only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Bytes of frames and accounted buffers, never exceeded.
    pub buffer_pool_bytes: u64,
    /// Threads that will read at once; a pool too small for them is refused.
    pub threads: usize,
    /// Nothing is written, not even to mend a header.
    pub read_only: bool,
    /// Whether a database is made where there is none.
    pub create: bool,
    pub dialect: Dialect,
    pub schema_mode: SchemaMode,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            buffer_pool_bytes: default_buffer_pool_bytes(),
            threads: 1,
            read_only: false,
            create: true,
            dialect: Dialect::default(),
            schema_mode: SchemaMode::default(),
        }
    }
}

/// A quarter of the memory that the machine has or the container allows.
pub fn default_buffer_pool_bytes() -> u64 {
    let machine = read_text("/proc/meminfo").and_then(|text| total_of_meminfo(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(read_text)
        .filter_map(|text| text.trim().parse::<u64>().ok())
        .min();
    let allowed = machine.into_iter().chain(group).min();
    allowed.map_or(4 * DEFAULT_MIN, |bytes| (bytes / DEFAULT_SHARE).clamp(DEFAULT_MIN, DEFAULT_MAX))
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
    }
}
