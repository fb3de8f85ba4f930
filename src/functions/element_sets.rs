//! The sets of lists that rows have asked about: those of short lists by each thread for itself, those of long ones once
//! for all threads of a statement. They only save time: where there is no room for one, its list is gone through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;

use super::element_set::ElementSet;
use crate::types::DataType;
use crate::vector::ValueVector;

/// Most sets that are kept, and about how many bytes beside the newest.
const SETS_MAX: usize = 256;
const SETS_BYTES_MAX: usize = 32 << 20;
/// Lists from this length on, or of about so many bytes, are prepared for all threads.
const SHARED_FROM: usize = 1024;
const SHARED_BYTES_FROM: usize = 256 << 10;

/// The identity of lists, where a list lies, and whether it is asked with values of the elements' type.
type Place = (u64, usize, usize, bool);
/// None where there was no room.
type Sets = HashMap<Place, Option<Arc<ElementSet>>, FxBuildHasher>;

/// Sets of one thread, as long as they may be asked about again.
#[derive(Debug, Default)]
pub struct ElementSets {
    kept: Sets,
    bytes: usize,
    shared: Option<Arc<SharedSets>>,
    /// How often the shared sets had been given up when these were looked at.
    round: u64,
    /// How many were made.
    pub prepared: u64,
}

/// Sets of long lists, for all threads.
pub struct SharedSets {
    kept: Mutex<(Sets, usize)>,
    round: AtomicU64,
    room: Box<dyn Fn(u64) -> bool + Send + Sync>,
}

impl SharedSets {
    /// No sets; `room` says whether they may hold so many bytes together, and counts them.
    pub fn new(room: impl Fn(u64) -> bool + Send + Sync + 'static) -> SharedSets {
        SharedSets { kept: Mutex::default(), round: AtomicU64::new(0), room: Box::new(room) }
    }

    /// The set at a place, and whether it was made for this question.
    fn get(
        &self,
        place: Place,
        child: &ValueVector<'_>,
        element: &DataType,
        often: bool,
    ) -> (Option<Arc<ElementSet>>, bool) {
        let (kept, bytes) = &mut *self.kept.lock();
        if let Some(known) = kept.get(&place) {
            return (known.clone(), false);
        }
        if !often {
            return (None, false);
        }
        if kept.len() >= SETS_MAX || *bytes > SETS_BYTES_MAX {
            kept.clear();
            *bytes = 0;
            self.round.fetch_add(1, Ordering::Relaxed);
        }
        let (_, start, end, typed) = place;
        let needed = ElementSet::bytes_of(child, (start, end), element);
        let has_room = (self.room)((*bytes + needed) as u64);
        let made = has_room.then(|| Arc::new(ElementSet::new(child, (start, end), element, typed)));
        // What was expected was a guess.
        let made = made.filter(|set| (self.room)((*bytes + set.bytes()) as u64));
        *bytes += made.as_ref().map_or(0, |set| set.bytes());
        kept.insert(place, made.clone());
        let is_new = made.is_some();
        (made, is_new)
    }

    /// Whether there is room for another set beside these.
    fn has_room(&self, bytes: usize) -> bool {
        let (_, held) = &*self.kept.lock();
        (self.room)((*held + bytes) as u64)
    }
}

impl std::fmt::Debug for SharedSets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SharedSets").field("round", &self.round).finish_non_exhaustive()
    }
}

impl ElementSets {
    /// Has long lists prepared for others as well.
    pub fn share(&mut self, sets: Arc<SharedSets>) {
        self.shared = Some(sets);
    }

    /// The set of the elements `start..end` of `child`, of lists that `identity` names; `typed` says whether it is asked
    /// with values of the elements' type. Whoever has not asked for it often gets none, unless it is there, nor does
    /// anybody where there is no room for it.
    pub fn get(
        &mut self,
        (identity, start, end): (u64, usize, usize),
        child: &ValueVector<'_>,
        (element, typed): (&DataType, bool),
        often: bool,
    ) -> Option<&ElementSet> {
        let place = (identity, start, end, typed);
        self.forget_old();
        let there = identity != 0 && self.kept.contains_key(&place);
        if !there {
            let bytes = || ElementSet::bytes_of(child, (start, end), element);
            let is_large = || end - start >= SHARED_FROM || bytes() >= SHARED_BYTES_FROM;
            let set = match self.shared.as_ref().filter(|_| is_large()) {
                Some(shared) if identity != 0 => {
                    let (set, is_new) = shared.get(place, child, element, often);
                    self.prepared += u64::from(is_new);
                    if set.is_none() && !often {
                        return None;
                    }
                    set
                }
                None if !often => return None,
                Some(shared) if !often || !shared.has_room(bytes()) => return None,
                _ => {
                    let set = ElementSet::new(child, (start, end), element, typed);
                    self.prepared += 1;
                    self.bytes += set.bytes();
                    Some(Arc::new(set))
                }
            };
            // Lists without a name are others each time.
            if let Some(Some(before)) = self.kept.insert(place, set) {
                self.bytes -= before.bytes();
            }
        }
        self.kept.get(&place)?.as_deref()
    }

    /// Drops all sets that are too many, and those that are shared no more.
    fn forget_old(&mut self) {
        let round = self.shared.as_ref().map_or(0, |shared| shared.round.load(Ordering::Relaxed));
        if self.kept.len() >= SETS_MAX || self.bytes > SETS_BYTES_MAX || round != self.round {
            self.round = round;
            self.forget();
        }
    }

    /// Drops the sets of this thread.
    pub fn forget(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// About how many bytes the sets hold that are this thread's own.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
