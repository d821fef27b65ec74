//! C7: the wires between the parts fail, each in every way that TCP knows.

use std::time::Duration;

use anyhow::Context as _;
use mesh_tests::proxy::{Accept, Flow, Link};

use super::{Later, Stage, Strike};

/// Sets some wire for a while.
fn set(
    stage: &mut Stage<'_>,
    seconds: (u64, u64),
    draw: impl FnOnce(&mut Stage<'_>) -> (String, Link),
) -> anyhow::Result<Strike> {
    let wires: Vec<&'static str> = stage.cluster.links.keys().copied().collect();
    let wire = stage.rng.pick(&wires).copied().context("there are no wires")?;
    let (how, link) = draw(stage);
    stage.cluster.links.get(wire).context("there is no such wire")?.set(link);
    let during = stage.rng.millis(seconds.0 * 1_000, seconds.1 * 1_000);
    Ok(Strike::until(format!("{wire} {how}"), during, Later::Heal(wire)))
}

pub(super) async fn both_ways(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    set(&mut stage, (2, 20), |_| ("stops".into(), Link::PARTITION))
}

pub(super) async fn one_way(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    set(&mut stage, (2, 20), |stage| {
        if stage.rng.percent(50) {
            ("stops upwards".into(), Link { up: Flow::STOPPED, ..Link::GOOD })
        } else {
            ("stops downwards".into(), Link { down: Flow::STOPPED, ..Link::GOOD })
        }
    })
}

pub(super) async fn reset(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let strike = set(&mut stage, (0, 0), |_| ("is reset".into(), Link::GOOD))?;
    for (_, later) in &strike.later {
        if let Later::Heal(wire) = later
            && let Some(link) = stage.cluster.links.get(wire)
        {
            link.reset_all();
        }
    }
    Ok(strike)
}

pub(super) async fn cut(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    set(&mut stage, (2, 8), |stage| {
        let at = stage.rng.between(1, 4_000);
        let flow = Flow { cut_after: Some(at), ..Flow::GOOD };
        if stage.rng.percent(50) {
            (format!("is cut after {at} bytes upwards"), Link { up: flow, ..Link::GOOD })
        } else {
            (format!("is cut after {at} bytes downwards"), Link { down: flow, ..Link::GOOD })
        }
    })
}

pub(super) async fn slow(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    set(&mut stage, (5, 20), |stage| {
        if stage.rng.percent(50) {
            let delay = stage.rng.millis(100, 2_000);
            let flow = Flow { delay, ..Flow::GOOD };
            let how = format!("is {} ms far each way", delay.as_millis());
            (how, Link { up: flow, down: flow, ..Link::GOOD })
        } else {
            let rate = stage.rng.between(2_000, 50_000);
            let flow = Flow { rate: Some(rate), ..Flow::GOOD };
            (format!("carries {rate} B/s"), Link { up: flow, down: flow, ..Link::GOOD })
        }
    })
}

pub(super) async fn refuse(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let strike = set(&mut stage, (1, 10), |_| {
        ("refuses".into(), Link { accept: Accept::Refuse, ..Link::GOOD })
    })?;
    // Those that are open now come back to a closed door.
    for (_, later) in &strike.later {
        if let Later::Heal(wire) = later
            && let Some(link) = stage.cluster.links.get(wire)
        {
            link.reset_all();
        }
    }
    debug_assert!(strike.later.iter().all(|(after, _)| *after >= Duration::from_secs(1)));
    Ok(strike)
}
