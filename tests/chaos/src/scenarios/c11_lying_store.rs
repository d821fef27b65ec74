//! C11: the object store fails, lies, or crawls; for the nodes, or for the orchestrator.

use anyhow::Context as _;
use mesh_tests::proxy::{Accept, Flow, Link};

use super::{Later, Stage, Strike};
use crate::cluster::wire;

fn set(stage: &mut Stage<'_>, how: &str, link: Link) -> anyhow::Result<Strike> {
    let wires = [wire::NODES_STORE, wire::ORCHESTRATOR_STORE];
    let wire = stage.rng.pick(&wires).copied().unwrap_or(wire::NODES_STORE);
    let proxy = stage.cluster.links.get(wire).context("there is no such wire")?;
    proxy.set(link);
    // Connections that are kept open would not notice.
    proxy.reset_all();
    let during = stage.rng.millis(2_000, 10_000);
    Ok(Strike::until(format!("{wire}: {how}"), during, Later::Heal(wire)))
}

pub(super) async fn errors(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let status = if stage.rng.percent(50) { 500 } else { 503 };
    set(
        &mut stage,
        &format!("{status} to all"),
        Link { accept: Accept::Answer(status), ..Link::GOOD },
    )
}

pub(super) async fn lies(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    set(&mut stage, "200 to all", Link { accept: Accept::Answer(200), ..Link::GOOD })
}

pub(super) async fn crawls(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let flow = Flow { rate: Some(20), ..Flow::GOOD };
    set(&mut stage, "20 B/s", Link { up: flow, down: flow, ..Link::GOOD })
}
