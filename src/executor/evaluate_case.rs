//! CASE: which branch each row takes, then the branches' values put together. Where they are constants, the branch is the
//! code of a dictionary of them, and nothing is put together.

use super::error::ExecutionResult;
use super::evaluate::{KEPT_BYTES_MAX, Node};
use crate::functions::KernelContext;
use crate::types::DataType;
use crate::vector::{Batch, Selection, SelectionBuffer, ValueVector, VectorBuffer};

/// What errors call it.
const CASE: &str = "CASE";

/// See the module.
pub(super) struct Case {
    branches: Vec<(Node, Node)>,
    otherwise: Option<Node>,
    /// The values of the branches and NULL, where all of them are constants.
    constants: Option<VectorBuffer>,
    choice: Vec<u32>,
    left: SelectionBuffer,
    taken: SelectionBuffer,
    pub out: VectorBuffer,
}

impl Case {
    pub fn new(branches: Vec<(Node, Node)>, otherwise: Option<Node>, data_type: &DataType) -> Case {
        let values = branches.iter().map(|(_, then)| then).chain(&otherwise);
        Case {
            constants: dictionary(values, data_type),
            branches,
            otherwise,
            choice: Vec::new(),
            left: SelectionBuffer::default(),
            taken: SelectionBuffer::default(),
            out: VectorBuffer::new(data_type.clone()),
        }
    }

    /// Whether the values of all branches are there before any row.
    pub fn has_constants(&self) -> bool {
        self.constants.is_some()
    }

    /// Conditions and values.
    pub fn operands(&self) -> impl Iterator<Item = &Node> {
        self.branches.iter().flat_map(|(when, then)| [when, then]).chain(&self.otherwise)
    }

    /// Calls `visit` with every buffer of a result.
    pub fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        let branches = self.branches.iter_mut().flat_map(|(when, then)| [when, then]);
        branches.chain(&mut self.otherwise).for_each(|node| node.each_buffer(visit));
        visit(&mut self.out);
    }

    pub fn evaluate<'s>(
        &'s mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'s>,
        selection: Selection<'_>,
    ) -> ExecutionResult<ValueVector<'s>> {
        let Case { branches, otherwise, constants, choice, left, taken, out } = self;
        choice.clear();
        // Who takes no branch gets NULL, which is behind the values of all.
        let no_branch = branches.len() + usize::from(otherwise.is_some());
        choice.resize(batch.length, no_branch as u32);
        left.reset(selection, batch.length);
        let mut values = Vec::with_capacity(no_branch);
        for (number, (when, then)) in branches.iter_mut().enumerate() {
            taken.reset(left.view(), batch.length);
            when.narrow(kernels, batch, taken)?;
            taken.view().for_each(batch.length, |row| choice[row] = number as u32);
            left.and_not(taken.view());
            if constants.is_none() {
                values.push(then.evaluate(kernels, batch, taken.view())?);
            }
        }
        if let Some(otherwise) = otherwise {
            left.view().for_each(batch.length, |row| choice[row] = no_branch as u32 - 1);
            if constants.is_none() {
                values.push(otherwise.evaluate(kernels, batch, left.view())?);
            }
        }
        if let Some(constants) = constants {
            return Ok(ValueVector::dictionary(choice, &*constants));
        }
        put_together(kernels, choice, &values, out)?;
        Ok(out.vector())
    }
}

/// The values and NULL behind them, if all are constants.
fn dictionary<'n>(values: impl Iterator<Item = &'n Node>, data_type: &DataType) -> Option<VectorBuffer> {
    let mut constants = VectorBuffer::new(data_type.clone());
    for value in values {
        let Node::Constant(value) = value else { return None };
        constants.append_row(&value.constant_vector(), 0);
    }
    constants.push_null();
    Some(constants)
}

fn put_together(
    kernels: &mut KernelContext,
    choice: &[u32],
    values: &[ValueVector<'_>],
    out: &mut VectorBuffer,
) -> ExecutionResult<()> {
    out.clear();
    let mut asked = 0;
    for (row, number) in choice.iter().enumerate() {
        match values.get(*number as usize) {
            Some(vector) => out.append_row(vector, row),
            None => out.push_null(),
        }
        if kernels.is_watched() && out.bytes() > asked + KEPT_BYTES_MAX {
            asked = out.bytes();
            kernels.go_on(CASE, asked as u64)?;
        }
    }
    Ok(())
}
