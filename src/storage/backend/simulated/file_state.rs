//! One file of the simulated disk: what programs see, what a loss of power surely leaves, and what lies between.

use std::collections::BTreeMap;

use super::random::Random;

/// What a disk writes at once.
pub(super) const SECTOR: usize = 512;
/// Older unsynced contents of one sector that a crash can bring back.
const VERSIONS_MAX: usize = 4;

/// How much of what was not synced a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survival {
    Nothing,
    Everything,
    /// Each piece by itself.
    Mixed,
}

impl Survival {
    pub fn draw(random: &mut Random) -> Survival {
        match random.below(8) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Mixed,
        }
    }

    pub fn keeps(self, random: &mut Random) -> bool {
        match self {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Mixed => random.coin(),
        }
    }
}

/// The bytes of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct FileState {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync, with what they held in between.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
}

/// The bytes of a sector as far as the file reaches.
fn sector(bytes: &[u8], index: usize) -> &[u8] {
    let start = (index * SECTOR).min(bytes.len());
    &bytes[start..bytes.len().min(start + SECTOR)]
}

/// Sets a sector as far as the file reaches; what `content` lacks is zero.
fn set_sector(bytes: &mut [u8], index: usize, content: &[u8]) {
    let start = (index * SECTOR).min(bytes.len());
    let end = bytes.len().min(start + SECTOR);
    let place = &mut bytes[start..end];
    let length = content.len().min(place.len());
    place[..length].copy_from_slice(&content[..length]);
    place[length..].fill(0);
}

impl FileState {
    pub fn current(&self) -> &[u8] {
        &self.current
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        for index in offset / SECTOR..end.div_ceil(SECTOR) {
            match self.unsynced.get_mut(&index) {
                Some(versions) if versions.len() < VERSIONS_MAX => {
                    versions.push(sector(&self.current, index).to_vec());
                }
                Some(_) => {}
                None => {
                    self.unsynced.insert(index, Vec::new());
                }
            }
        }
        self.extend(end);
        self.current[offset..end].copy_from_slice(bytes);
    }

    pub fn extend(&mut self, size: usize) {
        if self.current.len() < size {
            self.current.resize(size, 0);
        }
    }

    pub fn truncate(&mut self, size: usize) {
        // What is cut off may come back with its old bytes, even where the file grows over it again.
        for index in size / SECTOR..self.durable.len().div_ceil(SECTOR) {
            self.unsynced.entry(index).or_default();
        }
        self.current.resize(size, 0);
    }

    pub fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for &index in self.unsynced.keys() {
            set_sector(&mut self.durable, index, sector(&self.current, index));
        }
        self.unsynced.clear();
    }

    /// Some sectors reach the disk and the others are forgotten, although programs still see them: a later
    /// sync does not write them.
    pub fn fail_sync(&mut self, random: &mut Random) {
        let size = if random.coin() { self.current.len() } else { self.durable.len() };
        self.durable.resize(size, 0);
        for &index in self.unsynced.keys() {
            if random.coin() {
                set_sector(&mut self.durable, index, sector(&self.current, index));
            }
        }
        self.unsynced.clear();
    }

    /// The file as it may be when the power comes back; all of it is durable then.
    pub fn crash(&self, random: &mut Random) -> FileState {
        let survival = Survival::draw(random);
        let mut bytes = self.durable.clone();
        bytes.resize(self.size_after_crash(survival, random), 0);
        for (&index, versions) in &self.unsynced {
            if survival.keeps(random) {
                let last = survival == Survival::Everything || versions.is_empty();
                let chosen =
                    if last { versions.len() } else { random.below(versions.len() as u64 + 1) as usize };
                let content = versions.get(chosen).map_or(sector(&self.current, index), Vec::as_slice);
                set_sector(&mut bytes, index, content);
            }
        }
        FileState { current: bytes.clone(), durable: bytes, unsynced: BTreeMap::new() }
    }

    fn size_after_crash(&self, survival: Survival, random: &mut Random) -> usize {
        let (old, new) = (self.durable.len(), self.current.len());
        match survival {
            Survival::Nothing => old,
            Survival::Everything => new,
            // The file may have grown in steps.
            Survival::Mixed if new > old && random.coin() => {
                old + random.below((new - old) as u64 / SECTOR as u64 + 1) as usize * SECTOR
            }
            Survival::Mixed => [old, new][usize::from(random.coin())],
        }
    }

    pub fn flip_bit(&mut self, offset: usize, bit: u8) -> bool {
        for bytes in [&mut self.current, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << (bit % 8);
            }
        }
        offset < self.current.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All outcomes of many crashes, as the first byte of each sector.
    fn outcomes(state: &FileState) -> std::collections::BTreeSet<Vec<u8>> {
        let mut random = Random(1);
        (0..500)
            .map(|_| state.crash(&mut random).current().chunks(SECTOR).map(|sector| sector[0]).collect())
            .collect()
    }

    fn check(state: &FileState, expected: &[&[u8]]) {
        assert_eq!(outcomes(state), expected.iter().map(|outcome| outcome.to_vec()).collect());
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_is_torn_by_sectors() {
        let mut state = FileState::default();
        state.write(0, &[1; 2 * SECTOR]);
        check(&state, &[&[], &[0], &[1], &[0, 0], &[0, 1], &[1, 0], &[1, 1]]);
        state.sync();
        check(&state, &[&[1, 1]]);
        state.write(SECTOR, &[2; SECTOR]);
        state.write(SECTOR, &[3; SECTOR]);
        check(&state, &[&[1, 1], &[1, 2], &[1, 3]]);
    }

    #[test]
    fn what_was_cut_off_may_come_back() {
        let mut state = FileState::default();
        state.write(0, &[1; 2 * SECTOR]);
        state.sync();
        state.truncate(SECTOR);
        check(&state, &[&[1], &[1, 0], &[1, 1]]);
        state.extend(2 * SECTOR);
        check(&state, &[&[1, 0], &[1, 1]]);
        state.sync();
        check(&state, &[&[1, 0]]);
    }

    #[test]
    fn a_failed_sync_forgets() {
        let mut state = FileState::default();
        state.write(0, &[1; SECTOR]);
        state.sync();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut state = state.clone();
            state.write(0, &[2; SECTOR]);
            state.fail_sync(&mut Random(seed));
            state.sync();
            assert_eq!(state.current()[0], 2);
            seen.extend(outcomes(&state));
        }
        assert_eq!(seen, [vec![1], vec![2]].into());
    }
}
