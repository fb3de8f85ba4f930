//! A fixed memory budget of frames over the page file. See `specs/format/database_file.md` for what a miss verifies.
