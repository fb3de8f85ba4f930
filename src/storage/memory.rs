//! The one account of memory beside the buffer pool: operators, bulk loads, levels of changes and the queue of the log
//! count here what they hold, before they hold it. Counting is a few atomic additions per block of growth; nothing
//! counts row by row.
//!
//! What always holds:
//! 1. Whoever may be refused never makes the sum exceed the limit.
//! 2. Only what is committed already, or is on its way to the log, counts without asking: it is in memory anyway.
//! 3. Changes of transactions get half of the limit at most, so that readers always have the other half.
//! 4. An operator that can spill takes at most half of what the others leave, so that what comes behind it in a
//!    pipeline has room as well. The least that it works with, of which nothing could be spilled, it counts without
//!    asking: whether there is room for that must not depend on what others hold at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{StorageError, StorageResult};

/// Reservations grow in steps, so that small ones do not ask again and again.
const STEP: u64 = 256 << 10;
/// The part of the limit that changes may take, as a divisor.
const LAYER_SHARE: u64 = 2;

/// Who holds memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryClass {
    /// Operators of queries: sorted rows, groups, build sides, results.
    Operators,
    /// COPY: buffers, keys, ends of relationships.
    Load,
    /// Levels: what commits and open transactions have changed and no page has yet.
    Layers,
    /// Encoded commits on their way to the log.
    LogQueue,
}

/// What a class holds, and the most that it ever held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    pub used: u64,
    pub peak: u64,
}

/// All numbers of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryStats {
    pub limit: u64,
    /// All classes together.
    pub total: MemoryUse,
    pub operators: MemoryUse,
    pub load: MemoryUse,
    pub layers: MemoryUse,
    pub log_queue: MemoryUse,
}

/// The account of one database. Clones are handles to it.
#[derive(Clone)]
pub struct MemoryAccountant {
    account: Arc<Account>,
}

struct Account {
    limit: u64,
    total: Gauge,
    classes: [Gauge; 4],
}

/// What one operator holds and held at most, counted beside the account by the reservations that carry it.
#[derive(Debug, Default)]
pub struct Meter(Gauge);

impl Meter {
    /// What is held, and the most that was held at one time.
    pub fn read(&self) -> MemoryUse {
        self.0.read()
    }
}

#[derive(Debug, Default)]
struct Gauge {
    used: AtomicU64,
    peak: AtomicU64,
}

impl Gauge {
    /// Adds bytes if the sum stays within `limit`.
    fn take(&self, bytes: u64, limit: u64) -> bool {
        self.take_if(bytes, |_, sum| sum <= limit)
    }

    /// Adds bytes if what is used and the sum allow it; both are looked at together with the addition, so that two who
    /// ask at once do not both get the same room.
    fn take_if(&self, bytes: u64, allowed: impl Fn(u64, u64) -> bool) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| allowed(used, *sum));
        match self.used.fetch_update(Relaxed, Relaxed, fits) {
            Ok(before) => {
                self.rise(before + bytes);
                true
            }
            Err(_) => false,
        }
    }

    fn add(&self, bytes: u64) {
        self.rise(self.used.fetch_add(bytes, Relaxed) + bytes);
    }

    fn rise(&self, sum: u64) {
        if sum > self.peak.load(Relaxed) {
            self.peak.fetch_max(sum, Relaxed);
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn read(&self) -> MemoryUse {
        MemoryUse { used: self.used(), peak: self.peak.load(Relaxed) }
    }
}

impl MemoryAccountant {
    /// An account of `limit` bytes.
    pub fn new(limit: u64) -> MemoryAccountant {
        let account = Account { limit, total: Gauge::default(), classes: Default::default() };
        MemoryAccountant { account: Arc::new(account) }
    }

    /// The most that may be held.
    pub fn limit(&self) -> u64 {
        self.account.limit
    }

    /// A reservation of nothing, to be grown.
    pub fn reservation(&self, class: MemoryClass) -> Reservation {
        Reservation { account: Arc::clone(&self.account), class, bytes: 0, meter: None }
    }

    /// The bytes that levels of changes may take.
    pub fn layer_share(&self) -> u64 {
        self.account.limit / LAYER_SHARE
    }

    /// What levels of changes take.
    pub fn layer_bytes(&self) -> u64 {
        self.account.class(MemoryClass::Layers).used()
    }

    /// What is held, and was.
    pub fn stats(&self) -> MemoryStats {
        let Account { limit, total, classes: [operators, load, layers, log_queue] } = &*self.account;
        MemoryStats {
            limit: *limit,
            total: total.read(),
            operators: operators.read(),
            load: load.read(),
            layers: layers.read(),
            log_queue: log_queue.read(),
        }
    }
}

impl Account {
    fn class(&self, class: MemoryClass) -> &Gauge {
        &self.classes[class as usize]
    }

    fn take(&self, class: MemoryClass, bytes: u64) -> bool {
        let of_class = if class == MemoryClass::Layers { self.limit / LAYER_SHARE } else { u64::MAX };
        if !self.class(class).take(bytes, of_class) {
            return false;
        }
        let taken = self.total.take(bytes, self.limit);
        if !taken {
            self.class(class).give_back(bytes);
        }
        taken
    }

    /// Takes `bytes` for one who holds `own` already, as long as it then holds half of what others leave at most.
    fn take_share(&self, class: MemoryClass, own: u64, bytes: u64) -> bool {
        let limit = self.limit;
        let taken = self.total.take_if(bytes, |used, sum| {
            let others = used.saturating_sub(own);
            sum <= limit && own + bytes <= limit.saturating_sub(others) / 2
        });
        if taken {
            self.class(class).add(bytes);
        }
        taken
    }

    fn add(&self, class: MemoryClass, bytes: u64) {
        self.class(class).add(bytes);
        self.total.add(bytes);
    }

    fn give_back(&self, class: MemoryClass, bytes: u64) {
        self.total.give_back(bytes);
        self.class(class).give_back(bytes);
    }
}

/// Bytes that count against the limit while this value lives.
pub struct Reservation {
    account: Arc<Account>,
    class: MemoryClass,
    bytes: u64,
    meter: Option<Arc<Meter>>,
}

impl Reservation {
    /// A reservation of nothing so far whose bytes a meter counts as well.
    pub fn metered(mut self, meter: Option<&Arc<Meter>>) -> Reservation {
        debug_assert_eq!(self.bytes, 0);
        self.meter = meter.cloned();
        self
    }

    /// Notes bytes that the account has granted.
    fn grow(&mut self, more: u64) {
        self.bytes += more;
        if let Some(Meter(gauge)) = self.meter.as_deref() {
            gauge.add(more);
        }
    }

    /// Notes bytes that the account has got back, or that another reservation takes over.
    fn fall(&mut self, less: u64) {
        self.bytes -= less;
        if let Some(Meter(gauge)) = self.meter.as_deref() {
            gauge.give_back(less);
        }
    }

    /// Bytes counted: those asked for, up to the next step.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The limit of the account.
    pub fn limit(&self) -> u64 {
        self.account.limit
    }

    /// Another reservation of the same account and class, of nothing.
    pub fn sibling(&self) -> Reservation {
        Reservation { account: Arc::clone(&self.account), class: self.class, bytes: 0, meter: None }
    }

    /// Counts `bytes` from now on if the limit allows it. What falls by some steps becomes free.
    pub fn try_hold(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            self.shrink_to(bytes.saturating_add(4 * STEP));
            return true;
        }
        let wanted = bytes.saturating_add(STEP.min(bytes)) - self.bytes;
        for more in [wanted, bytes - self.bytes] {
            if self.account.take(self.class, more) {
                self.grow(more);
                return true;
            }
        }
        false
    }

    /// As `try_hold`, for an operator that can spill instead: at most half of what others leave.
    pub fn try_hold_share(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            return self.try_hold(bytes);
        }
        // A step more is asked for within the share, too: otherwise the first one would leave nothing to the others.
        let wanted = bytes.saturating_add(STEP.min(bytes)) - self.bytes;
        for more in [wanted, bytes - self.bytes] {
            if self.account.take_share(self.class, self.bytes, more) {
                self.grow(more);
                return true;
            }
        }
        false
    }

    /// As `try_hold`, with an error that says who asked.
    pub fn hold(&mut self, operator: &str, bytes: u64) -> StorageResult<()> {
        if self.try_hold(bytes) {
            return Ok(());
        }
        let (limit, used) = (self.account.limit, self.account.total.used());
        let needed = (bytes - self.bytes).saturating_sub(limit.saturating_sub(used)).max(1);
        Err(StorageError::OutOfMemory { operator: operator.to_owned(), needed, limit })
    }

    /// Counts exactly `bytes`, allowed or not: for what is in memory already and has to stay.
    pub fn force(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => {
                self.account.add(self.class, more);
                self.grow(more);
            }
            None => self.shrink_to(bytes),
        }
    }

    /// Takes over what another reservation of the same account counts.
    pub fn absorb(&mut self, mut other: Reservation) {
        debug_assert!(Arc::ptr_eq(&self.account, &other.account) && self.class == other.class);
        let bytes = other.bytes;
        other.fall(bytes);
        self.grow(bytes);
    }

    /// Gives back what exceeds `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        // Most reservations of small transactions never held anything, and the account is everybody's.
        if let Some(freed) = self.bytes.checked_sub(bytes).filter(|freed| *freed > 0) {
            self.account.give_back(self.class, freed);
            self.fall(freed);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn nothing_is_granted_beyond_the_limit() {
        let accountant = MemoryAccountant::new(10 * MIB);
        let mut first = accountant.reservation(MemoryClass::Operators);
        let mut load = accountant.reservation(MemoryClass::Load);
        assert!(first.try_hold(7 * MIB));
        load.hold("COPY", 2 * MIB).expect("room");
        let error = load.hold("COPY", 9 * MIB).expect_err("no room");
        assert!(error.to_string().starts_with("out of memory: COPY needs "), "{error}");
        // The exact rest is granted where a whole step more is not.
        load.shrink_to(0);
        load.hold("COPY", 10 * MIB - first.bytes()).expect("the rest");
        assert_eq!(accountant.stats().total, MemoryUse { used: 10 * MIB, peak: 10 * MIB });
        drop(first);
        let stats = accountant.stats();
        assert_eq!((stats.operators.used, stats.load.used), (0, stats.total.used));
        assert!(stats.operators.peak >= 7 * MIB);
        drop(load);
        assert_eq!(accountant.stats().total.used, 0);
    }

    #[test]
    fn changes_get_half_and_what_must_stay_is_counted_beyond() {
        let accountant = MemoryAccountant::new(8 * MIB);
        let mut level = accountant.reservation(MemoryClass::Layers);
        assert!(level.try_hold(4 * MIB) && !level.try_hold(4 * MIB + 1));
        assert_eq!((accountant.layer_share(), accountant.layer_bytes()), (4 * MIB, 4 * MIB));
        level.force(6 * MIB);
        assert_eq!((level.bytes(), accountant.layer_bytes()), (6 * MIB, 6 * MIB));
        level.force(MIB);
        assert_eq!(accountant.stats().layers, MemoryUse { used: MIB, peak: 6 * MIB });
    }

    #[test]
    fn spilling_operators_leave_room_for_what_follows() {
        let accountant = MemoryAccountant::new(16 * MIB);
        let mut sort = accountant.reservation(MemoryClass::Operators);
        assert!(sort.try_hold_share(8 * MIB) && !sort.try_hold_share(9 * MIB));
        let mut groups = sort.sibling();
        assert!(groups.try_hold_share(3 * MIB) && !groups.try_hold_share(5 * MIB));
        sort.shrink_to(MIB);
        assert!(groups.try_hold_share(5 * MIB));
        sort.absorb(groups);
        assert!(sort.bytes() >= 6 * MIB && sort.bytes() == accountant.stats().total.used);
    }

    #[test]
    fn a_meter_counts_what_its_reservations_hold() {
        let accountant = MemoryAccountant::new(64 * MIB);
        let meter = Arc::new(Meter::default());
        let mut first = accountant.reservation(MemoryClass::Operators).metered(Some(&meter));
        let mut second = accountant.reservation(MemoryClass::Operators).metered(Some(&meter));
        let mut other = accountant.reservation(MemoryClass::Operators);
        first.force(3 * MIB);
        second.force(2 * MIB);
        other.force(7 * MIB);
        first.absorb(second);
        assert_eq!(meter.read(), MemoryUse { used: 5 * MIB, peak: 5 * MIB });
        first.shrink_to(MIB);
        first.absorb(other);
        assert_eq!(meter.read(), MemoryUse { used: 8 * MIB, peak: 8 * MIB });
        drop(first);
        assert_eq!(meter.read(), MemoryUse { used: 0, peak: 8 * MIB });
    }

    #[test]
    fn who_can_spill_leaves_something_to_each_that_asks_later() {
        let accountant = MemoryAccountant::new(MIB / 4);
        let mut holders: Vec<Reservation> = Vec::new();
        for part in 1..8 {
            let mut next = accountant.reservation(MemoryClass::Operators);
            // More than half of what is left is refused, half of it is granted and no step beyond it.
            let left = MIB / 4 - accountant.stats().total.used;
            assert!(!next.try_hold_share(left / 2 + 1) && next.try_hold_share(left / 2), "holder {part}");
            assert_eq!(accountant.stats().total.used, MIB / 4 - left + left / 2);
            holders.push(next);
        }
    }

    #[test]
    fn threads_that_can_spill_never_take_all() {
        const LIMIT: u64 = MIB / 4;
        let accountant = MemoryAccountant::new(LIMIT);
        std::thread::scope(|scope| {
            for seed in 0..3u64 {
                let accountant = &accountant;
                scope.spawn(move || {
                    let mut held = accountant.reservation(MemoryClass::Operators);
                    for round in 0..5000u64 {
                        if !held.try_hold_share((round * 7919 + seed * 104_729) % LIMIT) {
                            held.shrink_to(0);
                        }
                        assert!(accountant.stats().total.used <= LIMIT - LIMIT / 8);
                    }
                });
            }
        });
        assert_eq!(accountant.stats().total.used, 0);
    }

    #[test]
    fn many_threads_never_pass_the_limit() {
        let accountant = MemoryAccountant::new(4 * MIB);
        std::thread::scope(|scope| {
            for seed in 0..4u64 {
                let accountant = &accountant;
                scope.spawn(move || {
                    let mut held = accountant.reservation(MemoryClass::Operators);
                    for round in 0..2000u64 {
                        let bytes = (round * 7919 + seed * 104_729) % (3 * MIB);
                        if !held.try_hold(bytes) {
                            held.shrink_to(0);
                        }
                        assert!(accountant.stats().total.used <= 4 * MIB);
                    }
                });
            }
        });
        let stats = accountant.stats();
        assert_eq!((stats.total.used, stats.operators.used), (0, 0));
        assert!(stats.total.peak <= 4 * MIB);
    }
}
