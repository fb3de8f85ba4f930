//! A sequence of immutable sorted parts, newest last, each at least twice as large as the next: putting one more on
//! top merges the small ones, so that a row is copied a logarithmic number of times in its life.

use std::sync::Arc;

/// Something sorted that two of make one.
pub trait Part {
    /// Rows or entries.
    fn size(&self) -> usize;
    /// Both together; where they speak of the same, the newer counts.
    fn merge(older: &Self, newer: &Self) -> Self;
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
        self.parts.push(part);
        while let [.., older, newer] = self.parts.as_slice()
            && older.size() < newer.size().saturating_mul(2)
        {
            let merged = P::merge(older, newer);
            self.parts.truncate(self.parts.len() - 2);
            if merged.size() == 0 {
                return;
            }
            self.parts.push(Arc::new(merged));
        }
    }

    /// Puts the parts of a newer level on top.
    pub fn merge(&mut self, newer: &Parts<P>) {
        newer.parts.iter().for_each(|part| self.push(Arc::clone(part)));
    }

    /// All parts as one; none where there is no part.
    pub fn folded(&self) -> Option<Arc<P>> {
        let (first, rest) = self.parts.split_last()?;
        // From the newest on, since the small ones are there.
        Some(rest.iter().rev().fold(Arc::clone(first), |newer, older| Arc::new(P::merge(older, &newer))))
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
