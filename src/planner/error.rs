//! Mistakes of the planner itself. A plan that lacks a part of its query would give answers that are wrong, so it is an
//! error instead.

use std::cell::RefCell;

/// A plan that was not made.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The order of a pattern ended before all of it was bound.
    #[error("internal error in the planner: no step of the plan binds `{variable}`")]
    Unbound { variable: String },
    /// An operator reads a column that those below it do not have.
    #[error("internal error in the planner: no column for `{column}`")]
    NoColumn { column: String },
}

/// The first mistake of a planning, which goes on to its end: what it makes is thrown away.
#[derive(Debug, Default)]
pub struct Faults {
    first: RefCell<Option<PlanError>>,
}

impl Faults {
    /// Notes a mistake, unless there is one.
    pub fn note(&self, error: PlanError) {
        self.first.borrow_mut().get_or_insert(error);
    }

    /// What was made, if there was no mistake.
    pub fn none_in<T>(self, made: T) -> Result<T, PlanError> {
        self.first.into_inner().map_or(Ok(made), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_told() {
        let faults = Faults::default();
        let unbound = |variable: &str| PlanError::Unbound { variable: variable.into() };
        faults.note(unbound("a"));
        faults.note(unbound("b"));
        assert_eq!(faults.none_in(7), Err(unbound("a")));
        assert_eq!(Faults::default().none_in(7), Ok(7));
    }
}
