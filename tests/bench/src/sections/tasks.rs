//! Makespan of many `/bin/true` on one node with two slots, over the floor just before and after it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use mesh_schemas::{
    JobId, JobSpec,
    api::{JobView, Page, Submitted},
    attempt::JobState,
};

use super::array;
use crate::{Run, client::Client, cluster::Cluster, floor, report::Target, stats::ratios};

/// Tasks before the measuring, so that files, caches and the class's mean duration are warm.
const WARM_UP: u32 = 500;

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let cluster = Cluster::start(run, 1)?;
    let mut client = cluster.client()?;
    let warm_up = client.submit(&array(WARM_UP))?;
    client.finished(warm_up)?;
    let tasks = run.tasks;
    let one = Samples::take(run, |_| as_one(&mut client, tasks))?;
    let many = Samples::take(run, |number| one_by_one(&cluster, &mut client, tasks, number))?;
    let floors: Vec<f64> = one.floors.iter().chain(&many.floors).copied().collect();
    let out = &mut run.measured;
    out.add(
        &format!("floor: {tasks} x /bin/true, 2 threads, bare posix_spawn"),
        "s",
        &floors,
        None,
    );
    out.add(&format!("{tasks} x /bin/true as one submission"), "s", &one.spans, None);
    let target = Some(Target::AtMost(1.5));
    out.add("… over the floor", "x", &ratios(&one.spans, &one.floors), target);
    out.add(&format!("{tasks} submissions over one connection"), "s", &many.spans, None);
    let target = Some(Target::AtMost(2.0));
    out.add("… over the floor", "x", &ratios(&many.spans, &many.floors), target);
    Ok(())
}

/// Makespans, each with the floor around it, in seconds.
struct Samples {
    spans: Vec<f64>,
    floors: Vec<f64>,
}

impl Samples {
    fn take(
        run: &Run<'_>,
        mut measure: impl FnMut(u16) -> anyhow::Result<Duration>,
    ) -> anyhow::Result<Self> {
        let mut samples = Self { spans: Vec::new(), floors: Vec::new() };
        for number in 0..run.runs {
            let before = floor::spawn_all(run.tasks)?;
            let span = measure(number)?;
            let floor = (before + floor::spawn_all(run.tasks)?) / 2;
            samples.spans.push(span.as_secs_f64());
            samples.floors.push(floor.as_secs_f64());
        }
        Ok(samples)
    }
}

fn as_one(client: &mut Client, count: u32) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let job = client.submit(&array(count))?;
    let ended = client.finished(job)?;
    let span = begun.elapsed();
    ensure!(ended.state == JobState::Succeeded, "the array is {}", ended.state);
    Ok(span)
}

/// Many jobs of one task, each a request answered by itself, over one HTTP/2 connection.
fn one_by_one(
    cluster: &Cluster,
    client: &mut Client,
    count: u32,
    number: u16,
) -> anyhow::Result<Duration> {
    let mut spec = JobSpec::new(["/bin/true"]);
    spec.project = format!("bench-{number}");
    let body = serde_json::to_vec(&spec)?;
    let mut last: Option<JobId> = None;
    let begun = Instant::now();
    cluster.post_many("/api/v1/jobs", &body, usize::try_from(count)?, |answer| {
        last = last.max(Some(serde_json::from_slice::<Submitted>(answer)?.job));
        Ok(())
    })?;
    if let Some(last) = last {
        client.finished(last)?;
    }
    // Older jobs go first: few if any are still under way.
    for state in [JobState::Queued, JobState::Running] {
        while let Some(job) = of_state(client, &spec.project, state, "&limit=1")?.items.first() {
            client.finished(job.id)?;
        }
    }
    let span = begun.elapsed();
    let done = succeeded(client, &spec.project)?;
    ensure!(done == usize::try_from(count)?, "{done} of {count} jobs succeeded");
    Ok(span)
}

fn of_state(
    client: &mut Client,
    project: &str,
    state: JobState,
    more: &str,
) -> anyhow::Result<Page<JobView>> {
    client.read(&format!("/api/v1/jobs?project={project}&state={state}{more}"))
}

fn succeeded(client: &mut Client, project: &str) -> anyhow::Result<usize> {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let more = format!("&limit=1000{cursor}");
        let page = of_state(client, project, JobState::Succeeded, &more)?;
        count += page.items.len();
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}
