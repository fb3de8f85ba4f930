//! Whoever makes a long list asks now and then whether it may go on.

use super::{FunctionError, FunctionResult, KernelContext};
use std::fmt::Debug;

/// Elements of a list that are made between two questions.
pub const ELEMENTS_PER_LOOK: usize = 1 << 16;
/// A list that takes more is made when it is needed, not before.
pub(super) const CONSTANT_BYTES_MAX: u64 = 1 << 20;

/// Ends kernels that run too long or need too much.
pub trait Watch: Debug + Send + Sync {
    /// Whether a kernel may go on whose list takes so many bytes by now.
    fn may_go_on(&self, bytes: u64) -> bool;
}

impl KernelContext {
    /// An error where whoever watches does not let `function` go on, whose list takes `bytes` by now.
    pub fn go_on(&self, function: &'static str, bytes: u64) -> FunctionResult<()> {
        match self.watch().is_none_or(|watch| watch.may_go_on(bytes)) {
            true => Ok(()),
            false => Err(FunctionError::Stopped { function }),
        }
    }
}

/// Watches over calls that are made before a statement runs.
#[derive(Debug)]
pub(super) struct ConstantWatch;

impl Watch for ConstantWatch {
    fn may_go_on(&self, bytes: u64) -> bool {
        bytes <= CONSTANT_BYTES_MAX
    }
}
