//! Errors as Python sees them.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(quiredb, Error, PyException, "What went wrong, with kind, line, column and hint.");
create_exception!(quiredb, ConflictError, Error, "Another transaction was first: roll back and run again.");

/// An error of the engine.
pub fn raised(py: Python<'_>, error: &engine::Error) -> PyErr {
    let raised = match error.is_retryable() {
        true => ConflictError::new_err(error.to_string()),
        false => Error::new_err(error.to_string()),
    };
    let value = raised.value(py);
    let place = error.span().map(|span| (span.line, span.column));
    // The message has it all; attributes are for programs.
    let _ = value.setattr("kind", error.kind().code());
    let _ = value.setattr("line", place.map(|(line, _)| line));
    let _ = value.setattr("column", place.map(|(_, column)| column));
    let _ = value.setattr("hint", error.hint());
    raised
}

/// The database or the connection is closed.
pub fn closed() -> PyErr {
    misused("it is closed")
}

/// A call that cannot mean anything.
pub fn misused(message: &str) -> PyErr {
    Error::new_err(message.to_owned())
}
