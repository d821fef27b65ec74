//! `mesh artifacts`: what tasks made. Every byte is checked against its hash before it is kept.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use mesh_artifacts::download;
use mesh_schemas::{
    AttemptKey, JobId, Problem,
    api::{ArtifactsView, TaskView},
    manifest::{FileEntry, Manifest},
};
use serde::Serialize;

use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context,
    objects::ApiPort,
    output::{self, Row},
    progress,
};

/// List and fetch what tasks made.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the files that a job's tasks stored, as of their last upload.
    #[command(
        after_help = "Examples:\n  mesh artifacts ls job_…\n  mesh artifacts ls job_… --task 3 --epoch 1"
    )]
    #[command(visible_alias = "list")]
    Ls(Which),
    /// Fetch files; a tree for each task, or the files alone when there is one task.
    #[command(
        after_help = "Examples:\n  mesh artifacts get job_… --to out\n  mesh artifacts get job_… --task 3 --file report.txt"
    )]
    Get {
        #[command(flatten)]
        which: Which,
        /// Directory to write to; made when missing.
        #[arg(long, default_value = ".", value_name = "DIR")]
        to: PathBuf,
        /// Only this file; may be repeated.
        #[arg(long, value_name = "PATH")]
        file: Vec<String>,
    },
}

/// Whose artifacts.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The job.
    job: JobId,
    /// Only this task.
    #[arg(long)]
    task: Option<u32>,
    /// Of this attempt instead of the last.
    #[arg(long, requires = "task")]
    epoch: Option<u32>,
}

/// A file as listed.
#[derive(Debug, Serialize)]
struct Listed {
    attempt: AttemptKey,
    complete: bool,
    #[serde(flatten)]
    file: FileEntry,
}

impl Row for Listed {
    const COLUMNS: &'static [&'static str] = &["task", "epoch", "size", "blake3", "path"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.attempt.task.to_string(),
            self.attempt.epoch.to_string(),
            output::size(self.file.size),
            self.file.blake3.chars().take(16).collect(),
            self.file.path.to_string(),
        ]
    }

    fn id(&self) -> String {
        self.file.path.to_string()
    }
}

pub(crate) async fn run(global: &Global, command: Command) -> Outcome {
    let client = context::client(global)?;
    match command {
        Command::Ls(which) => ls(global.output, &client, &which).await,
        Command::Get { which, to, file } => {
            let written = get(&client, &which, &to, &file).await?;
            if global.output == Format::Json {
                output::json(&written);
            } else {
                written.iter().for_each(|path| output::line(path.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn ls(format: Format, client: &Client, which: &Which) -> Outcome {
    let mut rows = Vec::new();
    for task in tasks(client, which).await? {
        let Some((view, manifest)) = manifest(client, which, task).await? else { continue };
        rows.extend(manifest.files.into_iter().map(|file| Listed {
            attempt: view.attempt,
            complete: view.complete,
            file,
        }));
    }
    output::list(format, &rows);
    Ok(ExitCode::SUCCESS)
}

async fn get(
    client: &Client,
    which: &Which,
    to: &Path,
    only: &[String],
) -> Result<Vec<PathBuf>, Problem> {
    let tasks = tasks(client, which).await?;
    let many = tasks.len() > 1;
    let mut written = Vec::new();
    for task in tasks {
        let Some((_, manifest)) = manifest(client, which, task).await? else { continue };
        let dir = if many { to.join(task.to_string()) } else { to.to_owned() };
        written.extend(fetch(client, which.job, &manifest, &dir, only).await?);
    }
    let missing = only.iter().find(|name| !written.iter().any(|path| path.ends_with(name)));
    match missing {
        None => Ok(written),
        Some(name) => Err(Problem::new(
            mesh_schemas::ErrorCode::NotFound,
            format!("no task stored a file {}", mesh_schemas::text::shown(name)),
        )
        .hint("`mesh artifacts ls` lists them")),
    }
}

/// Fetches a manifest's files below `dir`.
pub(crate) async fn fetch(
    client: &Client,
    job: JobId,
    manifest: &Manifest,
    dir: &Path,
    only: &[String],
) -> Result<Vec<PathBuf>, Problem> {
    let wanted =
        |file: &&FileEntry| only.is_empty() || only.iter().any(|n| n == file.path.as_str());
    let files: Vec<FileEntry> = manifest.files.iter().filter(wanted).cloned().collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    std::fs::create_dir_all(dir).map_err(|error| context::io("create", dir, &error))?;
    let bar = progress::bytes("fetching", files.iter().map(|file| file.size).sum());
    let port = ApiPort::of_job(client, job);
    download::materialize(&port, client.objects_http()?, manifest, &files, dir, |progress| {
        bar.set_position(progress.bytes_done);
    })
    .await
    .map_err(|error| context::own_file(error.problem()))?;
    bar.finish_and_clear();
    Ok(files.iter().map(|file| dir.join(file.path.as_str())).collect())
}

/// The manifest of a task's last (or named) attempt; `None` when it stored nothing yet.
async fn manifest(
    client: &Client,
    which: &Which,
    task: u32,
) -> Result<Option<(ArtifactsView, Manifest)>, Problem> {
    let epoch = which.epoch.map(|epoch| format!("?epoch={epoch}")).unwrap_or_default();
    last_manifest(client, which.job, task, &epoch).await
}

/// As above; `query` may name an epoch.
pub(crate) async fn last_manifest(
    client: &Client,
    job: JobId,
    task: u32,
    query: &str,
) -> Result<Option<(ArtifactsView, Manifest)>, Problem> {
    let view: ArtifactsView =
        client.get(&format!("/jobs/{job}/tasks/{task}/artifacts{query}")).await?;
    if let Some(manifest) = view.manifest.clone() {
        return Ok(Some((view, manifest)));
    }
    let Some(place) = &view.manifest_ref else { return Ok(None) };
    let port = ApiPort::of_job(client, job);
    let manifest = download::fetch_manifest(&port, client.objects_http()?, place)
        .await
        .map_err(|error| error.problem())?;
    Ok(Some((view, manifest)))
}

async fn tasks(client: &Client, which: &Which) -> Result<Vec<u32>, Problem> {
    if let Some(task) = which.task {
        return Ok(vec![task]);
    }
    let tasks: Vec<TaskView> =
        client.pages(&format!("/jobs/{}/tasks", which.job), usize::MAX).await?;
    Ok(tasks.iter().filter(|task| task.last.is_some()).map(|task| task.task).collect())
}
