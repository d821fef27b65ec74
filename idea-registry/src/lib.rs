//! The idea registry: a tamper-evident log of who had which idea when, and what became of it.
//!
//! One writer appends entries to an SQL table and answers when they are durable; an integrator makes tiles,
//! checkpoints and signatures of them (C2SP `tlog-tiles`), which anybody can check. The rules are
//! `mesh-ideas-core`, the tree is `mesh-tlog`; here are the clock, the disk and the wires.

pub mod config;
pub mod halt;
pub mod identity;
mod integrate;
mod near_index;
pub mod registry;
mod seal;
pub mod store;
pub mod tiles;
pub mod writer;
