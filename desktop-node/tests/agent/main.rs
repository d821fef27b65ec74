//! The real node, supervisor and agent, on a real nats-server, with a scripted orchestrator.

mod claims;
mod harness;
mod orchestrator;
