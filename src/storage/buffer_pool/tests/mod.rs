//! Tests of the whole pool over pages in memory.

mod disk;
mod model;
mod pressure;
mod reading;
