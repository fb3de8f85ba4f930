//! Plans of long patterns are deep trees, and what walks them needs a deep stack.

use parking_lot::Mutex;

use crate::types::Helpers;

/// Up to this depth any thread's stack is enough; frames of a build without optimization are several times as large.
const SHALLOW: usize = if cfg!(debug_assertions) { 24 } else { 48 };
/// What one level takes at most in a build without optimization, with room to spare. Only what is used becomes memory.
const LEVEL_BYTES: usize = 64 << 10;

/// The stack that a tree of this depth needs; `None` where any will do.
pub fn stack_for(depth: usize) -> Option<usize> {
    (depth > SHALLOW).then(|| depth.saturating_mul(LEVEL_BYTES).saturating_add(1 << 20))
}

/// Does work over a tree of this depth, on a stack that is deep enough.
pub fn on_stack_for<T: Send>(depth: usize, work: impl FnOnce() -> T + Send) -> T {
    let Some(bytes) = stack_for(depth) else { return work() };
    let work = Mutex::new(Some(work));
    let run = || work.lock().take().map(|work| work());
    let helpers = Helpers::of_this_thread();
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, helpers.help(run));
        helpers.wait();
        match thread.map(|thread| thread.join()) {
            Ok(Ok(done)) => done,
            // A panic goes on where it would have gone without the thread.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // The system gives no thread: the stack at hand may do.
            Err(_) => run(),
        }
    });
    // Proof: `run` gives none only if it is called a second time.
    done.expect("the work is done once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_work_gets_a_deep_stack() {
        fn down(levels: usize) -> usize {
            let block = std::hint::black_box([levels; 256]);
            if levels == 0 { 0 } else { 1 + down(block[7] - 1) }
        }
        assert_eq!(on_stack_for(3000, || down(3000)), 3000);
        assert_eq!(on_stack_for(3, || down(3)), 3);
        assert!(stack_for(3).is_none() && stack_for(3000) > stack_for(300));
    }
}
