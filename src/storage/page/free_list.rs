//! The free list as it lies on disk: the runs of pages that a root does not use.

use super::bytes::{get, get_u32, get_u64, put};
use super::header::HEADER_PAGES;
use super::intervals::IntervalSet;
use super::{PageId, PageRun};

/// The version of the layout.
pub const FREE_LIST_VERSION: u32 = 1;

const RUN_COUNT_AT: usize = 8;
const PAGES_AT: usize = RUN_COUNT_AT + 8;
const RUNS_AT: usize = PAGES_AT + 16;
const RUN_SIZE: usize = 16;

const _: () = assert!(RUNS_AT == 32);

/// Bytes of a list of so many runs.
pub(super) fn encoded_size(runs: u64) -> u64 {
    RUNS_AT as u64 + runs * RUN_SIZE as u64
}

/// The bytes of a list, padded with zeros to `size`: the list's own pages are taken before it is known exactly.
pub fn encode_free_list(runs: &[PageRun], size: usize) -> Vec<u8> {
    let needed = RUNS_AT + runs.len() * RUN_SIZE;
    let mut out = vec![0; size.max(needed)];
    put(&mut out, 0, FREE_LIST_VERSION.to_le_bytes());
    put(&mut out, RUN_COUNT_AT, (runs.len() as u64).to_le_bytes());
    put(&mut out, PAGES_AT, runs.iter().map(|run| run.count).sum::<u64>().to_le_bytes());
    for (run, place) in runs.iter().zip(out[RUNS_AT..].chunks_exact_mut(RUN_SIZE)) {
        put(place, 0, run.first.0.to_le_bytes());
        put(place, 8, run.count.to_le_bytes());
    }
    out
}

/// Reads a list; the error says which rule it breaks.
pub(super) fn decode(bytes: &[u8], page_count: u64) -> Result<IntervalSet, String> {
    if bytes.len() < RUNS_AT {
        return Err(format!("only {} bytes", bytes.len()));
    }
    match get_u32(bytes, 0) {
        FREE_LIST_VERSION => {}
        version => return Err(format!("version {version} that this release does not know")),
    }
    let (count, pages) = (get_u64(bytes, RUN_COUNT_AT), get_u64(bytes, PAGES_AT));
    let places = bytes[RUNS_AT..].chunks_exact(RUN_SIZE);
    if count > places.len() as u64 {
        return Err(format!("{count} runs in {} bytes", bytes.len()));
    }
    let mut free = IntervalSet::default();
    let mut end = HEADER_PAGES;
    for place in places.take(count as usize) {
        let (first, length) = (u64::from_le_bytes(get(place, 0)), u64::from_le_bytes(get(place, 8)));
        let run_end = first.checked_add(length).filter(|&run_end| run_end <= page_count);
        let run = PageRun { first: PageId(first), count: length };
        match run_end {
            Some(run_end) if first >= end && length > 0 && free.insert(run).is_ok() => end = run_end,
            _ => return Err(format!("{length} free pages from page {first} after page {end}")),
        }
    }
    match free.pages() {
        sum if sum == pages => Ok(free),
        sum => Err(format!("{sum} free pages instead of {pages}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(runs: &[(u64, u64)]) -> Vec<PageRun> {
        runs.iter().map(|&(first, count)| PageRun { first: PageId(first), count }).collect()
    }

    fn check(list: &[(u64, u64)], expected: Result<&[(u64, u64)], &str>) {
        let got = decode(&encode_free_list(&runs(list), 200), 100);
        match expected {
            Ok(expected) => assert_eq!(got.unwrap().runs().collect::<Vec<_>>(), runs(expected)),
            Err(expected) => assert!(got.as_ref().is_err_and(|e| e.contains(expected)), "{got:?}"),
        }
    }

    #[test]
    fn lists_come_back_unless_they_are_impossible() {
        check(&[], Ok(&[]));
        check(&[(2, 1), (50, 50)], Ok(&[(2, 1), (50, 50)]));
        check(&[(2, 3), (5, 1)], Ok(&[(2, 4)]));
        check(&[(1, 1)], Err("from page 1"));
        check(&[(50, 51)], Err("from page 50"));
        check(&[(50, 5), (52, 1)], Err("from page 52"));
        check(&[(50, 5), (4, 1)], Err("from page 4"));
        check(&[(50, 0)], Err("0 free pages"));
        check(&[(50, u64::MAX)], Err("from page 50"));
    }

    #[test]
    fn damaged_lists_are_refused() {
        let whole = encode_free_list(&runs(&[(2, 1), (50, 50)]), 0);
        assert!(decode(&whole, 100).is_ok());
        assert!(decode(&whole[..31], 100).is_err());
        assert!(decode(&whole[..63], 100).is_err());
        for at in [0, 8, 16] {
            let mut wrong = whole.clone();
            wrong[at] ^= 1;
            assert!(decode(&wrong, 100).is_err(), "byte {at}");
        }
    }
}
