//! C6: an orchestrator is stopped and goes on later. On PostgreSQL there are two: when the one that leads is
//! stopped for longer than its lead lasts, the other takes over, and what the first still wanted to write
//! is refused. On SQLite there is one, and everything waits for it.

use super::{Later, Stage, Strike, some_orchestrator};

pub(super) async fn freeze(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let orchestrator = some_orchestrator(&mut stage)?;
    stage.cluster.part(&orchestrator)?.freeze();
    let frozen = stage.rng.millis(500, 15_000);
    Ok(Strike::until(orchestrator.clone(), frozen, Later::Thaw(orchestrator)))
}
