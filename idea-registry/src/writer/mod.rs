//! The one writer: takes what is queued, decides it, commits it at once, and answers.
//!
//! Submissions are checked where they arrive, side by side; the writer decides them one after the other, each
//! seeing what the ones before it did, and one transaction makes a whole batch durable. Nobody is answered
//! before. What the outcome of a failed commit is, is read from the database and not guessed.

mod batch;
mod handle;
mod plan;
mod service;

pub(crate) use batch::STREAM_CURSOR;
pub use handle::Handle;
pub(crate) use service::{Options, Service, start};
