//! The core's rules, each a test whose name is a claim, through its public face alone.

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
