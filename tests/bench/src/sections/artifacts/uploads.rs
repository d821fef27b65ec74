//! A job's output against a plain client's upload to the same store, and an append to it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use mesh_schemas::{
    JobId, JobSpec, Span,
    api::{AttemptView, UploadUrls},
    attempt::JobState,
};
use serde_json::json;

use super::{note_now, noted, random_file, seconds_since};
use crate::{
    Run,
    client::{Client, put_file},
    cluster::{Cluster, until},
    proc::bytes_below,
    report::Target,
    stats::ratios,
};

/// Longest wait for one upload.
const LONG: Duration = Duration::from_secs(600);
/// The largest object that the API signs a URL for.
const OBJECT_BYTES_MAX: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

#[derive(Default)]
struct Samples {
    job: Vec<f64>,
    plain: Vec<f64>,
    again: Vec<f64>,
}

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let bytes = run.size(2_048, 128) * MIB;
    let mut samples = Samples::default();
    for _ in 0..run.runs {
        // A mesh for each run: its objects go with it, or five runs would fill the disk.
        one(&Cluster::start(run, 1)?, bytes, &mut samples)?;
    }
    let out = &mut run.measured;
    let name = format!("{} MiB of fresh data", bytes / MIB);
    out.add(&format!("{name}: upload by a job"), "MiB/s", &samples.job, None);
    out.add(&format!("{name}: one plain PUT stream"), "MiB/s", &samples.plain, None);
    let percent: Vec<f64> =
        ratios(&samples.job, &samples.plain).iter().map(|ratio| ratio * 100.0).collect();
    out.add("… job over plain stream", "%", &percent, Some(Target::AtLeast(60.0)));
    let target = Some(Target::AtMost(3.0));
    out.add("1 % appended: bytes uploaded, of the whole", "%", &samples.again, target);
    Ok(())
}

fn one(cluster: &Cluster, bytes: u64, samples: &mut Samples) -> anyhow::Result<()> {
    let mut client = cluster.client()?;
    let scratch = cluster.mesh.scratch();
    let source = random_file(scratch, "source", bytes)?;
    let more = random_file(scratch, "more", bytes / 100)?;
    let rate = |seconds: f64| (bytes / MIB) as f64 / seconds;

    samples.plain.push(rate(plain(&mut client, &source, bytes)?));

    // The job writes the file, says when, waits, appends and ends: its output is stored twice.
    let [written, go] = ["written", "go"].map(|name| scratch.join(name));
    let script = format!(
        "cp {} out && {} && while ! test -e {}; do sleep 0.05; done; cat {} >>out",
        source.display(),
        note_now(&written),
        go.display(),
        more.display()
    );
    let mut spec = JobSpec::new(["sh", "-c", &script]);
    spec.outputs = vec!["out".into()];
    spec.upload.every = Span::from_secs(1);
    let job = client.submit(&spec)?;
    let begun = until(LONG, "the job to write its file", || noted(&written))?;
    until(LONG, "the file to be stored", || {
        (stored(&mut client, job).ok()? >= bytes).then_some(())
    })?;
    samples.job.push(rate(seconds_since(begun)));

    let before = bytes_below(&cluster.objects());
    std::fs::write(&go, "")?;
    let ended = client.finished(job)?;
    ensure!(ended.state == JobState::Succeeded, "the job is {}", ended.state);
    let whole = bytes + bytes / 100;
    ensure!(stored(&mut client, job)? == whole, "not all of the output is stored");
    let again = bytes_below(&cluster.objects()).saturating_sub(before);
    samples.again.push(again as f64 / bytes as f64 * 100.0);
    Ok(())
}

/// Bytes of output files that the job's last manifest holds.
fn stored(client: &mut Client, job: JobId) -> anyhow::Result<u64> {
    let attempts: Vec<AttemptView> =
        client.read(&format!("/api/v1/jobs/{job}/tasks/0/attempts"))?;
    let manifest = attempts.last().and_then(|attempt| attempt.manifest.as_ref());
    Ok(manifest.map_or(0, |manifest| manifest.bytes))
}

/// Seconds that one stream takes for as many bytes, as objects as large as can be.
fn plain(client: &mut Client, source: &Path, bytes: u64) -> anyhow::Result<f64> {
    let count = bytes.div_ceil(OBJECT_BYTES_MAX);
    let size = |number: u64| OBJECT_BYTES_MAX.min(bytes - number * OBJECT_BYTES_MAX);
    let objects: Vec<_> = (0..count)
        .map(|number| json!({ "name": format!("plain-{number}"), "size": size(number) }))
        .collect();
    let body = serde_json::to_vec(&json!({ "objects": objects }))?;
    let urls: UploadUrls = client.post("/api/v1/uploads", &body)?.json().context("the URLs")?;
    let begun = Instant::now();
    for (number, url) in (0..).zip(&urls.urls) {
        put_file(url, source, number * OBJECT_BYTES_MAX, size(number))?;
    }
    Ok(begun.elapsed().as_secs_f64())
}
