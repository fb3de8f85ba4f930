//! COPY, which waits for the executor's bulk load.

use super::session::{Session, View};
use crate::binder::BoundCopy;
use crate::error::{Error, ErrorKind, Result};
use crate::query_result::QueryResult;

impl Session {
    /// Refused until the bulk load is there.
    pub(super) fn run_copy(&self, copy: &BoundCopy, text: &str, _: &View) -> Result<QueryResult> {
        Err(Error::new(ErrorKind::NotSupported, "COPY is not supported yet").compile().at(text, copy.span))
    }
}
