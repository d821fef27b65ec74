//! What the modelled database took in the course of a whole world, for other databases to take as well.

use mesh_core::Change;

use crate::{options::Options, world};

/// A round that was carried out.
#[derive(Debug, Clone)]
pub struct Landed {
    /// The leader's epoch.
    pub leader: u64,
    /// The number of the load that it was decided on.
    pub load: u64,
    /// What was written.
    pub changes: Vec<Change>,
}

/// The rounds of this seed's world, in their order.
pub fn rounds_of(seed: u64) -> Vec<Landed> {
    world::rounds_of(Options::of(seed, None))
}
