//! A sequence of immutable sorted parts, newest last. The newest ones lie as they came until there are `RECENT` of them;
//! then they are merged into one, which joins the settled ones. Of these, `FAN` of one size make one of the next. So a row
//! is copied a logarithmic number of times in its life, and most changes copy a handful of references only: what commits
//! touch that follow each other on different cores has to travel between them.

use std::sync::Arc;

/// Parts that are merged at once when they are the newest.
const RECENT: usize = 8;
/// Settled parts of about the same size that are merged.
const FAN: usize = 4;

/// Something sorted that two of make one.
pub trait Part {
    /// Rows or entries.
    fn size(&self) -> usize;
    /// Both together; where they speak of the same, the newer counts.
    fn merge(older: &Self, newer: &Self) -> Self;
    /// All of them, oldest first, as one; none where there is none.
    fn merge_all(parts: &[Arc<Self>]) -> Option<Arc<Self>>
    where
        Self: Sized,
    {
        merge_pairwise(parts)
    }
}

/// Two by two, each time the neighbours that are the smallest together.
pub(super) fn merge_pairwise<P: Part>(parts: &[Arc<P>]) -> Option<Arc<P>> {
    let mut parts: Vec<Arc<P>> = parts.to_vec();
    while parts.len() > 1 {
        let together = |at: &usize| parts[*at].size().saturating_add(parts[at + 1].size());
        let at = (0..parts.len() - 1).min_by_key(together)?;
        parts[at] = Arc::new(P::merge(&parts[at], &parts[at + 1]));
        parts.remove(at + 1);
    }
    parts.pop()
}

/// Parts, oldest first. Cloning shares them.
#[derive(Debug)]
pub struct Parts<P> {
    settled: Option<Arc<Vec<Arc<P>>>>,
    recent: Vec<Arc<P>>,
}

impl<P> Clone for Parts<P> {
    fn clone(&self) -> Self {
        // Whoever clones puts one on top.
        let mut recent = Vec::with_capacity(self.recent.len() + 1);
        recent.extend_from_slice(&self.recent);
        Parts { settled: self.settled.clone(), recent }
    }
}

impl<P> Default for Parts<P> {
    fn default() -> Self {
        Parts { settled: None, recent: Vec::new() }
    }
}

/// Sizes of one tier differ by less than `FAN` times.
fn tier(size: usize) -> u32 {
    size.max(1).ilog(FAN)
}

impl<P: Part> Parts<P> {
    /// Puts a part on top.
    pub fn push(&mut self, part: Arc<P>) {
        if part.size() == 0 {
            return;
        }
        self.recent.push(part);
        if self.recent.len() >= RECENT {
            let merged = P::merge_all(&self.recent);
            self.recent.clear();
            if let Some(merged) = merged.filter(|merged| merged.size() > 0) {
                settle(Arc::make_mut(self.settled.get_or_insert_default()), merged);
            }
        }
    }

    /// Puts the parts of a newer level on top.
    pub fn merge(&mut self, newer: &Parts<P>) {
        newer.iter_shared().for_each(|part| self.push(Arc::clone(part)));
    }

    /// All parts as one; none where there is no part.
    pub fn folded(&self) -> Option<Arc<P>> {
        let parts: Vec<Arc<P>> = self.iter_shared().cloned().collect();
        P::merge_all(&parts)
    }
}

/// Puts a part on top of the settled ones, and merges those that are many of one size or of smaller ones.
fn settle<P: Part>(settled: &mut Vec<Arc<P>>, part: Arc<P>) {
    settled.push(part);
    while let Some(newest) = settled.last() {
        let highest = tier(newest.size());
        let few = settled.iter().rev().take_while(|part| tier(part.size()) <= highest).count();
        if few < FAN {
            return;
        }
        let first = settled.len() - few;
        let merged = P::merge_all(&settled[first..]);
        settled.truncate(first);
        settled.extend(merged.filter(|merged| merged.size() > 0));
    }
}

impl<P> Parts<P> {
    /// Oldest first, to be shared.
    pub fn iter_shared(&self) -> impl DoubleEndedIterator<Item = &Arc<P>> {
        self.settled.iter().flat_map(|settled| settled.iter()).chain(&self.recent)
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &P> {
        self.iter_shared().map(|part| &**part)
    }

    /// Whether there is no part.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.settled.as_ref().is_none_or(|settled| settled.is_empty())
    }
}
