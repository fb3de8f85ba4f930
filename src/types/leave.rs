//! Freeing memory takes a tenth of a second per gigabyte. Somebody who has stopped a statement does not wait for that:
//! large things that are dropped while it ends are freed by a thread of their own.

use super::stop::is_stopped;

/// Less is freed soon enough.
const LARGE_BYTES: u64 = 8 << 20;

/// For `drop`: takes something that has `bytes`, if that is much and the statement of this thread is stopped, and frees it
/// elsewhere.
pub fn leave_if_stopped<T: Default + Send + 'static>(bytes: u64, thing: &mut T) {
    if bytes < LARGE_BYTES || !is_stopped() {
        return;
    }
    let left = std::mem::take(thing);
    // Where the system gives no thread, it is freed here and now.
    let _ = std::thread::Builder::new().name("quire free".to_owned()).spawn(move || drop(left));
}

/// The same for a plain vector.
pub fn leave_vector_if_stopped<T: Send + 'static>(vector: &mut Vec<T>) {
    leave_if_stopped((vector.capacity() * size_of::<T>()) as u64, vector);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::types::Stop;

    #[test]
    fn only_what_is_large_is_left_and_only_by_who_is_stopped() {
        let check = |stopped: bool, bytes: u64, expected: bool| {
            let mut thing = vec![1u8; 10];
            let stop = Stop::new(Arc::new(AtomicBool::new(stopped)), None);
            stop.during(|| leave_if_stopped(bytes, &mut thing));
            assert_eq!(thing.is_empty(), expected, "{stopped} {bytes}");
        };
        check(true, LARGE_BYTES, true);
        check(true, LARGE_BYTES - 1, false);
        check(false, LARGE_BYTES, false);
    }
}
