//! The changes over a base: the levels, and the commits that nobody has merged into them yet.
//!
//! Merging one commit into the active level copies the paths to what it touches, and two writers on two cores hand all
//! that to each other with every commit. So a commit is only put on a list, one reference long, and every few commits
//! one of them merges all that lie there, while others go on to commit. Whoever reads before gets them merged at the
//! first question to the state.

use std::sync::{Arc, OnceLock};

use super::delta::{Delta, TableDelta};
use crate::types::TableId;

/// So many commits are merged at once, and by whoever made the last of them.
pub(super) const MERGED_AT: usize = 8;
/// Where so many wait for a merge that another thread has begun, the next commit merges them itself.
const RECENT_MAX: usize = 32;

/// The changes over a base, each level over those before it.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// What a checkpoint is writing into the base.
    pub frozen: Option<Arc<Delta>>,
    /// What was committed since.
    pub active: Arc<Delta>,
    /// What a transaction changed that has not committed; only its own views have it.
    pub own: Option<Arc<Delta>>,
}

impl Levels {
    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Delta>> {
        self.frozen.iter().chain(std::iter::once(&self.active)).chain(&self.own)
    }

    /// What changed in a table, oldest first.
    pub fn of_table(&self, table: TableId) -> Vec<Arc<TableDelta>> {
        let changed = self.iter().filter_map(|level| level.table(table));
        changed.filter(|changes| !changes.is_empty()).cloned().collect()
    }

    /// The same without what changed in these tables.
    pub fn without_tables(&self, tables: &[TableId]) -> Levels {
        let without = |level: &Arc<Delta>| match tables.iter().any(|table| level.table(*table).is_some()) {
            false => Arc::clone(level),
            true => {
                let mut left = Delta::clone(level);
                tables.iter().for_each(|table| left.remove_table(*table));
                Arc::new(left)
            }
        };
        Levels {
            frozen: self.frozen.as_ref().map(without),
            active: without(&self.active),
            own: self.own.as_ref().map(without),
        }
    }

    /// Whether the base is all there is.
    pub fn is_empty(&self) -> bool {
        self.iter().all(|level| level.is_empty())
    }

    /// The memory of all levels, about.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|level| level.bytes()).sum()
    }
}

/// A commit that is not merged into the active level yet.
#[derive(Debug)]
pub(super) struct RecentCommit {
    changes: Arc<Delta>,
    /// The memory of the changes and of those before them.
    bytes: u64,
    /// How many there are up to this one.
    count: usize,
    older: Option<Arc<RecentCommit>>,
}

impl RecentCommit {
    /// Made by whoever commits, before it is this commit's turn.
    pub fn new(changes: Arc<Delta>) -> Arc<RecentCommit> {
        let bytes = changes.bytes();
        Arc::new(RecentCommit { changes, bytes, count: 1, older: None })
    }
}

/// A merge that the thread which made the newest of its commits carries out while others commit.
#[derive(Debug)]
struct Merge {
    /// The newest commit in it.
    newest: Arc<RecentCommit>,
    merged: OnceLock<Levels>,
}

/// A merge that somebody has to carry out, after the state that asks for it was published.
#[derive(Debug)]
pub(super) struct DueMerge {
    merge: Arc<Merge>,
    settled: Levels,
}

impl DueMerge {
    /// States that come later have the commits in their levels.
    pub fn run(self) {
        let merged = merge(self.settled, Some(&self.merge.newest), None);
        // Nobody else has this merge to carry out.
        let _ = self.merge.merged.set(merged);
    }
}

/// The changes of one state: levels, and recent commits above the active one.
#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    settled: Levels,
    /// The memory of the levels, all of them and the active one.
    settled_bytes: u64,
    active_bytes: u64,
    /// The newest, which leads to the others.
    recent: Option<Arc<RecentCommit>>,
    /// What will put the older of them into the levels.
    merge: Option<Arc<Merge>>,
}

/// Calls `each` with the commits that `newest` leads to, up to the one behind `until`, oldest first.
fn oldest_first<'s>(
    newest: Option<&'s Arc<RecentCommit>>,
    until: Option<&Arc<RecentCommit>>,
    each: &mut dyn FnMut(&'s Arc<Delta>),
) {
    let mut newest_first: [Option<&Arc<Delta>>; RECENT_MAX] = [None; RECENT_MAX];
    let mut next = newest;
    // There are never more: the last one that finds room has all of them merged.
    for place in &mut newest_first {
        let Some(commit) = next.filter(|commit| until.is_none_or(|until| !Arc::ptr_eq(commit, until))) else {
            break;
        };
        *place = Some(&commit.changes);
        next = commit.older.as_ref();
    }
    newest_first.into_iter().rev().flatten().for_each(each);
}

/// The levels with those commits in the active one.
fn merge(
    mut levels: Levels,
    newest: Option<&Arc<RecentCommit>>,
    until: Option<&Arc<RecentCommit>>,
) -> Levels {
    let active = Arc::make_mut(&mut levels.active);
    oldest_first(newest, until, &mut |changes| active.merge(changes));
    levels
}

impl Stack {
    pub fn of(settled: Levels) -> Stack {
        let (settled_bytes, active_bytes) = (settled.bytes(), settled.active.bytes());
        Stack { settled, settled_bytes, active_bytes, recent: None, merge: None }
    }

    /// Puts a commit on top. Gives the merge that is due then, if one is.
    pub fn push(&mut self, commit: Arc<RecentCommit>) -> Option<DueMerge> {
        self.take_merged();
        let count = self.put(commit);
        if count >= RECENT_MAX {
            *self = Stack::of(self.merged());
        }
        match &self.recent {
            Some(newest) if count >= MERGED_AT && self.merge.is_none() => {
                let merge = Arc::new(Merge { newest: Arc::clone(newest), merged: OnceLock::new() });
                self.merge = Some(Arc::clone(&merge));
                Some(DueMerge { merge, settled: self.settled.clone() })
            }
            _ => None,
        }
    }

    /// Puts a commit on top; says how many there are now.
    fn put(&mut self, mut commit: Arc<RecentCommit>) -> usize {
        let (count, bytes) = self.recent.as_ref().map_or((0, 0), |newest| (newest.count, newest.bytes));
        match Arc::get_mut(&mut commit) {
            Some(own) => {
                own.count = count + 1;
                own.bytes += bytes;
                own.older = self.recent.take();
            }
            // Somebody else has it as well, who must not see it change.
            None => {
                let older = self.recent.take();
                let (changes, bytes) = (Arc::clone(&commit.changes), commit.changes.bytes() + bytes);
                commit = Arc::new(RecentCommit { changes, bytes, count: count + 1, older });
            }
        }
        self.recent = Some(commit);
        count + 1
    }

    /// Goes over to the levels of a merge that has been carried out, with the commits that came meanwhile above them.
    fn take_merged(&mut self) {
        let Some(merge) = &self.merge else { return };
        let Some(levels) = merge.merged.get() else { return };
        let mut stack = Stack::of(levels.clone());
        oldest_first(self.recent.as_ref(), Some(&merge.newest), &mut |changes| {
            stack.put(RecentCommit::new(Arc::clone(changes)));
        });
        *self = stack;
    }

    /// The newest levels that there are, and the commit up to which they go; none where no recent one is in them.
    fn newest_levels(&self) -> (&Levels, Option<&Arc<RecentCommit>>) {
        let merged = self.merge.as_ref().and_then(|merge| Some((merge.merged.get()?, &merge.newest)));
        merged.map_or((&self.settled, None), |(levels, newest)| (levels, Some(newest)))
    }

    /// The levels with the recent commits in the active one.
    pub fn merged(&self) -> Levels {
        let (levels, until) = self.newest_levels();
        // The own level lies above all commits, and a merge knows nothing of it.
        let levels = Levels { own: self.settled.own.clone(), ..levels.clone() };
        match self.has_recent() {
            true => merge(levels, self.recent.as_ref(), until),
            false => levels,
        }
    }

    /// Whether there are commits beside the levels.
    pub fn has_recent(&self) -> bool {
        self.recent.is_some()
    }

    /// The levels without the recent commits.
    pub fn settled(&self) -> &Levels {
        &self.settled
    }

    /// All levels and recent commits, oldest first.
    pub fn each<'s>(&'s self, each: &mut dyn FnMut(&'s Delta)) {
        let (Levels { frozen, active, .. }, until) = self.newest_levels();
        frozen.iter().chain(std::iter::once(active)).for_each(|level| each(level));
        oldest_first(self.recent.as_ref(), until, &mut |changes| each(changes));
        self.settled.own.iter().for_each(|level| each(level));
    }

    /// What changed in a table, oldest first.
    pub fn of_table(&self, table: TableId) -> Vec<Arc<TableDelta>> {
        let mut found = Vec::new();
        self.each(&mut |level| {
            found.extend(level.table(table).filter(|changes| !changes.is_empty()).cloned())
        });
        found
    }

    /// The same under a transaction's own level.
    pub fn with_own(mut self, own: Arc<Delta>) -> Stack {
        self.settled.own = Some(own);
        self.settled_bytes = self.settled.bytes();
        self
    }

    /// The same, merged, without what changed in these tables.
    pub fn without_tables(&self, tables: &[TableId]) -> Stack {
        Stack::of(self.merged().without_tables(tables))
    }

    /// Whether there are no changes at all.
    pub fn is_empty(&self) -> bool {
        self.recent.is_none() && self.settled.is_empty()
    }

    /// The memory of all of it, about.
    pub fn bytes(&self) -> u64 {
        self.settled_bytes + self.recent_bytes()
    }

    /// The memory of what comes after the frozen level, about.
    pub fn active_bytes(&self) -> u64 {
        self.active_bytes + self.recent_bytes()
    }

    fn recent_bytes(&self) -> u64 {
        self.recent.as_ref().map_or(0, |newest| newest.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::index::KeyRef;

    const TABLE: TableId = TableId(3);

    fn commit(key: u64) -> Arc<RecentCommit> {
        let mut changes = Delta::default();
        changes.table_mut(TABLE).add_key(KeyRef::Integer(key % 10), key);
        RecentCommit::new(Arc::new(changes))
    }

    fn newest(levels: &[Arc<TableDelta>], key: u64) -> Option<u64> {
        levels.iter().rev().find_map(|level| level.find_key(KeyRef::Integer(key)))
    }

    #[test]
    fn commits_are_found_in_order_whether_merged_or_not() {
        let mut stack = Stack::default();
        for step in 0..50u64 {
            let before = stack.clone();
            let is_due = (step + 1).is_multiple_of(MERGED_AT as u64);
            let due = stack.push(commit(step));
            assert_eq!(due.is_some(), is_due);
            due.into_iter().for_each(DueMerge::run);
            for key in 0..10 {
                let expected = (0..=step).rev().find(|other| other % 10 == key);
                assert_eq!(newest(&stack.of_table(TABLE), key), expected, "{key} at {step}");
                assert_eq!(newest(&stack.merged().of_table(TABLE), key), expected);
                let expected = (0..step).rev().find(|other| other % 10 == key);
                assert_eq!(newest(&before.of_table(TABLE), key), expected);
            }
            assert_eq!(stack.bytes(), stack.merged().bytes());
            assert_eq!(stack.active_bytes(), stack.bytes());
        }
        assert!(stack.without_tables(&[TABLE]).is_empty());
    }

    #[test]
    fn commits_go_on_beside_a_merge_and_wait_for_none_that_takes_long() {
        let mut stack = Stack::default();
        let mut due = None;
        let count_of = |stack: &Stack| stack.recent.as_ref().map_or(0, |newest| newest.count);
        for step in 0..MERGED_AT as u64 + 3 {
            due = stack.push(commit(step)).or(due);
        }
        assert_eq!(count_of(&stack), MERGED_AT + 3);
        let before = stack.clone();
        due.unwrap().run();
        // Both know of it at once; the next commit leaves the merged ones behind.
        for key in 0..10 {
            let expected = (0..MERGED_AT as u64 + 3).rev().find(|other| other % 10 == key);
            for levels in [stack.of_table(TABLE), before.merged().of_table(TABLE)] {
                assert_eq!(newest(&levels, key), expected, "{key}");
            }
        }
        assert_eq!((stack.of_table(TABLE).len(), before.merged().of_table(TABLE).len()), (4, 1));
        assert!(stack.push(commit(11)).is_none());
        assert_eq!((count_of(&stack), count_of(&before)), (4, MERGED_AT + 3));
        // A merge that nobody carries out.
        let mut longest = 0;
        for step in 0..3 * RECENT_MAX as u64 {
            drop(stack.push(commit(step)));
            longest = longest.max(count_of(&stack));
        }
        assert_eq!(longest, RECENT_MAX - 1);
    }

    #[test]
    fn the_own_level_lies_above_recent_commits() {
        let mut stack = Stack::default();
        stack.push(commit(1));
        let mut own = Delta::default();
        own.table_mut(TABLE).add_key(KeyRef::Integer(1), 7);
        let view = stack.clone().with_own(Arc::new(own));
        for levels in [view.of_table(TABLE), view.merged().of_table(TABLE)] {
            assert_eq!((levels.len(), newest(&levels, 1)), (2, Some(7)));
        }
        assert!(view.bytes() > stack.bytes() && view.active_bytes() == stack.active_bytes());
    }

    #[test]
    fn a_commit_that_somebody_else_has_stays_as_it_is() {
        let shared = commit(2);
        let mut stack = Stack::default();
        stack.push(commit(1));
        stack.push(Arc::clone(&shared));
        assert!(shared.older.is_none() && shared.count == 1);
        assert_eq!(stack.of_table(TABLE).len(), 2);
    }
}
