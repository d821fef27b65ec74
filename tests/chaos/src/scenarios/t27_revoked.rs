//! T27: a node is cut off for ever while it works, as a stolen one would be.

use super::{Stage, Strike};
use crate::{cluster::Cluster, history::Outcome};

/// The node that may go.
const NODE: &str = "node-3";

pub(super) async fn revoke(stage: Stage<'_>) -> anyhow::Result<Strike> {
    let Some(node) = stage.cluster.nodes.get(NODE).copied() else {
        return Ok(Strike::once("it has gone already"));
    };
    // It goes on running, and trying; it is only no longer one to be struck.
    let outcome = stage.client.act_on_node(node, "revoke").await?;
    if matches!(outcome, Outcome::Ok(_)) {
        stage.cluster.nodes.remove(NODE);
    }
    Ok(Strike::once(format!("{NODE}: {outcome:?}")))
}

pub(super) fn unfit(cluster: &Cluster) -> Option<&'static str> {
    (!cluster.parts.contains_key(NODE)).then_some("there is no third node that may go")
}
