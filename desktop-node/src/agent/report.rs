//! What this machine is and can do, and how busy it is.

use mesh_schemas::{ErrorCode, Problem};

use crate::config::NodeConfig;

/// What the node would offer, for people.
///
/// # Errors
/// When the machine cannot be looked at.
pub fn describe(config: &NodeConfig) -> Result<String, Problem> {
    let _config = config;
    Err(Problem::new(ErrorCode::Internal, "not built yet"))
}
