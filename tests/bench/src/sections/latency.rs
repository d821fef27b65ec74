//! One `/bin/true` on an idle mesh, from the call to the recorded result.

use std::{process::Stdio, time::Instant};

use anyhow::ensure;
use mesh_schemas::{JobSpec, attempt::JobState};

use crate::{
    Run,
    cluster::Cluster,
    report::Target,
    stats::{median, percentile},
};

/// Tries before the timing, so that connections and caches are warm.
const WARM_UP: usize = 20;

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 1)?;
    let count = run.size(500, 50);
    let resident = resident(&cluster, count)?;
    let started = started(&cluster, count)?;
    let out = &mut run.measured;
    let what = format!("one /bin/true of {count}, resident API client");
    out.one(&format!("{what}, p50"), "ms", median(&resident), Some(Target::AtMost(2.5)));
    let p99 = percentile(&resident, 99);
    out.one(&format!("{what}, p99"), "ms", p99, Some(Target::AtMost(6.0)));
    let what = format!("mesh submit --wait, started {count} times");
    out.one(&format!("{what}, p50"), "ms", median(&started), Some(Target::AtMost(8.0)));
    out.one(&format!("{what}, p99"), "ms", percentile(&started, 99), None);
    Ok(())
}

/// Milliseconds of each.
fn timed(count: usize, mut one: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
    for _ in 0..WARM_UP {
        one()?;
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        one()?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(times)
}

fn resident(cluster: &Cluster, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut client = cluster.client()?;
    let spec = JobSpec::new(["/bin/true"]);
    timed(count, || {
        let job = client.submit(&spec)?;
        let ended = client.finished(job)?;
        ensure!(ended.state == JobState::Succeeded, "the job is {}", ended.state);
        Ok(())
    })
}

fn started(cluster: &Cluster, count: usize) -> anyhow::Result<Vec<f64>> {
    timed(count, || {
        let mut command = cluster.mesh.command(["submit", "--wait", "--", "/bin/true"]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "mesh submit --wait: {status}");
        Ok(())
    })
}
