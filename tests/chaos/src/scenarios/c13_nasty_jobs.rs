//! C13: a job takes too much memory, leaves processes behind, makes thousands of files, floods its log, or
//! stops itself. The mesh must outlive it, and record its end.

use super::{Stage, Strike};
use crate::workload;

pub(super) async fn submit(stage: Stage<'_>) -> anyhow::Result<Strike> {
    let work = workload::nasty(stage.rng, &format!("chaos-nasty-{}", stage.number));
    let script = work.spec.command.get(2).cloned().unwrap_or_default();
    stage.client.ask_submit(&work).await?;
    Ok(Strike::once(script))
}
