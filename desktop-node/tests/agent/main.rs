//! The real node, supervisor and agent, on a real nats-server, with a scripted orchestrator.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a step that fails has failed the test")]

mod claims;
mod harness;
mod orchestrator;
