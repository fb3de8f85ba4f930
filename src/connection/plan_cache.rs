//! Plans that were made before, by text. A plan serves as long as what it was made for is unchanged: dialect, catalog,
//! statistics (only bulk loads bring new ones) and the types of the parameters.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::compile::QueryPlan;
use super::session::View;
use crate::params::Params;

/// Texts that are kept at most.
const TEXTS_MAX: usize = 256;
/// Plans of one text, for different types of parameters.
const PLANS_PER_TEXT_MAX: usize = 8;
/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// How a connection's plan cache has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanCacheStats {
    /// Executions that found their plan.
    pub hits: u64,
    /// Executions that had to make one.
    pub misses: u64,
    /// Plans that are kept.
    pub plans: u64,
}

#[derive(Default)]
pub(crate) struct PlanCache {
    texts: FxHashMap<Box<str>, Entry>,
    clock: u64,
    hits: u64,
    misses: u64,
}

#[derive(Default)]
struct Entry {
    plans: Vec<Arc<QueryPlan>>,
    used_at: u64,
}

impl PlanCache {
    /// The plan of a text that serves now.
    pub fn find(&mut self, text: &str, view: &View, params: &Params) -> Option<Arc<QueryPlan>> {
        self.clock += 1;
        let entry = self.texts.get_mut(text)?;
        entry.used_at = self.clock;
        let found = entry.plans.iter().find(|plan| plan.serves(view, params)).cloned();
        self.hits += u64::from(found.is_some());
        found
    }

    /// Counts a plan that a statement had at hand.
    pub fn count_hit(&mut self) {
        self.hits += 1;
    }

    /// Keeps a new plan. Plans of other versions go, then the oldest.
    pub fn insert(&mut self, text: &str, plan: &Arc<QueryPlan>, view: &View) {
        self.misses += 1;
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        if self.texts.len() >= TEXTS_MAX && !self.texts.contains_key(text) {
            self.forget_oldest();
        }
        self.clock += 1;
        let entry = self.texts.entry(text.into()).or_default();
        entry.used_at = self.clock;
        entry.plans.retain(|plan| plan.is_of(view) || plan.is_of_other_dialect(view));
        if entry.plans.len() >= PLANS_PER_TEXT_MAX {
            entry.plans.remove(0);
        }
        entry.plans.push(Arc::clone(plan));
    }

    pub fn stats(&self) -> PlanCacheStats {
        let plans = self.texts.values().map(|entry| entry.plans.len() as u64).sum();
        PlanCacheStats { hits: self.hits, misses: self.misses, plans }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.texts.iter().min_by_key(|(_, entry)| entry.used_at).map(|(text, _)| text.clone());
        if let Some(text) = oldest {
            self.texts.remove(&text);
        }
    }
}
