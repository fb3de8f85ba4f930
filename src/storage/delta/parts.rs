//! A sequence of immutable sorted parts, newest last, each at least twice as large as the next: putting one more on
//! top merges the small ones, so that a row is copied a logarithmic number of times in its life.

use std::sync::Arc;

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

/// Two by two from the newest on, since the small ones are there.
pub(super) fn merge_pairwise<P: Part>(parts: &[Arc<P>]) -> Option<Arc<P>> {
    let (last, rest) = parts.split_last()?;
    Some(rest.iter().rev().fold(Arc::clone(last), |newer, older| Arc::new(P::merge(older, &newer))))
}

/// Parts, oldest first. Cloning shares them.
#[derive(Debug)]
pub struct Parts<P> {
    parts: Vec<Arc<P>>,
}

impl<P> Clone for Parts<P> {
    fn clone(&self) -> Self {
        Parts { parts: self.parts.clone() }
    }
}

impl<P> Default for Parts<P> {
    fn default() -> Self {
        Parts { parts: Vec::new() }
    }
}

impl<P: Part> Parts<P> {
    /// Puts a part on top.
    pub fn push(&mut self, part: Arc<P>) {
        if part.size() == 0 {
            return;
        }
        let mut size = part.size();
        self.parts.push(part);
        let mut first = self.parts.len() - 1;
        while first > 0 && self.parts[first - 1].size() < size.saturating_mul(2) {
            first -= 1;
            size = size.saturating_add(self.parts[first].size());
        }
        if first + 1 < self.parts.len() {
            let merged = P::merge_all(&self.parts[first..]);
            self.parts.truncate(first);
            self.parts.extend(merged.filter(|merged| merged.size() > 0));
        }
    }

    /// Puts the parts of a newer level on top.
    pub fn merge(&mut self, newer: &Parts<P>) {
        newer.parts.iter().for_each(|part| self.push(Arc::clone(part)));
    }

    /// All parts as one; none where there is no part.
    pub fn folded(&self) -> Option<Arc<P>> {
        P::merge_all(&self.parts)
    }
}

impl<P> Parts<P> {
    /// The parts, oldest first.
    pub fn as_slice(&self) -> &[Arc<P>] {
        &self.parts
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &P> {
        self.parts.iter().map(|part| &**part)
    }

    /// Whether there is no part.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
