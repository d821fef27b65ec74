//! A deterministic simulation: the orchestrator's real core among modelled nodes, broker, database and
//! clients. One seed drives clocks, order, loss, doubling, crashes and partitions; after every step the
//! core's own invariants must hold, and an observer with a history of its own checks what was promised.
//! When faults are over, everything must come to its end within ten simulated minutes.
//!
//! A seed that breaks a promise is printed; `cargo run -p mesh-sim -- --seed N` replays it.

mod batch;
mod client;
mod db;
mod env;
mod node;
mod observer;
mod options;
mod planted;
mod rng;
mod shell;
mod stats;
mod world;

pub use batch::{Batch, run_caught, run_seeds};
pub use options::{Bug, Options};
pub use rng::Rng;
pub use stats::{Kind, Stats};
pub use world::{Outcome, run};
