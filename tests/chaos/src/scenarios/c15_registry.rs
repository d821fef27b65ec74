//! C15: the registry of ideas dies at a random instant, or is frozen and goes on later.

use super::{Later, Stage, Strike};
use crate::cluster::IDEAS;

pub(super) async fn kill(stage: Stage<'_>) -> anyhow::Result<Strike> {
    stage.cluster.part(IDEAS)?.kill();
    // As with the orchestrator: mostly back at once, as under `mesh up`.
    let away = if stage.rng.percent(70) { 0 } else { stage.rng.between(500, 4_000) };
    let away = std::time::Duration::from_millis(away);
    Ok(Strike::until("the registry", away, Later::Start(IDEAS.into())))
}

pub(super) async fn freeze(stage: Stage<'_>) -> anyhow::Result<Strike> {
    stage.cluster.part(IDEAS)?.freeze();
    let frozen = stage.rng.millis(1_000, 15_000);
    Ok(Strike::until("the registry", frozen, Later::Thaw(IDEAS.into())))
}
