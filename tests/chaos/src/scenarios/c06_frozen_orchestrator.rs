//! C6, as far as one orchestrator goes: it is stopped and goes on later. A second one that takes over
//! meanwhile is not part of this run.

use super::{Later, Stage, Strike};
use crate::cluster::ORCHESTRATOR;

pub(super) async fn freeze(stage: Stage<'_>) -> anyhow::Result<Strike> {
    stage.cluster.part(ORCHESTRATOR)?.freeze();
    let frozen = stage.rng.millis(500, 12_000);
    Ok(Strike::until("orchestrator", frozen, Later::Thaw(ORCHESTRATOR.into())))
}
