//! C5: a node is stopped in the middle of everything, as by a closed lid, and goes on later: within its
//! lease, or long after.

use super::{Later, Stage, Strike, some_node};

pub(super) async fn freeze(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    stage.cluster.part(&node)?.freeze();
    let lease_ms = u64::try_from(stage.cluster.lease_ttl.as_millis()).unwrap_or(30_000);
    let frozen = stage.rng.millis(1_000, lease_ms * 3);
    Ok(Strike::until(node.clone(), frozen, Later::Thaw(node)))
}
