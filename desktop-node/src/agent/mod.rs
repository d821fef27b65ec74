//! The agent: talks to the mesh for this machine.

use mesh_schemas::{ErrorCode, Problem};

use crate::config::NodeConfig;

pub mod report;

/// Runs the agent until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(config: NodeConfig) -> Result<(), Problem> {
    let _config = config;
    Err(Problem::new(ErrorCode::Internal, "not built yet"))
}
