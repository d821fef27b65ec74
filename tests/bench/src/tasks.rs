//! How fast tasks go through.

use std::time::{Duration, Instant};

use mesh_schemas::{
    JobSpec,
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};
use mesh_tests::mesh::Mesh;

use crate::{floor, report::Report};

/// Single tasks that are timed.
const SINGLES: usize = 200;
/// Single tasks before the timing, so that caches and connections are warm.
const WARM_UP: usize = 20;
/// Longest wait for anything here.
const LONG: Duration = Duration::from_secs(600);

fn array(command: &[&str], count: u32) -> JobSpec {
    let mut spec = JobSpec::new(command.iter().copied());
    spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: count - 1 }));
    spec
}

/// Makespan of many tasks as one array on one node with two slots, beside the floor.
pub(crate) async fn makespan(
    mesh: &Mesh,
    count: u32,
    runs: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut ratios, mut spans, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let before = floor::spawn_all(count)?;
        let begun = Instant::now();
        let job = mesh.submit(&array(&["/bin/true"], count)).await.job;
        let done = mesh.finished(job, LONG).await;
        let span = begun.elapsed();
        anyhow::ensure!(done.state == JobState::Succeeded, "the array is {}", done.state);
        let floor = (before + floor::spawn_all(count)?) / 2;
        ratios.push(span.as_secs_f64() / floor.as_secs_f64());
        spans.push(span.as_secs_f64());
        floors.push(floor.as_secs_f64());
    }
    report.add(
        &format!("floor: {count} x /bin/true, 2 threads, bare posix_spawn"),
        median(floors),
        "s",
        None,
    );
    report.add(
        &format!("makespan: {count} x /bin/true, 1 node, 2 slots"),
        median(spans),
        "s",
        None,
    );
    report.add("makespan over floor", median(ratios), "x", Some(2.5));
    Ok(())
}

/// From the API call to the recorded result, on an idle mesh.
pub(crate) async fn one_at_a_time(mesh: &Mesh, report: &mut Report) {
    let spec = JobSpec::new(["/bin/true"]);
    let mut times = Vec::new();
    for run in 0..SINGLES + WARM_UP {
        let begun = Instant::now();
        let job = mesh.submit(&spec).await.job;
        mesh.finished(job, LONG).await;
        if run >= WARM_UP {
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    report.add("one /bin/true, call to recorded result, p50", times[SINGLES / 2], "ms", Some(10.0));
    report.add(
        "one /bin/true, call to recorded result, p99",
        times[SINGLES * 99 / 100],
        "ms",
        None,
    );
}

/// How long an array takes to be accepted, durably. No node may run it, so that nothing else is measured.
pub(crate) async fn submit_arrays(mesh: &Mesh, report: &mut Report) {
    for (count, target) in [(1_000, None), (100_000, Some(0.5)), (1_000_000, None)] {
        let mut spec = array(&["/bin/true"], count);
        spec.labels.insert("bench".into(), "nobody".into());
        let begun = Instant::now();
        let job = mesh.submit(&spec).await.job;
        report.add(
            &format!("submit an array of {count}"),
            begun.elapsed().as_secs_f64(),
            "s",
            target,
        );
        mesh.cli(&["cancel", &job.to_string()]).await;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
