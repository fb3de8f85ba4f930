//! Functions over vectors: scalar functions and operators, casts and aggregates. All of them are pure. A function is
//! resolved once, for the types of its arguments, into a `BoundScalar` or `BoundAggregate`; after that no name is looked
//! up. Shapes, nulls and rows that are not selected are peeled off before a kernel runs: kernels see flat or constant
//! arguments and never raise an error for a row that nobody asked for. Each family exports its own table of entries,
//! the registry only puts the tables together.

pub mod aggregate;
mod any_dispatch;
mod assign;
mod bound;
mod cast;
mod element_set;
mod element_sets;
mod error;
mod function;
mod kernel;
mod promote;
mod registry;
mod scalar;
mod watch;

pub use aggregate::{AggregateFunction, BoundAggregate, StateColumn};
pub use assign::{assign_value, assignable};
pub use bound::{BoundScalar, select_true};
pub use cast::{CastMode, bind_cast, cast_value, implicit_cost};
pub use element_sets::SharedSets;
pub use error::{FunctionError, FunctionResult};
pub use function::{
    Availability, Call, Dialect, Kernel, KernelContext, Nulls, Overload, ScalarFunction, SelectKernel,
};
pub use promote::common_type;
pub use registry::{
    aggregate_exists, function_names, resolve_aggregate, resolve_scalar, scalar_exists, similar_names,
};
pub use scalar::{PRESENT_KEYS, PRESENT_PROPERTIES, bind_struct_extract, bind_struct_pack};
pub use watch::{ELEMENTS_PER_LOOK, Watch, go_on};

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;
