//! C9: a wall clock is wrong, or steps. The monotonic clock, by which leases and time-outs go, cannot be
//! set by anybody and is left alone.

use anyhow::Context as _;

use super::{Later, Stage, Strike, some_node, some_orchestrator};
use crate::cluster::Cluster;

/// Of a node: the clocks of nodes decide nothing, so these may be wild.
const NODE_OFFSETS: [&str; 4] = ["+3600", "-3600", "+315360000", "-86400"];
/// Of the orchestrator: what an administrator or a time server does. Presigned URLs carry its time, so
/// uploads wait while it differs much from the object store's.
const ORCHESTRATOR_OFFSETS: [&str; 4] = ["+60", "-60", "+3600", "-3600"];

fn shift(stage: &mut Stage<'_>, part: String, offset: &str) -> anyhow::Result<Strike> {
    let file = stage.cluster.clocks.get(&part).context("its clock cannot be shifted")?;
    std::fs::write(file, offset)?;
    let during = stage.rng.millis(3_000, 15_000);
    Ok(Strike::until(format!("{part} by {offset} s"), during, Later::RightClock(part)))
}

pub(super) async fn node(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    let offset = stage.rng.pick(&NODE_OFFSETS).copied().unwrap_or("+3600");
    shift(&mut stage, node, offset)
}

pub(super) async fn orchestrator(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let offset = stage.rng.pick(&ORCHESTRATOR_OFFSETS).copied().unwrap_or("+3600");
    let orchestrator = some_orchestrator(&mut stage)?;
    shift(&mut stage, orchestrator, offset)
}

pub(super) fn unfit(cluster: &Cluster) -> Option<&'static str> {
    cluster.clocks.is_empty().then_some("libfaketime is not installed (apt-get install faketime)")
}
