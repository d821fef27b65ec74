//! C14: every part is stopped gently and started again, one after the other, while work goes on.

use std::time::Duration;

use super::{Later, Stage, Strike};

/// Between two parts.
const EVERY: Duration = Duration::from_secs(2);

pub(super) async fn roll(stage: Stage<'_>) -> anyhow::Result<Strike> {
    let mut parts: Vec<String> = stage.cluster.parts.keys().cloned().collect();
    stage.rng.shuffle(&mut parts);
    let what = parts.join(", ");
    let times = (0..).map(|n| EVERY * n);
    let later = times.zip(parts.into_iter().map(Later::Roll)).collect();
    Ok(Strike { what, later, broken: None, died: None })
}
