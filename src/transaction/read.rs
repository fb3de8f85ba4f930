//! Reading at one version.

use std::sync::Arc;

use crate::catalog::{Catalog, Statistics};
use crate::storage::StorageResult;
use crate::storage::buffer_pool::{BufferPool, PoolWorker};
use crate::storage::engine::Engine;
use crate::storage::memory::MemoryAccountant;
use crate::storage::spill::SpillArea;
use crate::storage::state::Snapshot;
use crate::storage::table::{KeyReader, NodeTable, RelTable};
use crate::types::TableId;

use super::open_tables::OpenTables;

/// A statement's, or an explicit transaction's, view of the database. Cheap to clone and to send to the threads that
/// execute a query; it ends when the last clone is dropped.
#[derive(Clone)]
pub struct ReadTransaction {
    snapshot: Snapshot,
    tables: Arc<OpenTables>,
}

impl ReadTransaction {
    /// Fixes the newest version as what is seen.
    pub fn begin(engine: &Engine) -> ReadTransaction {
        ReadTransaction::over(engine.snapshot())
    }

    /// A transaction over a version that somebody already holds.
    pub fn over(snapshot: Snapshot) -> ReadTransaction {
        ReadTransaction { snapshot, tables: Arc::default() }
    }

    /// The version that is read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The number of the commit that made the version.
    pub fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// The schemas of this version.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.snapshot.catalog()
    }

    /// What the planner knows about the data of this version; the first call may read pages.
    pub fn statistics(&self) -> StorageResult<&Arc<Statistics>> {
        self.snapshot.statistics()
    }

    /// The frames through which pages are read.
    pub fn pool(&self) -> &BufferPool {
        self.snapshot.pool()
    }

    /// The account of what is held beside the pool.
    pub fn memory(&self) -> &MemoryAccountant {
        self.snapshot.memory()
    }

    /// Where operators put rows aside.
    pub fn spill(&self) -> &Arc<SpillArea> {
        self.snapshot.spill()
    }

    /// A node table.
    pub fn node_table(&self, table: TableId) -> StorageResult<Arc<NodeTable>> {
        self.tables.node_table(&self.snapshot, table)
    }

    /// One FROM/TO pair of a relationship type.
    pub fn rel_table(&self, table: TableId) -> StorageResult<Arc<RelTable>> {
        self.tables.rel_table(&self.snapshot, table)
    }

    /// The key index of a node table.
    pub fn key_reader(&self, table: TableId) -> StorageResult<Arc<KeyReader>> {
        self.tables.key_reader(&self.snapshot, table)
    }

    /// The same for whoever looks for keys that nobody should have yet.
    pub fn key_check(&self, table: TableId) -> StorageResult<Arc<KeyReader>> {
        self.tables.key_check(&self.snapshot, table)
    }

    /// What one thread needs to read through the pool.
    pub fn worker(&self) -> StorageResult<PoolWorker> {
        self.snapshot.pool().worker()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{NewColumn, NewNodeTable};
    use crate::storage::engine::{CommitChanges, EngineOptions};
    use crate::types::DataType;

    fn create_table(engine: &Arc<Engine>, name: &str) {
        let turn = engine.begin_write(None).unwrap();
        let mut catalog = (**turn.snapshot().catalog()).clone();
        let table = NewNodeTable {
            name: name.to_owned(),
            columns: vec![NewColumn::new("id", DataType::Int64)],
            primary_key: vec!["id".to_owned()],
            open: false,
        };
        catalog.create_node_table(table).unwrap();
        turn.commit(CommitChanges { catalog: Some(catalog), ..CommitChanges::default() }).unwrap();
    }

    #[test]
    fn a_transaction_sees_the_version_it_began_with() {
        let options = EngineOptions { buffer_pool_bytes: 8 << 20, ..EngineOptions::default() };
        let engine = Engine::in_memory(&options).unwrap();
        create_table(&engine, "A");
        let before = ReadTransaction::begin(&engine);
        let clone = before.clone();
        create_table(&engine, "B");
        let after = ReadTransaction::begin(&engine);
        for (transaction, expected) in [(&before, false), (&clone, false), (&after, true)] {
            assert!(transaction.catalog().node_table("A").is_some());
            assert_eq!(transaction.catalog().node_table("B").is_some(), expected);
            assert_eq!(transaction.statistics().unwrap().tables().count(), 0);
        }
        assert_eq!(before.version() + 1, after.version());
        assert_eq!(engine.storage_stats().unwrap().snapshots, 3);
    }
}
