//! A thousand simulated nodes on one orchestrator: what they cost it, and how fast it hands out work.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::ensure;
use mesh_schemas::{
    JobId,
    api::{Page, TaskView},
    attempt::JobState,
};

use super::array;
use crate::{
    Run,
    client::Client,
    cluster::Cluster,
    fleet::{Fleet, Mode, Size},
    proc::Meter,
    report::Target,
};

/// Longest wait for one step.
const LONG: Duration = Duration::from_secs(300);

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let size = Size { nodes: run.size(1_000, 100), cpu: 50 };
    let tasks = u32::try_from(size.nodes)? * size.cpu;
    let cluster = Cluster::start(run, 0)?;
    let fleet = Fleet::start(run.runtime, &cluster, size)?;
    let nodes = size.nodes;
    let watch = run.size(Duration::from_secs(60), Duration::from_secs(10));
    // Longer than a lease: without beats that are taken, all of them would be lost meanwhile.
    let hold = run.size(Duration::from_secs(45), Duration::from_secs(35));

    // Hellos, and what an orchestrator does after its start, are over.
    std::thread::sleep(run.size(Duration::from_secs(10), Duration::from_secs(3)));
    shares(run, &cluster, &format!("{nodes} nodes beat"), watch)?;
    let mut client = cluster.client()?;
    let (mut dispatch, mut end, mut missed) = (Vec::new(), Vec::new(), 0);
    for number in 0..run.runs {
        fleet.set(Mode::Hold);
        let (started, ended) = (fleet.started(), fleet.ended());
        let begun = Instant::now();
        let job = client.submit(&array(tasks))?;
        fleet.until_started(started + u64::from(tasks), LONG)?;
        dispatch.push(begun.elapsed().as_secs_f64());
        if number == 0 {
            shares(run, &cluster, &format!("{nodes} nodes hold {tasks} tasks"), hold)?;
        }
        let begun = Instant::now();
        fleet.set(Mode::End);
        fleet.until_ended(ended + u64::from(tasks), LONG)?;
        let done = client.finished(job)?;
        end.push(begun.elapsed().as_secs_f64());
        ensure!(done.state == JobState::Succeeded, "the array is {}", done.state);
        missed += attempts_beyond_the_first(&mut client, job)?;
    }
    let fenced = fleet.counters.fenced.load(Ordering::Relaxed);
    let out = &mut run.measured;
    out.add(&format!("{tasks} tasks dispatched to {nodes} nodes"), "s", &dispatch, None);
    out.add(&format!("{tasks} ends of them recorded"), "s", &end, None);
    let what = format!("leases missed, of {} granted", u64::from(tasks) * u64::from(run.runs));
    out.one(&what, "", f64::from(missed), Some(Target::AtMost(0.0)));
    out.one("attempts fenced off", "", fenced as f64, Some(Target::AtMost(0.0)));
    Ok(())
}

/// Processor shares of orchestrator and broker from now on for a while.
fn shares(run: &mut Run<'_>, cluster: &Cluster, when: &str, watch: Duration) -> anyhow::Result<()> {
    let orchestrator = Meter::start(vec![cluster.orchestrator()?]);
    let nats = Meter::start(vec![cluster.nats()?]);
    std::thread::sleep(watch);
    let target = Some(Target::AtMost(0.5));
    run.measured.one(&format!("{when}: orchestrator"), "core", orchestrator.share(), target);
    run.measured.one(&format!("{when}: nats-server"), "core", nats.share(), None);
    Ok(())
}

/// Each is a lease that ended before its attempt did.
pub(super) fn attempts_beyond_the_first(client: &mut Client, job: JobId) -> anyhow::Result<u32> {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let path = format!("/api/v1/jobs/{job}/tasks?limit=1000{cursor}");
        let page: Page<TaskView> = client.read(&path)?;
        count += page.items.iter().map(|task| task.attempts.saturating_sub(1)).sum::<u32>();
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}
