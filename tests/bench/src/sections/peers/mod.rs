//! Other systems by the same measure, when they are installed. Nothing is ever installed here.

mod celery;
mod hyperqueue;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{Run, floor, stats::ratios};

/// Longest wait for a peer's part to be up.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// Single jobs that are timed.
const SINGLES: usize = 50;

pub(super) fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (name, measured) in [
        ("HyperQueue", hyperqueue::run_programs(run)),
        ("HyperQueue from PyPI", hyperqueue::run_package(run)),
        ("Celery with Redis", celery::run(run)),
    ] {
        if let Err(error) = measured {
            run.measured.problem(format!("{name}: {error:#}"));
        }
    }
    Ok(())
}

/// A program in `PATH`, or the one that the variable names.
fn program(name: &str, variable: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| anyhow::anyhow!("{name} is neither in PATH nor named by {variable}"))
}

/// Whether Python has all of these modules.
fn python_has(modules: &str) -> anyhow::Result<()> {
    let mut python = Command::new("python3");
    let output = python.args(["-c", &format!("import {modules}")]).output()?;
    anyhow::ensure!(output.status.success(), "python3 has no {modules}");
    Ok(())
}

/// Runs a program to its end; what it printed.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A Python script of ours, written to where Python can load it.
fn script(dir: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Makespans, each over the floor around it.
fn makespans(
    run: &mut Run<'_>,
    name: &str,
    mut one: impl FnMut(u32) -> anyhow::Result<f64>,
) -> anyhow::Result<()> {
    let (mut spans, mut floors) = (Vec::new(), Vec::new());
    let tasks = run.tasks;
    for _ in 0..run.runs {
        let before = floor::spawn_all(tasks)?;
        spans.push(one(tasks)?);
        floors.push(((before + floor::spawn_all(tasks)?) / 2).as_secs_f64());
    }
    run.measured.add(&format!("{name}: {tasks} x /bin/true, 2 slots"), "s", &spans, None);
    run.measured.add("… over the floor", "x", &ratios(&spans, &floors), None);
    Ok(())
}
