//! What many threads change at once is cut into stripes that do not share a cache line: each thread has one of its own,
//! or shares it with a few, and whoever needs the whole looks at all of them.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many stripes there are.
pub const STRIPES: usize = 16;

/// A value that shares its cache lines, and the ones that are fetched with them, with no other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Apart<T>(pub T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The stripe of this thread.
pub fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    }
    // A thread that is ending takes any.
    OWN.try_with(|own| *own).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_stripe_and_the_next_has_another() {
        let other = std::thread::spawn(|| (own_stripe(), own_stripe())).join().unwrap();
        let third = std::thread::spawn(own_stripe).join().unwrap();
        assert!(other.0 == other.1 && other.0 < STRIPES && third < STRIPES);
        assert!(align_of::<Apart<u8>>() == 128 && *Apart(7) == 7);
    }
}
