//! Whoever makes a long text or list asks now and then whether it may go on.

use super::{Call, FunctionError, FunctionResult, KernelContext};
use crate::types::must_stop;
use std::fmt::Debug;

/// Elements of a list that are made between two questions.
pub const ELEMENTS_PER_LOOK: usize = 1 << 16;
/// Bytes of results that are made between two questions.
pub(super) const BYTES_PER_LOOK: usize = 1 << 16;
/// A list that takes more is made when it is needed, not before.
pub(super) const CONSTANT_BYTES_MAX: u64 = 1 << 20;

/// Ends kernels that run too long or need too much.
pub trait Watch: Debug + Send + Sync {
    /// Whether a kernel may go on whose results take so many bytes by now.
    fn may_go_on(&self, bytes: u64) -> bool;
    /// Whether something that only saves time may hold so many bytes, which it then does.
    fn has_room(&self, _: u64) -> bool {
        true
    }
    /// Bytes of arguments that were laid out anew for a kernel.
    fn note(&self, _: u64) {}
}

impl KernelContext {
    /// Whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.watch().is_some()
    }

    /// Whether something that only saves time may hold so many bytes.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.watch().is_none_or(|watch| watch.has_room(bytes))
    }

    /// An error where whoever watches does not let `function` go on, whose results take `bytes` by now.
    pub fn go_on(&self, function: &'static str, bytes: u64) -> FunctionResult<()> {
        match self.watch().is_none_or(|watch| watch.may_go_on(bytes)) {
            true => Ok(()),
            false => Err(FunctionError::Stopped { function }),
        }
    }
}

impl Call<'_> {
    /// An error where whoever watches does not let the kernel go on, whose results take `bytes` by now.
    pub fn go_on(&self, bytes: usize) -> FunctionResult<()> {
        match self.watch.is_none_or(|watch| watch.may_go_on(bytes as u64)) {
            true => Ok(()),
            false => Err(FunctionError::Stopped { function: self.function.name }),
        }
    }
}

/// An error where the statement that this thread works for has to end: for what nobody watches.
pub fn go_on(function: &'static str) -> FunctionResult<()> {
    if must_stop() { Err(FunctionError::Stopped { function }) } else { Ok(()) }
}

/// What a kernel has made when it asked last.
#[derive(Default)]
pub(super) struct Made(usize);

impl Made {
    /// Asks where the results have grown enough; `bytes` is what they take.
    pub fn grew(&mut self, call: &Call<'_>, bytes: impl FnOnce() -> usize) -> FunctionResult<()> {
        if call.watch.is_none() {
            return Ok(());
        }
        let bytes = bytes();
        if bytes < self.0 + BYTES_PER_LOOK {
            return Ok(());
        }
        self.0 = bytes;
        call.go_on(bytes)
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
