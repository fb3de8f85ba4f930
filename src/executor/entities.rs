//! Nodes and relationships of a result: labels, ends and properties, gathered for all ids at once.

use rustc_hash::FxHashMap;

use super::context::QueryContext;
use super::error::ExecutionResult;
use super::rows::Rows;
use crate::catalog::{ColumnSchema, TableEntry};
use crate::transaction::ReadTransaction;
use crate::types::{DST_COLUMN, DataType, GlobalId, NodeValue, RelValue, SRC_COLUMN, TableId, Value};
use crate::vector::VectorBuffer;

/// Nodes and relationships that are kept for the values that follow.
const KEPT_MAX: usize = 64 * 1024;

/// Completes values that carry ids only.
pub struct EntityReader {
    query: QueryContext,
    nodes: FxHashMap<u64, NodeValue>,
    rels: FxHashMap<u64, RelValue>,
}

impl EntityReader {
    /// A reader at the transaction's version.
    pub fn new(transaction: &ReadTransaction) -> EntityReader {
        EntityReader {
            query: QueryContext::new(transaction.clone()),
            nodes: FxHashMap::default(),
            rels: FxHashMap::default(),
        }
    }

    /// A reader for the results of a statement, which knows what it has deleted.
    pub fn of(query: &QueryContext) -> EntityReader {
        let mut reader = EntityReader::new(&query.transaction);
        reader.query.deleted = query.deleted.clone();
        reader
    }

    /// Fills labels and properties of every node and relationship in the values, however deep.
    pub fn complete(&mut self, values: &mut [Value]) -> ExecutionResult<()> {
        if self.nodes.len() + self.rels.len() > KEPT_MAX {
            // Results are read once, so what was met long ago hardly comes again.
            self.nodes.clear();
            self.rels.clear();
        }
        let mut ids = Vec::new();
        values.iter().for_each(|value| collect_ids(value, &mut ids));
        let met = ids.len();
        ids.retain(|id| !self.nodes.contains_key(id) && !self.rels.contains_key(id));
        ids.sort_unstable();
        ids.dedup();
        for same in ids.chunk_by(|a, b| GlobalId(*a).table() == GlobalId(*b).table()) {
            self.read(GlobalId(same[0]).table(), same)?;
        }
        // Where each is met once, none needs to be kept for another.
        let once = ids.len() == met;
        values.iter_mut().for_each(|value| self.fill(value, once));
        Ok(())
    }

    fn read(&mut self, table: TableId, ids: &[u64]) -> ExecutionResult<()> {
        let catalog = self.query.transaction.catalog().clone();
        let Some(entry) = catalog.table_by_id(table) else { return Ok(()) };
        let (name, columns, is_rel) = (entry.name(), entry.columns(), matches!(entry, TableEntry::Rel(_)));
        let rows = Rows::open(table, &self.query)?;
        let offsets: Vec<u64> = ids.iter().map(|id| GlobalId(*id).offset()).collect();
        let mut worker = self.query.transaction.worker()?;
        let mut gather = |column, data_type: &DataType| -> ExecutionResult<VectorBuffer> {
            let mut out = VectorBuffer::new(data_type.clone());
            rows.gather(column, &offsets, &mut worker, &mut out)?;
            Ok(out)
        };
        let values: Vec<VectorBuffer> = columns
            .iter()
            .map(|column| gather(column.id, &column.data_type))
            .collect::<ExecutionResult<_>>()?;
        let ends = if is_rel {
            Some((gather(SRC_COLUMN, &DataType::Node)?, gather(DST_COLUMN, &DataType::Node)?))
        } else {
            None
        };
        for (row, id) in ids.iter().enumerate() {
            let property = |(column, values): (&ColumnSchema, &VectorBuffer)| {
                (column.name.clone(), values.vector().value(row, &column.data_type))
            };
            // What the statement has deleted keeps its id, its label and its ends.
            let is_deleted = self.query.deleted.as_ref().is_some_and(|deleted| deleted.contains(id));
            let properties =
                if is_deleted { Vec::new() } else { columns.iter().zip(&values).map(property).collect() };
            let id_value = GlobalId(*id);
            match &ends {
                None => {
                    let node = NodeValue { id: id_value, labels: vec![name.to_owned()], properties };
                    self.nodes.insert(*id, node);
                }
                Some((src, dst)) => {
                    let end =
                        |buffer: &VectorBuffer| GlobalId(buffer.vector().u64_at(row).unwrap_or_default());
                    let (src, dst, label) = (end(src), end(dst), name.to_owned());
                    self.rels.insert(*id, RelValue { id: id_value, src, dst, label, properties });
                }
            }
        }
        Ok(())
    }

    fn fill(&mut self, value: &mut Value, take: bool) {
        let EntityReader { nodes, rels, .. } = self;
        let node = |node: &mut NodeValue| fill_one(nodes, node.id, node, take);
        let rel = |rel: &mut RelValue| fill_one(rels, rel.id, rel, take);
        match value {
            Value::Node(one) => fill_one(nodes, one.id, one, take),
            Value::Rel(one) => fill_one(rels, one.id, one, take),
            Value::Path(path) => {
                path.nodes.iter_mut().for_each(node);
                path.rels.iter_mut().for_each(rel);
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.fill(item, take)),
            Value::Struct(fields) => fields.iter_mut().for_each(|(_, field)| self.fill(field, take)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                self.fill(key, take);
                self.fill(value, take);
            }),
            Value::Union(_, inner) => self.fill(inner, take),
            _ => {}
        }
    }
}

fn fill_one<T: Clone>(known: &mut FxHashMap<u64, T>, id: GlobalId, entity: &mut T, take: bool) {
    let found = if take { known.remove(&id.0) } else { known.get(&id.0).cloned() };
    if let Some(found) = found {
        *entity = found;
    }
}

fn collect_ids(value: &Value, ids: &mut Vec<u64>) {
    match value {
        Value::Node(node) => ids.push(node.id.0),
        Value::Rel(rel) => ids.push(rel.id.0),
        Value::Path(path) => {
            ids.extend(path.nodes.iter().map(|node| node.id.0));
            ids.extend(path.rels.iter().map(|rel| rel.id.0));
        }
        Value::List(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        Value::Struct(fields) => fields.iter().for_each(|(_, field)| collect_ids(field, ids)),
        Value::Map(entries) => entries.iter().for_each(|(key, value)| {
            collect_ids(key, ids);
            collect_ids(value, ids);
        }),
        Value::Union(_, inner) => collect_ids(inner, ids),
        _ => {}
    }
}
