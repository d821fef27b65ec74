//! The orchestrator with everything real around it (SQLite, nats-server) and a node that is played by
//! the test, speaking the protocol over NATS.
//!
//! What is proven here is the shell: that what is said is committed, that what comes in any wrong way
//! changes nothing, and that the loss of broker or database is survived.

mod cluster;
mod fake_node;
mod faults;
mod footprint;
mod life;
mod strangers;
