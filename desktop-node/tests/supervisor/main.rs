//! The supervisor against real processes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "helpers of tests: they fail loudly, wait for one event among all, and print a rate"
)]

mod daemons;
mod harness;
mod lifecycle;
mod limits;
mod queue;
mod restart;
