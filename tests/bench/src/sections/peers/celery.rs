//! Celery with two prefork workers on a Redis of its own that appends to its file each second.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context as _;
use mesh_tests::{ports, process::Process, tmp};

use super::{SINGLES, UP_WITHIN, makespans, output, program, python_has, script};
use crate::{
    Run,
    cluster::until,
    stats::{median, percentile},
};

/// Tasks and client.
const MODULE: &str = include_str!("celery_bench.py");

struct Celery {
    url: String,
    module: PathBuf,
    // The worker ends before what it is connected to.
    _worker: Process,
    _redis: Process,
    _dir: tempfile::TempDir,
}

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    python_has("celery, redis")?;
    let celery = Celery::start(program("redis-server", "REDIS_SERVER")?)?;
    makespans(run, "Celery + Redis", |count| {
        let times = celery.measure(count, 0)?;
        times.first().copied().context("no time was printed")
    })?;
    let singles = celery.measure(0, SINGLES)?.split_off(1);
    run.measured.one("… one, resident client, p50", "ms", median(&singles), None);
    run.measured.one("… one, resident client, p99", "ms", percentile(&singles, 99), None);
    Ok(())
}

impl Celery {
    fn start(redis: PathBuf) -> anyhow::Result<Self> {
        let dir = tmp::dir("celery");
        let at = |name: &str| dir.path().join(name);
        let port = ports::free();
        let mut command = Command::new(redis);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--dir"]).arg(dir.path());
        let redis = Process::start(&mut command, &at("redis.log"));
        until(UP_WITHIN, "Redis", || ports::is_open(port).then_some(()))?;
        let module = script(dir.path(), "celery_bench.py", MODULE)?;
        let url = format!("redis://127.0.0.1:{port}/0");
        let mut command = Command::new("python3");
        command.args(["-m", "celery", "-A", "celery_bench", "worker", "--concurrency", "2"]);
        command.args(["--loglevel", "INFO"]).current_dir(dir.path()).env("BENCH_REDIS", &url);
        let worker = Process::start(&mut command, &at("worker.log"));
        until(UP_WITHIN, "Celery's worker", || {
            fs::read_to_string(at("worker.log")).ok().filter(|log| log.contains(" ready."))
        })?;
        Ok(Self { url, module, _worker: worker, _redis: redis, _dir: dir })
    }

    /// Seconds of so many at once, then milliseconds of each single one.
    fn measure(&self, count: u32, singles: usize) -> anyhow::Result<Vec<f64>> {
        let mut python = Command::new("python3");
        python.arg(&self.module).args([count.to_string(), singles.to_string()]);
        let text = output(python.env("BENCH_REDIS", &self.url))?;
        text.lines().map(|line| line.trim().parse().context("a time")).collect()
    }
}
