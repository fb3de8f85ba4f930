//! Message steps that list lengths alone answer: sums of products of degrees, without an array of counts.

use std::sync::Arc;

use super::counters::{Counters, count};
use super::error::ExecutionResult;
use crate::storage::table::Adjacency;
use crate::types::NODE_GROUP_ROWS;

/// The bounds of the lists of some nodes.
pub struct ListBounds {
    lists: Option<crate::storage::table::ListBounds>,
    /// No list is longer.
    pub longest: u64,
}

impl ListBounds {
    /// The bounds of `length` nodes from `first` on, which lie in one group. Nodes that the group does not know have
    /// no edges, and no bounds here.
    pub fn read(
        adjacency: &Arc<Adjacency>,
        first: u64,
        length: usize,
        counters: &Counters,
    ) -> ExecutionResult<ListBounds> {
        let Some(group) = adjacency.group(first / NODE_GROUP_ROWS)? else {
            return Ok(ListBounds { lists: None, longest: 0 });
        };
        count(&counters.degrees_multiplied, 1);
        let start = (first % NODE_GROUP_ROWS) as u32;
        let lists = group.bounds(start..start + length as u32)?;
        Ok(ListBounds { lists: Some(lists), longest: group.max_degree() })
    }

    /// One bound more than there are nodes with lists; empty where there are none.
    pub fn bounds(&self) -> &[u32] {
        self.lists.as_ref().map_or(&[], |lists| lists.as_slice())
    }
}

/// The sum of the products of the list lengths of `length` nodes from `first` on in one or two adjacency indexes.
pub fn sum_of_products(
    factors: &[&Arc<Adjacency>],
    first: u64,
    length: usize,
    counters: &Counters,
) -> ExecutionResult<u128> {
    let read = |adjacency: &&Arc<Adjacency>| ListBounds::read(adjacency, first, length, counters);
    let lists = factors.iter().map(read).collect::<ExecutionResult<Vec<_>>>()?;
    Ok(match &lists[..] {
        [only] => match only.bounds() {
            [start, .., end] => u128::from(end.wrapping_sub(*start)),
            _ => 0,
        },
        [a, b] => {
            let most = u128::from(a.longest) * u128::from(b.longest) * length as u128;
            let degrees = |bounds: &[u32]| bounds[1].wrapping_sub(bounds[0]);
            let pairs = a.bounds().windows(2).zip(b.bounds().windows(2));
            let products = pairs.map(|(a, b)| u64::from(degrees(a)) * u64::from(degrees(b)));
            if u64::try_from(most).is_ok() {
                u128::from(products.sum::<u64>())
            } else {
                products.map(u128::from).sum()
            }
        }
        _ => 0,
    })
}
