//! Plans that look one node up by its key and read its properties: they run on the calling thread, without a pipeline, and
//! take nothing from the allocator but their result.

use std::time::Instant;

use super::chunks::Chunk;
use super::context::QueryContext;
use super::counters::count;
use super::error::ExecutionResult;
use super::rows::Rows;
use crate::planner::physical_plan::{
    Expression, ExpressionKind, FetchColumn, PhysicalOperator as P, PlanNode,
};
use crate::types::{GlobalId, TableId, Value};
use crate::vector::VectorBuffer;

/// A plan of that kind.
struct Point<'p> {
    table: TableId,
    key: &'p Expression,
    fetched: &'p [FetchColumn],
    /// What is put out, by position: the node, then what was fetched. Without them all of it.
    outputs: Option<&'p [Expression]>,
}

impl<'p> Point<'p> {
    fn of(root: &'p PlanNode) -> Option<Point<'p>> {
        let (node, outputs) = match &root.operator {
            P::Project { input, expressions } => (&**input, Some(&expressions[..])),
            _ => (root, None),
        };
        let (node, fetched) = match &node.operator {
            P::Fetch { input, column: 0, columns } => (&**input, &columns[..]),
            _ => (node, &[][..]),
        };
        let P::LookupNode { input, table, key, .. } = &node.operator else { return None };
        let [key] = &key[..] else { return None };
        let is_column = |expression: &Expression| matches!(expression.kind, ExpressionKind::Column(_));
        let plain = outputs.is_none_or(|outputs| outputs.iter().all(is_column));
        // A column of several tables' properties would have to be put together.
        let own = |column: &FetchColumn| matches!(&column.columns[..], [(source, _)] if source == table);
        let simple = plain && matches!(input.operator, P::Unit) && fetched.iter().all(own);
        simple.then_some(Point { table: *table, key, fetched, outputs })
    }

    /// The key, if it is given as it is compared.
    fn key<'v>(&self, query: &'v QueryContext) -> Option<&'v Value>
    where
        'p: 'v,
    {
        let value = match &self.key.kind {
            ExpressionKind::Literal(value) => value,
            ExpressionKind::Parameter(at) => query.parameters.get(*at as usize)?,
            _ => return None,
        };
        (value.data_type() == self.key.data_type).then_some(value)
    }
}

/// The rows of such a plan; nothing for any other.
pub(super) fn rows_of(root: &PlanNode, query: &QueryContext) -> ExecutionResult<Option<Vec<Chunk>>> {
    let Some(profile) = &query.profile else { return looked_up(root, query) };
    let started = Instant::now();
    let found = looked_up(root, query)?;
    if let Some(chunks) = &found {
        let rows = chunks.iter().map(|chunk| chunk.rows as u64).sum();
        profile.ran_whole(root, rows, started.elapsed());
    }
    Ok(found)
}

fn looked_up(root: &PlanNode, query: &QueryContext) -> ExecutionResult<Option<Vec<Chunk>>> {
    if query.deleted.is_some() {
        return Ok(None);
    }
    let Some(point) = Point::of(root) else { return Ok(None) };
    let Some(key) = point.key(query) else { return Ok(None) };
    query.check()?;
    let mut worker = query.transaction.pool().worker()?;
    let reader = query.transaction.key_reader(point.table)?;
    count(&query.counters.key_lookups, 1);
    count(&query.counters.point_lookups, 1);
    let Some(offset) = reader.lookup(std::slice::from_ref(key), &mut worker)? else {
        return Ok(Some(Vec::new()));
    };
    let rows = Rows::open(point.table, query)?;
    count(&query.counters.rows_fetched, u64::from(!point.fetched.is_empty()));
    let width = point.outputs.map_or(1 + point.fetched.len(), <[Expression]>::len);
    let mut columns = Vec::with_capacity(width);
    for at in 0..width {
        let place = match point.outputs.and_then(|outputs| outputs.get(at)).map(|output| &output.kind) {
            Some(ExpressionKind::Column(place)) => *place,
            _ => at,
        };
        let Some(data_type) = root.outputs.get(at) else { return Ok(None) };
        let mut buffer = VectorBuffer::new(data_type.clone());
        match place.checked_sub(1).and_then(|place| point.fetched.get(place)) {
            Some(column) => {
                let [(_, source)] = &column.columns[..] else { return Ok(None) };
                if column.data_type != *buffer.data_type() {
                    return Ok(None);
                }
                rows.gather(*source, &[offset], &mut worker, &mut buffer)?;
            }
            None => buffer.push(GlobalId::new(point.table, offset).0),
        }
        columns.push(buffer);
    }
    Ok(Some(vec![Chunk { columns, rows: 1, multiplicity: Vec::new() }]))
}
