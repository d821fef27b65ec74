//! From a `kill -9` to work again, with as much at stake as the targets say.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use mesh_schemas::{
    JobId, JobSpec, Timestamp,
    api::{JobDetail, NodeView, Page},
    attempt::JobState,
};

use super::{array, fleet::attempts_beyond_the_first, waiting};
use crate::{
    Run,
    client::Client,
    cluster::{Cluster, until},
    fleet::{Fleet, Mode, Size},
    report::Target,
};

/// Longest wait for anything to come back.
const LONG: Duration = Duration::from_secs(120);
/// A supervisor that restarts something waits twice as long each time, unless it had lived so long.
const AGENT_HEALTHY_AFTER: Duration = Duration::from_secs(61);
const PART_HEALTHY_AFTER: Duration = Duration::from_secs(31);
/// Leases do not end before this after an orchestrator's start.
const STARTUP_GRACE: Duration = Duration::from_secs(62);
/// Between two nodes' deaths, so that their work comes back one after the other.
const DEATHS_EVERY: Duration = Duration::from_secs(3);

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    agent_and_broker(run)?;
    dead_nodes(run, Size { nodes: 10, cpu: 50 })?;
    orchestrator_and_dead_nodes(run)
}

/// Each killed in turn on a mesh with one real node.
fn agent_and_broker(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 1)?;
    let (mut agent, mut broker) = (Vec::new(), Vec::new());
    for number in 0..run.runs {
        if number > 0 {
            std::thread::sleep(AGENT_HEALTHY_AFTER);
        }
        agent.push(kill_agent(&cluster)?);
        broker.push(kill_broker(&cluster)?);
    }
    let out = &mut run.measured;
    let target = |limit| Some(Target::AtMost(limit));
    out.add("agent killed: heard again by the orchestrator", "s", &agent, target(2.0));
    out.add("nats-server killed: a job accepted after it ends", "s", &broker, target(5.0));
    Ok(())
}

fn kill_agent(cluster: &Cluster) -> anyhow::Result<f64> {
    let mut client = cluster.client()?;
    let (_, agent) = cluster.node()?;
    let killed = Instant::now();
    mesh_tests::mesh::kill_pid(agent);
    // What was on its way when it died has arrived by the time of this answer.
    let before = last_seen(&mut client)?;
    until(LONG, "the node to be heard again", || {
        last_seen(&mut client).ok().filter(|seen| *seen > before)
    })?;
    Ok(killed.elapsed().as_secs_f64())
}

fn last_seen(client: &mut Client) -> anyhow::Result<Timestamp> {
    let nodes: Page<NodeView> = client.read("/api/v1/nodes")?;
    nodes.items.first().and_then(|node| node.last_seen).context("the node was never heard")
}

fn kill_broker(cluster: &Cluster) -> anyhow::Result<f64> {
    let mut client = cluster.client()?;
    let killed = cluster.kill("nats")?;
    let job = client.submit(&JobSpec::new(["/bin/true"]))?;
    let ended = client.finished(job)?;
    ensure!(ended.state == JobState::Succeeded, "the job is {}", ended.state);
    Ok(killed.elapsed().as_secs_f64())
}

/// A fleet full of work, some of whose nodes die.
fn dead_nodes(run: &mut Run<'_>, size: Size) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 0)?;
    let fleet = Fleet::start(run.runtime, &cluster, size)?;
    let job = fill(&cluster, &fleet, size)?;
    // The orchestrator was restarted to read the nodes.
    std::thread::sleep(STARTUP_GRACE);
    deaths(run, &cluster, &fleet, size, job)
}

/// As many tasks as all nodes together can hold, all of them held.
fn fill(cluster: &Cluster, fleet: &Fleet, size: Size) -> anyhow::Result<JobId> {
    let tasks = u32::try_from(size.nodes)? * size.cpu;
    fleet.set(Mode::Hold);
    let job = cluster.client()?.submit(&array(tasks))?;
    fleet.until_started(u64::from(tasks), LONG)?;
    Ok(job)
}

fn deaths(
    run: &mut Run<'_>,
    cluster: &Cluster,
    fleet: &Fleet,
    size: Size,
    job: JobId,
) -> anyhow::Result<()> {
    let mut client = cluster.client()?;
    ensure!(queued(&mut client, job)? == 0, "the nodes are not full");
    let mut died = Vec::new();
    for number in 0..usize::from(run.runs).min(size.nodes / 2) {
        died.push(fleet.kill(number)?);
        std::thread::sleep(DEATHS_EVERY);
    }
    // All nodes are full, so that what a dead one held stays queued and can be counted.
    let mut times = Vec::new();
    for (number, died) in (1..).zip(&died) {
        until(LONG, "a dead node's work to be queued", || {
            std::thread::sleep(Duration::from_millis(20));
            (queued(&mut client, job).ok()? >= number * size.cpu).then_some(())
        })?;
        times.push(died.elapsed().as_secs_f64());
    }
    let what = format!("a node of {} died: all its work queued again", size.nodes);
    run.measured.add(&what, "s", &times, Some(Target::AtMost(35.0)));
    Ok(())
}

fn queued(client: &mut Client, job: JobId) -> anyhow::Result<u32> {
    Ok(client.read::<JobDetail>(&format!("/api/v1/jobs/{job}"))?.view.counts.queued)
}

/// The orchestrator with 100,000 tasks that nodes hold, and then nodes of the same large fleet.
fn orchestrator_and_dead_nodes(run: &mut Run<'_>) -> anyhow::Result<()> {
    let size = Size { nodes: run.size(1_000, 100), cpu: 100 };
    let tasks = u32::try_from(size.nodes)? * size.cpu;
    let cluster = Cluster::start(run, 0)?;
    let fleet = Fleet::start(run.runtime, &cluster, size)?;
    let job = fill(&cluster, &fleet, size)?;
    let mut times = Vec::new();
    for _ in 0..run.runs {
        std::thread::sleep(PART_HEALTHY_AFTER);
        times.push(kill_orchestrator(&cluster)?);
    }
    let what = format!("orchestrator killed with {tasks} live tasks: a job accepted");
    run.measured.add(&what, "s", &times, Some(Target::AtMost(5.0)));
    std::thread::sleep(STARTUP_GRACE);
    let missed = attempts_beyond_the_first(&mut cluster.client()?, job)?;
    let what = "… leases of living nodes lost by it";
    run.measured.one(what, "", f64::from(missed), Some(Target::AtMost(0.0)));
    deaths(run, &cluster, &fleet, size, job)
}

/// Until a new job is accepted, durably.
fn kill_orchestrator(cluster: &Cluster) -> anyhow::Result<f64> {
    let body = serde_json::to_vec(&waiting(JobSpec::new(["/bin/true"])))?;
    let killed = cluster.kill("orchestrator")?;
    until(LONG, "the orchestrator to accept a job", || {
        let mut client = cluster.client().ok()?;
        client.set_patience(Duration::from_secs(10)).ok()?;
        client.post("/api/v1/jobs", &body).ok().filter(crate::client::Answer::is_success)
    })?;
    Ok(killed.elapsed().as_secs_f64())
}
