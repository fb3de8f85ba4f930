//! Waiting awake for what another thread is about to do.

/// How often whoever waits looks without a pause.
const LOOKS: u32 = 256;
/// How often it then lets other threads run between two looks.
const LOOKS_YIELDING: u32 = 64;

/// Asks until `look` finds something, for a few microseconds, or longer while other threads want to run. Nothing means
/// that it is time to sleep, although to be woken takes longer than most of what is waited for.
pub fn patiently<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for turn in 0..LOOKS + LOOKS_YIELDING {
        if let Some(found) = look() {
            return Some(found);
        }
        match turn < LOOKS {
            true => std::hint::spin_loop(),
            false => std::thread::yield_now(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_something_is_found_and_not_for_ever() {
        let mut looks = 0;
        let mut look_for = |found_at: u32| {
            looks = 0;
            patiently(|| {
                looks += 1;
                (looks == found_at).then_some(looks)
            })
        };
        assert_eq!((look_for(1), look_for(LOOKS + 2)), (Some(1), Some(LOOKS + 2)));
        assert_eq!(look_for(u32::MAX), None);
        assert_eq!(looks, LOOKS + LOOKS_YIELDING);
    }
}
