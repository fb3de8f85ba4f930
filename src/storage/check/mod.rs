//! The integrity walk: every page of the file is read and verified, and is either reached exactly once or free; and
//! the parts of each table agree with each other.

mod tables;
#[cfg(test)]
mod tests;

use super::page::{
    ExtentRef, FILE_NAME, HEADER_PAGES, PAGE_SIZE, PageFile, PageId, PageRun, PageSource, extent_runs,
};
use super::state::Snapshot;
use super::{StorageError, StorageResult};

/// Data pages that are read at once.
const READ_PAGES: u64 = 256;

/// What a walk found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Pages that were reached, headers included.
    pub pages_reached: u64,
    /// Pages on the free list.
    pub pages_free: u64,
    /// Everything that is wrong; empty when the database is sound.
    pub problems: Vec<StorageError>,
}

impl CheckReport {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Walks the newest state; nobody may switch the root meanwhile. Errors are collected, not returned, apart from
/// those that leave nothing to walk.
pub(super) fn check(state: &Snapshot) -> StorageResult<CheckReport> {
    let page_file = state.page_file();
    let mut walk = Walk { page_file, report: CheckReport::default(), runs: Vec::new() };
    walk.runs.push(PageRun { first: PageId(0), count: HEADER_PAGES });
    let (header, root) = (page_file.header(), page_file.root());
    let parts = [
        (&header.root, "root"),
        (&root.catalog, "catalog"),
        (&root.statistics, "statistics"),
        (&root.free_space, "free list"),
    ];
    parts.into_iter().for_each(|(extent, what)| walk.visit(what, extent));
    let directory = state.directory().visit_all(&**page_file, &mut |what, extent| {
        walk.visit(what, extent);
        Ok(())
    });
    let complete = directory.is_ok();
    walk.report.problems.extend(directory.err());
    walk.report.problems.extend(state.statistics().err());
    // What the disk says of its root, or what it will say of a root that only the log names.
    let (free, page_count) = match page_file.is_ahead() {
        true => page_file.unused_now()?,
        false => (page_file.unused_pages()?, header.page_count),
    };
    walk.report.pages_reached = walk.runs.iter().map(|run| run.count).sum();
    walk.report.pages_free = free.iter().map(|run| run.count).sum();
    if complete {
        walk.runs.extend(free);
        walk.check_cover(page_count);
    }
    if complete {
        tables::check_tables(state, &mut walk.report.problems);
    }
    Ok(walk.report)
}

struct Walk<'a> {
    page_file: &'a PageFile,
    report: CheckReport,
    runs: Vec<PageRun>,
}

impl Walk<'_> {
    /// Reads all pages of an extent.
    fn visit(&mut self, what: &str, extent: &ExtentRef) {
        match self.read(what, extent) {
            Ok(()) => self.runs.extend(extent_runs(extent)),
            Err(error) => {
                // Its pages are in use all the same, or the cover would be reported as well.
                self.runs.extend(extent_runs(extent));
                self.report.problems.push(error);
            }
        }
    }

    fn read(&self, what: &str, extent: &ExtentRef) -> StorageResult<()> {
        let pages = extent.page_count();
        let mut buffer = Vec::new();
        for start in (0..pages).step_by(READ_PAGES as usize) {
            let range = start..pages.min(start + READ_PAGES);
            buffer.resize((range.end - range.start) as usize * PAGE_SIZE, 0);
            let references = self.page_file.read_references(extent, range, what)?;
            self.page_file.read_pages(&references, what, &mut buffer)?;
        }
        Ok(())
    }

    /// Used and free pages must be disjoint and together be all pages.
    fn check_cover(&mut self, page_count: u64) {
        self.runs.retain(|run| run.count > 0);
        self.runs.sort_unstable();
        let mut end = 0;
        for run in &self.runs {
            let problem = match run.first.0.cmp(&end) {
                std::cmp::Ordering::Less => Some((run.first.0, "is used twice, or used and free")),
                std::cmp::Ordering::Greater => Some((end, "is neither used nor free")),
                std::cmp::Ordering::Equal => None,
            };
            self.report.problems.extend(problem.map(|(page, detail)| misplaced(page, detail)));
            end = end.max(run.end().0);
        }
        if end != page_count {
            let detail = "is not the page after the last one, as the header says";
            self.report.problems.push(misplaced(page_count, detail));
        }
    }
}

fn misplaced(page: u64, detail: &str) -> StorageError {
    StorageError::Corrupt {
        file: FILE_NAME.to_owned(),
        page: PageId(page),
        what: "free space".to_owned(),
        detail: format!("page {page} {detail}"),
    }
}
