//! `mesh-node join`: lets this machine into a mesh with a one-time code.

use std::path::PathBuf;

use clap::Args;
use mesh_schemas::{Cpu, ErrorCode, NodeId, Problem};

/// How to join.
#[derive(Debug, Clone, Args)]
pub struct JoinOptions {
    /// The orchestrator's address.
    #[arg(long)]
    pub url: String,
    /// The one-time code from `mesh node join-code`.
    #[arg(long)]
    pub code: String,
    /// Where the node is to keep its data.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// A name for people; the host's name when not said.
    #[arg(long)]
    pub name: Option<String>,
    /// A label; may be given again.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Processors to offer; all when not said.
    #[arg(long)]
    pub cpu: Option<Cpu>,
}

/// What joining made.
#[derive(Debug, Clone)]
pub struct JoinedNode {
    /// The node's id.
    pub node: NodeId,
    /// The configuration to run it with.
    pub config: PathBuf,
}

/// Joins.
///
/// # Errors
/// When it is not let in, or cannot write its files.
pub fn join(options: &JoinOptions) -> Result<JoinedNode, Problem> {
    let _options = options;
    Err(Problem::new(ErrorCode::Internal, "not built yet"))
}
