//! Primary keys: whether one is free in the own view, and that nobody else takes it meanwhile.

use rustc_hash::FxHashSet;

use super::{WriteResult, WriteTransaction};
use crate::catalog::NodeTableSchema;
use crate::storage::engine::{Hold, Intent};
use crate::storage::index::{IndexKey, KeyLayout, KeyRef, visit_keys};
use crate::types::{DataType, TableId};
use crate::vector::{ValueVector, VectorBuffer, hash_bytes, hash_u64};

/// The keys of rows, in order.
pub(super) type Keys = Vec<IndexKey>;

/// A number for a key's value within a table: the same for the same value of the same column, and hardly ever for
/// two. `column` is 0 for the primary key.
pub(super) fn digest(column: u32, key: KeyRef<'_>) -> u128 {
    match key {
        KeyRef::Integer(key) => u128::from(column) << 64 | u128::from(key),
        KeyRef::Bytes(bytes) => {
            let first = hash_bytes(bytes) ^ u64::from(column);
            let second = bytes.iter().fold(hash_u64(bytes.len() as u64), |hash, byte| {
                (hash.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            });
            u128::from(first) << 64 | u128::from(second)
        }
    }
}

pub(super) fn owned(key: KeyRef<'_>) -> IndexKey {
    match key {
        KeyRef::Integer(key) => IndexKey::Integer(key),
        KeyRef::Bytes(key) => IndexKey::Bytes(key.to_vec()),
    }
}

/// The keys of `count` rows; an error is the first row with a null in its key.
pub(super) fn keys_of(layout: &KeyLayout, columns: &[ValueVector<'_>], count: usize) -> Result<Keys, usize> {
    let mut keys = Vec::with_capacity(count);
    let mut null = None;
    visit_keys(layout, columns, count, &mut Vec::new(), |row, key| match key {
        Some(key) => keys.push(owned(key)),
        None => null = null.or(Some(row)),
    });
    null.map_or(Ok(keys), Err)
}

/// The layout of a table's primary key; none for a table without one.
pub(super) fn key_layout(schema: &NodeTableSchema) -> Option<KeyLayout> {
    let types: Vec<DataType> = schema.key_columns().map(|column| column.data_type.clone()).collect();
    KeyLayout::new(&types)
}

/// The values of a row's key as people write them.
pub(super) fn key_text(types: &[DataType], columns: &[ValueVector<'_>], row: usize) -> String {
    let texts: Vec<String> = columns
        .iter()
        .zip(types)
        .map(|(column, data_type)| column.value(row, data_type).to_string())
        .collect();
    match texts.as_slice() {
        [single] => single.clone(),
        several => format!("({})", several.join(", ")),
    }
}

impl WriteTransaction {
    /// Announces that the keys are made, changed or removed.
    pub(super) fn announce_keys(&mut self, table: TableId, keys: &[IndexKey]) -> WriteResult<()> {
        self.announced.reserve(&self.engine, keys.len());
        keys.iter().try_for_each(|key| {
            let intent = Intent::Key(table, digest(0, KeyRef::of(key)));
            self.announce(intent, Hold::Exclusive)
        })
    }

    /// The first row whose key another row of the call or of the own view has. `changing` are the rows of the view
    /// that get the keys; their keys of before do not count.
    pub(super) fn first_taken(
        &self,
        table: TableId,
        keys: &[IndexKey],
        changing: &[u64],
    ) -> WriteResult<Option<usize>> {
        let changing: FxHashSet<u64> = changing.iter().copied().collect();
        let mut seen: FxHashSet<KeyRef<'_>> = FxHashSet::default();
        seen.reserve(if keys.len() > 1 { keys.len() } else { 0 });
        let view = self.view();
        let reader = view.key_check(table)?;
        let mut worker = view.worker()?;
        for (row, key) in keys.iter().enumerate() {
            let key = KeyRef::of(key);
            if keys.len() > 1 && !seen.insert(key) {
                return Ok(Some(row));
            }
            if let Some(offset) = reader.lookup_key(key, &mut worker)?
                && !changing.contains(&offset)
            {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The values of key columns at these rows of the own view.
    pub(super) fn gather_key(
        &self,
        schema: &NodeTableSchema,
        rows: &[u64],
    ) -> WriteResult<Vec<VectorBuffer>> {
        let view = self.view();
        let (nodes, mut worker) = (view.node_table(schema.id)?, view.worker()?);
        schema
            .key_columns()
            .map(|column| {
                let mut buffer = VectorBuffer::new(column.data_type.clone());
                nodes.gather(column.id, rows, &mut worker, &mut buffer)?;
                Ok(buffer)
            })
            .collect()
    }

    /// A row of the own view as people know it: a node by its key, a relationship by its ends.
    pub fn row_text(&self, table: TableId, row: u64) -> String {
        if let Some(schema) = self.catalog().node_table_by_id(table) {
            let types: Vec<DataType> = schema.key_columns().map(|column| column.data_type.clone()).collect();
            return match self.gather_key(schema, &[row]) {
                Ok(key) if !key.is_empty() => {
                    let vectors: Vec<ValueVector<'_>> = key.iter().map(VectorBuffer::vector).collect();
                    format!("the {} with the primary key {}", schema.name, key_text(&types, &vectors, 0))
                }
                // The error that asks for it is more important than one of reading.
                _ => format!("a {}", schema.name),
            };
        }
        let Some((schema, pair)) = self.catalog().rel_table_by_id(table) else { return "a row".to_owned() };
        match self.ends_of(table, row) {
            Ok(Some((source, target))) => {
                let (source, target) =
                    (self.row_text(pair.source, source), self.row_text(pair.target, target));
                format!("the {} from {source} to {target}", schema.name)
            }
            _ => format!("a {}", schema.name),
        }
    }

    fn ends_of(&self, table: TableId, row: u64) -> WriteResult<Option<(u64, u64)>> {
        let view = self.view();
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        let mut worker = view.worker()?;
        view.rel_table(table)?.endpoints(&[row], &mut worker, Some(&mut sources), Some(&mut targets))?;
        Ok(sources.first().copied().zip(targets.first().copied()))
    }
}
