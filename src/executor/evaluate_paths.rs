//! Paths: put together from ids, and taken apart again.

use super::context::QueryContext;
use super::error::{ExecutionError, ExecutionResult};
use super::evaluate::Node;
use crate::functions::KernelContext;
use crate::planner::physical_plan::{Expression, ExpressionKind, PathPart};
use crate::types::DataType;
use crate::vector::{Batch, Children, Selection, Shape, Validity, ValueVector, Values, VectorBuffer};

/// What errors call it.
const PATH: &str = "path";

/// An expression that makes a path or asks one.
pub(super) struct PathNode {
    kind: Kind,
    out: VectorBuffer,
}

enum Kind {
    Build(Vec<Part>),
    /// The member (0 = nodes, 1 = relationships) of a path, or with `length` the number of its elements.
    Member {
        path: Box<Node>,
        of_list: bool,
        member: usize,
        length: bool,
        flat: Box<VectorBuffer>,
    },
}

enum Part {
    Node(Node),
    Rel(Node),
    /// Relationships, and the nodes between them.
    Rels(Box<(Node, Node)>),
}

impl Part {
    fn operands(&self) -> impl Iterator<Item = &Node> {
        let (first, second) = match self {
            Part::Node(node) | Part::Rel(node) => (node, None),
            Part::Rels(both) => (&both.0, Some(&both.1)),
        };
        std::iter::once(first).chain(second)
    }
}

impl PathNode {
    pub(super) fn new(expression: &Expression, query: &QueryContext) -> ExecutionResult<PathNode> {
        let node = |e: &Expression| Node::new(e, query);
        let member = |e: &Expression, member: usize, length: bool| -> ExecutionResult<Kind> {
            let flat = Box::new(VectorBuffer::new(e.data_type.clone()));
            let of_list = e.data_type != DataType::Path;
            Ok(Kind::Member { path: Box::new(node(e)?), of_list, member, length, flat })
        };
        let kind = match &expression.kind {
            ExpressionKind::Path(parts) => Kind::Build(
                parts
                    .iter()
                    .map(|part| {
                        Ok(match part {
                            PathPart::Node(e) => Part::Node(node(e)?),
                            PathPart::Rel(e) => Part::Rel(node(e)?),
                            PathPart::Rels { rels, inner_nodes } => {
                                Part::Rels(Box::new((node(rels)?, node(inner_nodes)?)))
                            }
                        })
                    })
                    .collect::<ExecutionResult<_>>()?,
            ),
            ExpressionKind::PathLength(e) => member(e, 1, true)?,
            ExpressionKind::PathNodes(e) => member(e, 0, false)?,
            ExpressionKind::PathRels(e) => member(e, 1, false)?,
            _ => return Err(ExecutionError::Internal { operator: "path", detail: "another kind".into() }),
        };
        Ok(PathNode { kind, out: VectorBuffer::new(expression.data_type.clone()) })
    }

    /// Whether the result is a list, or a path that has some.
    pub(super) fn makes_lists(&self) -> bool {
        !matches!(self.kind, Kind::Member { length: true, .. })
    }

    /// The expressions that it is made of.
    pub(super) fn operands(&self) -> impl Iterator<Item = &Node> {
        let (parts, path) = match &self.kind {
            Kind::Build(parts) => (&parts[..], None),
            Kind::Member { path, .. } => (&[][..], Some(&**path)),
        };
        parts.iter().flat_map(Part::operands).chain(path)
    }

    /// Calls `visit` with every buffer of a result.
    pub(super) fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        match &mut self.kind {
            Kind::Build(parts) => parts.iter_mut().for_each(|part| match part {
                Part::Node(node) | Part::Rel(node) => node.each_buffer(visit),
                Part::Rels(both) => {
                    both.0.each_buffer(visit);
                    both.1.each_buffer(visit);
                }
            }),
            Kind::Member { path, flat, .. } => {
                path.each_buffer(visit);
                visit(flat);
            }
        }
        visit(&mut self.out);
    }

    pub(super) fn evaluate<'s>(
        &'s mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'s>,
        selection: Selection<'_>,
    ) -> ExecutionResult<ValueVector<'s>> {
        let PathNode { kind, out } = self;
        out.clear();
        match kind {
            Kind::Build(parts) => build(parts, kernels, batch, selection, out)?,
            Kind::Member { path, of_list, member, length, flat } => {
                let vector = path.evaluate(kernels, batch, selection)?;
                vector.flatten(batch.length, flat);
                let flat = flat.vector();
                let lists = match flat.shape {
                    Shape::Flat(Values::Struct(members)) if !*of_list => members_list(&members, *member),
                    _ => flat,
                };
                if *length {
                    for row in 0..batch.length {
                        match lists.list_at(row).filter(|_| !flat.is_null(row)) {
                            Some((_, range)) => out.push(range.len() as i64),
                            None => out.push_null(),
                        }
                    }
                } else {
                    for row in 0..batch.length {
                        if flat.is_null(row) { out.push_null() } else { out.append_row(&lists, row) }
                    }
                }
            }
        }
        if kernels.is_watched() {
            kernels.go_on(PATH, out.bytes() as u64)?;
        }
        Ok(out.vector())
    }
}

fn members_list<'b>(members: &Children<'b>, member: usize) -> ValueVector<'b> {
    members.get(member)
}

fn build(
    parts: &mut [Part],
    kernels: &mut KernelContext,
    batch: &Batch<'_>,
    selection: Selection<'_>,
    out: &mut VectorBuffer,
) -> ExecutionResult<()> {
    enum PartVectors<'v> {
        Node(ValueVector<'v>),
        Rel(ValueVector<'v>),
        Rels(ValueVector<'v>, ValueVector<'v>),
    }
    let mut vectors = Vec::with_capacity(parts.len());
    for part in parts {
        vectors.push(match part {
            Part::Node(e) => PartVectors::Node(e.evaluate(kernels, batch, selection)?),
            Part::Rel(e) => PartVectors::Rel(e.evaluate(kernels, batch, selection)?),
            Part::Rels(both) => {
                let (rels, inner) = &mut **both;
                PartVectors::Rels(
                    rels.evaluate(kernels, batch, selection)?,
                    inner.evaluate(kernels, batch, selection)?,
                )
            }
        });
    }
    let Some([nodes, rels]) = out.members_mut() else { return Ok(()) };
    let (Some((node_ends, node_ids)), Some((rel_ends, rel_ids))) = (nodes.list_mut(), rels.list_mut()) else {
        return Ok(());
    };
    for row in 0..batch.length {
        if selection.contains(row) {
            // A segment without a relationship ends at the node at which it starts, which is there already.
            let mut stays = false;
            for vector in &vectors {
                match vector {
                    PartVectors::Node(_) if stays => stays = false,
                    PartVectors::Node(ids) => node_ids.push(ids.u64_at(row).unwrap_or_default()),
                    PartVectors::Rel(ids) => rel_ids.push(ids.u64_at(row).unwrap_or_default()),
                    PartVectors::Rels(lists, inner) => {
                        let before = rel_ids.len();
                        append_list(lists, row, rel_ids);
                        append_list(inner, row, node_ids);
                        stays = rel_ids.len() == before;
                    }
                }
            }
        }
        node_ends.push(node_ids.len() as u32);
        rel_ends.push(rel_ids.len() as u32);
    }
    nodes.finish_rows(batch.length, Validity::AllValid);
    rels.finish_rows(batch.length, Validity::AllValid);
    out.finish_rows(batch.length, Validity::AllValid);
    Ok(())
}

/// Appends the elements of one row's list.
fn append_list(lists: &ValueVector<'_>, row: usize, out: &mut VectorBuffer) {
    if let Some((child, range)) = lists.list_at(row) {
        out.append_range(&child, range.start, range.len());
    }
}
