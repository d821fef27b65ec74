//! HyperQueue: its own programs (`hq` in `PATH`, or `HQ`), and its package from PyPI.

use std::{path::Path, process::Command, time::Instant};

use anyhow::Context as _;
use mesh_tests::{process::Process, tmp};

use super::{SINGLES, UP_WITHIN, makespans, output, program, python_has, script};
use crate::{
    Run,
    cluster::until,
    proc::{Meter, pss},
    stats::{median, percentile},
};

/// Its last line are the seconds of one job of many tasks; its client looks for the end once a second.
const PACKAGE: &str = include_str!("hyperqueue_package.py");

/// Server and one worker of two processors.
struct Hq {
    program: std::path::PathBuf,
    server: Process,
    worker: Process,
    dir: tempfile::TempDir,
}

pub(super) fn run_programs(run: &mut Run<'_>) -> anyhow::Result<()> {
    let hq = Hq::start(program("hq", "HQ")?)?;
    let meter = Meter::start(vec![hq.server.pid(), hq.worker.pid()]);
    let (mut tasks, runs) = (f64::from(run.tasks), f64::from(run.runs));
    makespans(run, "HyperQueue", |count| {
        let begun = Instant::now();
        hq.submit(&["--array", &format!("1-{count}")])?;
        Ok(begun.elapsed().as_secs_f64())
    })?;
    tasks *= runs;
    let us = meter.used().as_secs_f64() * 1e6 / tasks;
    run.measured.one("… server + worker, a task, of processor", "µs", us, None);
    let mut times = Vec::new();
    for _ in 0..SINGLES {
        let begun = Instant::now();
        hq.submit(&[])?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    run.measured.one("… hq submit --wait, p50", "ms", median(&times), None);
    run.measured.one("… hq submit --wait, p99", "ms", percentile(&times, 99), None);
    let memory = [("server", &hq.server), ("worker", &hq.worker)];
    for (part, process) in memory {
        let what = format!("… proportional set size after it: {part}");
        run.measured.one(&what, "MiB", pss(process.pid()), None);
    }
    Ok(())
}

impl Hq {
    fn start(program: std::path::PathBuf) -> anyhow::Result<Self> {
        let dir = tmp::dir("hq");
        let command = |args: &[&str]| {
            let mut command = command(&program, dir.path());
            command.args(args);
            command
        };
        let server =
            Process::start(&mut command(&["server", "start"]), &dir.path().join("server.log"));
        until(UP_WITHIN, "HyperQueue's server", || output(&mut command(&["server", "info"])).ok())?;
        let worker = Process::start(
            &mut command(&["worker", "start", "--cpus", "2"]),
            &dir.path().join("worker.log"),
        );
        output(&mut command(&["worker", "wait", "1"]))?;
        Ok(Self { program, server, worker, dir })
    }

    fn submit(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut command = command(&self.program, self.dir.path());
        command.args(["submit", "--wait", "--stdout", "none", "--stderr", "none"]).args(args);
        output(command.args(["--", "/bin/true"])).map(drop)
    }
}

fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--server-dir").arg(dir.join("server")).current_dir(dir);
    command
}

pub(super) fn run_package(run: &mut Run<'_>) -> anyhow::Result<()> {
    python_has("hyperqueue")?;
    let dir = tmp::dir("hq-package");
    let path = script(dir.path(), "package.py", PACKAGE)?;
    makespans(run, "HyperQueue from PyPI, one process", |count| {
        let mut python = Command::new("python3");
        python.arg(&path).arg(count.to_string()).current_dir(dir.path());
        let text = output(&mut python)?;
        let seconds = text.lines().last().and_then(|line| line.trim().parse().ok());
        seconds.with_context(|| format!("the last line is no time: {text}"))
    })
}
