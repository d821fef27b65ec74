//! The proof at the end: each task ended once and well, with its owner, trace and manifest; each artifact is
//! fetched, hashed anew and used.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context as _, ensure};
use mesh_schemas::{
    EndClass, NodeId, TaskState,
    api::{AttemptView, JobView, NodeView, TaskView},
    attempt::JobState,
};
use serde::Deserialize;

use crate::{cluster::Cluster, say, story::DemoJob};

/// What the demo shows of a job.
pub(crate) struct JobRow {
    pub(crate) title: &'static str,
    pub(crate) view: JobView,
    pub(crate) nodes: Vec<String>,
    pub(crate) attempts: Vec<AttemptView>,
}

impl JobRow {
    /// Attempts that ended with this node.
    pub(crate) fn lost_on(&self, node: NodeId) -> usize {
        let lost = |a: &&AttemptView| a.node == node && a.class == Some(EndClass::NodeLost);
        self.attempts.iter().filter(lost).count()
    }
}

#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    view: JobView,
    #[serde(default)]
    tasks: Vec<TaskView>,
    #[serde(default)]
    attempts: Vec<AttemptView>,
}

/// Looks at every task and every attempt.
pub(crate) fn jobs(cluster: &Cluster, jobs: &[DemoJob]) -> anyhow::Result<Vec<JobRow>> {
    let names = cluster.nodes()?;
    jobs.iter().map(|job| check_job(cluster, job, &names)).collect()
}

fn check_job(cluster: &Cluster, job: &DemoJob, names: &[NodeView]) -> anyhow::Result<JobRow> {
    let id = job.job.to_string();
    let shown: Shown = cluster.ask(&["job", "show", &id, "--limit", "100000"])?;
    ensure!(shown.view.state == JobState::Succeeded, "{} is {}", job.title, shown.view.state);
    ensure!(
        shown.tasks.len() == shown.view.counts.total as usize,
        "{}: tasks are missing",
        job.title
    );
    ensure!(shown.view.trace_id.len() == 32, "{} has no trace", job.title);
    let mut attempts = Vec::new();
    for task in &shown.tasks {
        check_task(task).with_context(|| format!("task {} of {}", task.task, job.title))?;
        if task.attempts == 1 {
            attempts.extend(task.last.clone());
            continue;
        }
        let number = task.task.to_string();
        let all: Shown = cluster.ask(&["job", "show", &id, "--task", &number])?;
        attempts.extend(all.attempts);
    }
    let successes = attempts.iter().filter(|a| a.class == Some(EndClass::Success)).count();
    ensure!(successes == shown.tasks.len(), "{}: {successes} successes", job.title);
    let name = |task: &TaskView| {
        let last = task.last.as_ref()?;
        Some(names.iter().find(|node| node.id == last.node)?.name.clone())
    };
    let mut nodes: Vec<String> = shown.tasks.iter().filter_map(name).collect();
    nodes.sort();
    nodes.dedup();
    Ok(JobRow { title: job.title, view: shown.view, nodes, attempts })
}

fn check_task(task: &TaskView) -> anyhow::Result<()> {
    ensure!(task.state == TaskState::Succeeded, "it is {}", task.state);
    let last = task.last.as_ref().context("it has no owner node")?;
    ensure!(last.trace_id.len() == 32, "it has no trace");
    ensure!(last.manifest.is_some(), "it has no result manifest");
    ensure!(last.ended_at.is_some(), "its end has no time");
    Ok(())
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    size: u64,
    blake3: String,
}

/// Fetches each job's artifact, hashes it anew, and uses it.
pub(crate) fn artifacts(
    begun: Instant,
    cluster: &Cluster,
    jobs: &[DemoJob],
    root: &Path,
) -> anyhow::Result<()> {
    for job in jobs {
        let Some(artifact) = job.artifact else { continue };
        let id = job.job.to_string();
        let to = root.join("fetched").join(job.title.replace(' ', "-"));
        let listed: Vec<Listed> = cluster.ask(&["artifacts", "ls", &id])?;
        let listed = listed
            .into_iter()
            .find(|file| file.path == artifact)
            .with_context(|| format!("{} did not store {artifact}", job.title))?;
        let _: serde_json::Value =
            cluster.ask(&["artifacts", "get", &id, "--to", &to.to_string_lossy()])?;
        let file = to.join(artifact);
        let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        ensure!(hash == listed.blake3, "{artifact} has the hash {hash}, not {}", listed.blake3);
        ensure!(bytes.len() as u64 == listed.size, "{artifact} has another size");
        say(
            begun,
            format_args!(
                "fetched {artifact}: {} bytes, blake3 {}… agrees",
                bytes.len(),
                &hash[..16]
            ),
        );
        use_it(begun, job, &file)?;
    }
    Ok(())
}

fn use_it(begun: Instant, job: &DemoJob, file: &Path) -> anyhow::Result<()> {
    if job.title == "build" {
        let output =
            Command::new(file).arg("--version").output().context("running what was built")?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(output.status.success() && text.starts_with("hexyl"), "it printed {text:?}");
        say(begun, format_args!("ran the fetched program: {text}"));
        return Ok(());
    }
    let report = fs::read_to_string(file)?;
    let line = report.lines().find(|line| line.starts_with("test result: ok"));
    say(
        begun,
        format_args!("{}: {}", job.title, line.context("the report shows no passed tests")?),
    );
    Ok(())
}
