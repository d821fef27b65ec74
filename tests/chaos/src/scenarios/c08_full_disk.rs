//! C8: a disk is full to its last byte, and later it is not.

use anyhow::Context as _;

use super::{Later, Stage, Strike};
use crate::cluster::{Cluster, ORCHESTRATOR, STORE};

/// Why there are no small disks.
const NO_DISK: &str = "no small disk: mounting a tmpfs needs root";
/// The node that has one.
pub(crate) const NODE: &str = "node-1";

fn fill(stage: &mut Stage<'_>, part: &str) -> anyhow::Result<Strike> {
    let tmpfs = stage.cluster.tmpfs.get(part).context(NO_DISK)?;
    let filled = tmpfs.fill()?;
    let full = stage.rng.millis(2_000, 12_000);
    let what = format!("{part}, {} MiB of filler", filled >> 20);
    Ok(Strike::until(what, full, Later::Unfill(part.to_owned())))
}

pub(super) async fn node(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    fill(&mut stage, NODE)
}

pub(super) async fn store(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    fill(&mut stage, STORE)
}

pub(super) async fn database(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    fill(&mut stage, ORCHESTRATOR)
}

pub(super) async fn postgres(stage: Stage<'_>) -> anyhow::Result<Strike> {
    let database = stage.cluster.database.as_ref().context("there is no PostgreSQL")?;
    let filled = database.disk().context(NO_DISK)?.fill()?;
    let full = stage.rng.millis(2_000, 12_000);
    let what = format!("PostgreSQL, {} MiB of filler", filled >> 20);
    Ok(Strike::until(what, full, Later::UnfillDatabase))
}

pub(super) fn postgres_unfit(cluster: &Cluster) -> Option<&'static str> {
    match &cluster.database {
        None => Some("the jobs are in SQLite; use --store postgres"),
        Some(database) => database.disk().is_none().then_some(NO_DISK),
    }
}

fn unfit(cluster: &Cluster, part: &str) -> Option<&'static str> {
    (!cluster.tmpfs.contains_key(part)).then_some(NO_DISK)
}

pub(super) fn node_unfit(cluster: &Cluster) -> Option<&'static str> {
    unfit(cluster, NODE)
}

pub(super) fn store_unfit(cluster: &Cluster) -> Option<&'static str> {
    unfit(cluster, STORE)
}

pub(super) fn database_unfit(cluster: &Cluster) -> Option<&'static str> {
    if cluster.database.is_some() {
        return Some("the jobs are in PostgreSQL");
    }
    unfit(cluster, ORCHESTRATOR)
}
