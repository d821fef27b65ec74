//! C1: the orchestrator dies at an instant of chance. Where it dies at one that is named: `fail_points`.

use super::{Later, Stage, Strike, some_orchestrator};

pub(super) async fn kill(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let orchestrator = some_orchestrator(&mut stage)?;
    stage.cluster.part(&orchestrator)?.kill();
    // Mostly it is back at once, as under `mesh up`; sometimes it stays away for a while.
    let away = if stage.rng.percent(70) { 0 } else { stage.rng.between(500, 4_000) };
    let away = std::time::Duration::from_millis(away);
    Ok(Strike::until(orchestrator.clone(), away, Later::Start(orchestrator)))
}
