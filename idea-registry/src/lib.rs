//! The idea registry: a tamper-evident log of who had which idea when, and what became of it.
//!
//! One writer appends entries to an SQL table and answers when they are durable; an integrator makes tiles,
//! checkpoints and signatures of them (C2SP `tlog-tiles`), which anybody can check. The rules are
//! `mesh-ideas-core`, the tree is `mesh-tlog`; here are the clock, the disk and the wires.

mod absent;
pub mod app;
pub mod ask;
mod bus;
pub mod config;
pub mod embeddings;
mod forgetting;
pub mod halt;
mod health;
pub mod identity;
mod integrate;
pub mod keys;
mod metrics;
mod near_index;
mod pack;
mod parts;
mod publish;
pub mod rebuild;
pub mod registry;
mod replay;
pub mod restart;
mod seal;
pub mod store;
pub mod tiles;
mod unheard;
pub mod verify;
pub mod witness;
pub mod witnesses;
pub mod writer;
