//! Runs that were written for themselves join those of a group's page.

use crate::storage::StorageResult;
use crate::storage::column::chunk::Location;
use crate::storage::table::group_page::GroupPage;

/// Puts the runs of a page, written when the group had no others, behind those of the group's page. Segments stay where
/// they are.
pub fn join_runs(page: &mut GroupPage, newer: GroupPage) -> StorageResult<()> {
    let behind = page.extents.len() as u32;
    page.extents.extend(newer.extents);
    page.row_count = page.row_count.max(newer.row_count);
    for run in newer.runs {
        let moved = run.try_map(&mut |location| -> StorageResult<Location> {
            Ok(match location {
                Location::Extent { index, offset, length } => {
                    Location::Extent { index: index.saturating_add(behind), offset, length }
                }
                inline => inline,
            })
        })?;
        page.runs.push(moved);
    }
    Ok(())
}
