//! New keys become a tree, together with the small trees before it: each tree stays several times as large as all that
//! follow, so that a key is written a logarithmic number of times.

use crate::storage::StorageResult;
use crate::storage::buffer_pool::PoolWorker;
use crate::storage::delta::KeyPart;
use crate::storage::directory::KeyTreeRef;
use crate::storage::index::KeyIndex;
use crate::storage::page::WriteBatch;

/// The table's trees with the keys of a level.
pub(super) fn add(
    index: &KeyIndex,
    part: &KeyPart,
    batch: &WriteBatch,
    worker: &mut PoolWorker,
) -> StorageResult<Vec<KeyTreeRef>> {
    index.append_sorted(part.len(), &|at| part.get(at), batch, &mut worker.cursor())
}
