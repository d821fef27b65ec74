//! The core's rules, each a test whose name is a claim, through its public face alone.

mod cancelling;
mod dependencies;
mod events;
mod harness;
mod leases;
mod retries;
mod submitting;
mod why;
