//! What a scalar function is: a name, the dialects that know it, and a resolver from argument types to an overload.

use std::sync::Arc;

use super::element_sets::{ElementSets, SharedSets};
use super::{BoundScalar, FunctionResult, Watch};
use crate::types::DataType;
use crate::vector::{SelectionBuffer, Validity, ValueVector, VectorBuffer};

/// The dialect of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenCypher,
    Kuzu,
}

/// Which dialects know an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    Both,
    OpenCypher,
    Kuzu,
}

impl Availability {
    /// Whether a dialect knows the entry.
    pub fn includes(self, dialect: Dialect) -> bool {
        match self {
            Availability::Both => true,
            Availability::OpenCypher => dialect == Dialect::OpenCypher,
            Availability::Kuzu => dialect == Dialect::Kuzu,
        }
    }
}

/// What a kernel does about null arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Any null argument makes the result null; the kernel sees only rows without one as active.
    Propagate,
    /// The kernel looks at nulls itself.
    Seen,
}

/// A function by name; several entries may share one, the first that resolves wins.
#[derive(Debug)]
pub struct ScalarFunction {
    /// As shown in errors.
    pub name: &'static str,
    /// Other names; all names are compared without regard to case.
    pub aliases: &'static [&'static str],
    /// The dialects that know the entry.
    pub availability: Availability,
    /// The overload for the given argument types, if there is one. NULL stands for an argument that is always null.
    pub resolve: fn(&[DataType]) -> Option<Overload>,
}

/// A function for certain argument types.
#[derive(Debug, Clone)]
pub struct Overload {
    /// The types that the kernel takes; the binder casts arguments that differ.
    pub arguments: Vec<DataType>,
    /// The type of the result.
    pub result: DataType,
    /// Computes the results.
    pub kernel: Kernel,
    /// Computes a mask of the rows that are true, for BOOL results where that is faster.
    pub select: Option<SelectKernel>,
    /// Who deals with nulls.
    pub nulls: Nulls,
    /// The result differs from call to call; such a call is never folded into a constant.
    pub volatile: bool,
}

impl Overload {
    /// An overload that gives null for null.
    pub fn new(arguments: impl Into<Vec<DataType>>, result: DataType, kernel: Kernel) -> Self {
        Overload {
            arguments: arguments.into(),
            result,
            kernel,
            select: None,
            nulls: Nulls::Propagate,
            volatile: false,
        }
    }

    /// The same, but the kernel looks at nulls itself.
    pub fn seeing_nulls(self) -> Self {
        Overload { nulls: Nulls::Seen, ..self }
    }

    /// The same with a kernel for selections.
    pub fn with_select(self, select: SelectKernel) -> Self {
        Overload { select: Some(select), ..self }
    }

    /// The same, evaluated anew for each row.
    pub fn volatile(self) -> Self {
        Overload { volatile: true, ..self }
    }
}

/// A buffer that has grown larger is not kept for the next call.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// One evaluation of a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// The function with its types.
    pub function: &'c BoundScalar,
    /// Flat or constant vectors; lists may be dictionaries, too.
    pub arguments: &'c [ValueVector<'c>],
    /// Rows to write.
    pub length: usize,
    /// Rows whose results count: selected and, under `Nulls::Propagate`, without a null argument. The others get a
    /// null, and no error is raised for them.
    pub active: Validity<'c>,
    /// Who is asked before much is made.
    pub watch: Option<&'c dyn Watch>,
}

/// Appends `call.length` rows to an empty buffer of the result's type.
pub type Kernel = fn(&mut KernelContext, &Call<'_>, &mut VectorBuffer) -> FunctionResult<()>;

/// Narrows `out` to the rows that are true.
pub type SelectKernel = fn(&mut KernelContext, &Call<'_>, &mut SelectionBuffer) -> FunctionResult<()>;

/// What kernels share during a statement: scratch memory, randomness and the statement's clock.
#[derive(Debug)]
pub struct KernelContext {
    buffers: Vec<VectorBuffer>,
    masks: Vec<Vec<u64>>,
    /// The lists that IN has looked into.
    pub(super) sets: ElementSets,
    random: u64,
    now_nanos: i128,
    watch: Option<Arc<dyn Watch>>,
}

impl KernelContext {
    /// A context with a seed for `rand()` and the instant that `now()` gives, in nanoseconds since 1970.
    pub fn new(seed: u64, now_nanos: i128) -> Self {
        KernelContext {
            buffers: Vec::new(),
            masks: Vec::new(),
            sets: ElementSets::default(),
            random: seed,
            now_nanos,
            watch: None,
        }
    }

    /// The same with long lists prepared for all who share `sets`.
    pub fn sharing(mut self, sets: Arc<SharedSets>) -> Self {
        self.sets.share(sets);
        self
    }

    /// The same under the eyes of somebody who may end its kernels.
    pub fn watched(self, watch: Arc<dyn Watch>) -> Self {
        KernelContext { watch: Some(watch), ..self }
    }

    pub(super) fn watch(&self) -> Option<&dyn Watch> {
        self.watch.as_deref()
    }

    /// The same for a call that needs the context beside it.
    pub(super) fn shared_watch(&self) -> Option<Arc<dyn Watch>> {
        self.watch.clone()
    }

    /// A context for folding constants and tests.
    pub fn for_constants() -> Self {
        KernelContext::new(0x9E37_79B9_7F4A_7C15, 0)
    }

    /// How many lists were prepared for IN since somebody asked.
    pub fn take_sets_prepared(&mut self) -> u64 {
        std::mem::take(&mut self.sets.prepared)
    }

    /// The statement's instant in nanoseconds since 1970.
    pub fn now_nanos(&self) -> i128 {
        self.now_nanos
    }

    /// The next 64 random bits (SplitMix64).
    pub fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// An empty buffer of a type, best with memory from an earlier use.
    pub fn take_buffer(&mut self, data_type: &DataType) -> VectorBuffer {
        let same = self.buffers.iter().position(|buffer| buffer.data_type() == data_type);
        match same {
            Some(position) => {
                let mut buffer = self.buffers.swap_remove(position);
                buffer.clear();
                buffer
            }
            None => VectorBuffer::new(data_type.clone()),
        }
    }

    /// Gives a buffer back.
    pub fn give_buffer(&mut self, buffer: VectorBuffer) {
        // A statement uses a handful of types; more would only hold memory, and so would wide values.
        if self.buffers.len() < 16 && buffer.bytes() <= KEPT_BYTES_MAX {
            self.buffers.push(buffer);
        }
    }

    /// Words for a mask, all zero.
    pub fn take_mask(&mut self, length: usize) -> Vec<u64> {
        let mut mask = self.masks.pop().unwrap_or_default();
        mask.clear();
        mask.resize(length.div_ceil(64), 0);
        mask
    }

    /// Gives a mask back.
    pub fn give_mask(&mut self, mask: Vec<u64>) {
        if self.masks.len() < 16 {
            self.masks.push(mask);
        }
    }
}
