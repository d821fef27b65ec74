//! C3: the broker dies, and may come back with nothing of what it knew.

use anyhow::Context as _;

use super::{Later, Stage, Strike};
use crate::cluster::NATS;

pub(super) async fn kill(stage: Stage<'_>) -> anyhow::Result<Strike> {
    stage.cluster.part(NATS)?.kill();
    let away = stage.rng.millis(0, 5_000);
    Ok(Strike::until("broker", away, Later::Start(NATS.into())))
}

pub(super) async fn wipe(stage: Stage<'_>) -> anyhow::Result<Strike> {
    stage.cluster.part(NATS)?.kill();
    for dir in ["nats/jetstream", "nats/accounts"] {
        let dir = stage.cluster.data.join(dir);
        std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    let away = stage.rng.millis(0, 3_000);
    Ok(Strike::until("broker and all it kept", away, Later::Start(NATS.into())))
}
