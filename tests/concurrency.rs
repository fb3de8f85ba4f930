//! Many connections at once. What they saw and did is written down and checked afterwards: whether some order of
//! commits explains all of it under snapshot isolation, and whether the rules that hold between rows held.
//!
//! More of it: `QUIRE_LONG=1 cargo test --release --test concurrency`. A failure names its seed; `QUIRE_SEED=<seed>`
//! runs that one alone (threads still interleave as they like).

#[path = "concurrency/checker.rs"]
mod checker;
#[path = "concurrency/contention.rs"]
mod contention;
#[cfg(all(unix, feature = "cli"))]
#[path = "concurrency/locking.rs"]
mod locking;
#[path = "concurrency/registers.rs"]
mod registers;
mod support;
