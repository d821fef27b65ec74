//! C2: parts of a node die, or all of it.

use super::{Later, Stage, Strike, some_node};

/// The supervisor starts another agent by itself.
pub(super) async fn kill_agent(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    let part = stage.cluster.part(&node)?;
    let agent = part.below().into_iter().find(|(_, line)| line.contains(" agent "));
    let Some((pid, _)) = agent else { return Ok(Strike::once(format!("{node} had no agent"))) };
    part.kill_below(pid);
    Ok(Strike::once(format!("agent of {node}")))
}

pub(super) async fn kill_supervisor(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    stage.cluster.part(&node)?.kill();
    let away = stage.rng.millis(0, 2_000);
    let strike = Strike::until(format!("supervisor of {node}"), away, Later::Start(node.clone()));
    Ok(strike.died(node))
}

pub(super) async fn pull_plug(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    stage.cluster.part(&node)?.kill_tree();
    // Shorter and longer than a lease.
    let lease_ms = u64::try_from(stage.cluster.lease_ttl.as_millis()).unwrap_or(30_000);
    let away = stage.rng.millis(0, lease_ms * 2);
    let strike = Strike::until(format!("all of {node}"), away, Later::Start(node.clone()));
    Ok(strike.died(node))
}

pub(super) async fn kill_job(mut stage: Stage<'_>) -> anyhow::Result<Strike> {
    let node = some_node(&mut stage)?;
    let part = stage.cluster.part(&node)?;
    // What a job's shell waits for: the shell then goes on, so that the job's own end stays as it was.
    let is_child_of_job = |line: &str| line.starts_with("sleep ");
    let found = part.below().into_iter().find(|(_, line)| is_child_of_job(line));
    let Some((pid, line)) = found else {
        return Ok(Strike::once(format!("{node} ran nothing")));
    };
    part.kill_below(pid);
    Ok(Strike::once(format!("{line:?} on {node}")))
}
