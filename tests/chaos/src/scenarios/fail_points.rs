//! Parts that are started anew and then die at each of their fail points, one after the other: what chance
//! seldom hits in C1, C2 and C15.

use std::time::Duration;

use mesh_fabric::fail_point::FailPoint;

use super::{Later, Stage, Strike, some_node};
use crate::cluster::{Arming, IDEAS};

const OF_ORCHESTRATOR: [FailPoint; 3] = [
    FailPoint::OrchestratorAfterCommit,
    FailPoint::OrchestratorBeforePublish,
    FailPoint::OrchestratorMidBatch,
];
const OF_AGENT: [FailPoint; 3] =
    [FailPoint::UploadStored, FailPoint::AgentExitHeard, FailPoint::AgentExitWritten];
const OF_LEDGER: [FailPoint; 2] = [FailPoint::LedgerAfterCommit, FailPoint::LedgerAfterRow];
/// The latest passing at which one dies: some seconds of work.
const PASSING_MAX: u64 = 6;

/// Both, when there are two: the one that stands by passes none of them before it leads.
pub(super) async fn orchestrator(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let parts = stage.cluster.orchestrators();
    die_at(&mut stage, parts, &OF_ORCHESTRATOR)
}

/// The agent has its variables from its supervisor, which must die for it. That starts the agent again.
pub(super) async fn agent(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    Ok(die_at(&mut stage, vec![node.clone()], &OF_AGENT)?.died(node))
}

pub(super) async fn registry(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    die_at(&mut stage, vec![IDEAS.to_owned()], &OF_LEDGER)
}

fn die_at(
    stage: &mut Stage<'_>,
    parts: Vec<String>,
    points: &[FailPoint],
) -> anyhow::Result<Strike> {
    let mut passing = |point: &FailPoint| (*point, stage.rng.between(1, PASSING_MAX));
    let points: Vec<_> = points.iter().map(&mut passing).collect();
    let named = |(point, passing): &(FailPoint, u64)| format!("{} {passing}", point.name());
    let names: Vec<String> = points.iter().map(named).collect();
    let what = format!("{}: {}", parts.join(", "), names.join(", "));
    let log = stage.cluster.data.join(format!("fail-points-{}", stage.number));
    stage.cluster.arm(&parts, &Arming::new(points, log))?;
    let later = parts.into_iter().map(|part| (Duration::ZERO, Later::Start(part))).collect();
    Ok(Strike { what, later, broken: None, died: None })
}
