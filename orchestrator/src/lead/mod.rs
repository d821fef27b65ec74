//! The lead of one orchestrator among several on one database.
//!
//! Whoever leads holds a lease in the database, judged by the database's clock, and renews it. This module
//! keeps it and tells the parts of this process whether they may still speak for the cluster. It promises
//! that a process which was frozen or cut off knows that its lease is over before anybody else can have
//! taken the lead. What fences the leader's writes is its epoch in the store, not this.

mod election;
mod keep;
mod lease;

pub use election::{Election, Seen};
pub use keep::{Lost, keep};
pub use lease::Lease;
