//! A deterministic simulation: the real cores of orchestrator, node and uploader among a modelled broker,
//! database, object store, disks, clocks and clients. One seed drives order, loss, doubling, crashes,
//! power cuts, partitions and slowness; after every step the cores' own invariants must hold, and an
//! observer with a history of its own checks what was promised. When faults are over, everything must
//! come to its end within ten simulated minutes.
//!
//! Two orchestrators share one database; whichever holds the lead's epoch writes. What is modelled is
//! shells alone: rounds, the agent's step, the pipeline of an upload. Not here: TCP, SQL, files, the
//! supervisor's processes; tests with the real things look after those.
//!
//! The ledger of ideas has a world of its own: [`ideas`].
//!
//! A seed that breaks a promise is printed with the command that replays it.

mod batch;
mod client;
mod clock;
mod db;
mod env;
pub mod ideas;
mod machine;
pub mod models;
mod objects;
mod observer;
mod options;
mod orchestrator;
mod planted;
mod results;
mod rng;
mod stats;
mod world;

pub use batch::{Batch, run_caught, run_seeds};
pub use options::Options;
pub use planted::Bug;
pub use rng::Rng;
pub use stats::{CLASSES, CODES, Kind, Stats};
pub use world::{Outcome, run};
