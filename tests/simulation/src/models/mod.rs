//! The models by themselves, without the world around them: for the contract suites, which hold each of
//! them against the real thing. Nothing is decided here; what happens is up to the models.

mod broker;
mod database;
mod disk;
mod objects;
mod rounds;

pub use broker::{Arrived, Broker};
pub use database::{Database, Told};
pub use disk::{Disk, Written};
pub use objects::{Objects, Put};
pub use rounds::{Landed, rounds_of};

use crate::{env::Env, options::Options};

/// What may go wrong by itself while a model is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// Whatever this seed's world has.
    Any,
    /// Nothing, as after the last fault of a world.
    None,
}

/// The surroundings of one model.
fn surroundings(seed: u64, faults: Faults) -> Env {
    let options = Options { orchestrators: 2, nodes: 2, ..Options::of(seed, None) };
    let mut env = Env::new(options);
    env.calm = faults == Faults::None;
    env
}
