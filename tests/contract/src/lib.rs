//! What the contract suites write: rounds into a database and records into a journal, each known by its
//! number, so that whoever reads can say what is there, what is missing, and what is there in part.
//!
//! The suites are in `tests/contract`. The program of this package is their writer that is killed.

mod journal;
mod round;

pub use journal::{BATCH, COMPACT_EVERY, KEPT, batch, kept, numbers, record};
pub use round::{Extent, attempt, extent, job, key, node, round, with_key};
