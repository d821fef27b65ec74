//! `mesh nodes`: the machines.

use std::process::ExitCode;

use mesh_schemas::api::NodeView;

use crate::{
    Outcome,
    args::Global,
    context,
    output::{self, Row},
};

/// List the machines of the mesh.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh nodes
  mesh nodes -o json | jq '.[] | select(.state != \"online\")'
  mesh node drain desk-2                    and the other things to do to one: mesh node --help")]
pub(crate) struct Args {}

pub(crate) async fn run(global: &Global, _: &Args) -> Outcome {
    let nodes: Vec<NodeView> = context::client(global)?.pages("/nodes", usize::MAX).await?;
    output::list(global.output, &nodes);
    Ok(ExitCode::SUCCESS)
}

impl Row for NodeView {
    const COLUMNS: &'static [&'static str] = &[
        "node",
        "name",
        "state",
        "held",
        "cpu",
        "memory",
        "load",
        "labels",
        "version",
        "last seen",
    ];

    fn cells(&self) -> Vec<String> {
        let label = |(key, value): (&String, &String)| format!("{key}={value}");
        let busy = |load: mesh_schemas::message::Load| {
            format!("{}.{:02}", load.cpu_millis / 1_000, load.cpu_millis % 1_000 / 10)
        };
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.state.to_string(),
            self.held.to_string(),
            self.capacity.cpu.to_string(),
            output::size(self.capacity.memory.0),
            self.load.map(busy).unwrap_or_default(),
            self.labels.iter().map(label).collect::<Vec<_>>().join(","),
            self.version.clone(),
            self.last_seen.map(|at| at.to_string()).unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}
