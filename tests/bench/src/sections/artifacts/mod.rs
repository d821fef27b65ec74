//! Bytes: uploading fresh data, uploading a little more, and logs, each beside the plainest thing that
//! could be done on this machine in the same run.

mod logs;
mod uploads;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;

use crate::Run;

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    uploads::run(run)?;
    logs::run(run)
}

/// A file of so many random bytes, which nothing compresses and no chunk of which was seen before.
fn random_file(dir: &Path, name: &str, bytes: u64) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    let mut from = io::Read::take(File::open("/dev/urandom")?, bytes);
    let mut to = File::create(&path)?;
    io::copy(&mut from, &mut to).context("writing random bytes")?;
    // Written back now, so that it is not written back while something is timed.
    to.sync_all()?;
    Ok(path)
}

/// The time that a job wrote into a file: nanoseconds since 1970, as `date +%s%N` says it.
fn noted(file: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(file).ok()?;
    text.trim().parse().ok().map(Duration::from_nanos)
}

/// From a noted time until now, in seconds.
fn seconds_since(noted: Duration) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(noted).as_secs_f64()
}

/// The same bytes once more under another name, without asking a job.
fn note_now(file: &Path) -> String {
    format!("date +%s%N >{file}.new && mv {file}.new {file}", file = file.display())
}
