//! The orchestrator with everything real around it (SQLite, nats-server) and a node that is played by
//! the test, speaking the protocol over NATS.
//!
//! What is proven here is the shell: that what is said is committed, that what comes in any wrong way
//! changes nothing, and that the loss of broker or database is survived.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what helps the tests fails as they do"
)]

mod cluster;
mod fake_node;
mod faults;
mod footprint;
mod lead;
mod life;
mod strangers;
