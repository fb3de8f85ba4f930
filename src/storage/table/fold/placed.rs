//! A group page that is written again: parts that stay keep their extents, and extents that nothing needs any more are
//! given back.

use crate::storage::StorageResult;
use crate::storage::column::chunk::Location;
use crate::storage::page::{ExtentRef, PageRun, extent_runs};
use crate::storage::table::group_page::{ExtentSink, GroupPage};

/// A written page, and the pages that the old version had and this one does not.
pub(super) struct Written {
    pub page: ExtentRef,
    pub retired: Vec<PageRun>,
}

/// Writes a page whose `extents` begin with those that it had; drops the ones that no location names.
pub(super) fn write_page(
    mut page: GroupPage,
    old: &[ExtentRef],
    sink: &dyn ExtentSink,
) -> StorageResult<Written> {
    let mut used = vec![false; page.extents.len()];
    let mut note = |location: Location| -> Result<Location, std::convert::Infallible> {
        if let Location::Extent { index, .. } = &location
            && let Some(slot) = used.get_mut(*index as usize)
        {
            *slot = true;
        }
        Ok(location)
    };
    map_locations(&mut page, &mut note);
    let mut place = 0;
    let places: Vec<u32> = used
        .iter()
        .map(|used| {
            place += u32::from(*used);
            place.wrapping_sub(1)
        })
        .collect();
    let mut shift = |location: Location| -> Result<Location, std::convert::Infallible> {
        Ok(match location {
            Location::Extent { index, offset, length } => {
                // An index beyond the extents stays one, for the reader to refuse.
                let index = places.get(index as usize).copied().unwrap_or(index);
                Location::Extent { index, offset, length }
            }
            inline => inline,
        })
    };
    map_locations(&mut page, &mut shift);
    let mut kept = used.iter();
    page.extents.retain(|_| kept.next().copied().unwrap_or(false));
    let gone = old.iter().filter(|extent| !page.extents.contains(extent));
    let retired = gone.flat_map(extent_runs).collect();
    Ok(Written { page: sink.write_extent(&page.encode())?, retired })
}

fn map_locations(
    page: &mut GroupPage,
    map: &mut dyn FnMut(Location) -> Result<Location, std::convert::Infallible>,
) {
    page.deletions = page.deletions.take().map(|location| match map(location) {
        Ok(location) => location,
    });
    let columns = std::mem::take(&mut page.columns);
    page.columns = columns
        .into_iter()
        .map(|(column, chunk)| match chunk.try_map(map) {
            Ok(chunk) => (column, chunk),
        })
        .collect();
    let runs = std::mem::take(&mut page.runs);
    page.runs = runs
        .into_iter()
        .map(|run| match run.try_map(map) {
            Ok(run) => run,
        })
        .collect();
}
