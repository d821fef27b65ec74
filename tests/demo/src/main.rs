//! `./run demo`: a whole mesh on this machine that builds and tests real software on three nodes, one of
//! which is killed while it works. Ends with 0 only when nothing was lost and every byte is right.
//!
//! It uses nothing but the commands that a user has, and looks at the system as a user would.

mod cluster;
mod node;
mod source;
mod story;
mod table;
mod verify;

use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// Says a line to whoever watches, with the seconds since the start.
fn say(begun: Instant, text: impl std::fmt::Display) {
    let mut stderr = std::io::stderr().lock();
    // A watcher that has gone changes nothing.
    let _ = writeln!(stderr, "[{:6.1}s] {text}", begun.elapsed().as_secs_f32());
}

fn main() -> ExitCode {
    let begun = Instant::now();
    match run(begun) {
        Ok(()) => {
            say(
                begun,
                "everything that was accepted ended once; all bytes are right. The demo passed.",
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(begun, format_args!("AMISS: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(begun: Instant) -> anyhow::Result<()> {
    let keep = std::env::args().skip(1).any(|arg| arg == "--keep");
    let dir = tempfile::Builder::new().prefix("deskmesh-demo-").tempdir()?;
    let root: PathBuf = dir.path().to_owned();
    let outcome = in_directory(begun, &root);
    if keep || outcome.is_err() {
        say(begun, format_args!("the data stays in {}", dir.keep().display()));
    }
    outcome
}

fn in_directory(begun: Instant, root: &std::path::Path) -> anyhow::Result<()> {
    let source = source::fetch(begun, root).context("fetching the software to build")?;
    let mut cluster = cluster::Cluster::start(begun, root).context("starting the mesh")?;
    let told = story::tell(begun, &mut cluster, &source, root);
    if told.is_err() {
        cluster.print_logs();
    }
    let stopped = cluster.stop(begun);
    told.and(stopped)
}

/// Looks again until `found` finds something, or fails after `limit`.
fn until<T>(
    limit: Duration,
    what: &str,
    mut found: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = found()? {
            return Ok(value);
        }
        anyhow::ensure!(begun.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}
