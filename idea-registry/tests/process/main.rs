//! The registry as a process among real servers: NATS, an object store, witnesses; and `kill -9`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what helps the tests fails as they do"
)]

#[path = "../kit/mod.rs"]
mod kit;

mod commanding;
mod copying;
mod embedding;
mod forking;
mod killing;
mod objects;
mod restoring;
mod starving;
mod talking;
mod traces;
mod witnessing;
mod world;
