//! Tests of the transparency log, through its public API alone.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic, also in what it calls")]

mod any;
mod audit;
mod differential;
mod integrate;
mod kit;
mod mutations;
mod remember;
mod statement;
mod texts;
mod vectors;
mod witness;
