//! See specs/architecture.md.
