//! Tests of the transparency log, through its public API alone.
#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod differential;
mod kit;
