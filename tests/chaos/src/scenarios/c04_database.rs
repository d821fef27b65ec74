//! C4: PostgreSQL dies with all its children, under load.

use anyhow::Context as _;

use super::{Later, Stage, Strike};
use crate::cluster::Cluster;

pub(super) async fn kill(stage: Stage<'_>) -> anyhow::Result<Strike> {
    stage.cluster.database.as_mut().context("there is no PostgreSQL")?.kill();
    let away = stage.rng.millis(0, 4_000);
    Ok(Strike::until("PostgreSQL", away, Later::StartDatabase))
}

pub(super) fn unfit(cluster: &Cluster) -> Option<&'static str> {
    cluster.database.is_none().then_some("the jobs are in SQLite; use --store postgres")
}
