//! The bus: NATS, seen from the orchestrator.
//!
//! Carries words between the engine and the nodes and decides nothing. Any message may be lost, doubled,
//! late, forged or garbage; what cannot be understood is counted, logged once per kind, and passed over.
//! The bus being away never stops the engine or the API. Nothing here waits for a node without an end.

mod access;
mod answers;
mod asks;
mod beats;
mod calls;
mod commands;
mod decode;
mod events;
mod greet;
mod room;
mod service;
mod split;
mod throttle;

pub use calls::Handle;
pub use service::{Options, Service, connect};
pub use split::fits_one_message;
