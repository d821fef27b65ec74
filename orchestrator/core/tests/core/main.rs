//! The core's rules, each a test whose name is a claim, through its public face alone.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "tests and their harness fail by panicking, pick out what they look for, and print times"
)]

mod cancelling;
mod dependencies;
mod events;
mod harness;
mod laws;
mod leases;
mod nodes;
mod placing;
mod retries;
mod scale;
mod starting;
mod submitting;
mod why;
