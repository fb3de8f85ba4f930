//! Bulk loading.
