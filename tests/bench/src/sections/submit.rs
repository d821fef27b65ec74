//! Accepting work: large arrays, many jobs, and whether a task of a large array costs more than one of a
//! small one.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::ensure;
use mesh_schemas::{
    JobSpec,
    api::{ServerInfo, Submitted},
    attempt::JobState,
};

use super::{array, waiting};
use crate::{
    Run, Store,
    client::Client,
    cluster::Cluster,
    fleet::{Fleet, Mode, Size},
    proc::{self, Meter},
    report::Target,
    stats::median,
};

/// Jobs in one request when many are submitted in batches, and where these go.
const BATCH: usize = 1_000;
const BATCH_PATH: &str = "/api/v1/jobs/batch";
const LINES: &str = "application/x-ndjson";
/// The simulated nodes that run arrays which no real machine starts in time.
const RUNNERS: Size = Size { nodes: 4, cpu: 64 };
/// Longest run of the largest array.
const LONG: Duration = Duration::from_secs(1_800);

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    arrays(run)?;
    jobs(run)?;
    if run.store == Store::Sqlite { per_task(run) } else { Ok(()) }
}

fn arrays(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 0)?;
    let mut client = cluster.client()?;
    // The first of its kind fills caches.
    let warm_up = client.submit(&waiting(array(10)))?;
    client.cancel(warm_up)?;
    let million = Some(0.2);
    for (count, name, limit) in
        [(1_000, "1 k", None), (100_000, "100 k", None), (1_000_000, "1 M", million)]
    {
        let (mut times, mut grown) = (Vec::new(), Vec::new());
        for _ in 0..run.runs {
            let spec = waiting(array(count));
            let before = proc::anonymous(cluster.orchestrator()?);
            let begun = Instant::now();
            let job = client.submit(&spec)?;
            times.push(begun.elapsed().as_secs_f64());
            grown.push((proc::anonymous(cluster.orchestrator()?) - before).max(0.0));
            client.cancel(job)?;
        }
        let what = format!("an array of {name} tasks, accepted durably");
        run.measured.add(&what, "s", &times, limit.map(Target::AtMost));
        let limit = limit.map(|_| Target::AtMost(20.0));
        run.measured.add("… the orchestrator grows by", "MiB", &grown, limit);
    }
    Ok(())
}

/// Many distinct jobs: in batches when the server takes them, otherwise one by one.
fn jobs(run: &mut Run<'_>) -> anyhow::Result<()> {
    let count: usize = run.size(100_000, 5_000);
    let bodies: Vec<Vec<u8>> = (0..count / BATCH).map(batch).collect::<anyhow::Result<_>>()?;
    let takes_batches = {
        let cluster = Cluster::start(run, 0)?;
        let mut client = cluster.client()?;
        client.post_as(BATCH_PATH, LINES, &batch(0)?)?.is_success()
    };
    if !takes_batches {
        run.measured.problem(format!("jobs in batches: the server has no POST {BATCH_PATH}"));
        return one_by_one(run, count);
    }
    let (mut times, mut grown) = (Vec::new(), Vec::new());
    for _ in 0..run.runs {
        // Jobs that wait stay in memory: each run begins with none.
        let cluster = Cluster::start(run, 0)?;
        let before = proc::anonymous(cluster.orchestrator()?);
        times.push(post_batches(&cluster, &bodies)?.as_secs_f64());
        grown.push(proc::anonymous(cluster.orchestrator()?) - before);
        let mut client = cluster.client()?;
        let queued = client.read::<ServerInfo>("/api/v1/info")?.tasks_queued;
        ensure!(queued == u64::try_from(count)?, "{queued} of {count} jobs wait");
    }
    let what = format!("{count} distinct jobs in batches of {BATCH}, two under way");
    run.measured.add(&what, "s", &times, Some(Target::AtMost(1.5)));
    run.measured.add("… the orchestrator grows by", "MiB", &grown, None);
    Ok(())
}

/// Two at a time, so that the server reads one while it records another.
fn post_batches(cluster: &Cluster, bodies: &[Vec<u8>]) -> anyhow::Result<Duration> {
    let mut clients = [cluster.client()?, cluster.client()?];
    let next = AtomicUsize::new(0);
    let post = |client: &mut Client| -> anyhow::Result<()> {
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = client.post_as(BATCH_PATH, LINES, body)?;
            ensure!(answer.is_success(), "a batch: {}", answer.text());
        }
        Ok(())
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let posting: Vec<_> = clients.iter_mut().map(|c| scope.spawn(|| post(c))).collect();
        posting.into_iter().try_for_each(|posting| {
            posting.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
        })
    })?;
    Ok(begun.elapsed())
}

/// The same command with another argument each, for nobody; one spec a line.
fn batch(number: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    for job in number * BATCH..(number + 1) * BATCH {
        let spec = waiting(JobSpec::new(["/bin/true".to_owned(), job.to_string()]));
        serde_json::to_writer(&mut body, &spec)?;
        body.push(b'\n');
    }
    Ok(body)
}

fn one_by_one(run: &mut Run<'_>, count: usize) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 0)?;
    let body = serde_json::to_vec(&waiting(JobSpec::new(["/bin/true"])))?;
    let begun = Instant::now();
    cluster.post_many("/api/v1/jobs", &body, count, |answer| {
        serde_json::from_slice::<Submitted>(answer).map(drop).map_err(Into::into)
    })?;
    let what = format!("{count} jobs one by one over one connection (1 run)");
    run.measured.one(&what, "s", begun.elapsed().as_secs_f64(), None);
    Ok(())
}

/// Whole lives of tasks on simulated nodes, which end each at once: what is left is what the
/// orchestrator and the broker do for a task.
fn per_task(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 0)?;
    let fleet = Fleet::start(run.runtime, &cluster, RUNNERS)?;
    fleet.set(Mode::End);
    let small: u32 = 1_000;
    let large: u32 = run.size(1_000_000, 50_000);
    let repeats = run.size(50, 20);
    whole_life(&cluster, small, repeats)?;
    let mut of_small = Vec::new();
    for _ in 0..run.runs {
        of_small.push(whole_life(&cluster, small, repeats)?);
    }
    let of_large = whole_life(&cluster, large, 1)?;
    let out = &mut run.measured;
    let us: Vec<f64> = of_small.iter().map(|life| life.cpu_us).collect();
    out.add("a task of an array of 1 k: orchestrator + nats-server", "µs", &us, None);
    let what = format!("a task of an array of {large}: the same (1 run)");
    out.one(&what, "µs", of_large.cpu_us, None);
    let ratio = of_large.cpu_us / median(&us);
    out.one("… over one of an array of 1 k", "x", ratio, Some(Target::AtMost(1.3)));
    let rate: Vec<f64> = of_small.iter().map(|life| life.per_second).collect();
    out.add("simulated tasks ended, arrays of 1 k one after another", "/s", &rate, None);
    let what = format!("simulated tasks ended, one array of {large} (1 run)");
    out.one(&what, "/s", of_large.per_second, None);
    Ok(())
}

struct Life {
    cpu_us: f64,
    per_second: f64,
}

/// So many arrays, one after another, from submit to end.
fn whole_life(cluster: &Cluster, count: u32, repeats: u32) -> anyhow::Result<Life> {
    let mut client = cluster.client()?;
    let meter = Meter::start(vec![cluster.orchestrator()?, cluster.nats()?]);
    let begun = Instant::now();
    for _ in 0..repeats {
        let job = client.submit(&array(count))?;
        let ended = client.finished(job)?;
        ensure!(ended.state == JobState::Succeeded, "the array is {}", ended.state);
        ensure!(begun.elapsed() < LONG, "the arrays take longer than {LONG:?}");
    }
    let tasks = f64::from(count) * f64::from(repeats);
    let cpu_us = meter.used().as_secs_f64() * 1e6 / tasks;
    Ok(Life { cpu_us, per_second: tasks / begun.elapsed().as_secs_f64() })
}
