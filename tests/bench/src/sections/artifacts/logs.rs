//! A large log: how much its writer is slowed down, and how soon its end can be read.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use mesh_schemas::{JobId, JobSpec, attempt::JobState};
use mesh_tests::mesh::Mesh;
use reqwest::Method;

use super::{note_now, noted};
use crate::{
    Run,
    cluster::{Cluster, until},
    report::Target,
    stats::ratios,
};

/// Longest wait for one step.
const LONG: Duration = Duration::from_secs(600);
/// What somebody who opens the end of a log reads.
const TAIL_BYTES: u64 = 64 << 10;
const MIB: u64 = 1 << 20;

#[derive(Default)]
struct Samples {
    job: Vec<f64>,
    plain: Vec<f64>,
    live: Vec<f64>,
    stored: Vec<f64>,
}

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    let bytes = run.size(1_024, 64) * MIB;
    let mut samples = Samples::default();
    for _ in 0..run.runs {
        one(run, &Cluster::start(run, 1)?, bytes, &mut samples)?;
    }
    let out = &mut run.measured;
    let name = format!("a log of {} MiB", bytes / MIB);
    out.add(&format!("{name}: written by a job"), "MiB/s", &samples.job, None);
    out.add("the same by cat > file", "MiB/s", &samples.plain, None);
    let percent: Vec<f64> =
        ratios(&samples.job, &samples.plain).iter().map(|ratio| ratio * 100.0).collect();
    out.add("… job over cat > file", "%", &percent, Some(Target::AtLeast(50.0)));
    let target = Some(Target::AtMost(1.0));
    out.add("its tail is there, just written, the job alive", "s", &samples.live, target);
    out.add("its tail is there, the job ended and all stored", "s", &samples.stored, target);
    Ok(())
}

fn one(run: &Run<'_>, cluster: &Cluster, bytes: u64, samples: &mut Samples) -> anyhow::Result<()> {
    let mut client = cluster.client()?;
    let scratch = cluster.mesh.scratch();
    let source = scratch.join("lines");
    lines(&source, bytes)?;
    let rate = |seconds: f64| (bytes / MIB) as f64 / seconds;
    let before = cat_to_file(scratch, &source)?;

    let [begun, ended, go] = ["begun", "ended", "go"].map(|name| scratch.join(name));
    let script = format!(
        "{}; cat {}; {}; while ! test -e {}; do sleep 0.05; done",
        note_now(&begun),
        source.display(),
        note_now(&ended),
        go.display()
    );
    let job = client.submit(&JobSpec::new(["sh", "-c", &script]))?;
    let ended = until(LONG, "the log to be written", || noted(&ended))?;
    let begun = noted(&begun).context("the job did not note its beginning")?;
    samples.job.push(rate(ended.saturating_sub(begun).as_secs_f64()));
    samples.live.push(tail(run, &cluster.mesh, job, bytes)?);
    fs::write(&go, "")?;
    let view = client.finished(job)?;
    ensure!(view.state == JobState::Succeeded, "the job is {}", view.state);
    samples.stored.push(tail(run, &cluster.mesh, job, bytes)?);
    samples.plain.push(rate(f64::midpoint(before, cat_to_file(scratch, &source)?)));
    Ok(())
}

/// Text as programs write it: lines that differ, which compress but not to nothing.
fn lines(path: &Path, bytes: u64) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let (mut written, mut number) = (0, 0_u64);
    while written < bytes {
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let line = format!("step {number:>10} loss {id:016x} of an epoch that takes its time\n");
        let line = &line.as_bytes()[..line.len().min(usize::try_from(bytes - written)?)];
        file.write_all(line)?;
        written += line.len() as u64;
        number += 1;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

fn cat_to_file(scratch: &Path, source: &Path) -> anyhow::Result<f64> {
    let copy = scratch.join("copy");
    let begun = Instant::now();
    let mut cat = std::process::Command::new("cat");
    let status = cat.arg(source).stdout(fs::File::create(&copy)?).status()?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(status.success(), "cat: {status}");
    fs::remove_file(&copy)?;
    Ok(seconds)
}

/// Seconds until the last bytes of a log of this length have come.
fn tail(run: &Run<'_>, mesh: &Mesh, job: JobId, bytes: u64) -> anyhow::Result<f64> {
    let from = bytes - TAIL_BYTES.min(bytes);
    let path = format!("/api/v1/jobs/{job}/tasks/0/logs?stream=stdout&offset={from}");
    let begun = Instant::now();
    let came = run.runtime.block_on(async {
        let mut response = mesh.http().request(Method::GET, &path).send().await?;
        ensure!(response.status().is_success(), "the log: {}", response.status());
        let (mut came, mut text) = (0, Vec::new());
        while let Some(chunk) = response.chunk().await? {
            text.extend_from_slice(&chunk);
            came = data_bytes(&text);
            if came >= TAIL_BYTES.min(bytes) {
                break;
            }
        }
        Ok(came)
    })?;
    ensure!(came >= TAIL_BYTES.min(bytes), "only {came} bytes of the tail came");
    Ok(begun.elapsed().as_secs_f64())
}

/// Bytes of log in server-sent events: each is Base64 in a field named `data`, as text inside JSON.
fn data_bytes(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    let pieces = text.split("\"data\":\"").skip(1).filter_map(|rest| rest.split_once('"'));
    let bytes = |data: &str| {
        let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
        (data.len() / 4 * 3 - padding) as u64
    };
    pieces.map(|(data, _)| bytes(data)).sum()
}

#[cfg(test)]
mod tests {
    use super::data_bytes;

    #[test]
    fn bytes_are_counted_in_whole_events_alone() {
        let event = "event: log\ndata: {\"offset\":0,\"data\":\"aGVsbG8=\"}\n\n";
        assert_eq!(data_bytes(event.as_bytes()), 5);
        assert_eq!(data_bytes(format!("{event}{event}").as_bytes()), 10);
        assert_eq!(data_bytes(b"data: {\"data\":\"aGVsb"), 0);
    }
}
